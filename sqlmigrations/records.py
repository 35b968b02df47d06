"""What a run and its transactions hand to the recorder, and how the recorder says that a record cannot be."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from enum import Enum

from sqlmigrations.exceptions import LockLost
from sqlmigrations.guidance import APPLY
from sqlmigrations.plan import Step


class Settled(Enum):
    """Whether role, search_path and prepared statements are at the end of a file what they were at its beginning."""

    YES = "yes"
    PERHAPS_NOT = "perhaps not"


class Telling(Enum):
    """What an event is part of: nothing, or a transaction whose COMMIT is not ours to hasten."""

    BY_ITSELF = "by itself"
    WITHIN = "within a transaction"


class AlreadyRecorded(Exception):
    """Another run recorded the migration while this one was about to."""


class RowRemoved(Exception):
    """The file took away the very row in which it was being recorded."""


class NotRecorded(Exception):
    """The file ended the transaction it was run in: what it did is not what would be recorded."""


def lock_lost(name: str = "") -> LockLost:
    """The error for a lock that is held no longer: another run may have it by now.

    Args:
        name: The migration that is not gone on with; empty when nothing was begun.
    """
    gone = "The connection that held the migration lock is gone"
    if not name:
        return LockLost(f"{gone}. Nothing was changed.", remedy="Start the same command again.")
    return LockLost(
        f"{gone}; the run stopped before the next statement of {name}.",
        remedy=f"Start again: {APPLY}",
    )


@dataclass(frozen=True, slots=True)
class Claim:
    """A migration begun: the transaction in which its row was inserted.

    Attributes:
        pid: The server process it runs in.
    """

    step: Step
    xid: str
    pid: int


@dataclass(frozen=True, slots=True)
class RunMark:
    """What all records of one run have in common.

    Attributes:
        django: The Django migration that applies or takes back its file, ``shop.0004_x``; empty for a run by itself.
        back_to: Where Django's ``migrate`` is sent to take it back, ``shop.0003_y`` or ``shop.zero``.
    """

    id: uuid.UUID
    database: str
    keep_sql: bool
    django: str = ""
    back_to: str = ""

    @property
    def marks(self) -> dict[str, object]:
        """What the metadata of its rows and the details of its events say of it."""
        return {"django": self.django} if self.django else {}


@dataclass(frozen=True, slots=True)
class Ran:
    """What is recorded of a migration when it is complete; ``execution_ms`` is ``None`` when nothing was run."""

    event: str
    execution_ms: float | None
    statements: int
    attempts: int = 1
