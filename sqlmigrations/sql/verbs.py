"""Names what a statement is: its leading keywords, and its tokens as words that can be compared."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import islice

from sqlmigrations.sql.lexer import INSIGNIFICANT, Token, TokenKind, lex
from sqlmigrations.sql.scanner import Statement

# Files are full of them, so that it is told from the first word and without taking anything apart.
_DATA = re.compile(r"(?ai)(?:insert|update|delete|merge)\b")
_OBJECT_VERBS = frozenset(("create", "alter", "drop", "refresh", "import", "security", "reassign"))
# Words between CREATE and the kind of object.
# fmt: off
MODIFIERS = frozenset((
    "or", "replace", "unique", "temp", "temporary", "local", "global", "unlogged", "recursive", "trusted",
    "procedural", "constraint",
))
_COMPOUND_KINDS = frozenset((
    ("access", "method"), ("default", "privileges"), ("default", "conversion"), ("event", "trigger"),
    ("foreign", "table"), ("foreign", "schema"), ("foreign", "data", "wrapper"), ("large", "object"),
    ("materialized", "view"), ("operator", "class"), ("operator", "family"), ("user", "mapping"),
    ("text", "search", "configuration"), ("text", "search", "dictionary"), ("text", "search", "parser"),
    ("text", "search", "template"),
))
# fmt: on


def verb(statement: Statement) -> tuple[str, ...]:
    """The leading keywords in upper case, such as ``("INSERT",)``, ``("CREATE", "INDEX")``.

    Of CREATE, ALTER, DROP and their like with the kind of object, without modifiers such as UNIQUE; of
    START and PREPARE TRANSACTION both words; of all others the first word, ``""`` if it is none. Opening
    parentheses are passed over.
    """
    words = _leading_words(statement)
    first = next(words, "")
    if first in ("start", "prepare") and next(words, "") == "transaction":
        return first.upper(), "TRANSACTION"
    if first not in _OBJECT_VERBS:
        return (first.upper(),)
    kind = tuple(islice((word for word in words if word not in MODIFIERS), 3))
    length = next((size for size in (3, 2) if kind[:size] in _COMPOUND_KINDS), 1)
    return tuple(word.upper() for word in (first, *kind[:length]))


def is_data(statement: Statement) -> bool:
    """Whether it is a plain INSERT, UPDATE, DELETE or MERGE; what begins with WITH is not looked at."""
    return _DATA.match(statement.source, statement.start) is not None


def leading_tokens(statement: Statement) -> Iterator[Token]:
    """Its significant tokens, lexed only as far as they are asked for."""
    return lex(statement.source, statement.start, statement.end, without=INSIGNIFICANT)


def values(statement: Statement, count: int | None = None) -> list[str]:
    """Words in lower case, all else as written, so that a quoted name is never taken for a keyword."""
    found = islice(leading_tokens(statement), count)
    words = [token.value if token.kind is TokenKind.WORD else token.text for token in found]
    return words[:-1] if words[-1:] == [";"] else words


def _leading_words(statement: Statement) -> Iterator[str]:
    for token in leading_tokens(statement):
        if token.kind is TokenKind.WORD:
            yield token.value
        elif token.text != "(":
            return
