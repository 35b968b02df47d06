"""The engine's door: takes the lock and makes the plan under it, or reads without a lock; prints nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace

from django.db import connections

from sqlmigrations import adoption, conf, rights
from sqlmigrations import plan as planning
from sqlmigrations import signals as told
from sqlmigrations.backends import locking, postgresql
from sqlmigrations.backends.base import Queries, Reader, credentials, wrapper
from sqlmigrations.backends.locking import HeldLock
from sqlmigrations.exceptions import ConfigurationError, DatabaseUnavailable, SqlMigrationsError, StatementFailed
from sqlmigrations.ledger import Ledger, Tracking
from sqlmigrations.loader import Loaded, load
from sqlmigrations.pending import Terms
from sqlmigrations.plan import Plan
from sqlmigrations.records import RunMark
from sqlmigrations.run import Bench, Run, RunMode
from sqlmigrations.target import EVERYTHING, Target
from sqlmigrations.types import TRACKING_LABEL, Applied, Severity, Status

# What a caller needs stands behind this one door, wherever it is made.
__all__ = ["DEFAULTS", "EVERYTHING", "Executor", "Options", "RunMode", "Target"]

_INSUFFICIENT_PRIVILEGE = "42501"
_UNDEFINED_TABLE = "42P01"


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller may ask of a run beside what the settings say.

    Attributes:
        target: How far to go.
        mode: Run the files, or record them without running.
        allow: Rules silenced for this run.
        allow_late: Whether a number below an applied one may run.
        lock_wait_ms: How long to wait for another run; ``None`` takes the setting.
        wait_for_db_s: How long to wait for the server, seconds.
    """

    target: Target = EVERYTHING
    mode: RunMode = RunMode.APPLY
    allow: frozenset[str] = frozenset()
    allow_late: bool = False
    lock_wait_ms: int | None = None
    wait_for_db_s: float = 0


DEFAULTS = Options()


