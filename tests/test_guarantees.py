"""The page of guarantees and the tests of faults name each other, and no row is without one."""

from __future__ import annotations

import re

from tests.site import ROOT

PAGE = (ROOT / "docs" / "guarantees.md").read_text()
PROMISES, TABLE = PAGE.partition("\n## ")[2].split("\n## Every fault\n")
ROWS = [f"F{number:02}" for number in range(1, 84)] + [f"W{number:02}" for number in range(1, 19)]
NAMES = {
    path: re.findall(r"^def (test_\w+)\(", path.read_text(), re.MULTILINE)
    for path in sorted((ROOT / "tests").rglob("test_*.py"))
}


def rows_of(name: str) -> list[str]:
    """The rows that a test is named after: test_f26_f27_... shows two."""
    return re.findall(r"[FW]\d\d", re.match(r"test_((?:[fw]\d\d_)*)", name)[1].upper())  # type: ignore[index]


def listed() -> list[tuple[str, list[str]]]:
    """The rows of the table, with the tests that each names."""
    lines = re.findall(r"^\| (\w\d\d) \| .+ \| (.*) \|$", TABLE, re.MULTILINE)
    return [(row, re.findall(r"`(test_\w+)`", tests)) for row, tests in lines]


def test_every_row_is_in_the_table_in_order_and_under_a_promise() -> None:
    assert [row for row, _ in listed()] == ROWS
    assert sorted(re.findall(r"\b[FW]\d\d\b", PROMISES)) == ROWS


def test_every_row_names_the_tests_that_are_named_after_it() -> None:
    there = {row: sorted(name for names in NAMES.values() for name in names if row in rows_of(name)) for row in ROWS}

    assert {row: sorted(names) for row, names in listed()} == there
    assert [row for row, names in there.items() if not names] == []


def test_a_test_that_is_named_after_a_row_is_among_those_of_faults() -> None:
    elsewhere = [
        path.name for path, names in NAMES.items() if any(map(rows_of, names)) if path.parent.name != "faults"
    ]

    assert elsewhere == []


def test_every_test_that_the_page_names_exists() -> None:
    assert set(re.findall(r"`(test_\w+)`", PAGE)) - {name for names in NAMES.values() for name in names} == set()
