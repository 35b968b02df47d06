"""One statement outside of a transaction: journalled before and after, and believed only when the catalog agrees."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace

from sqlmigrations.backends import catalog
from sqlmigrations.backends.postgresql import Session
from sqlmigrations.bookkeeping import Bookkeeper
from sqlmigrations.exceptions import StatementFailed
from sqlmigrations.failure import masked
from sqlmigrations.masking import mask
from sqlmigrations.plan import Step
from sqlmigrations.resume.effects import Effect, effect
from sqlmigrations.resume.journal import FAILED, REBUILT, STARTED, UNSEEN, Begun
from sqlmigrations.resume.judging import confirm, judge
from sqlmigrations.resume.observation import Observation
from sqlmigrations.resume.verdicts import Cause, Judgement, Problem, Resolution, Verdict
from sqlmigrations.sql import units
from sqlmigrations.sql.scanner import Statement, split
from sqlmigrations.sql.units import Digest
from sqlmigrations.types import ServerError

# A build that lets everybody go on may take as long as it needs, and is not thrown away with its runner: the next run
# waits for it.
_UNHURRIED = (
    "lock_timeout",
    "idle_in_transaction_session_timeout",
    "transaction_timeout",
    "client_connection_check_interval",
)
_STATEMENT_TIMEOUT = "statement_timeout"


class NotDone(Exception):
    """The statement did not do what it says.

    Attributes:
        server: What the server said; ``None`` when it reported success, or was not asked.
        judgement: What becomes of it now; of a statement that reported success what is wrong with it.
        left: Whether the database is another than before it.
    """

    def __init__(self, server: ServerError | None, judgement: Judgement | Problem, *, left: bool) -> None:
        super().__init__(judgement.reason)
        self.server = server
        self.judgement = judgement
        self.left = left


@dataclass(frozen=True, slots=True)
class Lonely:
    """A statement to be run outside of a transaction.

    Attributes:
        number: Which statement of the file, from 1.
        lock_timeout_ms: For one that keeps others from working.
        rebuilt: How often what it left was removed already, without a person's word.
    """

    step: Step
    statement: Statement
    number: int
    lock_timeout_ms: int
    rebuilt: int = 0
    effect: Effect = field(init=False)
    digest: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "effect", effect(self.statement))
        object.__setattr__(self, "digest", Digest([self.statement]).value)

    @property
    def place(self) -> dict[str, object]:
        """Where it stands, as the journal has it."""
        return {"number": self.number, "line": self.statement.line}


def run(session: Session, books: Bookkeeper, it: Lonely) -> float:
    """Runs it, milliseconds.

    Raises:
        NotDone: The server refused it, or the catalog does not show what it is for.
        StatementFailed: The connection was lost.
    """
    before = catalog.observe(session.connection, it.effect)
    books.check_lock(session)
    sql = mask(it.statement.text, it.step.secrets)
    books.note(session, STARTED, {**it.place, "digest": it.digest, "sql": sql, "before": before.to_json()})
    started = time.perf_counter()
    try:
        with _suitable(session, it):
            session.connection.run(it.statement.text)
    except StatementFailed as failed:
        if failed.server.lost:
            raise
        _look_after(session, books, it, before, failed.server)
    else:
        after = catalog.observe(session.connection, it.effect)
        if (problem := confirm(it.effect, before, after)) is not None:
            raise NotDone(None, problem, left=_differ(before, after))
    return (time.perf_counter() - started) * 1000


def look_after(session: Session, books: Bookkeeper, it: Lonely, begun: Begun, server: ServerError) -> None:
    """Looks what became of a statement under which this run lost the connection; it is not begun again by itself.

    Raises:
        NotDone: It has to be, or a person has to decide.
    """
    _look_after(session, books, replace(it, rebuilt=begun.rebuilt), begun.before, server)


def _look_after(
    session: Session, books: Bookkeeper, it: Lonely, before: Observation | None, server: ServerError
) -> None:
    said = masked(server, it.step.secrets)
    books.note(session, FAILED, {**it.place, "sqlstate": said.sqlstate, "error": said.message})
    now = catalog.observe(session.connection, it.effect)
    judgement = judge(it.effect, before, now, Cause(said.sqlstate), it.rebuilt)
    if judgement.verdict is not Verdict.DONE:
        left = judgement.verdict is not Verdict.RUN or _differ(before, now)
        raise NotDone(server, judgement, left=left)


def abandoned(session: Session, begun: Begun) -> Judgement | None:
    """What a statement that has been taken out of its file has left; ``None`` when that is nothing, or all of it.

    What was there before, or is not its work, is nothing that it left: whoever changed the file has decided about it.
    """
    if not begun.sql:
        return None
    (statement,) = split(begun.sql).statements
    about = effect(statement)
    now = catalog.observe(session.connection, about)
    judgement = judge(about, begun.before, now, begun.cause, begun.rebuilt)
    is_settled = judgement.verdict in (Verdict.DONE, Verdict.RUN) or any(way.resolve for way in judgement.ways)
    return None if is_settled or not _differ(begun.before, now) else judgement


def _differ(before: Observation | None, now: Observation) -> bool:
    """Who builds at the moment says nothing of what is there."""
    return before is None or replace(before, builders=()) != replace(now, builders=())


def settle(session: Session, books: Bookkeeper, it: Lonely, begun: Begun) -> Judgement:
    """What became of a statement that an earlier run has begun, as the catalog and a person have it.

    Returns:
        ``DONE`` and ``RUN``; ``FINISH`` and ``REBUILD`` when what it left has been removed, which makes it done or to
        be run.

    Raises:
        NotDone: A person has to decide.
        StatementFailed: The connection was lost.
    """
    if begun.resolution is Resolution.DONE:
        return Judgement(Verdict.DONE, "Resolved as done.")
    now = catalog.observe(session.connection, it.effect)
    redo = begun.resolution is Resolution.REDO
    cause = UNSEEN if redo else begun.cause
    judgement = judge(it.effect, begun.before, now, cause, 0 if redo else begun.rebuilt)
    if judgement.verdict in (Verdict.REBUILD, Verdict.FINISH):
        _clean(session, books, it, begun, judgement)
    if judgement.verdict is Verdict.DECIDE and not redo:
        raise NotDone(None, judgement, left=True)
    return Judgement(Verdict.RUN, judgement.reason) if judgement.verdict is Verdict.DECIDE else judgement


def _clean(session: Session, books: Bookkeeper, it: Lonely, begun: Begun, judgement: Judgement) -> None:
    """Removes what it left behind, or brings it to its end."""
    books.check_lock(session)
    books.note(session, REBUILT, {**it.place, "sql": list(judgement.cleanup)})
    try:
        with _suitable(session, it):
            for sql in judgement.cleanup:
                session.connection.run(sql)
    except StatementFailed as failed:
        if failed.server.lost:
            raise
        _look_after(session, books, replace(it, rebuilt=begun.rebuilt + 1), begun.before, failed.server)


@contextmanager
def _suitable(session: Session, it: Lonely) -> Iterator[None]:
    """Settings of the session for the statement, whatever the role has; afterwards they are what they were."""
    wanted = _settings(it)
    connection = session.connection
    names = list(wanted)
    before = connection.query(
        "SELECT n, pg_catalog.current_setting(n, true) FROM pg_catalog.unnest(%s::text[]) AS n", [names]
    )
    known: dict[str, str] = {name: value for name, value in before if value is not None}
    _set(session, {name: str(value) for name, value in wanted.items() if name in known})
    try:
        yield
    finally:
        if not connection.is_closed:
            _set(session, known)


def _settings(it: Lonely) -> dict[str, int]:
    own = it.step.script.directives.statement_timeout_ms
    if units.is_concurrent(it.statement):
        return {**dict.fromkeys(_UNHURRIED, 0), _STATEMENT_TIMEOUT: own or 0}
    wanted = {"lock_timeout": it.lock_timeout_ms}
    if it.step.statement_timeout_ms is not None:
        wanted[_STATEMENT_TIMEOUT] = it.step.statement_timeout_ms
    return wanted


def _set(session: Session, settings: dict[str, str]) -> None:
    sql = ", ".join("pg_catalog.set_config(%s, %s, false)" for _ in settings)
    session.connection.query(f"SELECT {sql}", [part for pair in settings.items() for part in pair])
