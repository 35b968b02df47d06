"""Directives that stand behind the first statement."""

from __future__ import annotations

import pytest

from sqlmigrations import lint
from sqlmigrations.parser import parse
from sqlmigrations.types import Allowance, Finding
from tests.lint.looking import look, rules, warning
from tests.samples import migration

REMEDY = "Move the line up, above the first statement; or reword it if it is prose."


def misplaced(place: tuple[int, int], key: str) -> Finding:
    message = f"{key}: stands behind the first statement, where it has no effect."
    return warning("misplaced-directive", place, message, REMEDY)


def test_between_and_behind_the_statements_each_line_is_told() -> None:
    found = look("-- depends: 003_y\nSELECT 1;\n\n  --Database : x\nSELECT 2\n;-- prose\n-- allow: rename new\n")

    assert found == [misplaced((4, 3), "database"), misplaced((7, 1), "allow")]


def test_a_begin_around_the_file_is_its_first_statement() -> None:
    script = parse(migration("shop.004_x", "BEGIN;\n-- lock-timeout: 3s\nSELECT 1;\nCOMMIT;\n"))

    found = lint.inspect(lint.Subject("shop.004_x", "shop/004_x.sql", script.statements), lint.Created())

    assert found == [misplaced((2, 1), "lock-timeout")]


def test_a_line_behind_inline_data_is_told() -> None:
    found = look("COPY t FROM stdin;\n-- late: why\n\\.\n-- late: why\n")

    assert found == [misplaced((4, 1), "late")]


@pytest.mark.parametrize(
    "sql",
    [
        "-- late: why\nSELECT 1;\n",
        "SELECT 1;\n-- later: why\n-- late:\n-- a late: why\n",
        "SELECT 1; -- late: why\n",
        "SELECT 1,\n-- late: why\n2;\n",
        "SELECT '\n-- late: why\n';\n",
        "DO $$\n-- late: why\nBEGIN END $$;\n",
        "SELECT 1;\n/*\n-- late: why\n*/\n",
        "/*\n-- late: why\n*/ SELECT 1;\n",
    ],
)
def test_elsewhere_it_is_read_or_prose(sql: str) -> None:
    assert rules(sql) == []


def test_it_can_be_allowed() -> None:
    allow = [Allowance("misplaced-directive", "it is prose", 1)]

    assert look("SELECT 1;\n-- late: why\n", allow=allow) == []
