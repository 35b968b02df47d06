"""Databases that are not where the files think: made by hand before, or ahead of an older checkout."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests import forkserver
from tests.faults.scene import FaultySite
from tests.servers import Database
from tests.site import ROOT

EXAMPLE = ("001_initial_schema", "002_seed_data", "003_invoice_processing_fields")


def test_f79_an_older_checkout_notes_what_is_ahead_and_runs_nothing(site: FaultySite) -> None:
    for number in (1, 2, 3):
        site.write(f"{number:03}_t.sql", f"CREATE TABLE t{number} (id int);\n")
    assert site.apply().returncode == 0
    before = site.ledger()
    site.remove("002_t.sql")
    site.remove("003_t.sql")

    older = site.apply()

    assert (older.returncode, older.stderr) == (0, "")
    assert "All migrations are already applied!" in older.stdout
    assert older.stdout.count("[ahead]") == 2
    assert "project.003_t  [ahead]" in older.stdout
    assert "above the files here: this checkout is older than the database." in older.stdout
    assert site.ledger() == before
    assert site.apply("--check").returncode == 0
    for number in (2, 3, 4):
        site.write(f"{number:03}_t.sql", f"CREATE TABLE t{number} (id int);\n")
    newer = site.apply()
    assert (newer.returncode, site.names()) == (0, ["001_t", "002_t", "003_t", "004_t"])
    assert "[ahead]" not in newer.stdout


def by_hand(site: FaultySite) -> None:
    """Three files, two of them run by psql already."""
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\nCREATE INDEX b_idx ON b (id);\n")
    site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    for name in ("001_a.sql", "002_b.sql"):
        site.database.psql(site.migrations / name)


def test_f80_a_database_made_by_hand_is_told_how_to_be_adopted(site: FaultySite) -> None:
    by_hand(site)

    refused = site.apply()

    assert refused.returncode == 6
    assert refused.stderr == (
        "Nothing is recorded yet, but the database already has what pending files create: a, b, b_idx. "
        "Nothing has run.\n\n"
        "  Next: If those files were run by hand, record them: python manage.py sqlmigrate_apply --fake project 002\n"
    )
    assert (site.ledger(), site.has("c")) == ([], False)


def test_f80_the_command_that_is_named_adopts_the_database(site: FaultySite) -> None:
    by_hand(site)
    command = site.apply().stderr.partition("record them: python manage.py ")[2].split()

    adopted = site.run(*command)

    assert adopted.returncode == 0, adopted
    assert "  Applying project.002_b... FAKED" in adopted.stdout
    assert [(row["name"], row["metadata"].get("faked")) for row in site.ledger()] == [
        ("000_migration_tracking", None),
        ("001_a", True),
        ("002_b", True),
    ]
    applied = site.apply()
    assert (applied.returncode, site.names()) == (0, ["001_a", "002_b", "003_c"])
    assert site.has("c")
    assert site.run("sqlmigrate_status", "--check").returncode == 0


@pytest.mark.parametrize("option", ["--plan", "--check"])
def test_f80_a_look_ahead_is_refused_as_the_run_would_be(site: FaultySite, option: str) -> None:
    by_hand(site)

    looked = site.apply(option)

    assert (looked.returncode, looked.stderr) == (6, site.apply().stderr)
    assert "  project.003_c\n" in looked.stdout


def test_f80_where_only_a_part_is_there_it_is_said_file_by_file_and_nothing_is_to_be_recorded(
    site: FaultySite,
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\nCREATE TABLE b2 (id int);\nCREATE VIEW v AS SELECT 1 AS x;\n")
    site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    site.write("004_d.sql", "CREATE TABLE d (id int);\n")
    site.query("CREATE TABLE a (id int)")
    site.query("CREATE TABLE b (id int)")
    site.query("CREATE TABLE c (id int)")

    refused = site.apply()

    assert refused.returncode == 6
    assert (
        refused.stderr
        == """\
Nothing is recorded yet, but the database already has a part of what pending files create. Nothing has run.

  migrations_sql/001_a.sql  [hand-made]
    What it creates is there.

  migrations_sql/002_b.sql  [hand-made]
    1 of 3 objects are there; not there: b2, v.

  migrations_sql/003_c.sql  [hand-made]
    What it creates is there.

  Next: Guard in those files what is there (CREATE TABLE IF NOT EXISTS ...), so that they can run; or bring the \
