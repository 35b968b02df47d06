"""Judges a statement that began outside a transaction: done, to be run, cleaned up after, or a person's to decide."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sqlmigrations.effects import Effect
from sqlmigrations.observation import Observation


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


def judge(effect: Effect, before: Observation | None, now: Observation, cause: Cause, rebuilt: int) -> Judgement:
    """What becomes of a statement that the journal says had begun and not ended.

    Args:
        effect: What it was to do.
        before: What the catalog said before it began; ``None`` when that was not kept.
        now: What the catalog says, with nothing of it running any more.
        cause: Why it did not end.
        rebuilt: How often it was cleaned up after and run again already.
    """
    raise NotImplementedError


def confirm(effect: Effect, before: Observation | None, after: Observation) -> Problem | None:
    """Why a statement that has just reported success has not done what it says; ``None`` when all is well."""
    raise NotImplementedError
