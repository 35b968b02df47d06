"""The values in which statements outside a transaction are judged: causes, verdicts, ways out."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sqlmigrations.resume.effects import Effect
from sqlmigrations.resume.observation import Observation

# The server or a person stopped it, or somebody else kept a lock: nothing is wrong with the statement itself.
# https://www.postgresql.org/docs/current/errcodes-appendix.html
_PASSING = frozenset({"57014", "57P01", "57P02", "57P03", "57P05", "25P03", "25P04", "55P03", "40P01", "40001"})
_CONNECTION = "08"
_TAKEN = frozenset({"42P07", "42P04", "42710"})
_WORDS = {
    "": "the connection or the runner was lost",
    "57014": "it was cancelled",
    "57P01": "the server ended the connection",
    "57P02": "the server crashed",
    "55P03": "it waited too long for a lock",
    "40P01": "it ran into a deadlock",
    "23505": "rows with the same key exist",
    "53100": "the disk of the server was full",
}


class Verdict(Enum):
    """What becomes of a statement that had begun and of which no end is recorded."""

    DONE = "done"
    RUN = "run"
    REBUILD = "rebuild"
    FINISH = "finish"
    DECIDE = "decide"


class Resolution(Enum):
    """What a person can say of a statement, where the catalog cannot."""

    DONE = "done"
    REDO = "redo"


@dataclass(frozen=True, slots=True)
class Cause:
    """Why the statement did not end, as far as anybody heard.

    Attributes:
        sqlstate: What the server answered; empty when the connection or the runner was lost.
    """

    sqlstate: str = ""

    @property
    def can_pass(self) -> bool:
        """Whether the statement may well succeed next time: lost, cancelled, or a lock not obtained."""
        return not self.sqlstate or self.sqlstate in _PASSING or self.sqlstate.startswith(_CONNECTION)

    @property
    def name_was_taken(self) -> bool:
        """Whether the server refused it because something of that name existed."""
        return self.sqlstate in _TAKEN

    @property
    def words(self) -> str:
        """As a clause to follow "because"."""
        return _WORDS.get(self.sqlstate, f"the server refused to go on (SQLSTATE {self.sqlstate})")


@dataclass(frozen=True, slots=True)
class Way:
    """One way out for a person.

    Attributes:
        words: What it does, a sentence without its full stop.
        sql: What to run by hand before the next apply, in order; empty when nothing.
        resolve: What to tell ``sqlmigrate_repair`` of the statement; ``None`` when the next apply sees for itself.
    """

    words: str
    sql: tuple[str, ...] = ()
    resolve: Resolution | None = None


@dataclass(frozen=True, slots=True)
class Judgement:
    """What becomes of the statement.

    Attributes:
        reason: Why, one sentence.
        cleanup: Of REBUILD what to run before the statement, of FINISH what to run in its place; each outside a
            transaction, like the statement itself.
        ways: Of DECIDE the ways out.
        warning: What the leftover does meanwhile; empty when nothing.
    """

    verdict: Verdict
    reason: str
    cleanup: tuple[str, ...] = ()
    ways: tuple[Way, ...] = ()
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a statement that reported success has not done what it says; the fields as in ``Judgement``."""

    reason: str
    ways: tuple[Way, ...] = ()
    warning: str = ""


@dataclass(frozen=True, slots=True)
class Case:
    """What is judged: see ``resume.judge``."""

    effect: Effect
    before: Observation
    now: Observation
    cause: Cause
    rebuilt: int

    @property
    def may_clean_up(self) -> bool:
        """Whether what it left behind is cleaned up without asking anybody."""
        return self.cause.can_pass and not self.rebuilt

    @property
    def why(self) -> str:
        """Why it did not end, to follow what it left behind."""
        return f"because {self.cause.words}{', after it had been run anew already' if self.rebuilt else ''}"


KEEP = Way("If it is what the file wants, record the statement as done", resolve=Resolution.DONE)
REDO = Way("If it is not done, let it be run again", resolve=Resolution.REDO)


def done(reason: str) -> Judgement:
    """The catalog shows its work."""
    return Judgement(Verdict.DONE, reason)


def run(reason: str) -> Judgement:
    """There is nothing of it: it is run as if for the first time."""
    return Judgement(Verdict.RUN, reason)


def decide(reason: str, *ways: Way, warning: str = "") -> Judgement:
    """A person has to choose."""
    return Judgement(Verdict.DECIDE, reason, ways=ways, warning=warning)
