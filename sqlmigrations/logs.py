"""Structured logging: a listener of our own signals that writes to the logger ``sqlmigrations``.

Every record carries ``event``, ``run_id``, ``database``, ``migration``, ``duration_ms``, ``statements``, ``checksum``,
``attempts``, ``sqlstate`` and ``blockers`` as extra fields; what an event does not have is ``None``.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from sqlmigrations import glimpses, signals
from sqlmigrations.exceptions import MigrationFailed
from sqlmigrations.glimpses import Occasion, Pace
from sqlmigrations.masking import mask
from sqlmigrations.types import Blocker, Direction, Pooling, Result

logger = logging.getLogger("sqlmigrations")
# Where the project configures no logging, the commands' own output is enough.
logger.addHandler(logging.NullHandler())

# fmt: off
_FIELDS = (
    "event", "run_id", "database", "migration", "duration_ms", "statements", "checksum", "attempts", "sqlstate",
    "blockers",
)
# fmt: on
# What was told of the migration that each run is at.
_paces: dict[str, Pace] = {}


def connect() -> None:
    """Starts listening; calling it again changes nothing."""
    signals.run_started.connect(_run_started, dispatch_uid="sqlmigrations.logs")
    signals.migration_started.connect(_migration_started, dispatch_uid="sqlmigrations.logs")
    signals.migration_watched.connect(_migration_watched, dispatch_uid="sqlmigrations.logs")
    signals.migration_retrying.connect(_migration_retrying, dispatch_uid="sqlmigrations.logs")
    signals.migration_finished.connect(_migration_finished, dispatch_uid="sqlmigrations.logs")
    signals.migration_repaired.connect(_migration_repaired, dispatch_uid="sqlmigrations.logs")
    signals.run_finished.connect(_run_finished, dispatch_uid="sqlmigrations.logs")
    signals.lock_waiting.connect(_lock_waiting, dispatch_uid="sqlmigrations.logs")
    signals.database_waiting.connect(_database_waiting, dispatch_uid="sqlmigrations.logs")


def _log(level: int, message: str, **fields: object) -> None:
    if logger.isEnabledFor(level):
        extra: dict[str, object] = dict.fromkeys(_FIELDS)
        logger.log(level, message, extra=extra | fields)


def _run_started(run_id: object, database: str, pooling: Pooling, **_: object) -> None:
    message, level = f"Run started on {database}", logging.DEBUG
    if pooling is not Pooling.NONE:
        message, level = f"{message}, proxied: {pooling.value} pooling", logging.INFO
    _log(level, message, event="run_started", run_id=str(run_id), database=database)


def _lock_waiting(database: str, holder: object, is_orphan: bool = False, **_: object) -> None:
    _log(logging.WARNING, glimpses.awaited(holder, is_orphan=is_orphan), event="lock_waiting", database=database)


def _database_waiting(database: str, reason: str, **_: object) -> None:
    _log(logging.WARNING, f"Waiting for the database: {reason}", event="database_waiting", database=database)


def _migration_started(step: Any, **common: Any) -> None:
    _paces[str(common["run_id"])] = Pace()
    if logger.isEnabledFor(logging.DEBUG):
        message = f"{'Applying' if step.direction is Direction.FORWARD else 'Undoing'} {step.migration.id}"
        _log(logging.DEBUG, message, event="migration_started", **_about(step, common))


def _migration_watched(step: Any, glimpse: Any, **common: Any) -> None:
    """Sent once a second; a record of each would bury the others."""
    pace = _paces.setdefault(str(common["run_id"]), Pace())
    if occasion := pace.occasion(glimpse):
        level = logging.WARNING if occasion is Occasion.BLOCKED else logging.INFO
        message = f"{step.migration.id}: {mask(glimpses.account(glimpse, pace.age_s), step.secrets)}"
        _log(level, message, event="migration_watched", **_about(step, common))


def _migration_retrying(step: Any, attempt: int, delay_s: float, error: Any, blockers: Any, **common: Any) -> None:
    _paces.setdefault(str(common["run_id"]), Pace()).meets(blockers)
    reason = mask(glimpses.obstacle(blockers), step.secrets) or error.message
    message = f"{step.migration.id}: attempt {attempt} gave up: {reason}; next try in {delay_s:.1f} s"
    fields = _about(step, common) | _attempted(attempt, error, blockers)
    _log(logging.WARNING, message, event="migration_retrying", **fields)


def _migration_finished(step: Any, outcome: Any, error: Any, **common: Any) -> None:
    if not logger.isEnabledFor(logging.ERROR if outcome is None else logging.INFO):
        return
    fields = _about(step, common)
    if outcome is None:
        if isinstance(error, MigrationFailed):
            fields |= _attempted(error.attempts, error, error.blockers)
        _log(logging.ERROR, error.message, event="migration_failed", **fields)
        return
    fields |= {"duration_ms": round(outcome.duration_ms, 3), "statements": outcome.statements}
    message = f"{outcome.id}: {outcome.result.value} in {outcome.duration_ms:.0f} ms"
    _log(logging.INFO, message, event="migration_finished", attempts=outcome.attempts, **fields)


def _migration_repaired(run_id: object, database: str, proposal: Any, reason: str, **_: object) -> None:
    entry, decision = proposal.entry, proposal.decision
    how = f" as {decision.how.value}" if decision.how else ""
    fields = {"run_id": str(run_id), "database": database, "migration": entry.id}
    fields |= {"checksum": entry.migration.file.checksum} if entry.migration else {}
    message = f"{entry.id}: {decision.action.done}{how} by a person: {reason}"
    _log(logging.INFO, message, event="migration_repaired", **fields)


def _run_finished(outcomes: Any, error: Any, duration_ms: float, **common: Any) -> None:
    done = sum(outcome.result is not Result.FAILED for outcome in outcomes)
    message = f"Run finished, {done} done" + (f", stopped by {type(error).__name__}" if error else "")
    level = logging.ERROR if error else logging.INFO if outcomes else logging.DEBUG
    _paces.pop(str(common["run_id"]), None)
    fields = {"run_id": str(common["run_id"]), "database": common["database"], "duration_ms": round(duration_ms, 3)}
    _log(level, message, event="run_finished", **fields)


def _attempted(attempt: int, error: object, blockers: Sequence[Blocker]) -> dict[str, object]:
    server = error.server if isinstance(error, MigrationFailed) else None
    return {
        "attempts": attempt,
        "sqlstate": server.sqlstate if server else None,
        "blockers": [asdict(blocker) for blocker in blockers],
    }


def _about(step: Any, common: dict[str, Any]) -> dict[str, object]:
    migration = step.migration
    return {
        "migration": migration.id,
        "checksum": migration.file.checksum,
        "run_id": str(common["run_id"]),
        "database": common["database"],
    }
