"""Values that must not be seen."""

from __future__ import annotations

from sqlmigrations.masking import MASK, mask


def test_every_occurrence_is_replaced() -> None:
    assert mask("PASSWORD 'geheim' (geheim)", ["geheim"]) == f"PASSWORD '{MASK}' ({MASK})"


def test_of_two_secrets_the_longer_goes_first() -> None:
    assert mask("abcdef abc", ["abc", "abcdef"]) == f"{MASK} {MASK}"


def test_a_very_short_secret_is_left() -> None:
    assert mask("a table", ["a", "", "ta"]) == "a table"


def test_without_secrets_nothing_changes() -> None:
    assert mask("a table", []) == "a table"
