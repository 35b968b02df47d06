"""What the static checks say of ApplySQL in Django's migrations, beside the files and without a database."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.checks import CheckMessage, Error
from django.test import override_settings

from sqlmigrations.checks import check_files
from sqlmigrations.checks.wrappers import read
from tests.shop import Shop, forget

CREATE = "CREATE TABLE a (id int);\n"


def files(shop: Shop) -> list[CheckMessage]:
    forget()
    with shop.configured():
        return check_files()


def said(shop: Shop) -> list[tuple[Any, str]]:
    return [(message.id, message.msg) for message in files(shop)]


def test_a_file_and_the_migration_that_applies_it_are_in_order(shop: Shop) -> None:
    shop.wrap("0001", "001_a", CREATE)
    shop.wrap("0002", "002_b", "CREATE INDEX CONCURRENTLY i ON a (id);\n", atomic=False)

    assert files(shop) == []


def test_an_operation_without_a_file_is_an_error_that_names_the_nearest(shop: Shop) -> None:
    shop.write("001_a.sql", "-- runs-in: django:shop.0001_x\n")
    nested = "migrations.SeparateDatabaseAndState([ApplySQL('project', '001_aa')])"
    shop.migration("0001_x", f"ApplySQL('project', '001_a'), {nested}, ApplySQL('nobody', '77_x')")

    assert files(shop) == [
        Error(
            'shop.0001_x has the operation ApplySQL("project", "001_aa"), and there is no such file.',
            hint='Write ApplySQL("project", "001_a").',
            id="sqlmigrations.E003",
        ),
        Error(
            'shop.0001_x has the operation ApplySQL("nobody", "77_x"), and there is no such file.',
            hint="Restore the file, or take the operation out.",
            id="sqlmigrations.E003",
        ),
    ]


def test_a_file_behind_one_that_waits_for_all_of_the_app_is_an_error(shop: Shop) -> None:
    shop.wrap("0001", "002_b", "CREATE TABLE b (id int);\n")
    shop.write("001_a.sql", "-- depends: django:shop.__latest__\nCREATE TABLE a (id int);\n")

    assert [(message.id, message.hint) for message in files(shop)] == [
        (
            "sqlmigrations.E002",
            "Name in project.001_a the migration of shop that it needs: __latest__ means every later one too.",
        )
    ]


def test_a_file_that_cannot_be_read_is_there(shop: Shop) -> None:
    shop.migration("0001_x", "ApplySQL('project', '001_a')")
    shop.write("001_a.sql", b"-- runs-in: django:shop.0001_x\n\xff")

    assert [check_id for check_id, _ in said(shop)] == ["sqlmigrations.E002"]


def test_a_file_that_does_not_say_that_a_migration_applies_it_is_an_error(shop: Shop) -> None:
    shop.write("001_a.sql", CREATE)
    shop.migration("0001_x", "ApplySQL('project', '001_a')")

    assert files(shop) == [
        Error(
            "migrations_sql/001_a.sql: shop.0001_x applies it, and it does not say so: sqlmigrate_apply would apply "
            "it as well.",
            hint="Write at its top: -- runs-in: django:shop.0001_x",
            id="sqlmigrations.E004",
        )
    ]


def test_a_file_that_names_a_migration_without_the_operation_is_an_error(shop: Shop) -> None:
    shop.write("001_a.sql", f"-- runs-in: django:shop.0001_x\n{CREATE}")
    shop.write("002_b.sql", "-- runs-in: django:shop.0002_x\nSELECT 1;\n")
    shop.write("003_c.sql", "-- runs-in: django:shop.0009_y\nSELECT 1;\n")
    shop.write("004_d.sql", "-- depends: django:stock.0001_x\nSELECT 1;\n")
    shop.migration("0001_x", "ApplySQL('project', '002_b')")
    shop.migration("0002_x", "")

    assert said(shop) == [
        (
            "sqlmigrations.E004",
            "migrations_sql/001_a.sql:1:1: Runs in django:shop.0001_x, but no migration of shop has the operation "
            'ApplySQL("project", "001_a").',
        ),
        (
            "sqlmigrations.E004",
            "migrations_sql/002_b.sql:1:1: Runs in django:shop.0002_x, but it is shop.0001_x that has the operation "
            'ApplySQL("project", "002_b").',
        ),
        (
            "sqlmigrations.E002",
            "migrations_sql/003_c.sql:1:1: Runs in django:shop.0009_y, but shop has no migration of that name.",
        ),
        (
            "sqlmigrations.E002",
            "migrations_sql/004_d.sql:1:1: Depends on django:stock.0001_x, but no app with the label 'stock' is "
            "installed.",
        ),
    ]


def test_an_operation_that_stands_twice_is_an_error(shop: Shop) -> None:
    shop.wrap("0001", "001_a", CREATE)
    shop.migration("0002_x", "ApplySQL('project', '001_a')")

    assert said(shop) == [
        (
            "sqlmigrations.E004",
            "migrations_sql/001_a.sql: It runs in django:shop.0001_x, and shop.0002_x applies it as well.",
        )
    ]


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX CONCURRENTLY i ON a (id);\n",
        "-- transaction: off\nSELECT 1;\n",
        "BEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT 1;\nCOMMIT;\n",
    ],
)
def test_a_file_that_needs_no_transaction_or_its_own_wants_a_migration_that_is_none(shop: Shop, sql: str) -> None:
    shop.wrap("0001", "001_a", sql)

    assert files(shop) == [
        Error(
            "migrations_sql/001_a.sql: It cannot run in the transaction of another, and shop.0001_x, which applies "
            "it, is one.",
            hint="Write  atomic = False  into class Migration of shop.0001_x.",
            id="sqlmigrations.E005",
        )
    ]


SQUASH = "replaces = [('shop', '0001_x'), ('shop', '0002_x')]"


def squashed(shop: Shop) -> None:
    """A squash beside what it replaces, with the operation in it that one of them has."""
    shop.wrap("0001", "001_a", CREATE)
    shop.migration("0002_x", "")
    path = shop.migration("0001_squashed", "ApplySQL('project', '001_a')")
    path.write_text(path.read_text().replace("    atomic", f"    {SQUASH}\n    atomic", 1))


def test_a_squash_applies_what_the_migrations_that_it_replaces_apply(shop: Shop) -> None:
    squashed(shop)

    beside = said(shop)
    shop.write("001_a.sql", f"-- runs-in: django:shop.0001_squashed\n{CREATE}")
    renamed = said(shop)

    assert beside == renamed == []


def test_a_file_may_name_a_migration_that_is_gone_since_its_app_was_squashed(shop: Shop) -> None:
    squashed(shop)
    for name in ("0001_x", "0002_x"):
        (shop.folder / "shop" / "migrations" / f"{name}.py").unlink()
    path = shop.folder / "shop" / "migrations" / "0001_squashed.py"

    with_marks = said(shop)
    path.write_text(path.read_text().replace(SQUASH, ""))
    without = said(shop)

    assert with_marks == without == []


def test_where_the_migrations_of_an_app_are_switched_off_a_file_is_one_like_any_other(shop: Shop) -> None:
    shop.wrap("0001", "001_a", CREATE)

    with override_settings(MIGRATION_MODULES={"shop": None}):
        assert files(shop) == []


def test_a_migration_that_cannot_be_imported_is_left_to_django(shop: Shop) -> None:
    shop.migration("0001_x", "ApplySQL('project', '001_a'), oops")

    assert files(shop) == []


def test_only_migrations_that_matter_are_imported(shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    for number in ("0001", "0002", "0003"):
        path = shop.migration(f"{number}_x", "")
        text = path.read_text().replace("from sqlmigrations.operations import ApplySQL", "")
        path.write_text(f"{text}\nprint({number!r})\n")
    shop.write("001_a.sql", "-- runs-in: django:shop.0002_x\n")

    files(shop)
    imported = capsys.readouterr().out
    with shop.configured():
        names = read(()).history.nodes

    assert imported == "0002\n"
    assert {("shop", "0001_x"), ("shop", "0003_x"), ("auth", "0001_initial")} & names.keys() == {
        ("shop", "0001_x"),
        ("shop", "0003_x"),
    }
