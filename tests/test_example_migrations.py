"""The example's SQL files by plain psql: run twice, and undone."""

from __future__ import annotations

import pytest

from tests.servers import Database
from tests.site import ROOT

FOLDER = ROOT / "migrations_sql"
NAMES = ("001_initial_schema", "002_seed_data", "003_invoice_processing_fields")
OURS = """
    SELECT relname::text FROM pg_class WHERE relnamespace = 'public'::regnamespace
    UNION ALL SELECT typname FROM pg_type WHERE typnamespace = 'public'::regnamespace
    UNION ALL SELECT proname FROM pg_proc WHERE pronamespace = 'public'::regnamespace
"""


def dump(database: Database) -> list[str]:
    """Schema, rows and sequence values; without the random key of pg_dump's restrict line."""
    text = database.program("pg_dump", "-d", database.url).stdout
    return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def enum_types(database: Database) -> list[str]:
    return [name for (name,) in database.query("SELECT typname::text FROM pg_type WHERE typtype = 'e' ORDER BY 1")]


@pytest.mark.parametrize("last", range(len(NAMES)))
def test_a_file_run_twice_by_psql_changes_nothing(fresh_database: Database, last: int) -> None:
    for name in NAMES[: last + 1]:
        fresh_database.psql(FOLDER / f"{name}.sql")
    first = dump(fresh_database)

    again = fresh_database.psql(FOLDER / f"{NAMES[last]}.sql")

    assert dump(fresh_database) == first
    assert "ERROR" not in again.stderr


def test_all_files_run_again_in_order_change_nothing(fresh_database: Database) -> None:
    for name in NAMES:
        fresh_database.psql(FOLDER / f"{name}.sql")
    first = dump(fresh_database)

    for name in NAMES:
        fresh_database.psql(FOLDER / f"{name}.sql")

    assert dump(fresh_database) == first


def test_the_schema_has_what_an_invoice_back_end_needs(fresh_database: Database) -> None:
    for name in NAMES:
        fresh_database.psql(FOLDER / f"{name}.sql")

    assert enum_types(fresh_database) == [
        "currency_code",
        "document_type",
        "invoice_status",
        "payment_method",
        "vendor_status",
    ]
    dated = fresh_database.query("SELECT tgrelid::regclass::text FROM pg_trigger WHERE NOT tgisinternal")
    assert sorted(dated) == [("invoice_items",), ("invoices",), ("payments",), ("vendors",)]


def test_the_items_of_the_seed_add_up_to_its_invoices(fresh_database: Database) -> None:
    for name in NAMES:
        fresh_database.psql(FOLDER / f"{name}.sql")

    items = fresh_database.query("SELECT invoice_id, sum(quantity * unit_price) FROM invoice_items GROUP BY 1")

    assert items
    assert sorted(items) == fresh_database.query("SELECT id, net_amount FROM invoices ORDER BY id")


def test_an_updated_row_is_dated_and_no_other(fresh_database: Database) -> None:
    for name in NAMES:
        fresh_database.psql(FOLDER / f"{name}.sql")

    fresh_database.query("UPDATE vendors SET email = NULL WHERE code = 'THAMES_COURIERS'")

    dated = fresh_database.query("SELECT code FROM vendors WHERE updated_at > created_at")
    assert dated == [("THAMES_COURIERS",)]


@pytest.mark.parametrize("count", [1, 2, 3])
def test_each_down_file_restores_what_was_before_its_file(fresh_database: Database, count: int) -> None:
    for name in NAMES[: count - 1]:
        fresh_database.psql(FOLDER / f"{name}.sql")
    before = catalog_and_rows(fresh_database)
    fresh_database.psql(FOLDER / f"{NAMES[count - 1]}.sql")
    assert catalog_and_rows(fresh_database) != before

    fresh_database.psql(FOLDER / f"{NAMES[count - 1]}.down.sql")

    assert catalog_and_rows(fresh_database) == before


def catalog_and_rows(database: Database) -> list[str]:
    """As ``dump``, but sequences may have moved on."""
    return [line for line in dump(database) if "pg_catalog.setval" not in line]


def test_all_down_files_in_reverse_order_leave_nothing(fresh_database: Database) -> None:
    for name in NAMES:
        fresh_database.psql(FOLDER / f"{name}.sql")

    for name in reversed(NAMES):
        fresh_database.psql(FOLDER / f"{name}.down.sql")

    assert fresh_database.query(OURS) == []


def test_the_seed_is_not_taken_back_when_a_vendor_has_got_other_invoices(fresh_database: Database) -> None:
    for name in NAMES:
        fresh_database.psql(FOLDER / f"{name}.sql")
    fresh_database.query(
        "INSERT INTO invoices (vendor_id, number, currency, issued_on, due_on, net_amount) "
        "SELECT id, 'new', 'GBP', '2025-03-01', '2025-03-31', 10 FROM vendors WHERE code = 'THAMES_COURIERS'"
    )

    refused = fresh_database.psql(FOLDER / "002_seed_data.down.sql", "--single-transaction", check=False)

    assert "invoices_vendor_id_fkey" in refused.stderr
    assert fresh_database.query("SELECT count(*) FROM invoices") == [(5,)]
