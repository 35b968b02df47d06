"""Sends the statements of a transaction, several in a message where that is possible, and names the one that fails."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace

from sqlmigrations import guards
from sqlmigrations.backends.base import Connection
from sqlmigrations.backends.watcher import Watcher
from sqlmigrations.exceptions import StatementFailed
from sqlmigrations.interruption import CANCELLED
from sqlmigrations.plan import Step
from sqlmigrations.records import NotRecorded
from sqlmigrations.resume.verdicts import Problem
from sqlmigrations.sending import keep_encoding, send, set_timeouts, sets_timeouts
from sqlmigrations.sql import batches
from sqlmigrations.sql.batches import Batch, Freight
from sqlmigrations.sql.patience import Timetable
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.types import Audience, ServerError

# Taken in turn: where a message was refused before its first word was run, the savepoint before is still there, and
# to go back to that would undo what was done since.
_SAVEPOINTS = ("sqlmigrations_a", "sqlmigrations_b")
# There is no transaction any more, or none with the savepoint.
_ENDED = frozenset({"25P01", "3B001"})
_TIMEOUT = "SELECT setting::int FROM pg_catalog.pg_settings WHERE name = 'statement_timeout'"
# Down to how many statements a batch that failed is cut at a time: to single ones at once, unless they are many.
_PARTS = 32
# From here on it would matter that something keeps the text of a whole message for each of its statements.
_KEPT_FROM = 16_000
_KEEPERS = """
SELECT EXISTS (SELECT
                 FROM (SELECT tgfoid FROM pg_catalog.pg_trigger WHERE NOT tgisinternal
                        UNION SELECT evtfoid FROM pg_catalog.pg_event_trigger) AS called (oid)
                 JOIN pg_catalog.pg_proc AS p ON p.oid = called.oid
                WHERE p.prosrc ~* 'current_query|pg_stat_activity')
    OR EXISTS (SELECT
                 FROM pg_catalog.pg_settings
                WHERE CASE name WHEN 'pgaudit.log' THEN setting NOT IN ('', 'none')
                                WHEN 'auto_explain.log_min_duration' THEN setting::int BETWEEN 0 AND 99 END)
