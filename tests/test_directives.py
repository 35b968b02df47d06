"""The comment block before the first statement."""

from __future__ import annotations

import pytest

from sqlmigrations.directives import DIRECTIVES, DirectiveFault, duration_ms, read
from sqlmigrations.types import Allowance, Dependency, Directives, DjangoMigration, Mode


def fault(header: str) -> DirectiveFault:
    directives, (found,) = read(header)
    assert directives == Directives()
    return found


def test_every_directive_is_read() -> None:
    header = """\
-- What this file is about: invoices.
-- depends: 001_initial_schema, billing.004_x.sql
-- depends: shop.002_y, django:shop.0003_name, django:blog.__latest__
-- transaction: off
-- lock-timeout: 3s
-- statement-timeout: 15min
-- database: reporting
-- irreversible: the rows are gone
-- allow: drop-column nobody reads it
-- allow: rename it is new
-- late: touches nothing of the others
-- runs-in: django:shop.0004_price-list

"""

    directives, faults = read(header)

    assert faults == []
    assert directives == Directives(
        depends=(
            Dependency("", "001_initial_schema", 2),
            Dependency("billing", "004_x", 2),
            Dependency("shop", "002_y", 3),
        ),
        django_depends=(DjangoMigration("shop", "0003_name", 3), DjangoMigration("blog", "__latest__", 3)),
        transaction=Mode.STATEMENTS,
        lock_timeout_ms=3_000,
        statement_timeout_ms=900_000,
        database="reporting",
        irreversible="the rows are gone",
        allow=(Allowance("drop-column", "nobody reads it", 9), Allowance("rename", "it is new", 10)),
        late="touches nothing of the others",
        runs_in=DjangoMigration("shop", "0004_price-list", 12),
    )


@pytest.mark.parametrize("line", ["-- LATE: why", "--late:why", "  -- Late :  why  ", "--\tlate\t:\twhy"])
def test_case_and_white_space_do_not_matter(line: str) -> None:
    assert read(line) == (Directives(late="why"), [])


def test_no_directive_is_read_inside_a_block_comment() -> None:
    header = "/* nested /* twice */\n-- late: why\n*/\n-- transaction: on\n"

    assert read(header) == (Directives(transaction=Mode.TRANSACTION), [])


@pytest.mark.parametrize(
    "line",
    [
        *("-- Note: late: why", "-- date: 2026-01-01", "-- see https://x", "-- a late: b", "--"),
        *("-- requires: PostgreSQL 14", "-- dependencies: none", "-- after: 2026-01-01"),
    ],
)
def test_prose_is_prose(line: str) -> None:
    assert read(line) == (Directives(), [])


@pytest.mark.parametrize(
    ("line", "near"),
    [
        ("-- transacton: off", "transaction"),
        ("-- depend: 001_x", "depends"),
        ("-- depends-on: 001_x", "depends"),
        ("-- depends_on: 001_x", "depends"),
        ("-- dependency: 001_x", "depends"),
        ("-- dependencies: shop.001_x, 002_y", "depends"),
        ("-- requires: 001_x", "depends"),
        ("-- lock_timeout: 3s", "lock-timeout"),
        ("-- statement_timeout: 3s", "statement-timeout"),
    ],
)
def test_a_near_miss_is_an_error(line: str, near: str) -> None:
    key, _, value = line.removeprefix("-- ").partition(": ")

    assert fault(f"\n{line}\n") == DirectiveFault(
        "unknown-directive",
        f"Unknown directive {key!r}.",
        f"Write -- {near}: {value}   (or reword the comment if it is prose)",
        2,
    )


@pytest.mark.parametrize("key", DIRECTIVES)
def test_a_directive_without_a_value_is_an_error_with_an_example(key: str) -> None:
    found = fault(f"-- {key}:")

    assert found.message == f"The directive {key!r} has no value."
    assert found.remedy.startswith(f"Write -- {key}: ")


@pytest.mark.parametrize(
    ("line", "rule", "message"),
    [
        ("-- transaction: maybe", "directive", "transaction: 'maybe' is neither on nor off."),
        (
            "-- lock-timeout: soon",
            "directive",
            "lock-timeout: 'soon' is not a duration: write 500ms, 3s, 15min or 1h.",
        ),
        (
            "-- statement-timeout: 999h",
            "directive",
            "statement-timeout: '999h' is longer than PostgreSQL takes (about 24 days).",
        ),
        ("-- allow: drop-column", "directive", "allow: drop-column gives no reason."),
        *(
            (
                f"-- depends: 001_x, {entry}",
                "directive",
                f"depends: {entry!r} is not written the way a migration of Django's is: django:app.0003_name.",
            )
            for entry in ("django:shop", "django:0003_x", "django: shop.0003_x", "django:a.b.c", "Django:shop.0003_x")
        ),
        (
            "-- runs-in: shop.0003_x",
            "directive",
            "runs-in: 'shop.0003_x' is not written the way a migration of Django's is: django:app.0003_name.",
        ),
        (
            "-- runs-in: django:shop.__latest__",
            "directive",
            "runs-in: django:shop.__latest__ is no migration: the one that holds the ApplySQL of this file is to be "
            "named.",
        ),
    ],
)
def test_a_value_that_cannot_be_obeyed_is_an_error(line: str, rule: str, message: str) -> None:
    _, (found,) = read(line)

    assert (found.rule, found.message, found.line) == (rule, message, 1)
    assert found.remedy


@pytest.mark.parametrize(
    ("key", "first", "second", "kept"),
    [
        ("late", "a", "b", Directives(late="a")),
        (
            "runs-in",
            "django:shop.0003_x",
            "django:blog.0001_y",
            Directives(runs_in=DjangoMigration("shop", "0003_x", 1)),
        ),
    ],
)
def test_a_directive_that_stands_twice_is_an_error_and_the_first_is_kept(
    key: str, first: str, second: str, kept: Directives
) -> None:
    directives, faults = read(f"-- {key}: {first}\n-- {key}: {second}\n")

    assert directives == kept
    assert faults == [
        DirectiveFault("directive", f"The directive {key!r} stands twice.", "Keep one of the two lines.", 2)
    ]


@pytest.mark.parametrize(
    ("text", "milliseconds"),
    [("500ms", 500), ("3s", 3_000), ("15min", 900_000), ("1h", 3_600_000), ("250", 250), (" 2 s ", 2_000), ("0", 0)],
)
def test_a_duration_is_milliseconds(text: str, milliseconds: int) -> None:
    assert duration_ms(text) == milliseconds


@pytest.mark.parametrize("text", ["", "s", "1.5s", "-1s", "3 seconds", "3S"])
def test_other_spellings_are_no_durations(text: str) -> None:
    with pytest.raises(ValueError, match="is not a duration"):
        duration_ms(text)
