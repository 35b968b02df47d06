"""String constants: what they say once decoded, and the SQL that some of them hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from sqlmigrations.sql.lexer import INSIGNIFICANT, ScanError, Token, TokenKind, lex

_PIECE = re.compile(r"'((?:[^']|'')*+)'(?:\s|--[^\n]*+)*+")
_ESCAPED_PIECE = re.compile(r"'((?:[^'\\]|\\[\s\S]|'')*+)'(?:\s|--[^\n]*+)*+")
_ESCAPE = re.compile(r"\\(?:([0-7]{1,3})|x([0-9A-Fa-f]{1,2})|u([0-9A-Fa-f]{4})|U([0-9A-Fa-f]{8})|([\s\S]))")
_UNICODE = re.compile(r"\\(?:(\\)|([0-9A-Fa-f]{4})|\+([0-9A-Fa-f]{6}))")
_NAMED = {"b": "\b", "f": "\f", "n": "\n", "r": "\r", "t": "\t"}
# Literals within literals that are looked into: each level is one more reading of what is in it.
DEEPEST = 16
_LITERALS = frozenset({TokenKind.STRING, TokenKind.DOLLAR})


def is_literal(token: Token) -> bool:
    """Whether the token is a string constant, quoted in whichever way."""
    return token.kind in _LITERALS


def pieces(token: Token) -> list[str]:
    """What stands between the quotes, as written; several for a constant continued on the next line."""
    if token.kind is TokenKind.DOLLAR:
        tag = token.text[: token.text.index("$", 1) + 1]
        return [token.text[len(tag) : -len(tag)]]
    pattern = _ESCAPED_PIECE if token.text[0] in "eE" else _PIECE
    found = []
    at = token.text.index("'")
    while match := pattern.match(token.text, at):
        found.append(match.group(1))
        at = match.end()
    return found


def decoded(token: Token) -> str:
    """The value the server makes of a string constant."""
    text = "".join(pieces(token))
    if token.kind is TokenKind.DOLLAR:
        return text
    text = text.replace("''", "'")
    if token.text[0] in "eE":
        return _ESCAPE.sub(_escape, text)
    if token.text[0] in "uU":
        return _UNICODE.sub(_unicode, text)
    return text


def code(text: str) -> tuple[Token, ...]:
    """The significant tokens of SQL or PL/pgSQL, as far as it can be read; offsets are those of ``text``."""
    found = []
    try:
        for token in lex(text, without=INSIGNIFICANT):
            found.append(token)
    except ScanError:
        pass
    return tuple(found)


def code_in(tokens: Sequence[Token], levels: int = DEEPEST) -> Iterator[tuple[Token, ...]]:
    """The tokens inside each string constant, and inside the constants in there, as EXECUTE has them."""
    for token in tokens if levels else ():
        if is_literal(token):
            inside = code(decoded(token))
            yield inside
            yield from code_in(inside, levels - 1)


def _escape(match: re.Match[str]) -> str:
    octal, short, four, eight, other = match.groups()
    if other:
        return _NAMED.get(other, other)
    return _character(int(octal, 8) & 0xFF if octal else int(short or four or eight, 16))


def _unicode(match: re.Match[str]) -> str:
    return match.group(1) or _character(int(match.group(2) or match.group(3), 16))


def _character(number: int) -> str:
    return chr(number) if number <= 0x10FFFF else ""
