"""The last runs as the events tell of them: when, for how long, by whom, and how each ended; for reading."""

from __future__ import annotations

import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import Enum
from typing import Any

from sqlmigrations import rights
from sqlmigrations.backends.base import Queries
from sqlmigrations.exceptions import StatementFailed
from sqlmigrations.ledger import Ledger

# All of it by the index on events that are about no single statement: what the last runs left is at its end.
_RUNS = """
WITH runs AS MATERIALIZED (
    SELECT e.id, e.run_id, e.happened_at, e.os_user, e.host, e.db_user, e.detail
      FROM {events} AS e
     WHERE e.event = 'run_started'
     ORDER BY e.happened_at DESC, e.id DESC
     LIMIT %s
), endings AS MATERIALIZED (
    SELECT e.id, e.run_id, e.event, e.happened_at, e.label, e.name, e.detail
      FROM {events} AS e
     WHERE e.event IN ('run_finished', 'failed') AND e.happened_at >= (SELECT min(r.happened_at) FROM runs AS r)
)
SELECT r.run_id::text, extract(epoch FROM r.happened_at)::float8, r.os_user, r.host, r.db_user, r.detail::text,
       extract(epoch FROM finished.happened_at - r.happened_at)::float8 * 1000, finished.detail::text,
       failed.id, failed.label, failed.name, failed.detail::text
  FROM runs AS r
  LEFT JOIN LATERAL (SELECT e.happened_at, e.detail FROM endings AS e
                      WHERE e.run_id = r.run_id AND e.event = 'run_finished' LIMIT 1) AS finished ON true
  LEFT JOIN LATERAL (SELECT e.id, e.label, e.name, e.detail FROM endings AS e
                      WHERE e.run_id = r.run_id AND e.event = 'failed' ORDER BY e.id DESC LIMIT 1) AS failed ON true
 ORDER BY r.happened_at DESC, r.id DESC
"""


class Ending(Enum):
    """How a run ended, as far as it could say so itself."""

    DONE = "done"
    STOPPED = "stopped"
    UNTOLD = "untold"


@dataclass(frozen=True, slots=True)
class Failure:
    """What stopped a run.

    Attributes:
        event_id: The event that tells of it.
        migration: ``label.NNN_slug``.
        message: What the server said with its SQLSTATE, or what else it was.
        place: ``file:line`` as far as known.
    """

    event_id: int
    migration: str
    message: str
    place: str


@dataclass(frozen=True, slots=True)
class PastRun:
    """A run that performed at least one step, or tried to.

    Attributes:
        by: The system's user and host.
        db_user: The database's user.
        steps: How many migrations it was to run.
        done: How many it recorded; ``None`` when it did not come to tell.
        duration_ms: From its first event to its last; ``None`` when it did not come to tell.
        error: What kind of error ended it, the name of its class; empty when none did.
    """

    id: uuid.UUID
    started_at: datetime
    by: str
    db_user: str
    mode: str
    steps: int
    done: int | None
    duration_ms: float | None
    error: str
    failure: Failure | None

    @property
    def ending(self) -> Ending:
        """A run that is at work still, or was killed, did not tell."""
        if self.duration_ms is None:
            return Ending.UNTOLD
        return Ending.STOPPED if self.error else Ending.DONE


def last_runs(ledger: Ledger, queries: Queries, number: int) -> tuple[PastRun, ...]:
    """The newest first; those that performed no step left no trace.

    Raises:
        ConfigurationError: The role may not read the events, or their table is gone.
        DatabaseUnavailable: The connection is gone.
    """
    try:
        rows = queries.query(_RUNS.format(**ledger.names), [number])
    except StatementFailed as failed:
        raise rights.unreadable(queries, ledger, rights.READING_JOURNAL, failed.server) from None
    return tuple(map(_past_run, rows))


def _past_run(row: Sequence[Any]) -> PastRun:
    begun, ended = json.loads(row[5]), json.loads(row[7] or "{}")
    return PastRun(
        id=uuid.UUID(row[0]),
        # By way of seconds: with USE_TZ off Django's own connection drops the zone of a timestamp.
        started_at=datetime.fromtimestamp(row[1], UTC),
        by=f"{row[2]}@{row[3]}",
        db_user=row[4],
        mode=str(begun.get("mode") or ""),
        steps=int(begun.get("steps") or 0),
        done=ended.get("done"),
        duration_ms=row[6],
        error=str(ended.get("error") or ""),
        failure=None if row[8] is None else _failure(row[8], f"{row[9]}.{row[10]}", json.loads(row[11])),
    )


def _failure(event_id: int, migration: str, detail: dict[str, Any]) -> Failure:
    said = ": ".join(str(detail[name]) for name in ("sqlstate", "error") if detail.get(name))
    place = ":".join(str(detail[name]) for name in ("file", "line") if detail.get(name))
    return Failure(event_id, migration, said or str(detail.get("message") or ""), place)
