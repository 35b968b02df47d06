"""Rules about how a file fits into the one transaction it runs in."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice, pairwise

from sqlmigrations.lint.literals import decoded
from sqlmigrations.lint.objects import Kind
from sqlmigrations.lint.rulebook import Sighting, rule
from sqlmigrations.lint.scene import ENDINGS, Scene
from sqlmigrations.sql import statements
from sqlmigrations.sql.lexer import Token, TokenKind
from sqlmigrations.sql.reading import Name, Reader, is_word
from sqlmigrations.sql.statements import Control
from sqlmigrations.types import Mode, Severity

# Of statements that mention a value; where a certain use of it comes later, a possible one has been found before.
_LOOKED_AT = 100
_NOT_NULL = frozenset({"not", "null"})


@rule(
    "transaction-control",
    "T02",
    Severity.ERROR,
    "BEGIN, COMMIT, ROLLBACK, PREPARE TRANSACTION: the file could be half applied, or applied and not recorded.",
    opens="begin start commit end rollback abort prepare",
)
def transaction_control(scene: Scene) -> Iterator[Sighting]:
    """Savepoints are fine, and so is any of it in a file that runs outside a transaction."""
    control = statements.control(scene.statement)
    if scene.subject.mode is Mode.STATEMENTS or control is None or control is Control.SAVEPOINT:
        return
    words = " ".join(token.text for token in scene.tokens[:3] if token.kind is TokenKind.WORD).upper()
    if control in ENDINGS:
        yield Sighting(
            scene.statement.start,
            f"{words} ends the transaction this file is applied and recorded in.",
            f"Take {words} out: a file is applied as a whole or not at all. Use SAVEPOINT and ROLLBACK TO "
            "within it, or split the file.",
        )
    else:
        ending = next((other for other in scene.subject.endings if other.start > scene.statement.start), None)
        verb = " ".join(statements.verb(scene.statement))
        until = f", and line {ending.line} would end it" if ending else ""
        yield Sighting(
            scene.statement.start,
            f"{verb} starts a transaction, but the file already runs in one{until}.",
            "Take BEGIN and its COMMIT out; around the whole file, as its first and last statement, they may stay.",
        )


@rule(
    "transaction-mode",
    "T02",
    Severity.ERROR,
    "SET TRANSACTION: comes after the record was begun, so it fails (25001) or forbids recording (READ ONLY).",
    opens="set",
)
def transaction_mode(scene: Scene) -> Iterator[Sighting]:
    """READ WRITE changes nothing and is fine."""
    reader = scene.reader()
    if not reader.take("set", "transaction") or scene.subject.mode is Mode.STATEMENTS:
        return
    words = " ".join(token.text for token in reader.rest if token.kind is TokenKind.WORD).upper()
    if "READ ONLY" in words:
        yield Sighting(
            scene.statement.start,
            "SET TRANSACTION READ ONLY: the file could not be recorded in its own transaction.",
            "Take it out.",
        )
    elif words != "READ WRITE":
        yield Sighting(
            scene.statement.start,
            f"SET TRANSACTION {words} comes too late (25001): the file is recorded first, in the same transaction.",
            f"Wrap the whole file instead: BEGIN {words}; as its first statement, COMMIT; as its last.",
        )


@rule(
    "copy-to-stdout",
    "X03",
    Severity.ERROR,
    "COPY ... TO STDOUT: there is nobody to read the rows, and the driver refuses it.",
    opens="copy",
)
def copy_to_stdout(scene: Scene) -> Iterator[Sighting]:
    """COPY to a file or program of the server is another matter."""
    for before, token in pairwise(scene.tokens):
        if is_word(before, "to") and is_word(token, "stdout"):
            yield Sighting(
                scene.statement.start,
                "COPY ... TO STDOUT sends rows that nobody reads here.",
                "Take it out of the migration; export with psql's \\copy.",
            )


@rule(
    "enum-value-used",
    "T03",
    Severity.ERROR,
    "ALTER TYPE ADD VALUE, then the value used in the same file: fails with 55P04.",
    opens="alter",
)
def enum_value_used(scene: Scene) -> Iterator[Sighting]:
    """An error where the value is cast to the type or its default, a warning where it may be another word."""
    added = _added_value(scene)
    if added is None or scene.subject.mode is Mode.STATEMENTS:
        return
    type, value, is_guarded = added
    use = _first_use(scene, type, value)
    if use is None:
        return
    token, is_certain = use
    yield Sighting(
        token.start,
        f"{token.text} was added to {type} in this file, on line {scene.statement.line}, and cannot be used "
        "before that is committed (55P04).",
        f"Leave ALTER TYPE {type} ADD VALUE in this file, and move what uses {token.text} to the next one.",
        Severity.ERROR if is_certain and not is_guarded else Severity.WARNING,
    )


def _added_value(scene: Scene) -> tuple[Name, str, bool] | None:
    """The type, the value and whether it may exist already; nothing for a type this file itself creates."""
    reader = scene.reader()
    if not reader.take("alter", "type"):
        return None
    type = reader.name()
    if type is None or not reader.take("add", "value"):
        return None
    is_guarded = reader.guard()
    token = reader.token
    if token is None or token.kind is not TokenKind.STRING or _is_own(scene, type):
        return None
    return type, decoded(token), is_guarded


def _is_own(scene: Scene, type: Name) -> bool:
    own = hash(scene.statement.source)
    places = scene.known.places.get((Kind.TYPE.namespace, type), frozenset())
    return any(place.origin == own for place in places)


def _first_use(scene: Scene, type: Name, value: str) -> tuple[Token, bool] | None:
    """The first certain use of the value; failing that, the first that may be one."""
    unsure = None
    for statement in islice(scene.subject.users_of(value, scene.statement), _LOOKED_AT):
        tokens = statement.tokens()
        for index, token in enumerate(tokens):
            if token.kind is not TokenKind.STRING or decoded(token) != value:
                continue
            if _is_cast(tokens, index, type) or _is_default(tokens, index, type):
                return token, True
            unsure = unsure or (token, False)
    return unsure


def _is_cast(tokens: Sequence[Token], index: int, type: Name) -> bool:
    """``'v'::type``, ``CAST('v' AS type)``."""
    reader = Reader(tokens, index + 1)
    is_cast = reader.mark("::") or (
        index > 1 and is_word(tokens[index - 2], "cast") and tokens[index - 1].text == "(" and reader.take("as")
    )
    return is_cast and reader.name() == type and not reader.mark("[")


def _is_default(tokens: Sequence[Token], index: int, type: Name) -> bool:
    """``column type [NOT NULL] DEFAULT 'v'``."""
    at = index - 1
    if not is_word(tokens[at], "default"):
        return False
    while at and tokens[at - 1].kind is TokenKind.WORD and tokens[at - 1].value in _NOT_NULL:
        at -= 1
    first = max(at - 3, 0) if at > 2 and tokens[at - 2].text == "." else at - 1
    return first > 0 and Reader(tokens[first:at]).name() == type
