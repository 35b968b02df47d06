"""What sqlmigrate_apply prints and does: progress, targets, options."""

from __future__ import annotations

import re

import pytest
from django.db import connections

from sqlmigrations import lint
from tests.inprocess import LocalSite


@pytest.fixture
def shop(local_site: LocalSite) -> LocalSite:
    """Three pending migrations, the tracking tables applied."""
    local_site.run("sqlmigrate_apply", check=True)
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    local_site.write("001_a.down.sql", "DROP TABLE a;\n")
    local_site.write("002_b.sql", "-- lock-timeout: 5s\n-- statement-timeout: 2min\nSELECT 1;\nSELECT 2;\n")
    local_site.write("003_c.sql", "DROP TABLE IF EXISTS old;\n")
    return local_site


def names(site: LocalSite) -> list[str]:
    return [row["name"] for row in site.ledger() if row["label"] == "project"]


def timeless(text: str) -> str:
    return re.sub(r"\b[\d.]+ m?s\b(?! before)", "N", text)


def test_a_run_as_text(shop: LocalSite) -> None:
    shop.write("003_c.sql", "CREATE TABLE c (id int);\n")

    ended = shop.run("sqlmigrate_apply", check=True)

    assert (
        timeless(ended.stdout)
        == """\
Running SQL migrations on "default":
  Applying project.001_a... OK (N)
  Applying project.002_b... OK (N)
  Applying project.003_c... OK (N)
3 applied, 0 skipped, N in all.
"""
    )
    assert ended.stderr == ""


def test_warnings_come_before_anything_runs(shop: LocalSite) -> None:
    ended = shop.run("sqlmigrate_apply", check=True)

    heading, warning, place = ended.stdout.splitlines()[:3]
    assert (heading, warning) == ('Running SQL migrations on "default":', "1 warning:")
    assert place == "  migrations_sql/003_c.sql:1:22  [drop-table]"
    assert ended.stdout.index("Safer: ") < ended.stdout.index("Applying ")


def test_nothing_to_do_as_text(shop: LocalSite) -> None:
    shop.run("sqlmigrate_apply", check=True)

    assert shop.run("sqlmigrate_apply", check=True).stdout == "All migrations are already applied!\n"


def test_verbosity_2_adds_statements_and_notices(shop: LocalSite) -> None:
    shop.remove("003_c.sql")
    shop.write(
        "003_d.sql", "CREATE TABLE IF NOT EXISTS a (\n  id int\n);\nDO $$ BEGIN RAISE NOTICE 'hello'; END $$;\n"
    )

    ended = shop.run("sqlmigrate_apply", "-v", "2", check=True)

    assert timeless(ended.stdout).splitlines()[-6:] == [
        "  Applying project.003_d... OK (N)",
        "      line 1: CREATE TABLE IF NOT EXISTS a (",
        "      line 4: DO $$ BEGIN RAISE NOTICE 'hello'; END $$;",
        '      NOTICE:  relation "a" already exists, skipping',
        "      NOTICE:  hello",
        "3 applied, 0 skipped, N in all.",
    ]


def test_verbosity_2_cuts_a_long_list_of_statements(shop: LocalSite) -> None:
    shop.write("004_d.sql", "SELECT 1;\n" * 203)

    ended = shop.run("sqlmigrate_apply", "-v", "2", check=True)

    assert "      line 200: SELECT 1;\n      ... and 3 more\n" in ended.stdout


def test_verbosity_0_prints_nothing_but_errors(shop: LocalSite) -> None:
    shop.write("004_d.sql", "SELECT 1/0;\n")

    ended = shop.run("sqlmigrate_apply", "-v", "0")

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("project.004_d failed and was rolled back.\n")


@pytest.mark.parametrize("version", ["002", "2", "002_b"])
def test_a_version_is_applied_up_to_and_including(shop: LocalSite, version: str) -> None:
    shop.run("sqlmigrate_apply", "project", version, check=True)

    assert names(shop) == ["001_a", "002_b"]


