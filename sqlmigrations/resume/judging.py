"""Judges a statement that began outside a transaction and did not end: is it done, to be run, or to be decided?"""

from __future__ import annotations

from collections.abc import Callable

from sqlmigrations.resume import indexes
from sqlmigrations.resume.confirmation import confirm
from sqlmigrations.resume.effects import Effect, EffectKind
from sqlmigrations.resume.observation import Observation, Partition
from sqlmigrations.resume.verdicts import (
    KEEP,
    REDO,
    Case,
    Cause,
    Judgement,
    Problem,
    Resolution,
    Verdict,
    Way,
    decide,
    done,
    run,
)

__all__ = ["Cause", "Judgement", "Problem", "Resolution", "Verdict", "Way", "confirm", "judge"]


def judge(effect: Effect, before: Observation | None, now: Observation, cause: Cause, rebuilt: int) -> Judgement:
    """What becomes of a statement that the journal says had begun and not ended.

    Args:
        effect: What it was to do.
        before: What the catalog said before it began; ``None`` when that was not kept.
        now: What the catalog says, with nothing of it running any more.
        cause: Why it did not end.
        rebuilt: How often it was cleaned up after and run again already.
    """
    if effect.is_repeatable:
        return run("To run it again does no harm.")
    if before is None or effect.kind is EffectKind.OTHER:
        return decide(f"Whether it took effect {_UNTOLD[before is None]}.", KEEP, REDO)
    return _JUDGES[effect.kind](Case(effect, before, now, cause, rebuilt))


_UNTOLD = {True: "cannot be told, as what was there before it is not known", False: "is not to be seen in the catalog"}


def _detached(case: Case) -> Judgement:
    now, effect = case.now, case.effect
    table, partition = now.table or indexes.written(effect.table), now.object or indexes.written(effect.names[0])
    if now.partition is Partition.ATTACHED:
        return run(f"{partition} is still a partition of {table}.")
    if now.partition is not Partition.PENDING:
        if case.before.partition in (Partition.ATTACHED, Partition.PENDING):
            return done(f"{partition} was a partition of {table} before, and is none any more.")
        return run(f"{partition} was no partition of {table} before either.")
    if effect.finalizes:
        return run(f"{partition} is detached from {table} half-way still.")
    return _half_detached(case, table, partition)


def _half_detached(case: Case, table: str, partition: str) -> Judgement:
    finish = f"ALTER TABLE {table} DETACH PARTITION {partition} FINALIZE"
    stood = case.before.partition is Partition.PENDING
    why = "since before the statement began" if stood else case.why
    left = f"{partition} is detached from {table} half-way only, {why}."
    warning = (
        f"Meanwhile queries of {table} do not see the rows of {partition}, and no other partition of it can "
        "be detached concurrently."
    )
    if case.may_clean_up and not stood:
        return Judgement(Verdict.FINISH, left, (finish,), warning=warning)
    way = Way("Finish it; it waits for the queries that use the partition", (finish,))
    return decide(left, way, warning=warning)


def _made(case: Case) -> Judgement:
    now, what = case.now, _what(case.effect)
    if now.oid is None:
        return run(f"There is no {what}.")
    if case.before.oid is None and not case.cause.name_was_taken:
        return done(f"The {what} is there, and was not there before.")
    return decide(
        f"The {what} is there, but the statement did not make it.",
        KEEP,
        Way("If it is in the way, drop or rename it, or choose another name in the file"),
    )


def _removed(case: Case) -> Judgement:
    before, now, what = case.before, case.now, _what(case.effect)
    if now.oid is None:
        return done(f"The {what} is gone.") if before.oid else run(f"There was no {what} before, and is none now.")
    if now.oid == before.oid:
        return run(f"The {what} is still there.")
    return decide(
        f"The {what} was made after the statement began, so it is not the one to drop.",
        Way("If it is to be dropped too, let the statement be run again", resolve=Resolution.REDO),
        Way("If it is to stay, record the statement as done", resolve=Resolution.DONE),
    )


def _what(effect: Effect) -> str:
    """The database, tablespace or subscription with its name."""
    return f"{effect.kind.value.partition(' ')[2]} {indexes.written(effect.names[0])}"


_Judge = Callable[[Case], Judgement]
_JUDGES: dict[EffectKind, _Judge] = {
    EffectKind.CREATE_INDEX: indexes.created,
    EffectKind.DROP_INDEX: indexes.dropped,
    EffectKind.REINDEX: indexes.reindexed,
    EffectKind.DETACH: _detached,
    EffectKind.CREATE_DATABASE: _made,
    EffectKind.DROP_DATABASE: _removed,
    EffectKind.CREATE_TABLESPACE: _made,
    EffectKind.DROP_TABLESPACE: _removed,
    EffectKind.CREATE_SUBSCRIPTION: _made,
    EffectKind.DROP_SUBSCRIPTION: _removed,
}
