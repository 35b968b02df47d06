"""Passwords written into SQL: where they stand, and every spelling under which they must not be shown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, takewhile

from sqlmigrations.lint.literals import DEEPEST, code, decoded, is_literal, pieces
from sqlmigrations.sql.lexer import Token, TokenKind, lex
from sqlmigrations.sql.reading import Reader, depths
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.sequence import holding, lacking, telling

# Looked for before a statement is taken apart, so that a million INSERT lines cost next to nothing: a passw by its
# last letter and a :// by its second, for among few letters to begin with a text is searched fast.
HINTED = re.compile(r"[wW/](?:(?<=[pP][aA][sS][sS].)|(?<=:/)/)")
_HINT = re.compile(
    # Words beyond the length of a name are not read to their end, for each passw in one begins anew.
    r"passw\w{0,80}+(?:\W*(?:['$=%]|/\*|--|[a-z]&?'|\Z)|[^;]{0,60}:=)|://[^\s/]*@",
    re.IGNORECASE,
)
_KEYS = frozenset({"password", "passwd", "sslpassword"})
_CONNINFO = re.compile(r"\b(?:ssl)?passw(?:or)?d\s*=\s*(?:'((?:[^'\\]|\\.)+)'|([^\s'\"&]+))", re.IGNORECASE)
# Prose has "password = of the role" and SQL that was commented out "WHERE password=u.password".
_IN_COMMENT = re.compile(
    r"\b(?:ssl)?passw(?:or)?d=(?:'((?:[^'\\]|\\.)+)'|(?![a-z_.]*+(?:[\s;,)]|\Z))([^\s'\"&;,)]+))", re.IGNORECASE
)
_URL = re.compile(r"(?<=[a-z0-9+.-])://[^\s:/@'\"]*:([^\s/@'\"]+)@", re.IGNORECASE)
# Text of a command whose password comes next: 'ALTER ROLE r PASSWORD ' || ..., format('... PASSWORD %L', ...).
_OPEN_END = re.compile(r"\bpassword\s*'*\s*\Z", re.IGNORECASE)
_TEMPLATE = re.compile(r"\bpassword\s*'?%[0-9$]*[LIs]", re.IGNORECASE)
_PLACEHOLDER = re.compile(r"%[0-9$]*[LIs]?|\$[0-9]+|\?|:\w+|\{\w*\}|<[^>]*>|\*+")
_MARKS = re.compile(r"--|/\*|\*/")
_NO_COMMENTS = frozenset(TokenKind) - {TokenKind.COMMENT}


@dataclass(frozen=True, slots=True)
class Secret:
    """One password.

    Attributes:
        start: Of the outermost literal it stands in.
        spellings: As decoded, and as written where that differs.
    """

    start: int
    spellings: frozenset[str]


def secrets(statements: Sequence[Statement], text: str = "") -> frozenset[str]:
    """Every text that must never be shown: passwords in these statements, decoded and as written.

    Args:
        statements: Of one text or of several.
        text: Where they are from, so that the comments around them are read as well.
    """
    if lacking(statements, HINTED):
        return frozenset()
    found: set[str] = set()
    for statement in filter(may_hold_one, holding(statements, HINTED)):
        found.update(*(secret.spellings for secret in secrets_in(statement.tokens())))
    if text and HINTED.search(text):
        for start, end in _comments(statements, text):
            if _HINT.search(text, start, end):
                # An apostrophe there is no quote: each line is read for itself.
                for line in text[start:end].split("\n"):
                    found.update(*(secret.spellings for secret in _noted(start, line)))
    return frozenset(found)


def _comments(statements: Sequence[Statement], text: str) -> Iterator[tuple[int, int]]:
    """Where comments can be: between the statements, and in those that may hold a password."""
    pos = 0
    for index, statement in telling(statements):
        if index:
            before = statements[index - 1]
            pos = before.end if before.data is None else before.data[1]
        yield pos, statement.start
        if may_hold_one(statement):
            every = lex(text, statement.start, statement.end, without=_NO_COMMENTS)
            yield from ((token.start, token.start + len(token.text)) for token in every)
    for last in statements[-1:]:
        pos = last.end if last.data is None else last.data[1]
    yield pos, len(text)


def _noted(start: int, line: str) -> Iterator[Secret]:
    written = _MARKS.sub(" ", line)
    for match in (*_IN_COMMENT.finditer(written), *_URL.finditer(written)):
        yield from _secret(start, tuple(filter(None, match.groups())))
    yield from secrets_in(code(written))


def may_hold_one(statement: Statement) -> bool:
    """Whether it is worth being taken apart."""
    return _HINT.search(statement.source, statement.start, statement.end) is not None


def secrets_in(tokens: Sequence[Token], levels: int = DEEPEST) -> Iterator[Secret]:
    """The passwords among these tokens, those inside DO bodies and EXECUTE strings included.

    Args:
        tokens: Of a statement, or of the code in a literal.
        levels: How many literals within literals are looked into.
    """
    follows, since = False, 0
    for index, (token, depth) in enumerate(depths(tokens)):
        follows = follows and depth >= since and token.text != ";"
        if not is_literal(token):
            continue
        text = decoded(token)
        if follows or _is_password(tokens, index):
            yield from _secret(token.start, (text, *pieces(token)))
        elif _HINT.search(text):
            yield from _inside(token, text, levels)
            if _goes_on(tokens, index, text):
                follows, since = True, depth


def _is_password(tokens: Sequence[Token], index: int) -> bool:
    """PASSWORD 'x', my_password => 'x', and PL/pgSQL's my_password text := 'x'."""
    before = tokens[index - 1] if index else None
    if before is None:
        return False
    if before.text in {":=", "=>"}:
        words = takewhile(lambda token: token.kind is TokenKind.WORD, reversed(tokens[: index - 1]))
        return any("passw" in token.value for token in islice(words, 4))
    return before.kind in {TokenKind.WORD, TokenKind.IDENTIFIER} and before.value.lower() in _KEYS


def _goes_on(tokens: Sequence[Token], index: int, text: str) -> bool:
    """Whether the literals after this one are put behind its PASSWORD."""
    if Reader(tokens, index + 1).mark("||"):
        return _OPEN_END.search(text) is not None
    called = Reader(tokens, max(index - 2, 0))
    return called.take("format") and called.mark("(") and _TEMPLATE.search(text) is not None


def _inside(token: Token, text: str, levels: int) -> Iterator[Secret]:
    if not levels:
        # Nobody nests this deep by hand: all of it counts as a password.
        yield from _secret(token.start, (text, *pieces(token)))
        return
    for match in (*_CONNINFO.finditer(text), *_URL.finditer(text)):
        written = next(group for group in match.groups() if group)
        yield from _secret(token.start, (written, re.sub(r"\\(.)", r"\1", written)))
    for secret in secrets_in(code(text), levels - 1):
        yield from _secret(token.start, tuple(secret.spellings))


def _secret(start: int, spellings: Sequence[str]) -> Iterator[Secret]:
    """Doubled quotes are added, as a literal in a literal has them."""
    shown = {text for text in spellings if text and not _PLACEHOLDER.fullmatch(text)}
    if shown:
        yield Secret(start, frozenset(shown | {text.replace("'", "''") for text in shown}))
