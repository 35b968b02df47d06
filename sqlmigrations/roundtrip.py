"""Whether each file can be undone: up, down and up again on a database that can be thrown away, schemas compared."""

from __future__ import annotations

import difflib
import warnings
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace

from sqlmigrations.backends.base import Connection, Queries, Reader
from sqlmigrations.exceptions import SqlMigrationsError
from sqlmigrations.executor import Executor
from sqlmigrations.fingerprint import fingerprint
from sqlmigrations.idle import IdleRun
from sqlmigrations.lint.beyond import beyond
from sqlmigrations.masking import mask
from sqlmigrations.plan import Step
from sqlmigrations.replay import replay
from sqlmigrations.run import Run
from sqlmigrations.types import TRACKING_LABEL

_FORGET = "DELETE FROM {ledger} WHERE label = %s AND key = %s"
_SHOWN_LINES = 40


class StaysOnServer(UserWarning):
    """A file is about what the whole server has: to drop the scratch database does not undo it."""


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """What came of it.

    Attributes:
        proven: The migrations that left nothing behind and came out the same the second time.
        without_down: Those that have no down file, or say that there is no way back; they were only applied.
        on_server: Those that are about roles and other things of the whole server, which are not undone with it.
    """

    proven: tuple[str, ...]
    without_down: tuple[str, ...]
    on_server: tuple[str, ...]


def up_down_up(alias: str) -> RoundTrip:
    """Applies each pending migration, undoes it while it is the newest, and applies it again.

    That each one leaves exactly what was there before says of all of them, newest first, that they lead back to the
    beginning. Only for a scratch database: nothing of the way down is recorded. What a file does to the whole server
    stays there, so it is told by a ``StaysOnServer`` before the file is applied.

    Raises:
        SqlMigrationsError: A file fails, or its down file does not undo it; the message shows what differs.
    """
    executor, reader = Executor(alias), Reader(alias)
    proven, without_down, on_server = [], [], []
    with executor.run() as run:
        for step in run.plan.steps:
            if found := beyond(step.script.statements):
                warnings.warn(_stays(step, found), StaysOnServer, stacklevel=3)
                on_server.append(step.migration.id)
            if step.migration.label == TRACKING_LABEL:
                run.perform(step)
            elif step.migration.down is None or step.script.directives.irreversible is not None:
                run.perform(step)
                without_down.append(step.migration.id)
            else:
                _prove(run, step, executor, reader)
                proven.append(step.migration.id)
    return RoundTrip(tuple(proven), tuple(without_down), tuple(on_server))


def _stays(step: Step, found: Sequence[str]) -> str:
    return (
        f"{step.migration.id} is about the whole server: {', '.join(found)}. To drop the scratch database does not "
        "undo that, and every other database of the server has it too. Let the file look first whether it is there "
        "already, in a DO block."
    )


def _prove(run: Run | IdleRun, step: Step, executor: Executor, reader: Queries) -> None:
    migration = step.migration
    before = fingerprint(reader)
    run.perform(step)
    there = fingerprint(reader)
    assert migration.down is not None
    replay(executor.database, replace(migration, file=migration.down, down=None))
    _forget(executor, step)
    _compare(before, fingerprint(reader), f"{migration.down.location} does not undo {migration.id}.", step)
    run.perform(step)
    _compare(there, fingerprint(reader), f"{migration.id} comes out otherwise when it is applied again.", step)


def _forget(executor: Executor, step: Step) -> None:
    with closing(Connection(executor.database, "sqlmigrations tests")) as connection:
        connection.query(_FORGET.format(**executor.ledger.names), [step.migration.label, step.migration.key])


def _compare(expected: Sequence[str], found: Sequence[str], message: str, step: Step) -> None:
    if expected == found:
        return
    lines = [line for line in difflib.ndiff(expected, found) if line[:2] in ("- ", "+ ")]
    shown = "\n".join(lines[:_SHOWN_LINES]) + ("\n..." if len(lines) > _SHOWN_LINES else "")
    # A function is shown as it is written.
    raise SqlMigrationsError(
        f"{message} What is missing (-) and what is left over (+):\n\n{mask(shown, step.secrets)}",
        remedy="Correct the down file, and run the tests again.",
    )
