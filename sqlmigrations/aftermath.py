"""What a step that ended badly leaves behind: said in its error, or in that of the interruption it came from."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmigrations.exceptions import (
    DatabaseUnavailable,
    Interrupted,
    LockLost,
    LockNotObtained,
    MigrationFailed,
    MigrationStopped,
    SqlMigrationsError,
    StatementFailed,
)
from sqlmigrations.guidance import APPLY, STATUS
from sqlmigrations.interruption import CANCELLED, TO_GO_ON, Interruption
from sqlmigrations.plan import Step
from sqlmigrations.types import Direction, Mode

# After these nothing of a file in a transaction is there.
_WITHOUT_TRACE = (MigrationFailed, DatabaseUnavailable, LockLost, LockNotObtained, Interrupted)
RESUMED = "What was done of it before is recorded; the next run goes on from there."
# As the server warns of it, unless it speaks another language.
_NOT_REPLICATED = "wait for synchronous replication"


def told(step: Step, error: SqlMigrationsError, before: str, interruption: Interruption) -> SqlMigrationsError:
    """The error to be raised, with what was kept in it.

    Args:
        step: What ended badly.
        error: How; what it says itself of what was kept stays.
        before: What was applied before, as a clause.
        interruption: If it was asked for, and this is what came of it, that is told.
    """
    if isinstance(error, _WITHOUT_TRACE) and not error.kept:
        error.kept = _kept(step, error, before)
    return (_interrupted(error, step, interruption) or error) if interruption.asked else error


def not_begun(step: Step, error: SqlMigrationsError | StatementFailed) -> SqlMigrationsError:
    """The same; what was refused or lost with no statement of the file under way is told as that."""
    if isinstance(error, SqlMigrationsError):
        return error
    said = error.server.message
    return DatabaseUnavailable(
        f"{step.migration.id} was not begun, as the database did not take what has to be recorded before: {said}",
        remedy=f"Look whether the server answers ( {STATUS} ), then start again:  {APPLY}",
    )


def unconfirmed(notices: Sequence[str]) -> str:
    """Said of a COMMIT whose wait for a synchronous standby was cancelled; empty where none was."""
    if not any(_NOT_REPLICATED in notice for notice in notices):
        return ""
    return "committed on this server, but not confirmed by the standby: a failover now would lose it"


def _kept(step: Step, error: SqlMigrationsError, before: str) -> str:
    # Who finds the lock lost after the file was begun says so himself.
    if step.script.mode is Mode.STATEMENTS and not isinstance(error, (MigrationFailed, LockLost)):
        return RESUMED
    tried = f" after {error.attempts} attempts" if isinstance(error, MigrationFailed) and error.attempts > 1 else ""
    if step.direction is Direction.BACKWARD:
        return f"Nothing was undone{tried}: {step.migration.id} is in force as it was."
    return f"Nothing of this file was kept{tried}; {before} before it."


def _interrupted(error: SqlMigrationsError, step: Step, interruption: Interruption) -> Interrupted | None:
    name = step.spoken
    if isinstance(error, Interrupted):
        return interruption.error(f"{name} was interrupted while it waited.", kept=error.kept)
    if not isinstance(error, MigrationFailed) or error.server is None or error.server.sqlstate != CANCELLED:
        return None
    where = f" at {error.finding.place}" if error.finding.line else ""
    if others := error.server.others:
        where += f" or in {'the statement' if others == 1 else f'one of the {others} statements'} behind it"
    if not isinstance(error, MigrationStopped):
        return interruption.error(f"{name} was interrupted{where} and rolled back.", kept=error.kept)
    # What stopped half way may be resumed with a word on how.
    remedy = error.remedy if error.remedy.startswith(APPLY) else TO_GO_ON
    return interruption.error(f"{name} was interrupted{where}.", kept=error.kept, remedy=remedy)
