"""The engine's door: takes the lock and makes the plan under it, or reads without a lock; prints nothing."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from sqlmigrations import conf, lease, rights
from sqlmigrations.backends import postgresql
from sqlmigrations.backends.base import Queries, Reader
from sqlmigrations.collector import at_rest
from sqlmigrations.exceptions import (
    SqlMigrationsError,
    StatementFailed,
)
from sqlmigrations.idle import IdleRun
from sqlmigrations.ledger import Tracking
from sqlmigrations.loader import Loaded
from sqlmigrations.options import DEFAULTS, Options
from sqlmigrations.plan import Plan
from sqlmigrations.premises import Premises
from sqlmigrations.settled import asks_django
from sqlmigrations.steady import steady
from sqlmigrations.target import EVERYTHING, Target
from sqlmigrations.types import TRACKING_LABEL, Applied, RunMode, Severity, Status

# For start-up, what only some calls need is imported where they need it: what runs files, corrects records, knows SQL.
if TYPE_CHECKING:
    from sqlmigrations.backends.locking import HeldLock
    from sqlmigrations.bench import Bench
    from sqlmigrations.decision import Decision, Proposal
    from sqlmigrations.run import Run

# Into the statements of so many pending files a status looks; a plan looks into all of them.
LOOKED_INTO = 1_000

# What a caller needs stands behind this one door, wherever it is made.
__all__ = ["DEFAULTS", "EVERYTHING", "Executor", "Options", "RunMode", "Target"]


class Executor(Premises):
    """Everything that can be done with the SQL migrations of one database.

    Args:
        database: The alias.

    Raises:
        ConfigurationError: The settings are not in order, or the alias is no PostgreSQL database.
    """

    @at_rest()
    def status(self, *, with_texts: bool = False, with_events: bool = False) -> Status:
        """What is applied, pending, changed: reads with SELECT rights only, in two queries, or a few more.

        Of more than a thousand pending files the first are looked into for dangers; ``unread`` says how many were not.

        Args:
            with_texts: Bring the SQL as applied along for every file that differs from it.
            with_events: Compare the rows with the events as well, which takes one query more.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
            ConfigurationError: A foreign ``schema_migrations`` is in the way.
        """
        loaded = self._load()
        reader, known = Reader(self.database), loaded.checksums if with_texts else None

        def answer(seen: tuple[Tracking, tuple[Applied, ...]]) -> tuple[Status, bool]:
            status, asked = self._status(loaded, *seen), asks_django(loaded, seen[1])
            if not any(row.is_half_done for row in seen[1]):
                return status, asked
            from sqlmigrations import inquiry

            halves = inquiry.by_statements(seen[1])
            return inquiry.attended(self.ledger, reader, status, halves), asked or bool(halves)

        status = steady(lambda: rights.read(reader, self.ledger, known), answer)
        if not with_events or not status.tracked:
            return status
        from sqlmigrations import inquiry

        return inquiry.cross_examined(self.ledger, reader, status)

    @at_rest()
    def glance(self, queries: Queries) -> Status:
        """As ``status``, in one query, for who asks often.

        Args:
            queries: A connection in autocommit that is the caller's own: the query may fail there, and is followed by
                others that tell why.

        Raises:
            DatabaseUnavailable: The connection is gone.
            ConfigurationError: A foreign ``schema_migrations`` is in the way, or a right is missing.
        """
        loaded = self._load()
        return steady(
            lambda: rights.read_at_once(queries, self.ledger),
            lambda seen: (self._status(loaded, *seen), asks_django(loaded, seen[1])),
        )

    @at_rest()
    def plan(self, options: Options = DEFAULTS) -> Plan:
        """What a run would do now, without a lock and without writing.

        Raises:
            DatabaseUnavailable: The database cannot be reached.
            ConfigurationError: The target, a rule or the tracking tables are not in order.
        """
        if options.wait_for_db_s:
            postgresql.await_server(self.database, self._interruption, options.wait_for_db_s)
        loaded, reader = self._load(), Reader(self.database)

        def answer(rows: tuple[Applied, ...]) -> tuple[Plan, bool]:
            plan = self._foreseen(loaded, rows, reader, options)
            return plan, plan.hand_made is not None or asks_django(loaded, rows)

        return steady(lambda: rights.read(reader, self.ledger)[1], answer)

    def _foreseen(self, loaded: Loaded, rows: Sequence[Applied], reader: Reader, options: Options) -> Plan:
        plan = self._build(loaded, rows, options)
        try:
            # Past a pooler only a run itself would tell.
            if self.database not in self.settings.direct:
                plan = self._behind(plan, postgresql.pooling_of(conf.route(self.database), *reader.pids()), options)
            with reader.unharmed():
                return self._guarded(plan, reader, rows, options)
        except StatementFailed as failed:
            if failed.server.is_forbidden:
                return plan  # Who only looks may lack USAGE on a schema; the run itself will tell.
            raise postgresql.unreachable(failed.server) from None

    @contextmanager
    def run(self, options: Options = DEFAULTS) -> Iterator[Run | IdleRun]:
        """Takes the lock and makes the plan; the lock is gone when the block is left.

        Raises:
            ConfigurationError: Called inside ``atomic``, or the role lacks rights; nothing was changed.
            DatabaseUnavailable: Not reachable, a standby, or read-only.
            LockNotObtained: Another run holds the lock.
            IntegrityError: Files and ledger do not agree; nothing has run.
            UnsafePlan: A safety rule stopped the plan; nothing has run.
            Interrupted: ``cancel`` was called.
        """
        self._refuse_block()
        loaded = self._load()
        if loaded.findings:
            self._refuse(self._build(loaded, self._rows_at_hand(), options))
        wait_ms = self.settings.lock_wait_ms if options.lock_wait_ms is None else options.lock_wait_ms
        wait_s = options.wait_for_db_s
        with lease.held(self.database, self.ledger, self._interruption, wait_ms, wait_s) as (lock, bench, tracking):
            queries = bench.session.connection
            rows = self.ledger.read(queries) if tracking is Tracking.PRESENT else ()
            plan = self._behind(self._build(loaded, rows, options), bench.session.pooling, options)
            plan = self._guarded(plan, queries, rows, options)
            self._refuse(plan)
            self._interruption.check()
            with self._run_of(plan, lock, bench, options).closing() as run:
                yield run

    def _run_of(self, plan: Plan, lock: HeldLock, bench: Bench, options: Options) -> Run | IdleRun:
        if not plan.steps:
            return IdleRun(plan, self._mark())
        from sqlmigrations.run import Run

        attempts, audience = self.settings.lock_attempts, options.audience
        return Run(plan, self._mark(), self.ledger, bench, lock, options.mode, attempts, audience=audience)

    def _refuse_block(self) -> None:
        """Whoever has a transaction open wants nothing committed."""
        lease.refuse_in_atomic(self.database)

    def propose(self, decision: Decision) -> Proposal:
        """What a repair would change in the records: reads only.

        Raises:
            ConfigurationError: There is no such migration, or its state does not allow it.
            IntegrityError: The files are not in order, so what is missing cannot be told.
            DatabaseUnavailable: The database cannot be reached.
        """
        from sqlmigrations import inquiry
        from sqlmigrations.repair import propose

        loaded = self._load_sound()
        reader = Reader(self.database)
        rows = rights.read(reader, self.ledger, loaded.checksums)[1]
        try:
            return propose(decision, loaded, rows, partial(inquiry.ask, self.ledger, reader))
        except StatementFailed as failed:
            raise rights.unreadable(reader, self.ledger, rights.READING_JOURNAL, failed.server) from None

    def repair(self, proposal: Proposal, reason: str, lock_wait_ms: int | None = None) -> uuid.UUID:
        """Takes the lock, looks whether all is as it was proposed, and corrects the record of one migration.

        Returns:
            What its event is recorded under.

        Raises:
            ConfigurationError: As ``propose``; or called inside ``atomic``, or the role lacks rights.
            IntegrityError: It is no longer as it was proposed; nothing was changed.
            SqlMigrationsError: As of ``run``; nothing was changed.
            OutcomeUnknown: The connection broke while it was being committed.
        """
        from sqlmigrations import inquiry
        from sqlmigrations.corrections import Corrections, changed_meanwhile
        from sqlmigrations.repair import propose

        lease.refuse_in_atomic(self.database)
        loaded = self._load_sound()
        wait_ms = self.settings.lock_wait_ms if lock_wait_ms is None else lock_wait_ms
        with lease.held(self.database, self.ledger, self._interruption, wait_ms, 0) as (lock, bench, tracking):
            queries = bench.session.connection
            if proposal.entry.applied is not None and proposal.entry.applied.is_half_done:
                lease.await_statements(queries, self.database, self.ledger, wait_ms)
            rows = self.ledger.read(queries, loaded.checksums) if tracking is Tracking.PRESENT else ()
            if propose(proposal.decision, loaded, rows, partial(inquiry.ask, self.ledger, queries)) != proposal:
                raise changed_meanwhile(proposal)
            mark = self._mark()
            Corrections(self.ledger, bench.session, lock, mark).record(proposal, reason)
        return mark.id

    def _guarded(self, plan: Plan, queries: Queries, rows: Sequence[Applied], options: Options) -> Plan:
        """A database made by hand is adopted by recording, not by running into what exists."""
        recorded = any(row.label != TRACKING_LABEL for row in rows)
        if recorded or not plan.creates or options.mode is RunMode.FAKE or plan.refusal() is not None:
            return plan
        from sqlmigrations import adoption

        return replace(plan, hand_made=adoption.refusal(queries, plan))

    def _status(self, loaded: Loaded, tracking: Tracking, rows: Sequence[Applied]) -> Status:
        plan = self._build(loaded, rows, DEFAULTS, LOOKED_INTO)
        notes = [f for f in plan.comparison.findings if f.severity is not Severity.ERROR]
        dangers = (*plan.dangers, *(finding for finding in plan.ahead if finding.severity is Severity.ERROR))
        known = {*notes, *dangers}
        warnings = [finding for finding in (*plan.warnings, *plan.ahead) if finding not in known]
        findings, present = (*plan.disagreements, *notes), tracking is Tracking.PRESENT
        entries = plan.comparison.entries
        return Status(self.database, entries, findings, present, dangers, tuple(warnings), plan.unread)

    def _rows_at_hand(self) -> tuple[Applied, ...]:
        """The ledger where it can be read: files that are not in order are told better beside their records."""
        try:
            return rights.read(Reader(self.database), self.ledger)[1]
        except SqlMigrationsError:
            return ()
