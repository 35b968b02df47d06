"""What it means to resolve what is half done: a whole file, or the one statement of which nobody saw the end."""

from __future__ import annotations

from collections.abc import Callable

from sqlmigrations.decision import Decision, Doubt, Proposal
from sqlmigrations.exceptions import ConfigurationError, UnsafePlan
from sqlmigrations.guidance import APPLY, repair
from sqlmigrations.resume.effects import effect
from sqlmigrations.resume.journal import UNSEEN
from sqlmigrations.resume.judging import Judgement, Resolution, Verdict, confirm, judge
from sqlmigrations.resume.observation import Observation
from sqlmigrations.retreat import ROW_DELETED, Retreat, retreat
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.types import Applied, MigrationStatus, Mode

Ask = Callable[[MigrationStatus], Doubt | None]

_IS_DONE = "It counts as done: the next apply goes on with the statement after it."
_IS_NOT = "It counts as not done: the next apply goes on with it."
_WAIT = f"Wait until that session has ended. The next run looks for itself what became of it: {APPLY}"
_LOOK = "Look at all of them: python manage.py sqlmigrate_status"


def resolve(decision: Decision, entry: MigrationStatus, ask: Ask) -> Proposal:
    """What the decision would mean.

    Args:
        decision: Done, or to be run again.
        entry: The migration.
        ask: Finds the statement in doubt.

    Raises:
        ConfigurationError: There is nothing to resolve.
        UnsafePlan: The catalog shows the opposite.
    """
    row = entry.applied
    if row is None or not row.is_half_done:
        message = f"{entry.id} is {entry.state.value}, not half done: there is nothing to resolve."
        raise ConfigurationError(message, remedy=_LOOK)
    if (back := retreat(row)) is not None:
        return _half_undone(decision, entry, back)
    if row.mode == Mode.STATEMENTS.value:
        return _statement(decision, entry, row, ask)
    if decision.number is not None:
        message = f"{entry.id} ran in one transaction: it is resolved as a whole."
        raise ConfigurationError(message, remedy="Leave out --statement.")
    return _whole(decision, entry, row)


def _half_undone(decision: Decision, entry: MigrationStatus, back: Retreat) -> Proposal:
    if decision.number is not None:
        message = f"{entry.id} is half undone: it is resolved as a whole, as there again or as undone."
        raise ConfigurationError(message, remedy="Leave out --statement.")
    seen = f"It was being undone: {back.done} of {back.total} statements of its way back are done."
    if decision.how is Resolution.DONE:
        return Proposal(
            decision,
            entry,
            (
                seen,
                "It is recorded as applied again. Nothing is run, so all that it says has to be in the database, "
                "with what was undone of it put back by hand.",
            ),
        )
    return Proposal(decision, entry, (seen, ROW_DELETED, "Nothing is run.", back.rest))


def _whole(decision: Decision, entry: MigrationStatus, row: Applied) -> Proposal:
    if decision.how is Resolution.DONE:
        meaning = "It is recorded as applied. Nothing is run, so all that it says has to be in the database already."
    elif entry.migration is None:
        raise _without_file(entry)
    else:
        meaning = (
            "Its row is deleted; an event keeps it whole. The next apply runs it from its first statement, so what "
            "took effect of it has to be undone by hand before, or to stand being run twice."
        )
    return Proposal(decision, entry, (f"It was begun and not finished (state {row.state}).", meaning))


def _statement(decision: Decision, entry: MigrationStatus, row: Applied, ask: Ask) -> Proposal:
    doubt = ask(entry)
    if entry.migration is None:
        raise _without_file(entry)
    if doubt is None or (statement := doubt.statement) is None:
        raise _no_doubt(entry, row, doubt)
    begun = doubt.begun
    if decision.number not in (None, begun.number):
        message = f"Statement {decision.number} of {entry.id} is not in doubt; statement {begun.number} is."
        raise ConfigurationError(message, remedy=f"Say --statement {begun.number}, or nothing.")
    if doubt.now is None:
        seen = ["The file had chosen another search_path, so its object is not looked for: your word counts."]
        return Proposal(
            decision, entry, (*seen, _IS_DONE if decision.how is Resolution.DONE else _IS_NOT), doubt=doubt
        )
    look = _done if decision.how is Resolution.DONE else _redone
    return Proposal(decision, entry, look(entry, doubt, statement, doubt.now), doubt=doubt)


def _done(entry: MigrationStatus, doubt: Doubt, statement: Statement, now: Observation) -> tuple[str, ...]:
    begun, what = doubt.begun, effect(statement)
    judgement = judge(what, begun.before, now, begun.cause, begun.rebuilt)
    if confirm(what, begun.before, now) is not None:
        message = f"Statement {begun.number} of {entry.id} is not done. {_told(judgement)} Nothing was changed."
        if now.builders:
            raise UnsafePlan(message, remedy=_WAIT)
        raise UnsafePlan(
            message,
            remedy=f"Let it be run again: {repair('resolve', entry.id, '--redo')}\n"
            "Or take it out of the file, when it is not to be run at all: what comes after the statements that are "
            f"done may be changed. Then run  {APPLY}",
        )
    return _told(judgement), _IS_DONE


def _redone(entry: MigrationStatus, doubt: Doubt, statement: Statement, now: Observation) -> tuple[str, ...]:
    begun, what = doubt.begun, effect(statement)
    found = judge(what, begun.before, now, begun.cause, begun.rebuilt)
    # As the next run will judge it: a person's word lets it begin anew.
    then = judge(what, begun.before, now, UNSEEN, 0)
    number = f"Statement {begun.number} of {entry.id}"
    if then.verdict is Verdict.DONE:
        message = f"{number} is done already. {then.reason} Nothing was changed."
        raise ConfigurationError(message, remedy=f"It needs no decision: {APPLY}")
    if now.builders:
        message = f"{number} cannot be run again now. {_told(found)} Nothing was changed."
        raise UnsafePlan(message, remedy=_WAIT)
    if not then.cleanup:
        return _told(found), _IS_NOT
    last = "in place of it" if then.verdict is Verdict.FINISH else "and then the statement again"
    return _told(found), f"It counts as not done: the next apply runs  {'; '.join(then.cleanup)}  {last}."


def _told(judgement: Judgement) -> str:
    return f"{judgement.reason} {judgement.warning}".strip()


def _no_doubt(entry: MigrationStatus, row: Applied, doubt: Doubt | None) -> ConfigurationError:
    if entry.progress is None:
        message = f"The statements of {entry.id} that are done are no longer those that were run."
        return ConfigurationError(message, remedy=f"See what to do: {_LOOK.partition(': ')[2]}")
    if entry.progress.done == entry.progress.total:
        message = f"{entry.id} is done to its last statement; its record alone is not complete."
        return ConfigurationError(message, remedy=f"The next run completes it: {APPLY}")
    done = f"{row.statements_done} of its {entry.progress.total} statements are done"
    if doubt is None:
        message = f"Nothing in {entry.id} is in doubt: {done}, and the rest has not begun."
    else:
        number = doubt.begun.number
        message = (
            f"Statement {number} of {entry.id} was changed since it began, so the one that began is not repeated."
        )
    return ConfigurationError(
        message, remedy=f"The next run goes on with statement {row.statements_done + 1}: {APPLY}"
    )


def _without_file(entry: MigrationStatus) -> ConfigurationError:
    return ConfigurationError(
        f"{entry.id} is half done and its file is not here, so it cannot be run again.",
        remedy=f"Bring the file back; or, when it is gone for good: {repair('forget', entry.id)}",
    )
