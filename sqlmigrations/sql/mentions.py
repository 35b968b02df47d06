"""Which words stand anywhere in a text, in whatever case, without a second copy of a long one."""

from __future__ import annotations

from collections.abc import Iterable

# Python may take twelve bytes for each letter of a text that it turns into lower case.
_PIECE = 1_000_000


def mentioned(words: Iterable[str], text: str, start: int = 0, end: int | None = None) -> set[str]:
    """Those of the words, given in lower case, that stand in the text between two offsets."""
    sought = set(words)
    found: set[str] = set()
    overlap = max(map(len, sought), default=0)
    end = len(text) if end is None else end
    for at in range(start, end, _PIECE):
        piece = text[at : min(at + _PIECE + overlap, end)].lower()
        found.update(word for word in sought - found if word in piece)
    return found