class Executor:
    """Everything that can be done with the SQL migrations of one database.

    Args:
        database: The alias.

    Raises:
        ConfigurationError: The settings are not in order, or the alias is no PostgreSQL database.
    """

    def __init__(self, database: str = "default") -> None:
        wrapper(database)
        self.database = database
        self.settings = conf.load()
        self.sources = conf.sources(self.settings)
        self.ledger = Ledger(self.settings.schema)

    def status(self, *, with_texts: bool = False) -> Status:
        """What is applied, pending, changed: reads with SELECT rights only, in two queries.

        Args:
            with_texts: Bring the SQL as applied along for every file that differs from it.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
            ConfigurationError: A foreign ``schema_migrations`` is in the way.
        """
        loaded = self._load()
        known = [m.file.checksum for m in loaded.migrations] if with_texts else None
        tracking, rows = self._rows(Reader(self.database), known)
        plan = planning.build(loaded, rows, self._terms(DEFAULTS), EVERYTHING)
        notes = [f for f in plan.comparison.findings if f.severity is not Severity.ERROR]
        findings = (*plan.disagreements, *notes)
        present = tracking is Tracking.PRESENT
        return Status(self.database, plan.comparison.entries, findings, present, plan.dangers)

    def plan(self, options: Options = DEFAULTS) -> Plan:
        """What a run would do now, without a lock and without writing.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
            ConfigurationError: The target, a rule or the tracking tables are not in order.
        """
        reader = Reader(self.database)
        _, rows = self._rows(reader, None)
        plan = self._build(self._load(), rows, options)
        try:
            return self._guarded(plan, reader, rows, options)
        except StatementFailed as failed:
            if failed.server.sqlstate == _INSUFFICIENT_PRIVILEGE:
                return plan  # Who only looks may lack USAGE on a schema; the run itself will tell.
            raise postgresql.unreachable(failed.server) from None

    @contextmanager
    def run(self, options: Options = DEFAULTS) -> Iterator[Run]:
        """Takes the lock and makes the plan; the lock is gone when the block is left.

        Raises:
            ConfigurationError: Called inside ``atomic``, or the role lacks rights; nothing was changed.
            DatabaseUnavailable: Not reachable, a standby, or read-only.
            LockNotObtained: Another run holds the lock.
            IntegrityError: Files and ledger do not agree; nothing has run.
            UnsafePlan: A safety rule stopped the plan; nothing has run.
        """
        self._refuse_in_atomic()
        loaded = self._load()
        if loaded.findings:
            self._refuse(self._build(loaded, self._rows_at_hand(), options))
        with self._locked(options.lock_wait_ms, options.wait_for_db_s) as (lock, bench, tracking):
            queries = bench.session.connection
            rows = self.ledger.read(queries) if tracking is Tracking.PRESENT else ()
            plan = self._guarded(self._build(loaded, rows, options), queries, rows, options)
            self._refuse(plan)
            with Run(plan, self._mark(), self.ledger, bench, lock, options.mode).closing() as run:
                yield run

    @contextmanager
    def _locked(self, lock_wait_ms: int | None, wait_for_db_s: float) -> Iterator[tuple[HeldLock, Bench, Tracking]]:
        """The lock and a work connection that may write, for as long as the block lasts."""
        wait_ms = self.settings.lock_wait_ms if lock_wait_ms is None else lock_wait_ms
        guard = postgresql.open_lock_session(self.database, wait_for_db_s)
        try:
            key = locking.LockKey.of(self.settings.schema)
            lock = locking.acquire(guard.connection, key, wait_ms, self._announce_wait)
            with closing(Bench(self.database, wait_ms)) as bench:
                tracking = self.ledger.tracking(bench.session.connection)
                rights.check_writing(bench.session.connection, self.ledger, tracking)
                yield lock, bench, tracking
        except StatementFailed as failed:
            raise DatabaseUnavailable(f"The connection failed: {failed.server.message}") from None
        finally:
            guard.connection.close()

    def _refuse_in_atomic(self) -> None:
        if connections[self.database].in_atomic_block:
            raise ConfigurationError(
                "sqlmigrations cannot run inside transaction.atomic() or a TestCase: its files commit by themselves.",
                remedy="Call it outside the block; in tests use TransactionTestCase or a fixture of the session.",
            )

    def _mark(self) -> RunMark:
        return RunMark(uuid.uuid4(), self.database, self.settings.keep_sql)

    def _build(self, loaded: Loaded, rows: Sequence[Applied], options: Options) -> Plan:
        plan = planning.build(loaded, rows, self._terms(options), options.target)
        # What is only recorded does no harm: a file that cannot run here was run by hand.
        return replace(plan, dangers=(), warnings=()) if options.mode is RunMode.FAKE else plan

    def _guarded(self, plan: Plan, queries: Queries, rows: Sequence[Applied], options: Options) -> Plan:
        """A database made by hand is adopted by recording, not by running into what exists."""
        recorded = any(row.label != TRACKING_LABEL for row in rows)
        if recorded or options.mode is RunMode.FAKE or plan.refusal() is not None:
            return plan
        return replace(plan, hand_made=adoption.refusal(queries, plan))

    def _refuse(self, plan: Plan) -> None:
        if (refusal := plan.refusal()) is not None:
            raise refusal

    def _announce_wait(self, holder: locking.Holder | None) -> None:
        told.lock_waiting.send_robust(sender=Executor, database=self.database, holder=holder)

    def _load(self) -> Loaded:
        return load(self.sources, self.settings.ignore)

    def _terms(self, options: Options) -> Terms:
        settings = self.settings
        return Terms(
            database=self.database,
            databases=conf.databases(),
            allow=settings.allow | options.allow,
            allow_late=settings.allow_late or options.allow_late,
            lock_timeout_ms=settings.lock_timeout_ms,
            statement_timeout_ms=settings.statement_timeout_ms,
            credentials=credentials(self.database),
        )

    def _rows_at_hand(self) -> tuple[Applied, ...]:
        """The ledger where it can be read: files that are not in order are told better beside their records."""
        try:
            return self._rows(Reader(self.database), None)[1]
        except SqlMigrationsError:
            return ()

    def _rows(self, queries: Queries, known: Sequence[str] | None) -> tuple[Tracking, tuple[Applied, ...]]:
        try:
            tracking = self.ledger.tracking(queries)
            return tracking, self.ledger.read(queries, known) if tracking is Tracking.PRESENT else ()
        except StatementFailed as failed:
            if failed.server.sqlstate == _INSUFFICIENT_PRIVILEGE:
                needs = rights.READING if known is None else rights.READING_TEXTS
                raise rights.unreadable(queries, self.ledger, needs, failed.server) from None
            if failed.server.sqlstate == _UNDEFINED_TABLE:
                raise self.ledger.incomplete(failed.server.message) from None
            raise postgresql.unreachable(failed.server) from None
