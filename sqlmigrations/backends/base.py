"""Connections: one of our own made from an alias, and Django's own for reading; both answer queries the same way."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from typing import Any, Protocol

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DjangoError
from django.db.backends.postgresql.psycopg_any import is_psycopg3
from django.db.transaction import atomic

from sqlmigrations import conf
from sqlmigrations.backends.aliases import credentials, misconfigured, own_wrapper, wrapper
from sqlmigrations.backends.cancelling import cancel
from sqlmigrations.backends.connecting import connect
from sqlmigrations.backends.deadline import answered_within
from sqlmigrations.backends.diagnostics import server_error
from sqlmigrations.exceptions import StatementFailed
from sqlmigrations.interruption import CANCELLED, Interruption
from sqlmigrations.types import ServerError

Row = tuple[Any, ...]

# How much of the data of a COPY is on its way at a time, characters.
_PIECE = 65_536

# A statement that is not started any more fails as if it had been cancelled.
_NOT_SENT = ServerError(CANCELLED, "the run was asked to end; the statement was not started")


class Queries(Protocol):
    """Whatever answers a query of ours."""

    def query(self, sql: str, params: Sequence[object] | None = None) -> list[Row]:
        """Runs one message of our own SQL; the rows are those of its last statement.

        Raises:
            StatementFailed: The server refused it, or the connection is gone.
        """


class Reader:
    """Django's own connection of an alias, for reading only; it is opened when first asked and never closed here."""

    def __init__(self, alias: str) -> None:
        self._wrapper: Any = wrapper(alias)
        self._secrets = credentials(alias)

    def query(self, sql: str, params: Sequence[object] | None = None) -> list[Row]:
        """See ``Queries``; joins whatever transaction the caller has open."""
        with self.answering(), self._wrapper.cursor() as cursor:
            cursor.execute(sql, params)
            return list(cursor.fetchall())

    @contextmanager
    def answering(self) -> Iterator[None]:
        """A block in which Django itself asks: what fails there fails as a query does.

        Raises:
            StatementFailed: The server refused it, or the connection is gone.
        """
        try:
            yield
        except ImproperlyConfigured as error:
            raise misconfigured(self._wrapper.alias, error) from None
        except DjangoError as error:
            raise StatementFailed(server_error(error.__cause__ or error, True, self._secrets)) from None

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """A block of which a failure does not break a transaction of the caller's (``ATOMIC_REQUESTS``).

        Raises:
            StatementFailed: As ``answering``; whoever goes on without an answer catches it outside of the block.
        """
        with self.answering(), atomic(using=self._wrapper.alias) if self._wrapper.in_atomic_block else nullcontext():
            yield

    def pids(self) -> tuple[int, int]:
        """The server process that answers, and the one that the handshake told."""
        (pid,) = self.query("SELECT pg_catalog.pg_backend_pid()")[0]
        return pid, int(self._wrapper.connection.info.backend_pid)


