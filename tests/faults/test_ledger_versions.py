"""Tracking tables that another version made, or somebody changed: brought up to date under the lock, or refused."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.apps import apps

from sqlmigrations import columns
from tests.inprocess import LocalSite
from tests.site import ROOT

MAKES_THEM = ROOT / "sqlmigrations" / "migrations_sql"


@pytest.fixture
def applied(local_site: LocalSite) -> LocalSite:
    """One migration applied, and one pending."""
    local_site.write("001_a.sql", "CREATE TABLE a ();\n")
    local_site.run("sqlmigrate_apply", check=True)
    local_site.write("002_b.sql", "CREATE TABLE b ();\n")
    return local_site


def names(site: LocalSite) -> list[str]:
    return [row["name"] for row in site.ledger()]


@contextmanager
def newer_version(folder: Path) -> Iterator[None]:
    """The app is meanwhile one that has a second file for its tables."""
    shutil.copytree(MAKES_THEM, folder / "migrations_sql")
    added = "ALTER TABLE schema_migrations ADD COLUMN IF NOT EXISTS note text NOT NULL DEFAULT '';\n"
    (folder / "migrations_sql" / "001_note.sql").write_text(added)
    config = apps.get_app_config("sqlmigrations")
    before, config.path = config.path, str(folder)
    try:
        yield
    finally:
        config.path = before


def test_f66_a_newer_version_brings_the_tables_up_to_date_first_and_an_older_one_goes_on_with_them(
    applied: LocalSite, tmp_path: Path
) -> None:
    with newer_version(tmp_path / "newer"):
        before = applied.run("sqlmigrate_status", "--check")
        upgraded = applied.run("sqlmigrate_apply")
        checked = applied.run("sqlmigrate_status", "--check")
    applied.write("003_c.sql", "CREATE TABLE c ();\n")

    older = applied.run("sqlmigrate_apply")

    assert (before.returncode, upgraded.returncode, checked.returncode, older.returncode) == (3, 0, 0, 0), upgraded
    assert "sqlmigrations.001_note  [ahead]" in older.stdout
    assert names(applied) == ["000_migration_tracking", "001_a", "001_note", "002_b", "003_c"]
    assert applied.run("sqlmigrate_status", "--check").returncode == 0
    assert applied.query("SELECT DISTINCT note FROM schema_migrations") == [("",)]


def test_f66_columns_of_somebody_elses_are_left_alone(applied: LocalSite) -> None:
    for table in ("schema_migrations", "schema_migration_events", "schema_migration_texts"):
        applied.query(f"ALTER TABLE {table} ADD COLUMN ticket text DEFAULT 'OPS-7'")

    ended = applied.run("sqlmigrate_apply")

    assert (ended.returncode, names(applied)) == (0, ["000_migration_tracking", "001_a", "002_b"])
    assert applied.run("sqlmigrate_status", "--check", "-v", "2").returncode == 0
    assert {row["ticket"] for row in applied.ledger()} == {"OPS-7"}


LACKING = """\
The table public.{table} has no column {column}: it was made by another version, or changed by hand. \
Nothing was changed.

  Next: Add what is missing:  python manage.py dbshell -- -c "{sql}"
"""


@pytest.mark.parametrize(
    ("table", "column", "kind"),
    [
        ("schema_migrations", "late", "boolean NOT NULL DEFAULT false"),
        ("schema_migration_events", "git_commit", "text"),
        ("schema_migration_texts", "kept_at", "timestamptz NOT NULL DEFAULT clock_timestamp()"),
    ],
)
def test_f66_a_table_that_lacks_a_column_is_refused_with_what_adds_it(
    applied: LocalSite, table: str, column: str, kind: str
) -> None:
    applied.query(f"ALTER TABLE {table} DROP COLUMN {column}")

    refused = applied.run("sqlmigrate_apply")

    sql = f"ALTER TABLE public.{table} ADD COLUMN {column} {kind}"
    assert (refused.returncode, refused.stderr) == (2, LACKING.format(table=table, column=column, sql=sql))
    if table == "schema_migrations":
        looked = applied.run("sqlmigrate_status")
        assert (looked.returncode, looked.stderr) == (2, refused.stderr)
    assert applied.query("SELECT to_regclass('b')") == [(None,)]
    applied.query(sql)
    assert applied.run("sqlmigrate_apply").returncode == 0
    assert names(applied) == ["000_migration_tracking", "001_a", "002_b"]


def test_f66_what_cannot_be_made_up_is_to_be_brought_back(applied: LocalSite) -> None:
    applied.query("ALTER TABLE schema_migrations DROP COLUMN mode, DROP COLUMN late")

    refused = applied.run("sqlmigrate_apply")

    assert refused.returncode == 2
    assert refused.stderr.startswith("The table public.schema_migrations has no columns mode, late: it was made by")
    assert "Next: Bring the table back from a backup" in refused.stderr


def test_f66_a_column_that_nobody_fills_is_refused_before_anything_runs(applied: LocalSite) -> None:
    applied.query("ALTER TABLE schema_migration_events ADD COLUMN ticket text NOT NULL DEFAULT ''")
    applied.query("ALTER TABLE schema_migration_events ALTER COLUMN ticket DROP DEFAULT")

    refused = applied.run("sqlmigrate_apply")

    sql = "ALTER TABLE public.schema_migration_events ALTER COLUMN ticket DROP NOT NULL"
    assert (refused.returncode, refused.stderr) == (
        2,
        "The table public.schema_migration_events has a column of somebody else's that may not be empty and has no "
        "default: ticket. Nothing could be recorded there; nothing was changed.\n\n"
        f'  Next: Give it a DEFAULT, or let it be empty:  python manage.py dbshell -- -c "{sql}"\n',
    )
    assert applied.query("SELECT to_regclass('b')") == [(None,)]
    applied.query(sql)
    assert applied.run("sqlmigrate_apply").returncode == 0


def test_the_columns_are_those_of_the_file_that_makes_them(applied: LocalSite) -> None:
    made = applied.query(
        "SELECT table_name::text, column_name::text FROM information_schema.columns "
        "WHERE table_schema = 'public' AND table_name LIKE 'schema\\_migration%' ORDER BY ordinal_position"
    )
    expected = {table: [column for name, column in made if name == table] for table, _ in made}

    assert {table: list(kinds) for table, kinds in columns.definitions().items()} == expected
