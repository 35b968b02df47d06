"""Cuts SQL text into statements and tokens, and says where in the text each one stands."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

from sqlmigrations.sql.boundaries import line_end, spans
from sqlmigrations.sql.copydata import CLOSING
from sqlmigrations.sql.lexer import INSIGNIFICANT, ScanError, Token, TokenKind, lex, position

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
]

# Every rule asks for the tokens of the statement at hand; longer statements are few, and their tokens many.
REMEMBERED_STATEMENTS, REMEMBERED_LENGTH = 64, 8_000


@dataclass(frozen=True, slots=True)
class Statement:
    r"""One statement where it lies in its text.

    Attributes:
        source: The whole text it is a part of.
        start: Offset of its first token.
        end: Offset behind its semicolon, or behind its last token when it has none.
        line: Line of the first token, from 1.
        column: Column of the first token in characters, from 1.
        data: Span of the inline COPY data in ``source``, without the closing ``\.`` line.
    """

    source: str = field(repr=False)
    start: int
    end: int
    line: int
    column: int
    data: tuple[int, int] | None = None

    @property
    def text(self) -> str:
        """The statement as written, with its semicolon when it has one."""
        return self.source[self.start : self.end]

    @property
    def copy_data(self) -> str | None:
        """The inline data of a ``COPY ... FROM STDIN``, with its last line break."""
        return None if self.data is None else self.source[self.data[0] : self.data[1]]

    def tokens(self) -> tuple[Token, ...]:
        """Its significant tokens, offsets counted in ``source``, the closing semicolon left out."""
        read = _tokens_of if self.end - self.start > REMEMBERED_LENGTH else _remembered_tokens_of
        return read(self.source, self.start, self.end)


def _tokens_of(source: str, start: int, end: int) -> tuple[Token, ...]:
    found = tuple(lex(source, start, end, without=INSIGNIFICANT))
    return found[:-1] if found[-1].text == ";" else found


_remembered_tokens_of = lru_cache(REMEMBERED_STATEMENTS)(_tokens_of)


@dataclass(frozen=True, slots=True)
class MetaCommand:
    """A psql backslash command up to the end of its line; no server understands it."""

    text: str
    line: int
    column: int


class Split(NamedTuple):
    """A text cut into statements, and the psql commands met between or inside them."""

    statements: tuple[Statement, ...]
    meta: tuple[MetaCommand, ...]


def split(text: str) -> Split:
    r"""Cut a text into its statements; empty ones and ``\restrict`` lines are passed over.

    Raises:
        ScanError: A quote, a comment or the data of a COPY is not closed.
    """
    statements: list[Statement] = []
    backslashes: set[int] = set()
    place = _Place(text)
    for start, end, data in spans(text, 0, len(text), backslashes):
        statements.append(Statement(text, start, end, *place.of(start), data))
    place = _Place(text)
    meta = (
        MetaCommand(text[offset : line_end(text, offset, len(text))].rstrip(), *place.of(offset))
        for offset in sorted(backslashes)
    )
    return Split(tuple(statements), tuple(meta))


def tokens(
    text: str, start: int = 0, end: int | None = None, *, without: Container[TokenKind] = ()
) -> Iterator[Token]:
    """All tokens between two offsets, COPY data as one token; their texts joined are the text.

    Both offsets stand between statements. Kinds in ``without`` are passed over.

    Raises:
        ScanError: A quote, a comment or the data of a COPY is not closed.
    """
    pos, end = start, len(text) if end is None else end
    for span in spans(text, start, end, set()):
        if span.data is not None:
            yield from lex(text, pos, span.data[0], without=without)
            pos = span.data[1] + len(CLOSING)
            yield Token(TokenKind.DATA, text[span.data[0] : pos], span.data[0])
    yield from lex(text, pos, end, without=without)


def significant(text: str, start: int = 0, end: int | None = None) -> Iterator[Token]:
    """``tokens`` without white space and comments."""
    return tokens(text, start, end, without=INSIGNIFICANT)


class _Place:
    """Line and column of offsets asked for in rising order, each line break counted once."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.line, self.line_start, self.seen = 1, 0, 0

    def of(self, offset: int) -> tuple[int, int]:
        breaks = self.text.count("\n", self.seen, offset)
        if breaks:
            self.line += breaks
            self.line_start = self.text.rfind("\n", self.seen, offset) + 1
        self.seen = offset
        return self.line, offset - self.line_start + 1
