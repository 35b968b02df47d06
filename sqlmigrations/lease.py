"""The lock and a work connection that may write the tracking tables, for as long as a block lasts."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import NamedTuple

from django.db import connections

from sqlmigrations import conf, rights, signals
from sqlmigrations.backends import locking, postgresql
from sqlmigrations.backends.base import Connection, Queries, Reader
from sqlmigrations.backends.locking import HeldLock
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.backends.tenure import lasts_a_message
from sqlmigrations.bench import Bench
from sqlmigrations.exceptions import ConfigurationError, DatabaseUnavailable, SqlMigrationsError, StatementFailed
from sqlmigrations.guidance import STATUS
from sqlmigrations.interruption import Interruption
from sqlmigrations.ledger import Ledger, Tracking
from sqlmigrations.pooling import statements_pooled
from sqlmigrations.types import Pooling, Route


class Lease(NamedTuple):
    """What whoever writes needs: proof of the lock, a work connection, and whether the tables are there."""

    lock: HeldLock
    bench: Bench
    tracking: Tracking


class _Own(threading.local):
    """The locks that runs of a thread hold: what a listener of theirs starts need not wait for them."""

    def __init__(self) -> None:
        self.locks: list[HeldLock] = []


_OWN = _Own()


def refuse_in_atomic(database: str) -> None:
    """Whoever commits by himself cannot do so within somebody else's transaction.

    Raises:
        ConfigurationError: Called inside ``atomic``.
    """
    if connections[database].in_atomic_block:
        raise ConfigurationError(
            "sqlmigrations cannot run inside transaction.atomic() or a TestCase: its files commit by themselves.",
            remedy="Call it outside the block; in tests use TransactionTestCase or a fixture of the session.",
        )


@contextmanager
def held(
    database: str, ledger: Ledger, interruption: Interruption, lock_wait_ms: int, wait_for_db_s: float
) -> Iterator[Lease]:
    """Takes the lock; it is gone when the block is left.

    Args:
        database: The alias.
        ledger: Whose lock, and whose tables.
        interruption: What cancels the statements, and the waiting.
        lock_wait_ms: How long to wait for another run, milliseconds.
        wait_for_db_s: How long to wait for the server, seconds.

    Raises:
        ConfigurationError: The role lacks rights, or ``DIRECT`` leads to another database.
        DatabaseUnavailable: Not reachable, a standby, or read-only.
        LockNotObtained: Another run holds the lock.
        Interrupted: Asked for while it waited; nothing was changed.
    """
    interruption.check()
    guard, lock = postgresql.open_lock_session(database, interruption, wait_for_db_s), None
    try:
        lock = locking.acquire(guard, locking.LockKey.of(ledger.schema), lock_wait_ms, announcing(database))
        _refuse_elsewhere(lock, conf.route(database), interruption)
        _OWN.locks.append(lock)
        with _at_work(lock, database, ledger, interruption, lock_wait_ms, wait_for_db_s) as lease:
            yield lease
    except StatementFailed as failed:
        interruption.check()
        raise _broken(guard, database, failed, is_locked=lock is not None) from None
    finally:
        # Nothing is left to be cancelled.
        interruption.answer()
        guard.connection.close()
        _OWN.locks[:] = [known for known in _OWN.locks if known is not lock]


@contextmanager
def shared(database: str, ledger: Ledger, interruption: Interruption, lock_wait_ms: int) -> Iterator[Lease]:
    """As ``held``; a run of this thread that has the lock already is not waited for, for it waits for this block.

    Raises:
        SqlMigrationsError: As from ``held``.
    """
    if (lock := known(Reader(database))) is None:
        with held(database, ledger, interruption, lock_wait_ms, 0) as lease:
            yield lease
        return
    with _at_work(lock, database, ledger, interruption, lock_wait_ms, 0) as lease:
        yield lease


def known(queries: Queries) -> HeldLock | None:
    """The lock of a run of this thread, when it is held on the very database that answers the queries.

    Raises:
        StatementFailed: The connection is gone.
    """
    locks = (lock for lock in _OWN.locks if queries.query(f"SELECT {locking.HELD}", [lock.token])[0][0])
    return next(locks, None)


@contextmanager
def _at_work(
    lock: HeldLock,
    database: str,
    ledger: Ledger,
    interruption: Interruption,
    lock_wait_ms: int,
    wait_for_db_s: float,
) -> Iterator[Lease]:
    with closing(Bench(database, lock_wait_ms, interruption, wait_for_db_s)) as bench:
        tracking = rights.check_writing(bench.session.connection, ledger)
        yield Lease(lock, bench, tracking)


def _broken(guard: Session, database: str, failed: StatementFailed, *, is_locked: bool) -> SqlMigrationsError:
    """The error for a connection that did not hold, or was refused what a run needs."""
    if guard.pooling is Pooling.TRANSACTION and failed.server.lost and not is_locked:
        with suppress(StatementFailed), closing(Connection(database, "sqlmigrations probe")) as probe:
            if lasts_a_message(probe):
                return statements_pooled(database)
    # While a file is performed, its run itself tells what is left.
    return DatabaseUnavailable(
        f"The connection failed: {failed.server.message.rstrip('.')}. Nothing was changed.",
        remedy=f"Look what is recorded:  {STATUS}  and start the same command again.",
    )


def _refuse_elsewhere(lock: HeldLock, route: Route, interruption: Interruption) -> None:
    """Advisory locks are per database and server: one that is not seen was taken somewhere else."""
    if route.through == route.alias or locking.is_seen(lock, route.alias, interruption):
        return
    raise ConfigurationError(
        f"{route.through!r}, by which runs on {route.alias!r} connect (SQLMIGRATIONS['DIRECT']), leads to another "
        f"database: a lock taken through it is not seen through {route.alias!r}. Nothing was changed.",
        remedy=f"Let {route.through!r} lead to the very server and database behind {route.alias!r}.",
    )


def await_statements(connection: Connection, database: str, ledger: Ledger, wait_ms: int) -> None:
    """Waits until no statement of an earlier run goes on without its runner; under the lock none begins.

    Raises:
        LockNotObtained: One went on all the time.
    """
    key = locking.LockKey.of(ledger.schema, locking.STATEMENTS)
    locking.await_end(connection, key, wait_ms, announcing(database, is_orphan=True))


def announcing(database: str, *, is_orphan: bool = False) -> Callable[[locking.Holder | None], None]:
    """What tells the listeners of ``lock_waiting``."""

    def announce(holder: locking.Holder | None) -> None:
        signals.lock_waiting.send_robust(sender=Lease, database=database, holder=holder, is_orphan=is_orphan)

    return announce
