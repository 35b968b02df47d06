"""The migration lock: a transaction-level advisory lock, polled, held by an idle transaction of its own connection.

Never a blocking lock call and never a snapshot held: both make concurrent index builds of others fail or wait.
"""

from __future__ import annotations

import hashlib
import os
import random
import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass

from sqlmigrations.backends.base import Connection, Queries
from sqlmigrations.backends.postgresql import Session, unreachable
from sqlmigrations.exceptions import LockNotObtained, StatementFailed
from sqlmigrations.interruption import Interruption

_POLL_S = (0.05, 0.25)
_ANNOUNCE_AFTER_S = 1.0

_BEGIN = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;"
_TRY = """
SELECT pg_catalog.pg_try_advisory_xact_lock(%s), pg_catalog.pg_try_advisory_xact_lock(%s)
"""

_HOLDER = """
SELECT l.pid, a.usename::text, coalesce(a.application_name, ''), coalesce(a.state, ''),
       coalesce(extract(epoch FROM pg_catalog.clock_timestamp() - a.xact_start), 0)::float8,
       pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(l.pid), ', ')
  FROM pg_catalog.pg_locks AS l
  LEFT JOIN pg_catalog.pg_stat_activity AS a ON a.pid = l.pid
 WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND l.classid = %s::bigint::oid AND l.objid = %s::bigint::oid
"""

# An expression for the prologue of every file: whether the lock is held still, by us, on this very server. Its
# transaction holds a token as well, a number nobody else can know: whoever can share that meets no such transaction.
# Looking into pg_locks would say the same and cost as much as recording does.
# Of no token (null) nothing is asked: the very transaction that asks holds the lock.
HELD = "pg_catalog.pg_try_advisory_xact_lock_shared(%s) IS NOT TRUE"


# The lock of the session that runs a file statement by statement.
STATEMENTS = "statements"


@dataclass(frozen=True, slots=True)
class LockKey:
    """The 64 bits of an advisory lock, and as ``pg_locks`` shows them."""

    value: int

    @classmethod
    def of(cls, schema: str, what: str = "") -> LockKey:
        """The key of the ledger in a schema; advisory locks are per database by themselves.

        Args:
            schema: Of the ledger.
            what: Another lock of the same ledger: ``STATEMENTS``.
        """
        digest = hashlib.sha256(f"sqlmigrations:{schema}{what and ':'}{what}".encode()).digest()
        return cls(int.from_bytes(digest[:8], "big", signed=True))

    @property
    def classid(self) -> int:
        """The high half, as an OID."""
        return (self.value >> 32) & 0xFFFFFFFF

    @property
    def objid(self) -> int:
        """The low half, as an OID."""
        return self.value & 0xFFFFFFFF


@dataclass(frozen=True, slots=True)
class Holder:
    """The session that has the lock.

    Attributes:
        age_s: Of its transaction, seconds.
        waits_for: The sessions that are in its own way, by their pids; empty when none is.
    """

    pid: int
    user: str
    application: str
    state: str
    age_s: float
    waits_for: str = ""

    def __str__(self) -> str:
        user = f"user {self.user!r}, " if self.user else ""
        state = f"{self.state or 'state unknown'} {self.age_s:.0f} s"
        blocked = f", waits for pid {self.waits_for}" if self.waits_for else ""
        return f'pid {self.pid} ({user}application "{self.application}", {state}{blocked})'


@dataclass(frozen=True, slots=True)
class HeldLock:
    """Proof that the lock was obtained: what ``HELD`` has to be asked with.

    Attributes:
        token: ``None`` when the lock is held by the transaction itself in which it is asked.
    """

    token: int | None


def acquire(session: Session, key: LockKey, wait_ms: int, on_wait: Callable[[Holder | None], None]) -> HeldLock:
    """Polls for the lock; it ends with the connection.

    Args:
        session: Idle; afterwards in the transaction that holds the lock. Must not be used for anything else.
        key: Which lock.
        wait_ms: How long to poll, milliseconds; 0 tries once.
        on_wait: Told once who holds it, when the wait is longer than a second.

    Raises:
        LockNotObtained: Somebody else held it all the time.
        Interrupted: The run was asked to end while it waited.
    """
    connection = session.connection
    token = int.from_bytes(os.urandom(8), "big", signed=True)

    def obtains() -> bool:
        opening, params = session.tenure.begin(_BEGIN)
        obtained, _ = connection.query(opening + _TRY, [*params, key.value, token])[0]
        if not obtained:
            # Each failed try ends its transaction: an idle one would hold back nothing, but is nobody's to see.
            connection.query("ROLLBACK")
        return bool(obtained)

    _wait(connection, key, obtains, wait_ms, on_wait, _not_obtained)
    return HeldLock(token)


