"""The reports of files that stopped half way: what is done, what was left behind, and what to do about it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from sqlmigrations.exceptions import DatabaseUnavailable, MigrationFailed, MigrationStopped, PartialMigration
from sqlmigrations.failure import excerpt, report
from sqlmigrations.guidance import APPLY, repair
from sqlmigrations.plan import Step
from sqlmigrations.resume.journal import Begun
from sqlmigrations.resume.verdicts import Judgement, Problem, Verdict, Way
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.types import Blocker, Direction, Finding, ServerError, Severity

_DOING = {Direction.FORWARD: "applied", Direction.BACKWARD: "undone"}
_SELF_CURED = frozenset({"57014", "55P03", "40P01", "40001", ""})


def nothing_kept(
    step: Step,
    statement: Statement,
    server: ServerError | None,
    judgement: Judgement | Problem | None,
    blockers: tuple[Blocker, ...],
) -> MigrationFailed:
    """The error for a file that left nothing behind: its first statement failed."""
    if server is not None:
        failure = report(step, statement, server, blockers)
        failure.message = f"{step.spoken} failed."
        return failure
    reason = judgement.reason if judgement else ""
    failure = MigrationFailed(f"{step.spoken} failed: {reason}", finding=_about(step, statement, reason))
    failure.excerpt = excerpt(step, statement)
    failure.remedy = "\n".join(_choice(step, judgement)) if judgement else ""
    return failure


def stopped(
    step: Step,
    statement: Statement,
    number: int,
    done: int,
    server: ServerError | None,
    judgement: Judgement | Problem | None,
    blockers: tuple[Blocker, ...],
) -> MigrationStopped:
    """The error for a file of which a part was kept.

    Args:
        step: What stopped.
        statement: Where.
        number: Which one it is, from 1.
        done: How many are done: within a transaction of the file fewer than those before it.
        server: What the server said; ``None`` when it reported success, or was not asked.
        judgement: What becomes of the statement; ``None`` of one that was rolled back.
        blockers: Who has just been seen in its way.
    """
    total = len(step.script.statements)
    message = f"{step.spoken} stopped at statement {number} of {total}, in line {statement.line}."
    base = report(step, statement, server, blockers) if server else None
    reason = judgement.reason if judgement else ""
    error = MigrationStopped(
        message,
        finding=base.finding if base else _about(step, statement, reason),
        excerpt=base.excerpt if base else excerpt(step, statement),
        server=base.server if base else None,
        kept=" ".join(_state(number, done, judgement)),
        remedy="\n".join(_remedy(step, done, base, judgement)),
    )
    error.blockers = base.blockers if base else ()
    error.is_clean = _verdict(judgement) is Verdict.RUN
    return error


def waits_for_a_person(judgement: Judgement | Problem | None) -> bool:
    """Whether the next run does not go on by itself."""
    return _verdict(judgement) is Verdict.DECIDE


def abandoned(step: Step, begun: Begun, judgement: Judgement) -> PartialMigration:
    """The error for a file without the statement that an earlier run began, while what that left is still there."""
    first, *others = judgement.ways or (Way("", judgement.cleanup),)
    # Nothing builds it anew.
    ways = (replace(first, words="Clear up what it left") if first.sql else first, *others)
    return PartialMigration(
        f"{step.migration.id} is half done.",
        kept=f"Statement {begun.number}, which was begun, is no longer in the file or is another now. "
        f"{judgement.reason} {judgement.warning}".rstrip(),
        remedy="\n".join(_choice(step, replace(judgement, ways=ways))),
    )


def refused(step: Step, server: ServerError, done: int) -> MigrationStopped:
    """The error for a file that stopped between its statements: the run was to end, or its journal was refused."""
    base, total = report(step, None, server), len(step.script.statements)
    return MigrationStopped(
        f"{step.spoken} stopped after {done} of {total} statements: its journal could not be written.",
        finding=base.finding,
        server=base.server,
        kept=f"{done} of {total} statements are done and recorded; the next run looks whether one more took effect.",
        remedy=base.remedy,
    )


def unreachable(step: Step, said: str) -> DatabaseUnavailable:
    """The error for a file whose connection was lost and could not be had again."""
    return DatabaseUnavailable(
        f"The connection was lost while {step.migration.id} was {_DOING[step.direction]} statement by statement: "
        f"{said}",
        kept="How far it came is recorded; the next run goes on from there.",
        remedy=f"When the server is back:  {APPLY} --wait-for-db 60",
    )


def changed(step: Step, done: int) -> PartialMigration:
    """The error for a file whose statements that are done are no longer those that were run."""
    return PartialMigration(
        f"{step.migration.id} is half done, and its first {done} statements are no longer those that were run.",
        remedy="Restore them as they were (the text as begun: python manage.py sqlmigrate_status -v 2 ), and change "
        f"only what comes after them. Then run  {APPLY}",
    )


def _state(number: int, done: int, judgement: Judgement | Problem | None) -> Iterator[str]:
    if done == 1:
        yield "Statement 1 is done and recorded."
    elif done > 1:
        yield f"Statements 1 to {done} are done and recorded."
    if judgement is None and number > done + 1:
        yield f"Statements {done + 1} to {number}, one transaction, were rolled back."
    elif judgement is None:
        yield f"Statement {number} was rolled back."
    else:
        yield judgement.reason
    if warning := getattr(judgement, "warning", ""):
        yield warning


def _verdict(judgement: Judgement | Problem | None) -> Verdict:
    return getattr(judgement, "verdict", Verdict.DECIDE) if judgement else Verdict.RUN


def _remedy(
    step: Step, done: int, base: MigrationFailed | None, judgement: Judgement | Problem | None
) -> Iterator[str]:
    number, statement = done + 1, step.script.statements[done]
    verdict, server = _verdict(judgement), base.server if base else None
    if verdict is Verdict.RUN and base and server and (base.blockers or server.sqlstate not in _SELF_CURED):
        yield base.remedy
        far, line = f"It goes on at statement {number}", statement.line
        if step.direction is Direction.BACKWARD:
            yield f"{far}, or begins again when what is above line {line} was changed."
        else:
            yield f"{far}: from line {line} on the file may be changed, above it not."
    elif verdict is Verdict.RUN:
        yield f"{APPLY}   which goes on at statement {number}."
    elif isinstance(judgement, Judgement) and verdict in (Verdict.REBUILD, Verdict.FINISH):
        then = f"and then statement {number} again, once" if verdict is Verdict.REBUILD else "and goes on"
        yield f"{APPLY}   which runs  {'; '.join(judgement.cleanup)}  {then}."
    elif judgement is not None:
        yield from _choice(step, judgement)


def _choice(step: Step, judgement: Judgement | Problem) -> Iterator[str]:
    # Who goes back decides by doing it again: a repair is about the record as a whole then.
    ways = [way for way in judgement.ways if way.resolve is None or step.direction is Direction.FORWARD]
    if not ways:
        yield f"{APPLY}   which runs it again; where that is not wanted, take it out of the file before."
        return
    yield f"Choose one of these, then run  {APPLY}" if len(ways) > 1 else f"Do this, then run  {APPLY}"
    for way in ways:
        yield from _way(step, way)


def _way(step: Step, way: Way) -> Iterator[str]:
    migration = step.migration
    yield f"- {way.words}:" if way.sql or way.resolve else f"- {way.words}."
    yield from (f"    {sql};" for sql in way.sql)
    if way.resolve is not None:
        yield f"    {repair('resolve', migration.id, f'--{way.resolve.value}')}"


def _about(step: Step, statement: Statement, message: str) -> Finding:
    migration = step.migration
    return Finding(
        "partial",
        Severity.ERROR,
        message,
        "",
        migration.id,
        migration.file.location,
        statement.line,
        statement.column,
    )


def unsound(step: Step, statement: Statement, problem: Problem) -> MigrationFailed:
    """The error for a file that was rolled back, as a statement that reported success has not done what it says."""
    said = " ".join(filter(None, (problem.reason, problem.warning)))
    return MigrationFailed(
        f"{step.migration.id} failed and was rolled back: {said}",
        finding=_about(step, statement, problem.reason),
        excerpt=excerpt(step, statement),
        remedy="\n".join(_choice(step, problem)),
    )
