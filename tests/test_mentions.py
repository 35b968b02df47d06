"""Words that stand somewhere in a text, told in pieces."""

from __future__ import annotations

import pytest

from sqlmigrations.sql import mentions
from sqlmigrations.sql.mentions import mentioned


def test_words_are_found_in_whatever_case() -> None:
    assert mentioned(["drop", "truncate", "passw"], "Drop TABLE a; -- PASSWORDS") == {"drop", "passw"}


@pytest.mark.parametrize("start", range(10))
def test_a_word_is_found_across_the_edge_of_two_pieces(monkeypatch: pytest.MonkeyPatch, start: int) -> None:
    monkeypatch.setattr(mentions, "_PIECE", 5)

    assert mentioned(["truncate", "x"], " " * start + "TRUNCATE a" + " " * 10) == {"truncate"}


def test_nothing_is_found_in_nothing() -> None:
    assert mentioned(["drop"], "") == set()
    assert mentioned([], "DROP") == set()
