"""How long a statement may wait for a lock, told from its tokens: for as long as its waiting stops nobody else."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from itertools import pairwise

from sqlmigrations.sql.reading import Reader, depths, is_word
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.sequence import telling
from sqlmigrations.sql.statements import refuses_transaction, verb
from sqlmigrations.sql.verbs import leading_tokens, values

# The server's autovacuum gives way after deadlock_timeout: a shorter wait never sees it go.
_BEYOND_DEADLOCK_TIMEOUT_MS = 1_000
PATIENT_MS = 30_000


class Waiting(Enum):
    """What a statement's wait for a lock does to others, who queue behind it.

    ``FREE``: it waits for nobody who works with a table. ``HARMLESS``: readers and writers pass it by. ``HARMFUL``:
    they queue, or it cannot be told. ``ENDLESS``: they pass, and to give up would leave half of it behind.
    """

    FREE = "free"
    HARMLESS = "harmless"
    HARMFUL = "harmful"
    ENDLESS = "endless"


_DML = frozenset(("insert", "update", "delete", "merge"))
# fmt: off
# Row locks, ACCESS SHARE, ROW EXCLUSIVE or SHARE UPDATE EXCLUSIVE on what is there already.
_HARMLESS = frozenset((
    ("INSERT",), ("UPDATE",), ("DELETE",), ("MERGE",), ("COPY",), ("ANALYZE",), ("ANALYSE",), ("COMMENT",),
    ("GRANT",), ("REVOKE",), ("CREATE", "STATISTICS"), ("CREATE", "PUBLICATION"),
))
_FREE = frozenset((
    ("SET",), ("RESET",), ("SHOW",), ("SAVEPOINT",), ("RELEASE",), ("CREATE", "TYPE"), ("CREATE", "DOMAIN"),
    ("CREATE", "FUNCTION"), ("CREATE", "PROCEDURE"), ("CREATE", "AGGREGATE"), ("CREATE", "SEQUENCE"),
    ("CREATE", "ROLE"), ("CREATE", "USER"), ("CREATE", "COLLATION"),
))
# fmt: on
# Most that is created has none of these words in it, and need not be taken apart.
_OTHERS = re.compile(r"(?ai)\b(?:references|partition|create)\b")
_NEW = frozenset((("CREATE", "TABLE"), ("CREATE", "SCHEMA")))


@dataclass(frozen=True, slots=True)
class Timetable:
    """The lock timeouts of the statements of one transaction, milliseconds.

    Attributes:
        turn: The index of the first statement with the brief one; from there on there are locks that others may want.
    """

    patient_ms: int
    brief_ms: int
    turn: int

    def at(self, index: int) -> int:
        """The timeout of a statement, by its index in the file."""
        return self.patient_ms if index < self.turn else self.brief_ms


def timetable(statements: Sequence[Statement], deadlock_timeout_ms: int, chosen_ms: int | None) -> Timetable:
    """How long the statements of a file may wait in one transaction.

    Args:
        statements: In their order.
        deadlock_timeout_ms: The server's setting.
        chosen_ms: What the file or the settings say instead; it holds for all of them.
    """
    if chosen_ms is not None:
        return Timetable(chosen_ms, chosen_ms, 0)
    return Timetable(*_defaults(deadlock_timeout_ms), turning_point(statements))


def alone_ms(statement: Statement, deadlock_timeout_ms: int, chosen_ms: int | None) -> int:
    """How long a statement outside a transaction may wait; 0 is for ever."""
    waiting = of(statement)
    if waiting is Waiting.ENDLESS:
        return 0
    if chosen_ms is not None:
        return chosen_ms
    patient, brief = _defaults(deadlock_timeout_ms)
    return brief if waiting is Waiting.HARMFUL else patient


def turning_point(statements: Sequence[Statement]) -> int:
    """How many statements a file begins with that may be patient; 0 where none of them waits for anybody."""
    waits = False
    for index, statement in telling(statements):
        waiting = of(statement)
        if waiting is Waiting.HARMFUL:
            return index if waits else 0
        waits = waits or waiting is not Waiting.FREE
    return len(statements) if waits else 0


def of(statement: Statement) -> Waiting:
    """What its waiting does to others; what runs code of its own (SELECT, DO, CALL) may do anything.

    https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
    """
    leading = verb(statement)
    if leading in _HARMLESS:
        return Waiting.HARMLESS
    if leading in _FREE:
        return Waiting.FREE
    if leading in _NEW:
        return Waiting.FREE if _stands_alone(statement) else Waiting.HARMFUL
    if leading == ("WITH",):
        return Waiting.HARMLESS if writes_rows(statement) else Waiting.HARMFUL
    if leading == ("ALTER", "TABLE") and _is_gentle(statement):
        return Waiting.HARMLESS
    return _maintenance(statement, leading, values(statement))


def _maintenance(statement: Statement, leading: tuple[str, ...], words: list[str]) -> Waiting:
    if leading == ("VACUUM",):
        return Waiting.HARMFUL if "full" in words else Waiting.HARMLESS
    if "concurrently" not in words:
        return Waiting.HARMFUL
    if leading == ("REFRESH", "MATERIALIZED", "VIEW"):
        # Its lock lets everybody read, and nobody writes to a materialized view.
        return Waiting.HARMLESS
    return Waiting.ENDLESS if refuses_transaction(statement) else Waiting.HARMFUL


def _stands_alone(statement: Statement) -> bool:
    """Whether what is created needs no strong lock on what is there already."""
    if not _OTHERS.search(statement.source, statement.start + len("CREATE"), statement.end):
        return True
    words = values(statement)
    of_another = ("partition", "of") in pairwise(words)
    return "references" not in words and "create" not in words[1:] and not of_another


def writes_rows(statement: Statement) -> bool:
    """Whether what follows a list of WITH is an INSERT, UPDATE, DELETE or MERGE."""
    tokens = list(leading_tokens(statement))
    return any(depth == 0 and any(is_word(token, word) for word in _DML) for token, depth in depths(tokens))


def _is_gentle(statement: Statement) -> bool:
    """Whether an ALTER TABLE does nothing but validate constraints or set statistics targets."""
    reader = Reader(list(leading_tokens(statement)))
    reader.take("alter", "table")
    reader.guard()
    reader.take("only")
    reader.name()
    reader.mark("*")
    while _takes_gentle_action(reader):
        if not reader.mark(","):
            return reader.token is None or reader.mark(";")
    return False


def _takes_gentle_action(reader: Reader) -> bool:
    if reader.take("validate", "constraint"):
        return reader.name() is not None
    if not reader.take("alter"):
        return False
    reader.take("column")
    if reader.name() is None or not reader.take("set", "statistics"):
        return False
    reader.mark("-")
    reader.at += 1
    return True


def _defaults(deadlock_timeout_ms: int) -> tuple[int, int]:
    brief = deadlock_timeout_ms + _BEYOND_DEADLOCK_TIMEOUT_MS
    return max(PATIENT_MS, brief), brief
