"""PostgreSQL's lexical rules: where one token ends and the next begins, and nothing about statements.

The rules are those of ``src/backend/parser/scan.l`` (https://www.postgresql.org/docs/current/sql-syntax-lexical.html),
with ``standard_conforming_strings`` on, plus psql's backslash commands, which a server never sees.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator
from enum import Enum
from typing import NamedTuple


def possessive(alternatives: str) -> str:
    """A pattern that repeats a group any number of times and never gives back.

    Before Python 3.11.5 (gh-106052) a possessive group ends wherever its last, failed round had got to. An
    alternative that fails at once, tried last, puts it back to where that round began.
    """
    return rf"(?:{alternatives}|(?!))*+"


# The server looks at bytes: everything beyond ASCII is a letter to it, a no-break space too. Written as what is no
# letter, because Python compiles a class with a range up to the last character a hundred times slower.
_LETTER = r"[^\x00-@\[-^`{-\x7f]"
_LETTER_OR_DIGIT = r"[^\x00-/:-@\[-^`{-\x7f]"
WORD = rf"{_LETTER}[^\x00-#%-/:-@\[-^`{{-\x7f]*+"  # a dollar sign may follow too
LINE_COMMENT = r"--[^\n\r]*+"
# String constants that only a line break separates are one constant, so an E'' goes on with its escapes.
_CONTINUED = (
    possessive(rf"[ \t\f\v]|{LINE_COMMENT}") + r"[\n\r]" + possessive(rf"[ \t\n\r\f\v]|{LINE_COMMENT}[\n\r]") + "'"
)
PLAIN_BODY = possessive("[^']++|''") + "'"
_ESCAPE_BODY = possessive(r"[^'\\]++|\\[\s\S]|''") + "'"
PLAIN_STRING = rf"'{PLAIN_BODY}" + possessive(_CONTINUED + PLAIN_BODY)
ESCAPE_STRING = rf"[eE]'{_ESCAPE_BODY}" + possessive(_CONTINUED + _ESCAPE_BODY) + rf"(?!{_CONTINUED})"
_BIT_STRING = "[bBxX]'[^']*+'" + possessive(_CONTINUED + "[^']*+'")  # no doubled quotes in them
QUOTED_NAME = '"' + possessive('[^"]++|""') + '"'
_DIGITS = r"[0-9]" + possessive(r"_?[0-9]")
NUMBER = (
    rf"0[xX]_?[0-9a-fA-F]{possessive('_?[0-9a-fA-F]')}"
    rf"|0[oO]_?[0-7]{possessive('_?[0-7]')}|0[bB]_?[01]{possessive('_?[01]')}"
    rf"|(?:{_DIGITS}(?:\.(?!\.)(?:{_DIGITS})?)?|\.{_DIGITS})(?:[eE][+-]?{_DIGITS})?"
)
_OPERATOR = r"(?!--|/\*)[~!@#^&|`?+*%<>=/-]" + possessive(r"(?!--|/\*)[~!@#^&|`?+*%<>=/-]")
_FREE_OPERATOR = re.compile(r"[~!@#^&|`?%]")

_SPACE = re.compile(r"[ \t\n\r\f\v]*+")
_VISIBLE = (
    rf"(?P<COMMENT>{LINE_COMMENT})"
    rf"|(?P<STRING>{ESCAPE_STRING}|{_BIT_STRING}|(?:[nN]|[uU]&)?{PLAIN_STRING})"
    rf"|(?P<IDENTIFIER>(?:[uU]&)?{QUOTED_NAME})"
    rf"|(?P<WORD>(?![eE]'){WORD})"
    rf"|(?P<NUMBER>{NUMBER})"
    rf"|(?P<OPERATOR>{_OPERATOR})"
    rf"|(?P<PUNCTUATION>::|:=|\.\.|[()\[\],;.:])"
    rf"|(?P<PARAMETER>\$[0-9]++)"
    rf"|(?P<META>\\[^\n]*+)"
)
_TOKEN = re.compile(rf"(?P<SPACE>[ \t\n\r\f\v]++)|{_VISIBLE}")
# Half of all tokens are white space, and mostly nobody wants it: it is passed over by the pattern, not token by token.
_NEXT_VISIBLE = re.compile(rf"{_SPACE.pattern}(?:{_VISIBLE})")
_DOLLAR_TAG = re.compile(rf"\$(?:{_LETTER}{_LETTER_OR_DIGIT}*+)?\$")
_COMMENT_MARK = re.compile(r"/\*|\*/")
_UNICODE_ESCAPE = r"{0}(?:({0})|([0-9A-Fa-f]{{4}})|\+([0-9A-Fa-f]{{6}}))"
_ASCII_LOWER = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}


class TokenKind(Enum):
    """What a token is; every character of a text belongs to exactly one token."""

    WORD = "word"
    IDENTIFIER = "identifier"
    STRING = "string"
    DOLLAR = "dollar"
    NUMBER = "number"
    PARAMETER = "parameter"
    OPERATOR = "operator"
    PUNCTUATION = "punctuation"
    COMMENT = "comment"
    SPACE = "space"
    META = "meta"
    DATA = "data"


_KINDS: dict[str | None, TokenKind] = {kind.name: kind for kind in TokenKind}
INSIGNIFICANT = (TokenKind.SPACE, TokenKind.COMMENT)
NESTING = {"(": 1, "[": 1, ")": -1, "]": -1, ";": 0}


class Token(NamedTuple):
    """One token; ``start`` is its offset in the whole text."""

    kind: TokenKind
    text: str
    start: int

    @property
    def value(self) -> str:
        """A word in lower case as the server folds it, a quoted name without its quotes, else the text."""
        if self.kind is TokenKind.WORD:
            return self.text.lower() if self.text.isascii() else self.text.translate(_ASCII_LOWER)
        if self.kind is TokenKind.IDENTIFIER:
            return self.text[1:-1].replace('""', '"') if self.text[0] == '"' else self.unescaped("\\")
        return self.text

    def unescaped(self, escape: str) -> str:
        """A name such as ``U&"d!0061t"`` with its escapes, which begin with that character, resolved."""
        name = self.text[self.text.index('"') + 1 : -1].replace('""', '"')
        return _joined(re.sub(_UNICODE_ESCAPE.format(re.escape(escape)), _unescape, name))


_new = tuple.__new__


class ScanError(Exception):
    """A quote, comment or COPY block that nothing closes; the place is where it was opened.

    Attributes:
        message: What was met, without the place.
        offset: Offset in the text, from 0.
        line: Line, from 1.
        column: Column in characters, from 1.
    """

    def __init__(self, message: str, text: str, offset: int) -> None:
        """Find line and column of the offset in the text."""
        self.message = message
        self.offset = offset
        self.line, self.column = position(text, offset)
        super().__init__(f"{message} at line {self.line}, column {self.column}")


def position(text: str, offset: int) -> tuple[int, int]:
    """Line and column of an offset, both from 1, the column in characters."""
    return text.count("\n", 0, offset) + 1, offset - text.rfind("\n", 0, offset)


def lex(text: str, start: int = 0, end: int | None = None, *, without: Container[TokenKind] = ()) -> Iterator[Token]:
    """The tokens between two offsets, knowing nothing of statements and so of no COPY data.

    Args:
        text: What the offsets count in.
        start: Where to begin.
        end: Where to stop; ``None`` is the end of the text.
        without: Kinds to pass over, which takes less time than to make them and throw them away.

    Raises:
        ScanError: A quote or comment is still open at the end.
    """
    pos, end = start, len(text) if end is None else end
    visible_only = TokenKind.SPACE in without
    pattern = _NEXT_VISIBLE if visible_only else _TOKEN
    while pos < end:
        match = pattern.match(text, pos, end)
        if match is None:
            if visible_only and (pos := _after_space(text, pos, end)) == end:
                return
            token = _unmatched(text, pos, end)
            if token.kind not in without:
                yield token
            pos += len(token.text)
            continue
        kind, group = _KINDS[match.lastgroup], match.lastindex or 0
        if kind is TokenKind.OPERATOR:
            yield from _operators(match[group], match.start(group))
        elif kind not in without:
            # As Token(...) does, in half the time; there is no more frequent object.
            yield _new(Token, (kind, match[group], match.start(group)))
        pos = match.end()


def _after_space(text: str, pos: int, end: int) -> int:
    space = _SPACE.match(text, pos, end)
    return space.end() if space else pos


def opaque_end(text: str, pos: int, end: int) -> int | None:
    """Where the block comment or dollar-quoted string that starts here ends; ``None`` if none starts.

    Raises:
        ScanError: It is still open at the end.
    """
    if text.startswith("/*", pos, end):
        return _comment_end(text, pos, end)
    tag = _DOLLAR_TAG.match(text, pos, end)
    if tag is None:
        return None
    close = text.find(tag.group(), tag.end(), end)
    if close < 0:
        raise ScanError(f"unterminated dollar-quoted string {tag.group()}", text, pos)
    return close + len(tag.group())


def _comment_end(text: str, pos: int, end: int) -> int:
    depth = 0
    for mark in _COMMENT_MARK.finditer(text, pos, end):
        depth += 1 if mark.group() == "/*" else -1
        if depth == 0:
            return mark.end()
    raise ScanError("unterminated /* comment", text, pos)


def refuse_open_quote(text: str, pos: int) -> None:
    """Raise when what stands here is a quote, given that no complete quoted token was found here.

    Raises:
        ScanError: The quote has no end.
    """
    if text[pos] == "'" or text[pos : pos + 2] in ("e'", "E'"):
        raise ScanError("unterminated quoted string", text, pos)
    if text[pos] == '"':
        raise ScanError("unterminated quoted identifier", text, pos)


def _unmatched(text: str, pos: int, end: int) -> Token:
    """What no single pattern can tell: nested comments, dollar quotes, open quotes, stray characters."""
    stop = opaque_end(text, pos, end)
    if stop is not None:
        kind = TokenKind.COMMENT if text[pos] == "/" else TokenKind.DOLLAR
        return Token(kind, text[pos:stop], pos)
    refuse_open_quote(text, pos)
    return Token(TokenKind.OPERATOR, text[pos], pos)


def _operators(run: str, pos: int) -> Iterator[Token]:
    """Cut a run of operator characters: only one with a character such as ~ or % may end in + or -."""
    name = run if _FREE_OPERATOR.search(run) else run.rstrip("+-")
    if name:
        yield Token(TokenKind.OPERATOR, name, pos)
    for offset in range(len(name), len(run)):
        yield Token(TokenKind.OPERATOR, run[offset], pos + offset)


def _unescape(match: re.Match[str]) -> str:
    if match.group(1):
        return match.group(1)
    code = int(match.group(2) or match.group(3), 16)
    return chr(code) if code <= 0x10FFFF else match.group()


def _joined(name: str) -> str:
    """The two halves in which a character beyond the first 65,536 may be written become one."""
    return name.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
