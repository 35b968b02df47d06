"""A way back that was begun and has not ended: what the row of its migration says of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmigrations.guidance import migrate
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.units import DONE_CHECKSUM, STOPPED, Digest
from sqlmigrations.types import Applied

# In the metadata of the row, from before the first statement of the way back until the row is deleted.
UNDOING = "undoing"

ROW_DELETED = "Its row is deleted; an event keeps it whole."


@dataclass(frozen=True, slots=True)
class Retreat:
    """How far a way back came that runs statement by statement.

    Attributes:
        done: How many of its statements are done.
        total: How many it had.
        done_checksum: Of those that are done, see ``units.Digest``.
        checksum: Of its text.
        execution_ms: What they took, milliseconds.
        back_to: What Django's ``migrate`` is told to go on with it: app and migration, ``shop.0003_y``.
        why: Why it stopped; empty when nobody heard.
    """

    done: int
    total: int
    done_checksum: str
    checksum: str
    execution_ms: float
    back_to: str
    why: str

    @property
    def command(self) -> str:
        """What is typed to go on with it."""
        app, _, name = self.back_to.partition(".")
        return migrate(app, name)

    @property
    def rest(self) -> str:
        """What is left to do when there is no row any more."""
        return (
            "What is there of it still has to be undone by hand. Django has its own migration as applied; to have it "
            f"taken back as well:  {self.command}"
        )

    def done_of(self, statements: Sequence[Statement]) -> int:
        """How many statements of a way back, which may have been corrected, are those that are done; else none."""
        before = statements[: self.done]
        return self.done if Digest(before).value == self.done_checksum else 0


def retreat(row: Applied) -> Retreat | None:
    """What the row of a half-undone migration says; ``None`` when it is not being undone."""
    told = row.metadata.get(UNDOING)
    if not isinstance(told, Mapping):
        return None
    stopped = told.get(STOPPED)
    return Retreat(
        done=int(told.get("statements_done", 0)),
        total=int(told.get("statements_total", 0)),
        done_checksum=str(told.get(DONE_CHECKSUM, "")),
        checksum=str(told.get("checksum", "")),
        execution_ms=float(told.get("execution_ms", 0)),
        back_to=str(told.get("back_to", "")),
        why=str(stopped.get("why", "")) if isinstance(stopped, Mapping) else "",
    )