class Connection:
    """A connection of our own: autocommit, no pool, no query log, transactions opened and closed in SQL."""

    def __init__(
        self,
        alias: str,
        application_name: str,
        interruption: Interruption | None = None,
        *,
        through: str = "",
        patience_s: int | None = None,
    ) -> None:
        """Connects.

        Args:
            alias: The database.
            application_name: What the server shows it as.
            interruption: What cancels its statements.
            through: The alias whose address is used; empty for the one of ``conf.route``.
            patience_s: How long connecting may take; ``None`` for as long as the alias says.

        Raises:
            StatementFailed: The server cannot be reached or refuses the login.
            ConfigurationError: The alias is unknown, not PostgreSQL, or its settings are not in order.
            Interrupted: The run was asked to end meanwhile.
        """
        through = through or conf.route(alias).through
        self._wrapper: Any = own_wrapper(alias, through, application_name)
        if patience_s is not None:
            self._wrapper.settings_dict["OPTIONS"]["connect_timeout"] = patience_s
        self._secrets = credentials(through)
        self._notices: deque[str] = deque(maxlen=1000)
        self.interruption = interruption or Interruption()
        with self.answering():
            try:
                connect(self._wrapper, self.interruption)
            except ImproperlyConfigured as error:
                raise misconfigured(through, error) from None
            except DjangoError as error:
                raise StatementFailed(server_error(error.__cause__ or error, True, self._secrets)) from None
        self._raw = self._wrapper.connection
        self._cursor = self._raw.cursor()
        self._errors: type[Exception] = self._wrapper.Database.Error
        self._listen()

    @property
    def server_version(self) -> int:
        """``server_version_num`` as the handshake told it."""
        return int(self._raw.info.server_version)

    @property
    def handshake_pid(self) -> int:
        """The server process as the handshake told it; another one than ``pg_backend_pid()`` behind a pooler."""
        return int(self._raw.info.backend_pid)

    @property
    def is_closed(self) -> bool:
        """Whether it is gone, as far as anybody has noticed."""
        return bool(self._raw.closed)

    @contextmanager
    def answering(self) -> Iterator[None]:
        """A block that takes no longer than connecting may: the first answer of a pooler is worth no less.

        Raises:
            StatementFailed: There was no answer in time; the connection is gone.
        """
        # To libpq nothing, zero and less are for ever.
        seconds = max(0.0, float(self._wrapper.settings_dict["OPTIONS"]["connect_timeout"] or 0))
        # Nothing is at stake yet: who interrupts has no cancel to wait for, which a pooler may keep to itself as well.
        with answered_within(seconds, lambda: self._wrapper.connection, lambda: self.interruption.due) as missed:
            try:
                yield
            except StatementFailed:
                if not missed.is_set():
                    raise
        if missed.is_set():
            self.close()
            raise StatementFailed(ServerError("", f"no answer within {seconds:g} s", lost=True))

    def query(self, sql: str, params: Sequence[object] | None = None) -> list[Row]:
        """See ``Queries``."""
        with self._interruptible():
            self._cursor.execute(sql, params)
            # psycopg 3 stands at the first result of a message, psycopg2 at the last.
            while is_psycopg3 and self._cursor.nextset():
                pass
            return list(self._cursor.fetchall()) if self._cursor.description else []

    def reads_plainly(self, text: str) -> bool:
        """Whether the server takes a text for what it is in its file.

        That is so where a backslash in a string means itself, and where the database has all of its characters. The
        driver was told by the server.
        """
        told = self._raw.info.parameter_status
        return told("standard_conforming_strings") != "off" and (text.isascii() or told("server_encoding") == "UTF8")

    def run(self, sql: str) -> None:
        """Sends a statement of a user's file, byte for byte, without parameters.

        Raises:
            StatementFailed: The server refused it, or the connection is gone.
        """
        with self._interruptible():
            self._cursor.execute(sql)

    def run_together(self, sql: str) -> None:
        """Sends several of them in one message; what they return is dropped.

        Raises:
            StatementFailed: The server refused one of them, or the connection is gone.
        """
        if not is_psycopg3:
            self.run(sql)
            return
        psycopg = self._wrapper.Database
        with self._interruptible():
            # A cursor would keep the results of all of them, and prepare the text when it comes again.
            answer = self._raw.pgconn.exec_(sql.encode())
            if answer.status == psycopg.pq.ExecStatus.FATAL_ERROR:
                raise psycopg.errors.error_from_result(answer)

    def copy(self, sql: str, text: str, start: int, end: int) -> None:
        """Runs ``COPY ... FROM stdin`` with its data, which lies in a text between two offsets.

        Raises:
            StatementFailed: The server refused it, or the connection is gone.
        """
        pieces = _Pieces(text, start, end)
        with self._interruptible():
            if is_psycopg3:
                with self._cursor.copy(sql) as stream:
                    while piece := pieces.read(_PIECE):
                        stream.write(piece)
            else:
                self._cursor.copy_expert(sql, pieces, _PIECE)

    def notices(self) -> tuple[str, ...]:
        """What the server said since they were drained, oldest first."""
        if not is_psycopg3:
            self._notices.extend(line.strip() for line in self._raw.notices)
            self._raw.notices.clear()
        return tuple(self._notices)

    def drain_notices(self, but: Sequence[str] = ()) -> tuple[str, ...]:
        """The same, and what is left for the next call are only those of ``but``."""
        drained = self.notices()
        self._notices.clear()
        self._notices.extend(but)
        return drained

    def close(self) -> None:
        """Closes; an open transaction is rolled back by the server."""
        self._wrapper.close()

    def _listen(self) -> None:
        if is_psycopg3:
            self._raw.add_notice_handler(self._heard)

    def _hush(self) -> None:
        if is_psycopg3:
            self._raw.remove_notice_handler(self._heard)

    def _heard(self, notice: Any) -> None:
        self._notices.append(f"{notice.severity}:  {notice.message_primary}")

    @contextmanager
    def _interruptible(self) -> Iterator[None]:
        """For one message to the server: an interruption makes it fail as a cancelled one does."""
        if self.interruption.due:
            self.interruption.answer()
            raise StatementFailed(_NOT_SENT)
        try:
            with self.interruption.cancelling(lambda: cancel(self._wrapper)):
                yield
        except self._errors as error:
            self.interruption.answer()
            raise StatementFailed(server_error(error, self.is_closed, self._secrets)) from None


class _Pieces:
    """A part of a text to be read like a file, without a second copy of it, which may be as large as the file."""

    def __init__(self, text: str, start: int, end: int) -> None:
        self._text = text
        self._at = start
        self._end = end

    def read(self, size: int) -> str:
        start, self._at = self._at, min(self._at + size, self._end)
        return self._text[start : self._at]
