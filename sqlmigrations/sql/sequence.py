"""The statements of a text as offsets in it: a file may hold a million, and each is made when it is asked for."""

from __future__ import annotations

import re
from array import array
from bisect import bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import overload

from sqlmigrations.sql.lexer import INSIGNIFICANT, Token, lex

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
class Offsets:
    """Where the statements of a text lie; two integers for each.

    Attributes:
        data: Spans of COPY data, by the index of their statement.
        runs: Indexes of the first plain INSERT of a run and behind its last, one run after the other.
        absent: Patterns of which it is known that they match nowhere in the text but for the data.
    """

    source: str = field(repr=False)
    starts: array[int]
    ends: array[int]
    data: Mapping[int, tuple[int, int]]
    runs: Sequence[tuple[int, int]]
    absent: set[re.Pattern[str]] = field(default_factory=set)


class Statements(Sequence[Statement]):
    """Statements that follow each other in one text; as a tuple of them in everything but the room they take."""

    __slots__ = ("_first", "_offsets", "_place", "_stop")

    def __init__(self, offsets: Offsets, first: int = 0, stop: int | None = None) -> None:
        self._offsets = offsets
        self._first = first
        self._stop = len(offsets.starts) if stop is None else stop
        self._place = Place(offsets.source)

    def __len__(self) -> int:
        return self._stop - self._first

    @overload
    def __getitem__(self, index: int) -> Statement: ...

    @overload
    def __getitem__(self, index: slice) -> Sequence[Statement]: ...

    def __getitem__(self, index: int | slice) -> Statement | Sequence[Statement]:
        chosen = range(self._first, self._stop)[index]
        if isinstance(chosen, int):
            return self._made(chosen)
        if chosen.step == 1:
            return Statements(self._offsets, chosen.start, chosen.stop)
        return tuple(map(self._made, chosen))

    def __iter__(self) -> Iterator[Statement]:
        return map(self._made, range(self._first, self._stop))

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Statements | tuple):
            return NotImplemented
        return len(self) == len(other) and all(mine == its for mine, its in zip(self, other, strict=True))

    def __hash__(self) -> int:
        return hash((self._offsets.source, self._first, self._stop))

    def __repr__(self) -> str:
        return f"Statements({', '.join(map(repr, self[:3]))}{', ...' if len(self) > 3 else ''})"

    def stretches(self) -> Iterator[tuple[int, int]]:
        """The indexes of the first and the last of what can be told from its first: a run of plain INSERTs, or one."""
        runs = self._offsets.runs
        at = self._first
        for first, stop in runs[bisect_right(runs, at, key=itemgetter(1)) :]:
            yield from ((index - self._first,) * 2 for index in range(at, min(first, self._stop)))
            at = max(at, first)
            if at >= self._stop:
                return
            yield at - self._first, min(stop, self._stop) - 1 - self._first
            at = stop
        yield from ((index - self._first,) * 2 for index in range(at, self._stop))

    def reach(self, index: int, last: int, offset: int) -> int:
        """See the function of that name."""
        return bisect_right(self._offsets.ends, offset, self._first + index, self._first + last + 1) - self._first

    def holding(self, pattern: re.Pattern[str]) -> Iterator[Statement]:
        """Those in which a match begins, found by searching the text and not one after the other."""
        if not self:
            return
        starts, ends = self._offsets.starts, self._offsets.ends
        index, pos, end = self._first, starts[self._first], ends[self._stop - 1]
        while match := pattern.search(self._offsets.source, pos, end):
            index = bisect_right(starts, match.start(), index, self._stop) - 1
            if match.start() < ends[index]:
                yield self._made(index)
            index += 1
            if index == self._stop:
                return
            pos = starts[index]

    def lacks(self, pattern: re.Pattern[str]) -> bool:
        """Whether a pattern matches nowhere in the text, COPY data left out; a long one is searched only once."""
        offsets = self._offsets
        if pattern not in offsets.absent:
            edges = [0, *chain.from_iterable(offsets.data.values()), len(offsets.source)]
            if any(pattern.search(offsets.source, *part) for part in zip(edges[::2], edges[1::2], strict=True)):
                return False
            offsets.absent.add(pattern)
        return True

    def _made(self, index: int) -> Statement:
        offsets = self._offsets
        start = offsets.starts[index]
        place = self._place.of(start)
        return Statement(offsets.source, start, offsets.ends[index], *place, offsets.data.get(index))


def stretches(every: Sequence[Statement]) -> Iterator[tuple[int, int]]:
    """See ``Statements.stretches``."""
    return every.stretches() if isinstance(every, Statements) else ((index, index) for index in range(len(every)))


def telling(every: Sequence[Statement]) -> Iterator[tuple[int, Statement]]:
    """As many of the statements as it takes to know what all of them are, each with its index.

    Of a run of plain INSERTs the first stands for the others: they differ in the constants only that they insert.
    """
    return ((first, every[first]) for first, _ in stretches(every))


def reach(every: Sequence[Statement], index: int, last: int, offset: int) -> int:
    """The index behind the last statement, of these from one to another, that ends at an offset or before."""
    if isinstance(every, Statements):
        return every.reach(index, last, offset)
    return next((at for at in range(index, last + 1) if every[at].end > offset), last + 1)


def holding(every: Sequence[Statement], pattern: re.Pattern[str]) -> Iterator[Statement]:
    """Those in which a match of a pattern begins."""
    if isinstance(every, Statements):
        return every.holding(pattern)
    return (each for each in every if pattern.search(each.source, each.start, each.end))


def lacking(every: Sequence[Statement], pattern: re.Pattern[str]) -> bool:
    """Whether a pattern is known to match nowhere in their text, comments between them included, COPY data not."""
    return isinstance(every, Statements) and every.lacks(pattern)


class Place:
    """Line and column of offsets in a text; near the one asked for before, it takes little to tell."""

    __slots__ = ("_known", "_text")

    def __init__(self, text: str) -> None:
        self._text = text
        self._known = (0, 1, 0)  # an offset, its line, and where that begins; in one piece for threads

    def of(self, offset: int) -> tuple[int, int]:
        """Both from 1, the column in characters."""
        text = self._text
        seen, line, line_start = self._known if offset * 2 > self._known[0] else (0, 1, 0)
        if offset < line_start:
            line -= text.count("\n", offset, line_start)
            line_start = text.rfind("\n", 0, offset) + 1
        elif breaks := text.count("\n", seen, offset):
            line += breaks
            line_start = text.rfind("\n", seen, offset) + 1
        self._known = (offset, line, line_start)
        return line, offset - line_start + 1
