"""Cuts a file that runs outside of one transaction into units: what is done and recorded at once, and how."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum
from itertools import pairwise, takewhile

from sqlmigrations.sql import statements
from sqlmigrations.sql.scanner import Statement, Token, TokenKind
from sqlmigrations.sql.statements import Control
from sqlmigrations.sql.verbs import MODIFIERS

_ON_SESSION = frozenset(("SET", "RESET", "SHOW", "LISTEN", "UNLISTEN", "PREPARE", "DEALLOCATE", "DISCARD", "LOAD"))
_HELD_BY_SESSION = ("set_config", "pg_advisory_lock", "pg_try_advisory_lock")
_AFTER_NAME = ("as", "(")
_TEMPORARY = frozenset(("temp", "temporary"))
# Keys in the metadata of a row: the digest of the statements that are done; where it stopped, and why.
DONE_CHECKSUM = "done_checksum"
STOPPED = "stopped"

# What stands before the name of the table that a statement fills or changes.
# fmt: off
_BEFORE_TARGET = frozenset((
    "insert", "into", "update", "only", "delete", "from", "copy", "truncate", "alter", "drop", "table", "if", "not",
    "exists", "analyze", "analyse", "verbose", "create", "unique", "index", "on", "local", "temp", "temporary",
    "unlogged", "sequence", "view", "recursive", "or", "replace",
))
# fmt: on
_ABOUT_A_TABLE = frozenset(("INSERT", "UPDATE", "DELETE", "COPY", "TRUNCATE", "ALTER", "DROP", "CREATE", "ANALYZE"))


class Way(Enum):
    """How a unit reaches the server.

    Attributes:
        SESSION: On the session itself, outside of a transaction block; sent again to the session that resumes.
        TOGETHER: In a transaction with its record.
        ALONE: By itself: the server refuses it in a transaction block.
    """

    SESSION = "session"
    TOGETHER = "together"
    ALONE = "alone"


@dataclass(frozen=True, slots=True)
class Unit:
    """What is done at once.

    Attributes:
        first: Number of its first statement in the file, from 1.
        last: Number of its last one; a BEGIN and its COMMIT count.
        statements: What is sent, without BEGIN and COMMIT.
        isolation: Options of its BEGIN.
        lasting: What of it has to be sent again to the session that resumes after it.
    """

    way: Way
    first: int
    last: int
    statements: tuple[Statement, ...]
    isolation: str = ""
    lasting: tuple[Statement, ...] = ()

    def number(self, index: int) -> int:
        """Which one of the file a statement of it is, from 1."""
        return self.first + index + (self.last > self.first)


@dataclass(frozen=True, slots=True)
class Fault:
    """A statement that cannot stand where it does, and what to do about it."""

    statement: Statement
    message: str
    remedy: str


@dataclass(slots=True)
class _Cutting:
    """How far the statements are read: the block that is open, and the temporary tables made so far."""

    units: list[Unit] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    opening: Statement | None = None
    first: int = 0
    inside: list[Statement] = field(default_factory=list)
    temporary: set[str] = field(default_factory=set)


def cut(every: Sequence[Statement]) -> tuple[tuple[Unit, ...], tuple[Fault, ...]]:
    """The units of a file, and what forbids to run it so."""
    state = _Cutting()
    for number, statement in enumerate(every, 1):
        control = statements.control(statement)
        if control is None and state.opening is None:
            way = _way(statement, state.temporary)
            lasting = (statement,) if way is Way.SESSION else ()
            state.units.append(Unit(way, number, number, (statement,), lasting=lasting))
        elif control in (None, Control.SAVEPOINT) and state.opening is not None:
            _within(state, statement)
        else:
            _bound(state, statement, control, number)
    if state.opening is not None:
        message = "BEGIN is not followed by its COMMIT."
        state.faults.append(Fault(state.opening, message, "Write COMMIT; where the transaction ends."))
    return tuple(state.units), tuple(state.faults)


class Digest:
    """SHA-256 over the tokens and data of statements: equal for texts that differ in layout only."""

    def __init__(self, every: Iterable[Statement] = ()) -> None:
        self._hashed = hashlib.sha256()
        self._add(every)

    @property
    def value(self) -> str:
        """Hexadecimal."""
        return self._hashed.hexdigest()

    def with_more(self, every: Iterable[Statement]) -> Digest:
        """Of these and of further statements; this one stays as it is."""
        longer = Digest()
        longer._hashed = self._hashed.copy()
        longer._add(every)
        return longer

    def _add(self, every: Iterable[Statement]) -> None:
        for statement in every:
            for token in statement.tokens():
                text = token.value if token.kind is TokenKind.WORD else token.text
                self._hashed.update(f"{token.kind.name}\x1f{text}\x1e".encode())
            self._hashed.update(f"{statement.copy_data or ''}\x1d".encode())


def is_concurrent(statement: Statement) -> bool:
    """Whether it is one of those that let everybody go on, however long they take."""
    return any(token.value == "concurrently" and token.kind is TokenKind.WORD for token in statement.tokens())


def spoken(statement: Statement) -> str:
    """What people call it, such as ``CREATE INDEX CONCURRENTLY``."""
    words = statements.verb(statement)
    return " ".join((*words, "CONCURRENTLY") if is_concurrent(statement) else words)


def _within(state: _Cutting, statement: Statement) -> None:
    assert state.opening is not None
    state.inside.append(statement)
    if statements.refuses_transaction(statement):
        message = f"{spoken(statement)} cannot run in the transaction that line {state.opening.line} begins."
        state.faults.append(Fault(statement, message, "Move it before that BEGIN or behind its COMMIT."))


def _bound(state: _Cutting, statement: Statement, control: Control | None, number: int) -> None:
    """BEGIN and COMMIT make a unit; everything else would end a transaction that is not its own."""
    words = " ".join(token.text for token in statement.tokens()[:3] if token.kind is TokenKind.WORD).upper()
    if control is Control.BEGIN and state.opening is None:
        state.opening, state.first, state.inside = statement, number, []
        if "READ ONLY" in statements.begin_options(statement):
            message = "The transaction is READ ONLY; it could not be recorded in it."
            state.faults.append(Fault(statement, message, "Remove READ ONLY."))
    elif control is Control.COMMIT and state.opening is not None and "CHAIN" not in words:
        options = statements.begin_options(state.opening)
        way = (_way(inner, state.temporary) for inner in state.inside)
        lasting = tuple(s for s, w in zip(state.inside, way, strict=True) if w is Way.SESSION and not _is_local(s))
        unit = Unit(Way.TOGETHER, state.first, number, tuple(state.inside), options, lasting)
        state.units.append(unit)
        state.opening = None
    else:
        where = "in this place" if state.opening is None else f"within the transaction of line {state.opening.line}"
        remedy = "Keep to BEGIN ... COMMIT around what belongs together, and take everything else of the kind out."
        state.faults.append(Fault(statement, f"{words} cannot stand {where}.", remedy))


def _way(statement: Statement, temporary: set[str]) -> Way:
    kind = statements.verb(statement)[0]
    tokens = statement.tokens()
    if kind in _ON_SESSION:
        return Way.SESSION
    if kind == "SELECT" and any(token.value in _HELD_BY_SESSION for token in tokens):
        return Way.SESSION
    if kind == "SELECT" and (made := _selected_into(tokens)):
        temporary.add(made)
        return Way.SESSION
    if kind == "DECLARE" and statements.touches_session(statement):
        return Way.SESSION
    if kind == "CREATE" and _is_temporary(tokens):
        temporary.update(_target(tokens))
        return Way.SESSION
    if temporary and kind in _ABOUT_A_TABLE and temporary.intersection(_target(tokens)):
        return Way.SESSION
    return Way.ALONE if statements.refuses_transaction(statement) else Way.TOGETHER


def _is_temporary(tokens: Sequence[Token]) -> bool:
    words = list(takewhile(lambda word: word not in _AFTER_NAME, (token.value for token in tokens)))
    return "pg_temp" in words or not _TEMPORARY.isdisjoint(takewhile(MODIFIERS.__contains__, words[1:]))


def _selected_into(tokens: Sequence[Token]) -> str:
    """The temporary table that a SELECT ... INTO TEMP makes."""
    words = [token.value for token in tokens]
    at = next((i for i, pair in enumerate(pairwise(words)) if pair[0] == "into" and pair[1] in _TEMPORARY), None)
    return "" if at is None else next(_target(tokens[at:]), "")


def _target(tokens: Sequence[Token]) -> Iterator[str]:
    """The name of the table a statement is about, unqualified."""
    words = [token.value for token in tokens]
    start = words.index("on") if words[:1] == ["create"] and "index" in words[:3] and "on" in words else 0
    for index in range(start, len(tokens)):
        token = tokens[index]
        if token.kind is TokenKind.WORD and token.value in _BEFORE_TARGET:
            continue
        if words[index + 1 : index + 2] == ["."]:
            index += 2
        yield from words[index : index + 1]
        return


def _is_local(statement: Statement) -> bool:
    return [token.value for token in statement.tokens()[:2]] == ["set", "local"]
