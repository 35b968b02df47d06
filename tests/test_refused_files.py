"""What this version refuses: each kind with its message and exit code, and the way out that the message names."""

from __future__ import annotations

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
        ("002_mixed.sql", f"SELECT 1;\n{CONCURRENTLY}", 6, "the file mixes it with statements that can"),
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
