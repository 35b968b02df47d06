"""Looks at databases within a time, and says in counts how their migrations are; names and texts stay inside."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from django.db import connections

from sqlmigrations.backends.base import Connection
from sqlmigrations.backends.postgresql import unreachable
from sqlmigrations.exceptions import ConfigurationError, DatabaseUnavailable, SqlMigrationsError, StatementFailed
from sqlmigrations.executor import Executor
from sqlmigrations.interruption import Interruption
from sqlmigrations.types import UNAPPLIED, Severity, State, Status

logger = logging.getLogger("sqlmigrations.health")

_SHOWN_AS = "sqlmigrations health"
# What is half done has its own number; what waits for Django's migrate is pending, and nothing is wrong with it.
_NOT_BROKEN = ("partial", UNAPPLIED)


class Verdict(Enum):
    """How the migrations of a database are, in one word."""

    OK = "ok"
    PENDING = "pending"
    PARTIAL = "partial"
    BROKEN = "broken"
    UNREACHABLE = "unreachable"
    MISCONFIGURED = "misconfigured"


@dataclass(frozen=True, slots=True)
class Health:
    """What a probe saw of one database.

    Attributes:
        pending: How many migrations are pending, late ones too; ``None`` where it could not be looked.
        waiting: How many Django's ``migrate`` is to apply.
        partial: How many are half done, those that a run is at included.
        integrity: ``valid`` or ``broken``, of the files that are here.
    """

    database: str
    verdict: Verdict
    pending: int | None = None
    waiting: int | None = None
    partial: int | None = None
    integrity: str | None = None

    def is_healthy(self, *, fail_on_pending: bool) -> bool:
        """Whether all is in order.

        Args:
            fail_on_pending: Whether a pending migration is a fault, or one that waits for ``migrate``.
        """
        return self.verdict is Verdict.OK or (self.verdict is Verdict.PENDING and not fail_on_pending)


def look(databases: Iterable[str], seconds: float) -> tuple[Health, ...]:
    """Looks at all of them at the same time; never raises for what is found there.

    Args:
        databases: The aliases.
        seconds: When the time is over, what has not answered is unreachable.
    """
    probes = [_Probe(alias) for alias in databases]
    for probe in probes:
        probe.start()
    deadline = time.monotonic() + seconds
    return tuple(probe.answer(max(0.0, deadline - time.monotonic())) for probe in probes)


class _Probe(threading.Thread):
    """One look, in a thread: names that do not resolve and servers that do not answer are not waited for any longer.

    A connection of its own, so that the caller's transaction is not touched, and none is left open in this thread.
    """

    def __init__(self, alias: str) -> None:
        super().__init__(name=_SHOWN_AS, daemon=True)
        self._alias = alias
        self._interruption = Interruption()
        self._health: Health | None = None
        self._fault: Exception | None = None

    def run(self) -> None:
        try:
            self._health = _judge(self._status())
        except SqlMigrationsError as error:
            self._health = self._not_looked(error)
        except Exception as error:  # For the caller, whose request it is.
            self._fault = error
        finally:
            # Those of this thread only.
            connections.close_all()

    def answer(self, seconds: float) -> Health:
        """What it saw, within a time."""
        self.join(seconds)
        if self.is_alive():
            # A statement that waits for a lock would stay behind in the server, one for each probe.
            self._interruption.ask()
            return self._not_looked(DatabaseUnavailable("The database did not answer in time."))
        if self._fault is not None:
            raise self._fault
        assert self._health is not None
        return self._health

    def _status(self) -> Status:
        executor = Executor(self._alias)
        try:
            connection = Connection(self._alias, _SHOWN_AS, self._interruption, through=self._alias)
        except StatementFailed as failed:
            raise unreachable(failed.server) from None
        try:
            with connection.answering():
                return executor.glance(connection)
        except StatementFailed as failed:
            raise unreachable(failed.server) from None
        finally:
            self._interruption.answer()
            connection.close()

    def _not_looked(self, error: SqlMigrationsError) -> Health:
        wrong = isinstance(error, ConfigurationError)
        verdict = Verdict.MISCONFIGURED if wrong else Verdict.UNREACHABLE
        # The answer says no more than the verdict; the reason is for those who may read the log.
        details = [error.message, *(finding.message for finding in error.findings)]
        logger.warning("Health of %s, %s: %s", self._alias, verdict.value, " ".join(details))
        return Health(self._alias, verdict)


def _judge(status: Status) -> Health:
    broken = any(f.severity is Severity.ERROR and f.rule not in _NOT_BROKEN for f in status.findings)
    verdict = Verdict.PENDING if status.pending or status.waiting else Verdict.OK
    if any(entry.has_stopped for entry in status.migrations):
        verdict = Verdict.PARTIAL
    elif broken:
        verdict = Verdict.BROKEN
    integrity = "broken" if broken else "valid"
    partial = status.count(State.PARTIAL)
    return Health(status.database, verdict, status.pending, status.waiting, partial, integrity)
