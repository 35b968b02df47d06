"""What fits on one line of a terminal, and whether a stream takes it without making the writer wait."""

from __future__ import annotations

import os
import select
import unicodedata

from django.core.management.base import OutputWrapper

_COLUMNS = 80


def columns(out: OutputWrapper) -> int:
    """How wide the terminal behind a stream is now; 80 where it does not say."""
    try:
        return os.get_terminal_size(out.fileno()).columns or _COLUMNS
    except (OSError, ValueError):
        return _COLUMNS


def width(text: str) -> int:
    """How many columns a text takes: letters of East Asia two, accents that join the letter before them none."""
    return len(text) if text.isascii() else sum(map(_columns_of, text))


def cut(text: str, limit: int) -> str:
    """As much of the beginning of a text as fits into so many columns."""
    if width(text) <= limit:
        return text
    taken = 0
    for index, char in enumerate(text):
        taken += _columns_of(char)
        if taken > limit:
            return text[:index]
    return text


def is_ready(out: OutputWrapper) -> bool:
    """Whether a line can be written at once; not to a terminal that was stopped, nor to a pipe that nobody reads."""
    try:
        poll = select.poll()
        poll.register(out.fileno(), select.POLLOUT)
        return bool(poll.poll(0))
    except (AttributeError, OSError, ValueError):
        # No file of the system's, or a system that cannot tell.
        return True


def _columns_of(char: str) -> int:
    if unicodedata.combining(char) or unicodedata.category(char) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(char) in "WF" else 1
