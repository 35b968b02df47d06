"""What a Django migration does with one file: within its transaction, or by a run of its own where it has none."""

from __future__ import annotations

from dataclasses import replace

from sqlmigrations import django_graph, lease, wrapped
from sqlmigrations.executor import DEFAULTS, Executor
from sqlmigrations.guest import visit
from sqlmigrations.integrity import compare
from sqlmigrations.ledger import Tracking
from sqlmigrations.loader import Loaded
from sqlmigrations.parser import Script, parse
from sqlmigrations.plan import Plan
from sqlmigrations.records import RunMark
from sqlmigrations.run import Run, RunMode
from sqlmigrations.types import Applied, SqlMigration
from sqlmigrations.wrapped import Wrapper


class Enclosed(Executor):
    """The SQL migrations of one database, as the operation of a Django migration handles one of them.

    Args:
        wrapper: The Django migration.
        database: The alias.

    Raises:
        ConfigurationError: The settings are not in order, or the alias is no PostgreSQL database.
    """

    def __init__(self, wrapper: Wrapper, database: str) -> None:
        super().__init__(database)
        self._wrapper = wrapper

    def script(self, label: str, name: str) -> Script:
        """A file, parsed; no database is asked.

        Raises:
            ConfigurationError: There is no such file.
        """
        return parse(wrapped.find(self._load(), label, name))

    def apply(self, label: str, name: str) -> None:
        """Applies a file, unless it is recorded or for another database.

        Raises:
            SqlMigrationsError: It was not; the message says what is left of it.
        """
        loaded = self._load()
        migration = wrapped.find(loaded, label, name)
        if self._wrapper.in_transaction:
            self._join(loaded, migration)
        else:
            self._run(loaded, migration)

    def _join(self, loaded: Loaded, migration: SqlMigration) -> None:
        with visit(self.ledger, self._marked(), self.settings.lock_wait_ms) as guest:
            plan = self._plan(loaded, guest.rows, migration)
            if plan is not None:
                with guest.working(len(plan.steps)):
                    for step in plan.steps:
                        guest.perform(step)

    def _run(self, loaded: Loaded, migration: SqlMigration) -> None:
        wait_ms, attempts = self.settings.lock_wait_ms, self.settings.lock_attempts
        with lease.shared(self.database, self.ledger, self._interruption, wait_ms) as (lock, bench, tracking):
            rows = self.ledger.read(bench.session.connection) if tracking is Tracking.PRESENT else ()
            plan = self._plan(loaded, rows, migration)
            if plan is None:
                return
            plan = self._behind(plan, bench.session.pooling, DEFAULTS)
            self._refuse(plan)
            run = Run(plan, self._marked(), self.ledger, bench, lock, RunMode.APPLY, attempts)
            with run.closing():
                for step in plan.steps:
                    run.perform(step)

    def _plan(self, loaded: Loaded, rows: tuple[Applied, ...], migration: SqlMigration) -> Plan | None:
        terms = self._terms(DEFAULTS, loaded)
        if parse(migration).directives.django_depends:
            terms = replace(terms, django=django_graph.read(self.database))
        return wrapped.build(loaded, compare(loaded, rows), migration, terms, self._wrapper)

    def _marked(self) -> RunMark:
        return replace(self._mark(), django=self._wrapper.id)