database to their state by hand: the same command then says how to record them.
"""
    )


def test_f80_a_file_below_of_which_nothing_is_there_would_be_recorded_too(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    site.query("CREATE TABLE b (id int)")

    said = site.apply().stderr

    assert "  migrations_sql/001_a.sql  [hand-made]\n    Nothing of what it creates is there: a.\n" in said
    assert "--fake" not in said


@pytest.mark.parametrize(
    "removal",
    [
        "DROP TABLE a;\n",
        "ALTER TABLE a RENAME TO former;\n",
        "DROP TABLE a;\nCREATE TABLE later (id int);\n",
    ],
)
def test_f80_what_a_later_file_removes_again_is_not_missed(site: FaultySite, removal: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\nCREATE INDEX a_idx ON a (id);\nCREATE TABLE b (id int);\n")
    site.write("002_b.sql", removal)
    site.database.psql(site.migrations / "001_a.sql")
    site.database.psql(site.migrations / "002_b.sql")

    said = site.apply().stderr

    assert "record them: python manage.py sqlmigrate_apply --fake project 00" in said


@pytest.mark.parametrize(
    "guarded",
    [
        "CREATE TABLE IF NOT EXISTS a (id int);\n",
        "DROP TABLE IF EXISTS a;\nCREATE TABLE a (id int);\n",
        "DO $$ BEGIN IF to_regclass('a') IS NULL THEN CREATE TABLE a (id int); END IF; END $$;\n",
        "CREATE OR REPLACE VIEW v AS SELECT 1 AS one;\n",
    ],
)
def test_f80_guarded_files_pass_over_what_exists(site: FaultySite, guarded: str) -> None:
    site.query("CREATE TABLE a (id int)")
    site.query("CREATE VIEW v AS SELECT 1 AS one")
    site.write("001_a.sql", guarded)

    applied = site.apply()

    assert (applied.returncode, site.names()) == (0, ["001_a"]), applied


def test_f80_tables_of_others_do_not_stop_the_first_run(site: FaultySite) -> None:
    site.query("CREATE TABLE django_migrations (id int)")
    site.query("CREATE SCHEMA elsewhere")
    site.query("CREATE TABLE elsewhere.a (id int)")
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    assert site.apply().returncode == 0


def dump(database: Database) -> list[str]:
    """Everything but the tracking tables, and without the random key of pg_dump's restrict line."""
    text = database.program("pg_dump", "-T", "schema_migration*", "-d", database.url).stdout
    return [line for line in text.splitlines() if not line.startswith(("\\restrict", "\\unrestrict"))]


def manage(database: Database, *arguments: str) -> subprocess.CompletedProcess[str]:
    env = os.environ | {"DATABASE_URL": database.url, "DJANGO_SETTINGS_MODULE": "project.settings"}
    return forkserver.run(["manage.py", *arguments], ROOT, env | {"PYTHONPATH": str(ROOT)})


@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_example_is_applied_where_its_files_had_been_run_by_hand(fresh_database: Database, count: int) -> None:
    for name in EXAMPLE[:count]:
        fresh_database.psql(ROOT / "migrations_sql" / f"{name}.sql")
    before = dump(fresh_database)

    applied = manage(fresh_database, "sqlmigrate_apply")

    assert (applied.returncode, applied.stderr) == (0, "")
    assert [line for line in applied.stdout.splitlines() if "... OK (" in line][-1].startswith(
        "  Applying project.003_invoice_processing_fields... OK ("
    )
    assert "4 applied, 0 skipped" in applied.stdout
    recorded = fresh_database.query("SELECT name FROM schema_migrations WHERE label = 'project' ORDER BY id")
    assert recorded == [(name,) for name in EXAMPLE]
    assert manage(fresh_database, "sqlmigrate_apply").stdout == "All migrations are already applied!\n"
    assert manage(fresh_database, "sqlmigrate_status", "--check").returncode == 0
    if count == len(EXAMPLE):
        assert dump(fresh_database) == before


@pytest.mark.parametrize("name", ["a.b.c.d", "elsewhere.public.d"])
def test_a_name_that_is_none_is_told_at_its_place(site: FaultySite, name: str) -> None:
    site.write("001_a.sql", f"CREATE TABLE {name} (id int);\n")

    failed = site.apply()

    assert failed.returncode == 1
    assert "migrations_sql/001_a.sql:1:" in failed.stderr
    assert name in failed.stderr


def test_an_index_of_the_same_name_in_another_schema_is_no_conflict(site: FaultySite) -> None:
    site.database.psql("CREATE TABLE users (id int); CREATE INDEX users_idx ON users (id);")
    site.write(
        "001_a.sql",
        "CREATE SCHEMA app;\nCREATE TABLE app.users (id int);\nCREATE INDEX users_idx ON app.users (id);\n",
    )

    applied = site.apply()

    assert (applied.returncode, applied.stderr) == (0, "")
