"""What this version refuses: each kind with its message and exit code, and the way out that the message names."""

from __future__ import annotations

import shlex

import pytest

from tests.site import Site

CONCURRENTLY = "CREATE INDEX CONCURRENTLY invoices_number_idx ON invoices (number);\n"


@pytest.fixture
def invoices(site: Site) -> Site:
    """A site whose first migration is applied."""
    site.write("001_invoices.sql", "CREATE TABLE invoices (number text);\n")
    site.run("sqlmigrate_apply", check=True)
    return site


@pytest.mark.parametrize(
    ("name", "sql", "code", "words"),
    [
        ("002_index.sql", CONCURRENTLY, 6, "CREATE INDEX CONCURRENTLY runs outside a transaction"),
        ("002_off.sql", "-- transaction: off\nSELECT 1;\n", 6, "transaction: off runs outside a transaction"),
        ("002_mixed.sql", f"SELECT 1;\n{CONCURRENTLY}", 6, "the file mixes it with statements that can"),
        ("002_in.sql", "-- runs-in: django:shop.0004_x\nSELECT 1;\n", 4, "runs-in: applying a file from a Django"),
        ("002_on.sql", "-- depends: django:shop.0004_x\nSELECT 1;\n", 4, "dependencies on Django migrations are not"),
        ("R__views.sql", "SELECT 1;\n", 4, "Repeatable files (R__slug.sql) are not supported"),
        ("001_invoices.verify.sql", "SELECT 1;\n", 4, "Verification files (.verify.sql) are not supported"),
    ],
)
def test_a_kind_of_file_that_is_not_built_is_refused(
    invoices: Site, name: str, sql: str, code: int, words: str
) -> None:
    invoices.write(name, sql)

    ended = invoices.run("sqlmigrate_apply")

    assert (ended.returncode, words in ended.stderr) == (code, True), ended.stderr
    assert [row["name"] for row in invoices.ledger()] == ["000_migration_tracking", "001_invoices"]


def test_the_way_out_named_for_an_index_works_here_and_on_an_empty_database(invoices: Site) -> None:
    path = invoices.write("002_index.sql", CONCURRENTLY)
    refused = invoices.run("sqlmigrate_apply")
    invoices.database.psql(path)

    assert "then write CREATE INDEX IF NOT EXISTS in the file" in refused.stderr
    plain = CONCURRENTLY.replace("CONCURRENTLY", "IF NOT EXISTS")
    invoices.write("002_index.sql", f"-- allow: create-index built by hand\n{plain}")
    here = invoices.run("sqlmigrate_apply", "-v", "2")
    invoices.query("DROP TABLE invoices, schema_migrations, schema_migration_events, schema_migration_texts CASCADE")
    empty = invoices.run("sqlmigrate_apply")

    assert (here.returncode, here.stderr) == (0, "")
    assert "already exists, skipping" in here.stdout
    assert "warning" not in here.stdout + empty.stdout
    assert (empty.returncode, empty.stderr) == (0, "")
    assert invoices.query("SELECT to_regclass('invoices_number_idx') IS NOT NULL") == [(True,)]


def test_the_way_out_named_for_another_statement_outside_transactions_works(invoices: Site) -> None:
    path = invoices.write("002_vacuum.sql", "VACUUM invoices;\n")
    refused = invoices.run("sqlmigrate_apply")
    invoices.database.psql(path)

    record = refused.stderr.partition("record it: python manage.py ")[2].splitlines()[0]
    ended = invoices.run(*shlex.split(record))

    assert (ended.returncode, ended.stderr) == (0, "")
    assert invoices.run("sqlmigrate_apply").stdout == "All migrations are already applied!\n"
    row = invoices.ledger()[-1]
    assert (row["name"], row["mode"], row["execution_ms"]) == ("002_vacuum", "statements", None)
