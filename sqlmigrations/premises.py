"""What every work on the SQL migrations of one database stands on: settings, files, terms, and the way to be ended."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from sqlmigrations import conf, pooling, routes, settled
from sqlmigrations.backends.aliases import credentials, wrapper
from sqlmigrations.exceptions import IntegrityError, Interrupted
from sqlmigrations.interruption import Interruption
from sqlmigrations.ledger import Ledger
from sqlmigrations.loader import Loaded, load
from sqlmigrations.options import Options
from sqlmigrations.plan import Plan
from sqlmigrations.records import RunMark
from sqlmigrations.types import Applied, Pooling, RunMode

if TYPE_CHECKING:
    from sqlmigrations.pending import Terms


class Premises:
    """The settings in force, the folders and the ledger of one database.

    Args:
        database: The alias.

    Raises:
        ConfigurationError: The settings are not in order, or the alias is no PostgreSQL database.
    """

    def __init__(self, database: str = "default") -> None:
        wrapper(database)
        self.database = database
        self.settings = conf.load()
        routes.refuse_mere_way(database, self.settings.direct)
        self.sources = conf.sources(self.settings)
        self.ledger = Ledger(self.settings.schema)
        self._interruption = Interruption()

    def cancel(self, by: type[Interrupted] = Interrupted) -> None:
        """Ends the run, from another thread or a listener: the statement is cancelled, its migration rolled back.

        Returns at once; the run raises ``by``. What is waited for (the lock, the server) is not waited for any
        longer. An executor that was cancelled performs no other run.
        """
        self._interruption.ask(by)

    def _load(self) -> Loaded:
        return load(self.sources, self.settings.ignore)

    def _load_sound(self) -> Loaded:
        """The files, where all could be read: one that was not would be taken for missing."""
        loaded = self._load()
        if loaded.findings:
            raise IntegrityError(
                "The migration files are not in order; nothing was changed.", findings=loaded.findings
            )
        return loaded

    def _terms(self, options: Options, loaded: Loaded) -> Terms:
        # For start-up: what is pending has to do with all that knows SQL, and mostly nothing is.
        from sqlmigrations.pending import Terms

        settings = self.settings
        return Terms(
            database=self.database,
            databases=conf.databases(settings),
            allow=self._allow(options),
            allow_late=settings.allow_late or options.allow_late,
            lock_timeout_ms=settings.lock_timeout_ms,
            statement_timeout_ms=settings.statement_timeout_ms,
            credentials=self._credentials(),
            routed_away=routes.kept_out(self.database, loaded.migrations),
            closed_apps=routes.closed(self.database),
        )

    def _allow(self, options: Options) -> frozenset[str]:
        return self.settings.allow | options.allow

    def _credentials(self) -> frozenset[str]:
        through = self.settings.direct.get(self.database, self.database)
        return credentials(self.database) | credentials(through)

    def _build(self, loaded: Loaded, rows: Sequence[Applied], options: Options, at_most: int | None = None) -> Plan:
        is_plain = options.mode is RunMode.APPLY and not options.target.label and not self._allow(options)
        if is_plain and settled.is_settled(loaded, rows):
            return settled.plan(loaded, rows, self._credentials())
        return self._built(loaded, rows, options, at_most)

    def _built(self, loaded: Loaded, rows: Sequence[Applied], options: Options, at_most: int | None) -> Plan:
        # For start-up: these bring the scanner, the lint and Django's migrations along.
        from sqlmigrations import django_graph, planning

        terms = self._terms(options, loaded)
        if options.mode is RunMode.FAKE:
            # What is only recorded was run by hand, whatever Django has done.
            return planning.for_recording(planning.build(loaded, rows, terms, options.target))
        if settled.asks_django(loaded, rows):
            terms = replace(terms, django=django_graph.read(self.database))
        return planning.build(loaded, rows, terms, options.target, at_most=at_most)

    def _behind(self, plan: Plan, met: Pooling, options: Options) -> Plan:
        # What is only recorded was run by hand, whatever the way.
        return replace(plan, pooling=met) if options.mode is RunMode.FAKE else pooling.behind(plan, met, self.database)

    def _mark(self) -> RunMark:
        return RunMark(uuid.uuid4(), self.database, self.settings.keep_sql)

    def _refuse(self, plan: Plan) -> None:
        if (refusal := plan.refusal()) is not None:
            raise refusal
