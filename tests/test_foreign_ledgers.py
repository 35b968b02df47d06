"""A schema_migrations of somebody else: recognised, left alone, and no obstacle once we have a schema of our own."""

from __future__ import annotations

import pytest

from tests.inprocess import LocalSite

RAILS = "CREATE TABLE schema_migrations (version character varying NOT NULL PRIMARY KEY)"
ECTO = "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, inserted_at timestamp(0))"
GOLANG_MIGRATE = (
    "CREATE TABLE schema_migrations (version bigint NOT NULL PRIMARY KEY, dirty boolean NOT NULL DEFAULT false)"
)
DBMATE = "CREATE TABLE schema_migrations (version varchar(128) PRIMARY KEY)"
HAND_WRITTEN = (
    "CREATE TABLE schema_migrations (id serial PRIMARY KEY, version varchar(50) NOT NULL UNIQUE, name varchar(255), "
    "checksum varchar(64), applied_at timestamptz DEFAULT now(), execution_time_ms int)"
)
BY_HAND = "a runner written by hand, or of a tool unknown here"
EVERY = pytest.mark.parametrize(
    ("theirs", "looks", "columns"),
    [
        pytest.param(RAILS, "Rails or dbmate", "version", id="rails"),
        pytest.param(ECTO, "Ecto", "inserted_at, version", id="ecto"),
        pytest.param(GOLANG_MIGRATE, "golang-migrate", "dirty, version", id="golang-migrate"),
        pytest.param(DBMATE, "Rails or dbmate", "version", id="dbmate"),
        pytest.param(
            HAND_WRITTEN, BY_HAND, "applied_at, checksum, execution_time_ms, id, name, version", id="by hand"
        ),
    ],
)


@EVERY
@pytest.mark.parametrize("command", ["sqlmigrate_apply", "sqlmigrate_status"])
def test_it_is_left_alone_with_a_message_that_says_whose_and_what_to_set(
    local_site: LocalSite, theirs: str, looks: str, columns: str, command: str
) -> None:
    local_site.query(theirs)
    local_site.query("INSERT INTO schema_migrations (version) VALUES ('20260301')")
    local_site.write("001_a.sql", "CREATE TABLE a ();\n")

    ended = local_site.run(command)

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"There is a table public.schema_migrations that is not ours. It looks like the one of {looks} "
        f"(columns: {columns}). "
        "It was left alone.\n\n"
        '  Next: Give sqlmigrations a schema of its own: SQLMIGRATIONS = {"SCHEMA": "sqlmigrations", ...}\n'
    )
    assert local_site.query("SELECT count(*), max(version::text) FROM schema_migrations") == [(1, "20260301")]
    assert local_site.query("SELECT to_regclass('a'), to_regclass('schema_migration_events')") == [(None, None)]


@EVERY
def test_with_a_schema_of_our_own_both_live_side_by_side(
    local_site: LocalSite, theirs: str, looks: str, columns: str
) -> None:
    local_site.query(theirs)
    local_site.write("001_a.sql", "CREATE TABLE a ();\n")
    local_site.settings["SCHEMA"] = "sqlmigrations"

    local_site.run("sqlmigrate_apply", check=True)
    again, status = local_site.run("sqlmigrate_apply"), local_site.run("sqlmigrate_status", "--check")

    assert (again.stdout, status.returncode) == ("All migrations are already applied!\n", 0)
    assert local_site.query("SELECT name FROM sqlmigrations.schema_migrations ORDER BY id") == [
        ("000_migration_tracking",),
        ("001_a",),
    ]
    assert local_site.query("SELECT count(*) FROM public.schema_migrations") == [(0,)]
    assert local_site.query("SELECT to_regclass('public.a') IS NOT NULL") == [(True,)]


def test_a_schema_of_any_name_will_do(local_site: LocalSite) -> None:
    local_site.settings["SCHEMA"] = name = 'Odd "one"; it\'s'
    local_site.write("001_a.sql", "CREATE TABLE a ();\n")

    local_site.run("sqlmigrate_apply", check=True)

    assert local_site.run("sqlmigrate_status", "--check").returncode == 0
    assert local_site.query("SELECT nspname FROM pg_namespace WHERE nspname = %s", name) == [(name,)]


def test_ours_with_more_columns_is_still_ours(local_site: LocalSite) -> None:
    local_site.run("sqlmigrate_apply", check=True)
    local_site.query("ALTER TABLE schema_migrations ADD COLUMN note text")
    local_site.write("001_a.sql", "CREATE TABLE a ();\n")

    assert local_site.run("sqlmigrate_apply").returncode == 0