def test_a_label_is_applied_alone(shop: LocalSite) -> None:
    shop.run("sqlmigrate_apply", "sqlmigrations", check=True)
    assert names(shop) == []

    shop.run("sqlmigrate_apply", "project", check=True)
    assert names(shop) == ["001_a", "002_b", "003_c"]


def test_a_version_below_what_is_applied_is_nothing_to_do(shop: LocalSite) -> None:
    shop.run("sqlmigrate_apply", "project", "002", check=True)

    ended = shop.run("sqlmigrate_apply", "project", "001", check=True)

    assert ended.stdout == "All migrations are already applied!\n"
    assert names(shop) == ["001_a", "002_b"]


@pytest.mark.parametrize(
    ("target", "said"),
    [
        (
            ("shpo",),
            "There is no source with the label 'shpo'.\n\n  Next: The labels are: project. An app gets one by a "
            "folder migrations_sql, a site by SQLMIGRATIONS['DIRS'].\n",
        ),
        (("project", "9"), "project has no migration '9'.\n\n  Next: Its newest are: 001_a, 002_b, 003_c.\n"),
        (
            ("project", "zero"),
            "sqlmigrate_apply only goes forward; this version has no command that goes back.\n\n"
            "  Next: Run the .down.sql files by hand, newest first.\n",
        ),
    ],
)
def test_a_target_that_does_not_exist_is_a_usage_error(shop: LocalSite, target: tuple[str, ...], said: str) -> None:
    ended = shop.run("sqlmigrate_apply", *target)

    assert (ended.returncode, ended.stdout, ended.stderr) == (2, "", said)
    assert names(shop) == []


def test_a_target_takes_what_it_depends_on_along(shop: LocalSite) -> None:
    shop.write("billing/001_x.sql", "-- depends: project.002_b\nSELECT 1;\n")
    shop.settings["DIRS"] = {"project": shop.migrations, "billing": shop.migrations / "billing"}

    shop.run("sqlmigrate_apply", "billing", check=True)

    assert [(row["label"], row["name"]) for row in shop.ledger()[1:]] == [
        ("project", "001_a"),
        ("project", "002_b"),
        ("billing", "001_x"),
    ]


def test_fake_records_without_running(shop: LocalSite) -> None:
    ended = shop.run("sqlmigrate_apply", "--fake", "project", "002", check=True)

    assert (
        timeless(ended.stdout)
        == """\
Running SQL migrations on "default":
  Applying project.001_a... FAKED (N)
      recorded without running
  Applying project.002_b... FAKED (N)
      recorded without running
0 applied, 2 recorded without running, 0 skipped, N in all.
"""
    )
    assert [(row["name"], row["execution_ms"], row["metadata"]["faked"]) for row in shop.ledger()[1:]] == [
        ("001_a", None, True),
        ("002_b", None, True),
    ]
    assert shop.query("SELECT to_regclass('a')") == [(None,)]


def test_a_warning_is_silenced_by_option_setting_or_file(shop: LocalSite) -> None:
    assert "[drop-table]" in shop.run("sqlmigrate_apply", "--plan").stdout
    assert "[drop-table]" not in shop.run("sqlmigrate_apply", "--plan", "--allow", "drop-table").stdout
    shop.settings["ALLOW"] = ["drop-table"]
    assert "[drop-table]" not in shop.run("sqlmigrate_apply", "--plan").stdout
    del shop.settings["ALLOW"]
    shop.write("003_c.sql", "-- allow: drop-table it was a copy\nDROP TABLE IF EXISTS old;\n")
    assert "[drop-table]" not in shop.run("sqlmigrate_apply", "--plan").stdout


def test_an_unknown_rule_to_allow_is_a_usage_error(shop: LocalSite) -> None:
    ended = shop.run("sqlmigrate_apply", "--allow", "drop-tabel")

    assert ended.returncode == 2
    assert ended.stderr == "There is no rule 'drop-tabel' to allow.\n\n  Next: Did you mean drop-table?\n"


