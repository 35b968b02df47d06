"""What in a statement is about the whole server, beyond its database: roles, tablespaces, databases."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from sqlmigrations.lint.literals import code_in
from sqlmigrations.sql.lexer import Token, TokenKind
from sqlmigrations.sql.mentions import mentioned
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.sequence import telling

_VERBS = ("create", "alter", "drop")
_KINDS = ("role", "user", "group", "tablespace", "database", "system")
_GUARD = ("if", "not", "exists")
# What stands before a statement in PL/pgSQL; ALTER TABLE t DROP role is about a column.
_OPENING = ("begin", "then", "else", "loop")


def beyond(statements: Sequence[Statement]) -> tuple[str, ...]:
    """Such as ``CREATE ROLE app``, each once, those in bodies of DO and of functions included.

    GRANT and REVOKE are left out: what they give goes with the role, or with the database.
    """
    found = (
        phrase for _, statement in telling(statements) if _may(statement) for phrase in _phrases(statement.tokens())
    )
    return tuple(dict.fromkeys(found))


def _may(statement: Statement) -> bool:
    place = (statement.source, statement.start, statement.end)
    return bool(mentioned(_VERBS, *place) and mentioned(_KINDS, *place))


def _phrases(tokens: Sequence[Token]) -> Iterator[str]:
    yield from _first(tokens)
    for words in code_in([token for token in tokens if token.kind is TokenKind.DOLLAR]):
        for at in range(len(words)):
            if not at or words[at - 1].text == ";" or _is(words[at - 1], _OPENING):
                yield from _first(words[at:])


def _first(words: Sequence[Token]) -> Iterator[str]:
    """What the statement is about that begins there."""
    if len(words) < 2 or not _is(words[0], _VERBS) or not _is(words[1], _KINDS):
        return
    verb, kind = (token.value.upper() for token in words[:2])
    name = next((token for token in words[2:] if not _is(token, _GUARD)), None)
    if name is not None and _is(name, ("mapping",)):
        return
    has_name = name is not None and name.kind in (TokenKind.WORD, TokenKind.IDENTIFIER) and kind != "SYSTEM"
    yield f"{verb} {kind} {name.text}" if name is not None and has_name else f"{verb} {kind}"


def _is(token: Token, words: Sequence[str]) -> bool:
    return token.kind is TokenKind.WORD and token.value in words
