"""The doors for listeners: what a run tells while it goes on.

* ``lock_waiting``: ``database``, ``holder``, ``is_orphan`` - somebody else has the lock, or a statement of an earlier
  run goes on in the server without its runner; told once per wait.
* ``database_waiting``: ``database``, ``wait_s``, ``reason`` - the server is waited for; told after a second, and every
  half minute again, with the seconds it is waited for still.
* ``run_started``: ``run_id``, ``database``, ``pooling`` - what stands between the runner and the server.
* ``migration_started``: ``run_id``, ``database``, ``step``; a listener that raises vetoes the migration.
* ``migration_watched``: ``run_id``, ``database``, ``step``, ``glimpse`` - about once a second while a file takes
  longer than a second; sent from a thread of its own, so that one may still come when its file has just ended.
* ``migration_retrying``: ``run_id``, ``database``, ``step``, ``attempt``, ``delay_s``, ``error``, ``blockers`` - an
  attempt failed by a lock or a deadlock, was rolled back, and the next one begins after ``delay_s`` seconds.
* ``migration_finished``: ``run_id``, ``database``, ``step``, ``outcome``, ``error``; one of the last two is ``None``.
* ``migration_repaired``: ``run_id``, ``database``, ``proposal``, ``reason`` - what a person decided about the record
  of a migration was carried out; ``run_id`` is what its event is recorded under.
* ``run_finished``: ``run_id``, ``database``, ``outcomes``, ``error``, ``duration_ms``.

All but ``migration_started`` are sent robustly: a listener that raises is logged by Django and cannot stop a run.
"""

from __future__ import annotations

from django.dispatch import Signal

lock_waiting = Signal()
database_waiting = Signal()
run_started = Signal()
migration_started = Signal()
migration_watched = Signal()
migration_retrying = Signal()
migration_finished = Signal()
migration_repaired = Signal()
run_finished = Signal()