"""


class Refused(Exception):
    """The server refused a statement, or the connection is gone.

    Attributes:
        statement: Which one.
        server: What was said; its position counts from the beginning of the statement.
    """

    def __init__(self, statement: Statement, server: ServerError) -> None:
        super().__init__(server.message)
        self.statement = statement
        self.server = server


class PassedOver(Exception):
    """A statement reported success and has not done what it says."""

    def __init__(self, statement: Statement, problem: Problem) -> None:
        super().__init__(problem.reason)
        self.statement = statement
        self.problem = problem


class Dispatch:
    """The statements of one transaction on their way.

    A batch travels within a savepoint of ours. When it fails, that is gone back to, and what it holds is sent again in
    smaller ones, in the end singly. There is never more than one of these savepoints, and none while a statement
    travels alone.

    Args:
        connection: Where the transaction is open.
        watcher: Who is told what is under way.
        step: Whose statements they are.
        pid: The server process.
        audience: Who follows them one by one.
        before: How many statements of the file come before them.
    """

    def __init__(
        self, connection: Connection, watcher: Watcher, step: Step, pid: int, audience: Audience, before: int = 0
    ) -> None:
        self._connection = connection
        self._watcher = watcher
        self._step = step
        self._pid = pid
        self._audience = audience
        self._before = before
        self._every: Sequence[Statement] = ()
        self._timetable = Timetable(0, 0, 0)
        # The one that is open, and how many there were.
        self._savepoint = ""
        self._begun = 0
        self._is_kept: bool | None = None

    def send(self, every: Sequence[Statement], timetable: Timetable) -> None:
        """Sends all of them; their first timeout has to be set.

        Raises:
            Refused: One of them failed; the transaction is to be rolled back.
            PassedOver: So it is here.
            NotRecorded: The transaction ended inside the file.
        """
        self._every, self._timetable = every, timetable
        for batch in batches.cut(every, timetable.turn, self._audience):
            try:
                if 0 < batch.first == timetable.turn:
                    set_timeouts(self._connection, self._step, timetable.at(batch.first))
                self._convey(batch)
            except StatementFailed as failed:
                raise Refused(batch.head, failed.server) from None

    def release(self) -> None:
        """Leaves no savepoint of ours behind.

        Raises:
            NotRecorded: The transaction ended inside the file.
            StatementFailed: The connection is gone.
        """
        if not self._savepoint:
            return
        name, self._savepoint = self._savepoint, ""
        try:
            self._connection.query(f"RELEASE SAVEPOINT {name}")
        except StatementFailed as failed:
            raise (NotRecorded() if failed.server.sqlstate in _ENDED else failed) from None

    def _convey(self, batch: Batch) -> None:
        if batch.freight is Freight.ALONE or (batch.first == batch.last and not self._savepoint):
            self._is_kept = None
            self._send_singly(batch)
        elif self._may_go_together(batch):
            self._send_together(batch)
        else:
            self._send_singly(batch)

    def _may_go_together(self, batch: Batch) -> bool:
        if batch.freight is Freight.MIXED:
            self._is_kept = None
        text = batch.text
        if len(text) > _KEPT_FROM and self._is_kept is None:
            self._is_kept = bool(self._connection.query(_KEEPERS)[0][0])
        return not self._is_kept and self._connection.reads_plainly(text)

    def _send_together(self, batch: Batch) -> None:
        connection, known = self._connection, self._connection.notices()
        released = f"RELEASE SAVEPOINT {self._savepoint}; " if self._savepoint else ""
        self._begun += 1
        name = _SAVEPOINTS[self._begun % len(_SAVEPOINTS)]
        prologue = f"{released}SAVEPOINT {name}; "
        started = time.monotonic()
        try:
            number = self._before + 1
            with self._watcher.watching(self._step, number + batch.first, batch.head, self._pid, number + batch.last):
                connection.run_together(prologue + batch.text)
        except StatementFailed as failed:
            self._go_back(name, batch, failed.server, len(prologue), time.monotonic() - started)
        else:
            self._savepoint = name
            if batch.freight is Freight.DATA or guards.are_sound(connection, self._of(batch)):
                return
            # Which one it is, and whether it was so right after it, shows when they are sent singly.
            connection.query(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            self._savepoint = ""
        connection.drain_notices(but=known)
        self._send_again(batch)

    def _of(self, batch: Batch) -> Sequence[Statement]:
        return self._every[batch.first : batch.last + 1]

    def _go_back(self, name: str, batch: Batch, server: ServerError, ahead: int, took_s: float) -> None:
        """Undoes a batch, so that it can be sent again; where it need not or may not be, that is told.

        Args:
            name: Its savepoint.
            batch: What failed.
            server: How.
            ahead: How many characters of ours travelled in front of it.
            took_s: How long it ran.
        """
        if server.lost or self._connection.interruption.asked:
            raise self._of_several(batch, server)
        if server.position is not None:
            raise self._placed(batch, server, server.position - ahead)
        self._savepoint = ""
        try:
            back = f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}; {_TIMEOUT}"
            timeout_ms: int = self._connection.query(back)[0][0]
        except StatementFailed as failed:
            if server.sqlstate in _ENDED and not failed.server.lost:
                raise NotRecorded from None
            raise self._of_several(batch, failed.server if failed.server.lost else server) from None
        if server.sqlstate == CANCELLED and not 0 < timeout_ms <= took_s * 1000:
            # Somebody wants it to end, and not to begin again.
            raise self._of_several(batch, server)

    def _of_several(self, batch: Batch, server: ServerError) -> Refused:
        number, last = self._before + batch.first + 1, self._before + batch.last + 1
        said = server.message if number == last else f"{server.message} (in one of the statements {number} to {last})"
        return Refused(batch.head, replace(server, message=said, position=None, others=last - number))

    def _placed(self, batch: Batch, server: ServerError, position: int) -> Refused:
        """The statement that stands where the server points to."""
        offset = batch.head.start + position - 1
        of = next((each for each in self._of(batch) if each.start <= offset < each.end), None)
        if of is None:
            return self._of_several(batch, server)
        return Refused(of, replace(server, position=offset - of.start + 1))

    def _send_again(self, batch: Batch) -> None:
        count = batch.last - batch.first + 1
        if count <= _PARTS:
            self._send_singly(batch)
            return
        for part in batch.cut(self._every, -(-count // _PARTS)):
            self._convey(part)

    def _send_singly(self, batch: Batch) -> None:
        self.release()
        for index, statement in enumerate(self._of(batch), batch.first):
            try:
                self._send(index, statement)
            except StatementFailed as failed:
                raise Refused(statement, failed.server) from None

    def _send(self, index: int, statement: Statement) -> None:
        with self._watcher.watching(self._step, self._before + index + 1, statement, self._pid):
            send(self._connection, statement)
            if problem := guards.passed_over(self._connection, statement):
                raise PassedOver(statement, problem)
        if sets_timeouts(statement):
            set_timeouts(self._connection, self._step, self._timetable.at(index))
        keep_encoding(self._connection, statement)
