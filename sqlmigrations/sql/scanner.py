"""Cuts SQL text into statements and tokens, and says where in the text each one stands."""

from __future__ import annotations

from array import array
from collections.abc import Container, Iterator
from dataclasses import dataclass
from typing import NamedTuple

from sqlmigrations.sql.boundaries import line_end, next_start, span, spans
from sqlmigrations.sql.lexer import INSIGNIFICANT, ScanError, Token, TokenKind, lex, position
from sqlmigrations.sql.plain import plain_inserts
from sqlmigrations.sql.sequence import Offsets, Place, Statement, Statements

__all__ = [
    "MetaCommand",
    "ScanError",
    "Split",
    "Statement",
    "Token",
    "TokenKind",
    "position",
    "significant",
    "split",
    "tokens",
    "uncut",
]


@dataclass(frozen=True, slots=True)
class MetaCommand:
    """A psql backslash command up to the end of its line; no server understands it."""

    text: str
    line: int
    column: int


class Split(NamedTuple):
    """A text cut into statements, and the psql commands met between or inside them."""

    statements: Statements
    meta: tuple[MetaCommand, ...]


def split(text: str) -> Split:
    r"""Cut a text into its statements; empty ones and ``\restrict`` lines are passed over.

    Raises:
        ScanError: A quote, a comment or the data of a COPY is not closed.
    """
    backslashes: set[int] = set()
    offsets = _offsets(text, backslashes)
    place = Place(text)
    meta = (
        MetaCommand(text[offset : line_end(text, offset, len(text))].rstrip(), *place.of(offset))
        for offset in sorted(backslashes)
    )
    return Split(Statements(offsets), tuple(meta))


def uncut(text: str) -> Split:
    """A text that cannot be cut: none of its statements is known."""
    return Split(Statements(Offsets(text, array("q"), array("q"), {}, ())), ())


def _offsets(text: str, backslashes: set[int]) -> Offsets:
    """Where the statements lie, runs of plain INSERTs found at once; offsets of psql commands go to the set."""
    starts, ends = array("q"), array("q")
    data: dict[int, tuple[int, int]] = {}
    runs: list[tuple[int, int]] = []
    pos, end = 0, len(text)
    while (start := next_start(text, pos, end, backslashes)) < end:
        first = len(starts)
        if text[start] in "iI":
            for opening, closing in plain_inserts(text, start, end):
                starts.append(opening)
                ends.append(closing)
        if first < len(starts):
            runs.append((first, len(starts)))
            pos = ends[-1]
            continue
        found = span(text, start, end, backslashes)
        if found.data is not None:
            data[first] = found.data
        starts.append(start)
        ends.append(found.end)
        pos = found.behind
    return Offsets(text, starts, ends, data, runs)


def tokens(
    text: str, start: int = 0, end: int | None = None, *, without: Container[TokenKind] = ()
) -> Iterator[Token]:
    """All tokens between two offsets, COPY data as one token; their texts joined are the text.

    Both offsets stand between statements. Kinds in ``without`` are passed over.

    Raises:
        ScanError: A quote, a comment or the data of a COPY is not closed.
    """
    pos, end = start, len(text) if end is None else end
    for found in spans(text, start, end, set()):
        if found.data is not None:
            yield from lex(text, pos, found.data[0], without=without)
            pos = found.behind
            yield Token(TokenKind.DATA, text[found.data[0] : pos], found.data[0])
    yield from lex(text, pos, end, without=without)


def significant(text: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """``tokens`` without white space and comments."""
    return tokens(text, start, end, without=INSIGNIFICANT)
