"""The fixtures for those who use the app, in a project of theirs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Database
from tests.workshop import Workshop

TESTS = """
from django.db import connection
from shop.models import Customer


def test_files_apply_to_an_empty_database(sql_scratch):
    pass
    status = sql_scratch.apply()
    assert (status.applied, status.pending, status.integrity) == (8, 0, "valid")
    assert connection.settings_dict["NAME"].startswith("scratch_test_")
    assert [customer.name for customer in Customer.objects.all()] == ["Ada"]


def test_files_go_up_down_and_up_again(sql_scratch):
    trip = sql_scratch.up_down_up()
    assert trip.proven == ("shop.001_notes", "shop.002_note_index", "shop.003_seed")
    assert trip.without_down[:1] == ("shop.004_customers",)


def test_nothing_is_pending(assert_nothing_pending):
    assert_nothing_pending()
"""
DOWNS = {
    "001_notes": "DROP FUNCTION shop_note_count(bigint);\nDROP TABLE shop_note;\n",
    "002_note_index": "DROP INDEX CONCURRENTLY shop_note_customer_idx;\n",
    "003_seed": "DROP TABLE shop_kind;\n",
}


@pytest.fixture
def workshop(tmp_path: Path, fresh_database: Database) -> Iterator[Workshop]:
    made = Workshop.written(tmp_path, fresh_database)
    made.write("conftest.py", 'pytest_plugins = ["sqlmigrations.pytest_plugin"]\n')
    made.write("shop/tests.py", TESTS)
    for name, sql in DOWNS.items():
        made.write(f"shop/migrations_sql/{name}.down.sql", sql)
    yield made
    made.drop()


def test_files_that_are_in_order_pass_and_no_database_is_left(workshop: Workshop) -> None:
    ended = workshop.pytest()

    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr
    left = Database("postgres").query(
        "SELECT datname FROM pg_database WHERE strpos(datname, %s) > 1", workshop.database.name
    )
    assert left == []


def test_a_down_file_that_leaves_something_behind_fails_the_test(workshop: Workshop) -> None:
    notes = workshop.folder / "shop/migrations_sql/001_notes.sql"
    far = "CREATE FUNCTION z() RETURNS void LANGUAGE plpgsql AS $$BEGIN PERFORM f('password=Mell0n'); END$$;\n"
    notes.write_text(f"{notes.read_text()}\n{far}")
    workshop.write("shop/migrations_sql/001_notes.down.sql", "DROP TABLE shop_note;\n")

    ended = workshop.pytest("-k", "again")

    assert ended.stdout.partition("_again _")[2].partition("\n")[2].partition("---")[0] == (
        "shop/migrations_sql/001_notes.down.sql does not undo shop.001_notes. "
        "What is missing (-) and what is left over (+):\n\n"
        "+ function shop_note_count(bigint) acl  CREATE OR REPLACE FUNCTION public.shop_note_count(whose bigint)\n"
        " RETURNS bigint\n LANGUAGE plpgsql\nAS $function$\nBEGIN\n"
        "    RETURN (SELECT count(*) FROM shop_note WHERE customer_id = whose);\nEND\n$function$\n\n"
        "+ function z() acl  CREATE OR REPLACE FUNCTION public.z()\n"
        " RETURNS void\n LANGUAGE plpgsql\nAS $function$BEGIN PERFORM f('password=********'); END$function$\n\n\n"
        "  Next: Correct the down file, and run the tests again.\n"
    )


def test_where_migrate_applies_nothing_the_scratch_database_has_the_files_and_the_test_database_lacks_them(
    workshop: Workshop,
) -> None:
    (workshop.folder / "shop/migrations/0002_search.py").unlink()
    never = {"SQLMIGRATIONS_JSON": '{"APPLY_ON_MIGRATE": "never", "DIRS": {}}'}

    ended = workshop.pytest("-k", "again or pending", env=never)

    assert "1 failed, 1 passed" in ended.stdout
    assert (
        "\nSQL migrations that are pending on 'default': sqlmigrations.000_migration_tracking, shop.001_notes, "
        "shop.002_note_index, shop.003_seed, shop.004_customers.\n"
    ) in ended.stdout


def test_a_file_that_fails_stops_the_run_at_once_and_is_told_once(workshop: Workshop) -> None:
    workshop.write("shop/migrations_sql/005_wrong.sql", "SELEC 1; -- postgresql://ann:Mell0n@h\n")

    ended = workshop.pytest()

    assert (
        ended.stdout.partition("_empty_database _")[2]
        .partition("\n")[2]
        .startswith(
            "shop.005_wrong failed and was rolled back.\n\n"
            "  shop/migrations_sql/005_wrong.sql:1:1\n"
            "  > 1 | SELEC 1; -- postgresql://ann:******@h\n"
            "      | ^\n"
            '  PostgreSQL 42601: syntax error at or near "SELEC"\n\n'
            "  Nothing of this file was kept; 4 migrations were applied in this run before it.\n"
            "  Next: Correct the SQL. Then run the tests again.\n---"
        )
    ), ended.stdout
    assert "Mell0n" not in ended.stdout + ended.stderr
    assert "! Interrupted: the test database could not get the SQL migrations !" in ended.stdout
    assert "\n1 error in " in ended.stdout
