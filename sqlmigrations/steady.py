"""Answers for which more than the ledger is asked: given again where a run has changed the ledger meanwhile."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

# A run that records all the time is not waited for.
_LOOKS = 5

Seen = TypeVar("Seen")
Answer = TypeVar("Answer")


def steady(read: Callable[[], Seen], answer: Callable[[Seen], tuple[Answer, bool]]) -> Answer:
    """What is answered about rows that afterwards are still what they were.

    Each question sees what is committed when it is asked: what a run commits between two of them would contradict
    itself, and be told as the work of somebody's hand.

    Args:
        read: Reads the ledger.
        answer: The answer, and whether anything else was asked for it.
    """
    seen = read()
    for _ in range(_LOOKS):
        given, asked = answer(seen)
        if not asked or (again := read()) == seen:
            break
        seen = again
    return given
