"""Cuts the statements of a transaction into batches: what may travel to the server in one message."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

from sqlmigrations.sql.patience import writes_rows
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.sequence import reach, stretches
from sqlmigrations.sql.statements import Control, control
from sqlmigrations.sql.verbs import is_data
from sqlmigrations.types import Audience

# Characters in one message: with more of them it takes no less time, and what the server parses of all of them takes
# fifteen times as much memory. But a large file makes larger ones: every batch that writes is a subtransaction, and
# with more than 64 of them in a transaction the snapshots of everybody on the server would have to look further.
# https://www.postgresql.org/docs/current/subxacts.html
ENOUGH, LARGEST = 256_000, 1_750_000
_SUBTRANSACTIONS = 56

# What neither brings data of its own nor changes how the text behind it is read, and is undone by a ROLLBACK. LOCK
# waits on purpose, and what runs code at will may take any time and return any number of rows: those travel alone.
_SHORT = re.compile(
    r"(?ai)(?:create|alter|drop|comment|grant|revoke|truncate|do|security|reassign|import|analy[sz]e|refresh|notify"
    r"|select\s+(?:pg_catalog\s*\.\s*)?setval)\b"
)
_WITH = re.compile(r"(?ai)with\b")
# These change how text is read, or outlast a ROLLBACK: what is sent again would be done twice.
_APART = (
    "set_config",
    "standard_conforming_strings",
    "backslash_quote",
    "client_encoding",
    "pg_advisory_",
    "pg_try_advisory_",
    "dblink",
)
# A server logs the whole message that failed: not this, because of another statement in it.
_PASSWORD = re.compile(r"(?i)password\s*(?:=|e?'|\$)")
_ADD_VALUE = re.compile(r"(?ai)\badd\s+value\b")


class Freight(Enum):
    """What a batch holds.

    Attributes:
        ALONE: One statement that may not travel with others, nor within a savepoint of ours.
        DATA: Nothing but rows to be written.
        MIXED: Anything short.
    """

    ALONE = "alone"
    DATA = "data"
    MIXED = "mixed"


@dataclass(frozen=True, slots=True)
class Batch:
    """Statements that follow each other, and the comments between them.

    Attributes:
        first: Index of the first one, from 0.
        last: Index of the last one.
        head: The first one.
        end: Offset in its source behind the last one.
        is_plain: Whether it holds nothing but INSERTs of constants.
    """

    first: int
    last: int
    freight: Freight
    head: Statement = field(repr=False)
    end: int
    is_plain: bool = False

    @property
    def text(self) -> str:
        """As it is written in the file; nothing is put in or appended."""
        return self.head.source[self.head.start : self.end]

    def cut(self, every: Sequence[Statement], size: int) -> Iterator[Batch]:
        """The same in parts of so many statements."""
        for first in range(self.first, self.last + 1, size):
            last = min(first + size - 1, self.last)
            yield Batch(first, last, self.freight, every[first], every[last].end)


def cut(every: Sequence[Statement], turn: int, audience: Audience) -> Iterator[Batch]:
    """The batches of a transaction, in order.

    Args:
        every: Its statements.
        turn: Index of the statement before which something of ours is sent: no batch reaches across.
        audience: Who follows it statement by statement.
    """
    run: _Run | None = None
    nests, room = False, _room(every)
    for first, last in stretches(every):
        index = first
        while index <= last:
            statement = every[index]
            freight = Freight.ALONE if nests else _freight(statement, room, audience)
            if freight is Freight.ALONE:
                # From its first savepoint on a file may go back behind one of ours.
                nests = nests or control(statement) is Control.SAVEPOINT
            if run is None or index == turn or not run.takes(statement, freight, room):
                if run is not None:
                    yield from _apart(run.batch(index - 1), every)
                run = _Run(index, statement, freight)
            index += 1
            if first < last:
                # They differ in their constants only: there is nothing to be asked of them but where they end.
                index = run.fill(every, index, turn - 1 if index <= turn <= last else last, room)
            else:
                run.is_plain = False
    if run is not None:
        yield from _apart(run.batch(len(every) - 1), every)


class _Run:
    """A batch that may still grow: files hold a million statements, so that nothing is made for each of them."""

    __slots__ = ("end", "first", "freight", "head", "is_plain")

    def __init__(self, first: int, head: Statement, freight: Freight) -> None:
        self.first = first
        self.head = head
        self.freight = freight
        self.end = head.end
        self.is_plain = True

    def takes(self, statement: Statement, freight: Freight, room: int) -> bool:
        """Grows by a statement, unless that has to travel behind it."""
        if freight is Freight.ALONE or self.freight is Freight.ALONE:
            return False
        # A line of psql's that is passed over is no comment: no server understands it.
        if statement.end - self.head.start > room or "\\" in statement.source[self.end : statement.start]:
            return False
        if freight is not self.freight:
            self.freight = Freight.MIXED
        self.end = statement.end
        return True

    def fill(self, every: Sequence[Statement], index: int, last: int, room: int) -> int:
        """Grows by the plain INSERTs that follow, as many as there is room for; the index of the first left out."""
        if self.freight is Freight.ALONE:
            return index
        behind = reach(every, index, last, self.head.start + room)
        if behind > index:
            self.end = every[behind - 1].end
        return behind

    def batch(self, last: int) -> Batch:
        """As it is, when its last statement is known."""
        return Batch(self.first, last, self.freight, self.head, self.end, self.is_plain)


def _room(every: Sequence[Statement]) -> int:
    """How many characters a batch of these statements may have."""
    written = every[-1].end - every[0].start if every else 0
    return min(max(ENOUGH, written // _SUBTRANSACTIONS), LARGEST)


def _freight(statement: Statement, room: int, audience: Audience) -> Freight:
    if statement.end - statement.start > room:
        return Freight.ALONE
    if is_data(statement):
        return Freight.DATA
    if _WITH.match(statement.source, statement.start):
        return Freight.DATA if writes_rows(statement) else Freight.ALONE
    if audience is Audience.LIVE or not _SHORT.match(statement.source, statement.start):
        return Freight.ALONE
    if _PASSWORD.search(statement.source, statement.start, statement.end) or _is_of_growing_enum(statement):
        return Freight.ALONE
    return Freight.MIXED


def _is_of_growing_enum(statement: Statement) -> bool:
    """Whether it makes an enum to which the file adds values, or adds one: used at once, they allow no savepoint.

    https://www.postgresql.org/docs/current/sql-altertype.html
    """
    text = statement.text.lower()
    if "value" in text and _ADD_VALUE.search(text):
        return True
    return "enum" in text and bool(_ADD_VALUE.search(statement.source, statement.end))


def _apart(batch: Batch, every: Sequence[Statement]) -> Iterator[Batch]:
    """The batch, unless it holds what may not travel with others; one search for all that it holds is the fast way."""
    if batch.freight is Freight.ALONE or batch.is_plain or not _stands_apart(batch.text):
        yield batch
        return
    open_at = batch.first
    for index in range(batch.first, batch.last + 1):
        if not _stands_apart(every[index].text):
            continue
        if open_at < index:
            yield Batch(open_at, index - 1, batch.freight, every[open_at], every[index - 1].end)
        yield Batch(index, index, Freight.ALONE, every[index], every[index].end)
        open_at = index + 1
    if open_at <= batch.last:
        yield Batch(open_at, batch.last, batch.freight, every[open_at], batch.end)


def _stands_apart(text: str) -> bool:
    lowered = text.lower()
    return any(name in lowered for name in _APART)
