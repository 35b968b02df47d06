"""All that can be read about several databases at once; one of which nothing can be read is no harm to the others."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from sqlmigrations.annals import PastRun, last_runs
from sqlmigrations.backends.base import Reader
from sqlmigrations.backends.reachability import refusals
from sqlmigrations.exceptions import SqlMigrationsError
from sqlmigrations.executor import Executor
from sqlmigrations.types import Status


@dataclass(frozen=True, slots=True)
class Survey:
    """What was read about one database.

    Attributes:
        status: ``None`` where it could not be read.
        runs: The last ones, the newest first.
        problem: Why there is no status.
        silence: Why there are no runs, where the status could be read.
    """

    database: str
    status: Status | None = None
    runs: tuple[PastRun, ...] = ()
    problem: SqlMigrationsError | None = None
    silence: SqlMigrationsError | None = None


def survey(databases: Sequence[str], runs: int) -> Iterator[Survey]:
    """Looks at one database after the other, those that are away left out.

    Args:
        databases: Aliases of PostgreSQL databases.
        runs: How many of the last runs to bring.
    """
    away = refusals(databases)
    for alias in databases:
        yield Survey(alias, problem=away[alias]) if alias in away else _look(alias, runs)


def _look(alias: str, runs: int) -> Survey:
    try:
        reader = Reader(alias)
        with reader.unharmed():
            executor = Executor(alias)
            status = executor.status()
    except SqlMigrationsError as error:
        return Survey(alias, problem=error)
    if not status.tracked:
        return Survey(alias, status)
    try:
        with reader.unharmed():
            return Survey(alias, status, last_runs(executor.ledger, reader, runs))
    except SqlMigrationsError as error:
        return Survey(alias, status, silence=error)
