"""What a Django migration does with one file: within its transaction, or by a run of its own where it has none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlmigrations import conf, django_graph, lease, wayback, wrapped
from sqlmigrations.backends.aliases import credentials
from sqlmigrations.backends.base import Queries
from sqlmigrations.exceptions import ConfigurationError, Irreversible
from sqlmigrations.guest import visit
from sqlmigrations.integrity import compare
from sqlmigrations.ledger import Tracking
from sqlmigrations.loader import Loaded, load
from sqlmigrations.masking import mask
from sqlmigrations.options import DEFAULTS
from sqlmigrations.parser import Script, outline, parse
from sqlmigrations.plan import Plan
from sqlmigrations.premises import Premises
from sqlmigrations.recorder import Recorder
from sqlmigrations.records import RunMark, Telling
from sqlmigrations.removing import Remover
from sqlmigrations.retreat import retreat
from sqlmigrations.run import Run
from sqlmigrations.types import Applied, Direction, RunMode, SqlFile
from sqlmigrations.wrapped import Wrapper


def obstacle(label: str, name: str, wrapper: Wrapper | None) -> str:
    """Why a file cannot be undone, as far as the files tell; empty when it can, and when it is not at hand.

    Args:
        label: Of its source.
        name: ``NNN_slug``.
        wrapper: The Django migration that takes it back, where that is known.
    """
    try:
        settings = conf.load()
        sources = [source for source in conf.sources(settings) if source.label == label]
        migration = load(sources, settings.ignore).find(label, name)
    except ConfigurationError:
        return ""
    found = wayback.obstacle(outline(migration), wrapper) if migration else ""
    # For which database it is asked, Django does not say.
    return mask(found, {secret for alias in conf.databases(settings) for secret in _credentials(alias)})


def _credentials(alias: str) -> frozenset[str]:
    try:
        return credentials(alias)
    except ConfigurationError:
        return frozenset()


class Work(NamedTuple):
    """What is to be done, and by whose hand it is recorded."""

    plan: Plan
    recorder: Recorder
    mode: RunMode


class Enclosed(Premises):
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

    def script(self, label: str, name: str, direction: Direction) -> Script:
        """A file or its way back, parsed; no database is asked.

        Raises:
            ConfigurationError: There is no such file.
            Irreversible: There is no way back.
        """
        script = parse(wrapped.find(self._load(), label, name))
        if direction is Direction.FORWARD:
            return script
        down = script.migration.down
        if down is None:
            reason = wayback.obstacle(script)
            raise Irreversible(f"{script.migration.id} cannot be undone: {reason}.")
        return parse(replace(script.migration, file=down, down=None))

    def apply(self, label: str, name: str) -> None:
        """Applies a file, unless it is recorded or for another database.

        Raises:
            SqlMigrationsError: It was not; the message says what is left of it.
        """
        loaded = self._load()
        migration = wrapped.find(loaded, label, name)

        def plan(queries: Queries, rows: Sequence[Applied]) -> Work | None:
            terms = self._terms(DEFAULTS, loaded)
            if outline(migration).directives.django_depends:
                terms = replace(terms, django=django_graph.read(self.database))
            made = wrapped.build(loaded, compare(loaded, rows), migration, terms, self._wrapper)
            return None if made is None else Work(made, Recorder(self.ledger, self._telling), RunMode.APPLY)

        self._perform(plan)

    def undo(self, label: str, name: str) -> None:
        """Runs the way back of a file and removes its record, unless it is not recorded.

        Raises:
            Irreversible: It has no way back.
            SqlMigrationsError: It was not undone; the message says what is left of it.
        """
        loaded = self._load()

        def plan(queries: Queries, rows: Sequence[Applied]) -> Work | None:
            row = wayback.row_of(rows, label, name)
            if row is None:
                return None
            down, terms = self._down(queries, loaded, row), self._terms(DEFAULTS, loaded)
            made = wayback.build(loaded, self.ledger.names, rows, row, down, terms, self._wrapper)
            return Work(made, Remover(self.ledger, row, self._telling), RunMode.UNDO)

        self._perform(plan)

    @property
    def _telling(self) -> Telling:
        return Telling.WITHIN if self._wrapper.in_transaction else Telling.BY_ITSELF

    def _down(self, queries: Queries, loaded: Loaded, row: Applied) -> SqlFile | None:
        """The way back as the file has it, for it may have been corrected; else as it was kept."""
        migration = loaded.find(row.label, row.name)
        if migration is not None and migration.down is not None:
            return migration.down
        begun = retreat(row)
        sums = [*([begun.checksum] if begun else []), str(row.metadata.get("down_checksum"))]
        texts = self.ledger.texts(queries, sums)
        return next((wayback.kept_file(texts[sum], row) for sum in sums if sum in texts), None)

    def _perform(self, plan: Callable[[Queries, Sequence[Applied]], Work | None]) -> None:
        if self._wrapper.in_transaction:
            self._join(plan)
        else:
            self._run(plan)

    def _join(self, plan: Callable[[Queries, Sequence[Applied]], Work | None]) -> None:
        with visit(self.ledger, self._marked(), self.settings.lock_wait_ms) as guest:
            work = plan(guest.queries, guest.rows)
            if work is not None:
                with guest.working(work.recorder, len(work.plan.steps)):
                    for step in work.plan.steps:
                        guest.perform(step)

    def _run(self, plan: Callable[[Queries, Sequence[Applied]], Work | None]) -> None:
        wait_ms, attempts = self.settings.lock_wait_ms, self.settings.lock_attempts
        with lease.shared(self.database, self.ledger, self._interruption, wait_ms) as (lock, bench, tracking):
            queries = bench.session.connection
            work = plan(queries, self.ledger.read(queries) if tracking is Tracking.PRESENT else ())
            if work is None:
                return
            behind = self._behind(work.plan, bench.session.pooling, DEFAULTS)
            self._refuse(behind)
            run = Run(behind, self._marked(), self.ledger, bench, lock, work.mode, attempts, work.recorder)
            with run.closing():
                for step in behind.steps:
                    run.perform(step)

    def _marked(self) -> RunMark:
        return replace(self._mark(), django=self._wrapper.id, back_to=self._wrapper.back_to)