def test_a_word_like_no_rule_is_answered_with_all_of_them(shop: LocalSite) -> None:
    ended = shop.run("sqlmigrate_apply", "--allow", "foo")

    assert ended.returncode == 2
    assert ended.stderr == (
        f"There is no rule 'foo' to allow.\n\n  Next: The rules are: {', '.join(sorted(lint.RULES))}.\n"
    )


def test_warnings_and_notes_are_counted_each_under_a_title_of_its_own(shop: LocalSite) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.write("001_a.sql", "CREATE TABLE a (id int); -- a\n")
    shop.write("004_d.sql", "-- allow: drop-table there was one\n")

    ended = shop.run("sqlmigrate_apply", "--plan", check=True)

    assert (
        ended.stdout.partition("1 warning:")[2]
        == """
  migrations_sql/004_d.sql  [empty-file]
    No statement in it; once applied, it can no longer be filled.
    Safer: Write its SQL first; or, when it is meant to be empty, add the line -- allow: empty-file why
2 notes:
  migrations_sql/001_a.sql  [reformatted]
    Its layout or comments changed since it was applied; the statements are the same.
  migrations_sql/004_d.sql:1:1  [unused-allow]
    Nothing in this file needs drop-table to be allowed.
    Safer: Take the line out.
"""
    )


def test_a_note_is_titled_as_one(shop: LocalSite) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.write("001_a.sql", "CREATE TABLE a (id int); -- a\n")

    ended = shop.run("sqlmigrate_apply", check=True)

    assert (
        ended.stdout
        == """\
1 note:
  migrations_sql/001_a.sql  [reformatted]
    Its layout or comments changed since it was applied; the statements are the same.
All migrations are already applied!
"""
    )


def test_a_database_that_does_not_exist_is_a_usage_error(shop: LocalSite) -> None:
    ended = shop.run("sqlmigrate_apply", "--database", "other")

    assert ended.returncode == 2
    assert ended.stderr == "There is no database 'other'.\n\n  Next: The aliases are: default.\n"


def test_a_database_of_another_kind_is_a_usage_error(shop: LocalSite, monkeypatch: pytest.MonkeyPatch) -> None:
    aliases = connections.settings
    lite = {**aliases["default"], "ENGINE": "django.db.backends.sqlite3"}
    monkeypatch.setattr(connections, "settings", {**aliases, "lite": lite})

    ended = shop.run("sqlmigrate_apply", "--database", "lite")

    assert ended.returncode == 2
    assert ended.stderr == (
        "The database 'lite' is SQLite; sqlmigrations runs on PostgreSQL only.\n\n"
        "  Next: Choose another one with --database: default.\n"
    )


def test_a_site_without_postgresql_is_told_the_engine(shop: LocalSite, monkeypatch: pytest.MonkeyPatch) -> None:
    lite = {**connections.settings["default"], "ENGINE": "django.db.backends.sqlite3"}
    monkeypatch.setattr(connections, "settings", {"lite": lite})

    ended = shop.run("sqlmigrate_apply", "--database", "lite")

    assert ended.returncode == 2
    assert ended.stderr == (
        "The database 'lite' is SQLite; sqlmigrations runs on PostgreSQL only.\n\n"
        "  Next: Set ENGINE of DATABASES['lite'] to django.db.backends.postgresql.\n"
    )


@pytest.mark.parametrize("wait", ["abc", "-1", "1 fortnight"])
def test_a_wait_that_is_none_is_refused(shop: LocalSite, wait: str) -> None:
    assert shop.run("sqlmigrate_apply", "--lock-wait", wait).returncode != 0


@pytest.mark.parametrize("wait", ["0.5", "2", "2s", "500ms"])
def test_a_wait_is_seconds_or_has_a_unit(shop: LocalSite, wait: str) -> None:
    assert shop.run("sqlmigrate_apply", "--lock-wait", wait, "--wait-for-db", wait, "--noinput").returncode == 0
