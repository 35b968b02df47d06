"""The journal of a file that runs statement by statement: what its events say was begun and did not end."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sqlmigrations.resume.observation import Observation
from sqlmigrations.resume.verdicts import Cause, Resolution

BEGUN = "begun"
RESUMED = "resumed"
UNDOING = "undoing"
STARTED = "statement_started"
FINISHED = "statement_finished"
FAILED = "statement_failed"
REBUILT = "statement_rebuilt"
RESOLVED = "statement_resolved"

# Nobody saw the end: the runner was killed, or the connection lost.
UNSEEN = Cause()

JOURNAL_EVENTS = (BEGUN, UNDOING, RESUMED, STARTED, FINISHED, FAILED, REBUILT, RESOLVED)


@dataclass(frozen=True, slots=True)
class Begun:
    """A statement that was begun and did not end.

    Attributes:
        number: Which statement of the file, from 1.
        line: Where it stood in the file.
        digest: Of its tokens, see ``units.Digest``.
        before: What the catalog said of its object before; ``None`` when it was not asked.
        cause: Why it did not end, as far as anybody heard.
        sql: The statement; secrets masked.
        rebuilt: How often what it left was removed, and it was begun again, without a person's word.
        resolution: What a person decided since.
    """

    number: int
    line: int
    digest: str
    before: Observation | None = field(default=None, repr=False)
    cause: Cause = UNSEEN
    sql: str = field(default="", repr=False)
    rebuilt: int = 0
    resolution: Resolution | None = None


def unfinished(events: Iterable[tuple[str, Mapping[str, Any]]]) -> Begun | None:
    """The statement that was begun and did not end.

    Args:
        events: Name and detail of the events of one migration, the oldest first; those of other kinds are passed over.
    """
    begun: Begun | None = None
    for event, detail in events:
        if event in (BEGUN, UNDOING):
            begun = None
        elif event == STARTED:
            begun = _started(detail, begun)
        elif begun is None or detail.get("number") != begun.number:
            continue
        elif event == FINISHED:
            begun = None
        elif event == FAILED:
            begun = replace(begun, cause=Cause(detail["sqlstate"]))
        elif event == REBUILT:
            begun = replace(begun, rebuilt=begun.rebuilt + 1)
        elif event == RESOLVED:
            begun = replace(begun, resolution=Resolution(detail["how"]), rebuilt=0)
    return begun


def _started(detail: Mapping[str, Any], before: Begun | None) -> Begun:
    """Begun again, it keeps the count of what was done about it without a person's word."""
    rebuilt = before.rebuilt if before and before.digest == detail["digest"] else 0
    kept = Observation.from_json(detail["before"]) if detail.get("before") else None
    return Begun(detail["number"], detail["line"], detail["digest"], kept, sql=detail.get("sql", ""), rebuilt=rebuilt)