def join(connection: Connection, key: LockKey, wait_ms: int, on_wait: Callable[[Holder | None], None]) -> HeldLock:
    """Polls for the lock within a transaction that is somebody else's, and keeps it until that ends; see ``acquire``.

    Raises:
        LockNotObtained: Somebody else held it all the time.
    """

    def obtains() -> bool:
        return bool(connection.query("SELECT pg_catalog.pg_try_advisory_xact_lock(%s)", [key.value])[0][0])

    _wait(connection, key, obtains, wait_ms, on_wait, _not_obtained)
    return HeldLock(None)


def hold(connection: Connection, key: LockKey, wait_ms: int, on_wait: Callable[[Holder | None], None]) -> None:
    """Polls for a lock of the session, which a statement that outlives its runner keeps holding; see ``acquire``.

    Raises:
        LockNotObtained: Somebody else held it all the time.
    """

    def obtains() -> bool:
        return bool(connection.query("SELECT pg_catalog.pg_try_advisory_lock(%s)", [key.value])[0][0])

    _wait(connection, key, obtains, wait_ms, on_wait, _still_running)


def await_end(connection: Connection, key: LockKey, wait_ms: int, on_wait: Callable[[Holder | None], None]) -> None:
    """Polls until nobody has a lock taken by ``hold``, and takes nothing; see ``acquire``.

    Raises:
        LockNotObtained: Somebody held it all the time.
    """
    _wait(connection, key, lambda: holder(connection, key) is None, wait_ms, on_wait, _still_running)


def _wait(
    connection: Connection,
    key: LockKey,
    obtains: Callable[[], bool],
    wait_ms: int,
    on_wait: Callable[[Holder | None], None],
    refusal: Callable[[Holder | None, float], LockNotObtained],
) -> None:
    """Polls; where it was in vain it raises the refusal, of who has the lock and of the seconds it was waited."""
    started = time.monotonic()
    announced = False
    while not obtains():
        waited = time.monotonic() - started
        if waited * 1000 >= wait_ms:
            raise refusal(holder(connection, key), waited)
        if waited >= _ANNOUNCE_AFTER_S and not announced:
            announced = True
            on_wait(holder(connection, key))
        connection.interruption.pause(min(random.uniform(*_POLL_S), max(0.0, wait_ms / 1000 - waited)))


def is_seen(lock: HeldLock, alias: str, interruption: Interruption) -> bool:
    """Whether the lock is seen held by the address of an alias itself, whatever way our own connections take.

    Raises:
        DatabaseUnavailable: Nobody answers there.
        Interrupted: Asked for meanwhile.
    """
    try:
        probe = Connection(alias, "sqlmigrations probe", interruption, through=alias)
        with closing(probe) as connection, connection.answering():
            return bool(connection.query(f"SELECT {HELD}", [lock.token])[0][0])
    except StatementFailed as failed:
        interruption.check()
        raise unreachable(failed.server) from None


def holder(queries: Queries, key: LockKey) -> Holder | None:
    """Who has the lock now."""
    rows = queries.query(_HOLDER, [key.classid, key.objid])
    return Holder(*rows[0]) if rows else None


def _not_obtained(found: Holder | None, waited: float) -> LockNotObtained:
    who = f"held by {found}" if found else "held by a session that has just ended"
    remedy = "Wait for that run and start again, or wait longer with --lock-wait 300."
    if found and "sqlmigrations" not in found.application:
        remedy = (
            f"It does not look like one of our runs. If it is nobody's, end it with SELECT pg_terminate_backend"
            f"({found.pid}) and start again."
        )
    return LockNotObtained(
        f"The migration lock was not obtained within {waited:.0f} s: {who}. Nothing was changed.", remedy=remedy
    )


def _still_running(held_by: Holder | None, waited: float) -> LockNotObtained:
    remedy = "Let it finish and run  python manage.py sqlmigrate_apply  again: it looks what became of the statement."
    if held_by is not None:
        sql = f"SELECT pg_cancel_backend({held_by.pid})"
        remedy += f' To stop it:  python manage.py dbshell -- -c "{sql}"'
    return LockNotObtained(
        f"A statement of an earlier run is still being executed by {held_by or 'a session that has just ended'}: its "
        f"runner is gone or has lost the lock, the server goes on. It was waited for {waited:.0f} s; this run changed "
        "nothing.",
        remedy=remedy,
    )
