"""Finds where each statement of a text begins and ends, as psql would."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from sqlmigrations.sql.copydata import CLOSING, data_span, reads_stdin
from sqlmigrations.sql.lexer import (
    ESCAPE_STRING,
    INSIGNIFICANT,
    LINE_COMMENT,
    NESTING,
    NUMBER,
    PLAIN_BODY,
    PLAIN_STRING,
    QUOTED_NAME,
    WORD,
    TokenKind,
    lex,
    opaque_end,
    possessive,
    refuse_open_quote,
)

_BETWEEN = re.compile(possessive(rf"[ \t\n\r\f\v;]|{LINE_COMMENT}"))
# Space and signs that begin nothing: no letter, digit, quote, bracket, dollar, semicolon, dash, slash or backslash.
_HARMLESS = r"[\x00-!#%&*+,.:<-@^`{-\x7f]++"
# The fast way over what most statements are made of: anything up to the end of a string without escapes, of a quoted
# name or of a pair of parentheses. Where one ends a token ends, whatever the tokens before it are.
_QUIET = r"[^'\"$;()\[\]\\/-]*+"
_CLOSED = rf"(?<![eE])'{PLAIN_BODY}|{QUOTED_NAME}|-(?!-)"
_PAIR = rf"\({possessive(f'{_QUIET}(?:{_CLOSED})')}{_QUIET}\)"
_PAIR_OF_PAIRS = rf"\({possessive(f'{_QUIET}(?:{_CLOSED}|{_PAIR})')}{_QUIET}\)"
_FAST = re.compile(possessive(rf"{_QUIET}(?:{_CLOSED}|{_PAIR_OF_PAIRS})"))
# One leap over everything that cannot end a statement; Python sees parentheses, dollars and semicolons.
_BORING = re.compile(
    possessive(
        rf"{_HARMLESS}|(?![eE]'){WORD}|{NUMBER}|{ESCAPE_STRING}|{PLAIN_STRING}|{QUOTED_NAME}"
        rf"|-(?!-)|/(?!\*)|{LINE_COMMENT}"
    )
)
# Only routines have semicolons of their own outside parentheses, and the first comes behind BEGIN ATOMIC.
_CREATE = re.compile(r"(?ai)create\b")
_ATOMIC = re.compile(r"(?ai)\batomic\b")
_COPY = re.compile(r"(?ai)copy\b")
_RESTRICT = re.compile(r"\\(?:un)?restrict(?:[ \t]+[^\s\\]+)?\s*\Z")
_OPENING_WORDS = 4


class Span(NamedTuple):
    """One statement, and the inline COPY data that follows it."""

    start: int
    end: int
    data: tuple[int, int] | None

    @property
    def behind(self) -> int:
        """Where what follows it begins."""
        return self.end if self.data is None else self.data[1] + len(CLOSING)


def spans(text: str, pos: int, end: int, backslashes: set[int]) -> Iterator[Span]:
    """Where each statement lies; offsets of psql commands are added to ``backslashes`` on the way."""
    while (start := next_start(text, pos, end, backslashes)) < end:
        found = span(text, start, end, backslashes)
        pos = found.behind
        yield found


def span(text: str, start: int, end: int, backslashes: set[int]) -> Span:
    """Where the statement lies that begins there."""
    stop = _plain_end(text, start, end, backslashes)
    if _CREATE.match(text, start, stop) and _ATOMIC.search(text, start, stop):
        stop = _routine_end(text, start, end, backslashes)
    data = None
    if _COPY.match(text, start, stop) and reads_stdin(text, start, stop):
        data = data_span(text, start, stop, end)
    return Span(start, stop, data)


def next_start(text: str, pos: int, end: int, backslashes: set[int]) -> int:
    """Offset of the next statement's first token, or ``end``."""
    while True:
        found = _BETWEEN.match(text, pos, end)
        pos = found.end() if found else pos
        if text.startswith("/*", pos, end):
            pos = opaque_end(text, pos, end) or end
        elif text.startswith("\\", pos, end):
            stop = line_end(text, pos, end)
            if not _RESTRICT.match(text, pos, stop):
                backslashes.add(pos)
            pos = stop
        else:
            return pos


def _plain_end(text: str, pos: int, end: int, backslashes: set[int]) -> int:
    """Offset behind the semicolon outside all quotes and parentheses, or behind the last token."""
    depth = 0
    known = pos  # nothing before this offset needs a second look should the text end without a semicolon
    while True:
        pos = _leap(text, pos, end)
        if pos >= end:
            return _last_token_end(text, known, end)
        char = text[pos]
        if char == "\\":
            backslashes.add(pos)
            pos = line_end(text, pos, end)
            continue
        if char in ";()[]":
            pos += 1
            depth = max(depth + NESTING[char], 0)
            if char == ";" and depth == 0:
                return pos
        else:
            refuse_open_quote(text, pos)
            pos = opaque_end(text, pos, end) or pos + 1
            if char == "/":
                continue
        known = pos


def _leap(text: str, pos: int, end: int) -> int:
    """Offset of the next character that may end a statement, or begins what no pattern can tell."""
    for pattern in (_FAST, _BORING):
        found = pattern.match(text, pos, end)
        pos = found.end() if found else pos
    return pos


def _routine_end(text: str, pos: int, end: int, backslashes: set[int]) -> int:
    """The same for what may be a function or procedure with a BEGIN ATOMIC body.

    END closes a body only as the first word of one of its statements: that of a CASE never stands there.
    """
    depth = bodies = 0
    opening: list[str] = []  # first words of the innermost statement
    previous = ""
    last = pos
    for token in lex(text, pos, end):
        if token.kind in INSIGNIFICANT:
            continue
        if token.kind is TokenKind.META:
            backslashes.add(token.start)
            continue
        word = token.text.lower()
        last = token.start + len(token.text)
        depth = max(depth + NESTING.get(word, 0), 0)
        if bodies and not opening and word == "end":
            bodies -= 1
        elif word == ";" and depth == 0:
            if not bodies:
                return last
            opening = []
        elif word == "atomic" and previous == "begin" and depth == 0 and _is_routine(opening):
            bodies += 1
            opening = []
        elif len(opening) < _OPENING_WORDS:
            opening.append(word)
        previous = word
    return last


def _is_routine(opening: list[str]) -> bool:
    words = [word for word in opening if word not in ("or", "replace")]
    return words[:1] == ["create"] and words[1:2] in (["function"], ["procedure"])


def _last_token_end(text: str, pos: int, end: int) -> int:
    for token in lex(text, pos, end):
        if token.kind not in INSIGNIFICANT and token.kind is not TokenKind.META:
            pos = token.start + len(token.text)
    return pos


def line_end(text: str, pos: int, end: int) -> int:
    """Offset of the line break that ends this line, or ``end``."""
    found = text.find("\n", pos, end)
    return end if found < 0 else found
