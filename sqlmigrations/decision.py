"""The values of a repair: what a person decides, and what it would mean."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.resume.journal import Begun
from sqlmigrations.resume.judging import Resolution
from sqlmigrations.resume.observation import Observation
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.target import Target
from sqlmigrations.types import Applied, MigrationStatus


class Action(Enum):
    """What can be decided."""

    ACCEPT = "accept"
    FORGET = "forget"
    RESOLVE = "resolve"

    @property
    def done(self) -> str:
        """What has been done then, in a word: so its event is called."""
        return {Action.ACCEPT: "accepted", Action.FORGET: "forgotten", Action.RESOLVE: "resolved"}[self]


@dataclass(frozen=True, slots=True)
class Decision:
    """What is asked for: one action, about one migration.

    Attributes:
        how: Of RESOLVE, whether what is half done is to count as done, or to be run again.
        number: Of RESOLVE, which statement of the file is meant, from 1; ``None`` is the one in doubt.
    """

    action: Action
    target: Target
    how: Resolution | None = None
    number: int | None = None

    def __post_init__(self) -> None:
        """Raises a ``ConfigurationError`` for what does not go together."""
        if self.action is Action.RESOLVE and self.how is None:
            raise ConfigurationError(
                "To resolve is to say how: whether it is done, or to be run again. Nothing was changed.",
                remedy="Add --done, or --redo.",
            )
        if self.action is not Action.RESOLVE and (self.how or self.number):
            option = f"--{self.how.value}" if self.how else "--statement"
            raise ConfigurationError(
                f"{option} is said of what is half done, by resolve. Nothing was changed.",
                remedy=f"Leave out {option}.",
            )


@dataclass(frozen=True, slots=True)
class Doubt:
    """A statement that was begun and of which nobody saw the end.

    Attributes:
        begun: What the journal says.
        statement: As it stands in the file; ``None`` when the file has another in its place.
        now: What the catalog says of its object; ``None`` when it was not asked, since the file had chosen another
            search_path.
    """

    begun: Begun
    statement: Statement | None
    now: Observation | None


@dataclass(frozen=True, slots=True)
class Proposal:
    """A decision that can be carried out.

    Attributes:
        entry: The migration as it stands.
        meaning: What will be recorded, and what will not be touched, as sentences.
        is_grave: Whether a "yes" does not do: who agrees has to type the migration's name.
        doubt: The statement it is about; ``None`` when it is about the whole migration.
    """

    decision: Decision
    entry: MigrationStatus
    meaning: tuple[str, ...]
    is_grave: bool = False
    doubt: Doubt | None = None

    @property
    def applied(self) -> Applied:
        """The row it is about."""
        assert self.entry.applied is not None
        return self.entry.applied
