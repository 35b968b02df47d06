"""What sqlmigrate_apply prints and answers: plans, checks, targets, options, documents."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from tests.inprocess import LocalSite

TRACKING = "sqlmigrations.000_migration_tracking"


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


def document(text: str) -> dict[str, Any]:
    """A JSON document without the parts that are not the same twice."""
    answer: dict[str, Any] = json.loads(text)
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.pop("run_id"))
    for outcome in answer["outcomes"]:
        assert outcome.pop("duration_ms") >= 0
    return answer


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


def test_a_run_as_one_document(shop: LocalSite) -> None:
    shop.write("002_b.sql", "-- nothing yet\n")

    ended = shop.run("sqlmigrate_apply", "--format", "json", check=True)

    assert document(ended.stdout) == {
        "schema": 1,
        "database": "default",
        "result": "ok",
        "exit_code": 0,
        "outcomes": [
            {"id": "project.001_a", "result": "applied", "statements": 1, "attempts": 1},
            {"id": "project.002_b", "result": "empty", "statements": 0, "attempts": 1},
            {"id": "project.003_c", "result": "applied", "statements": 1, "attempts": 1},
        ],
        "error": None,
    }
    assert "Applying project.001_a... OK (" in ended.stderr


def test_nothing_to_do_as_one_document(local_site: LocalSite) -> None:
    local_site.run("sqlmigrate_apply", check=True)

    ended = local_site.run("sqlmigrate_apply", "--format", "json", check=True)

    expected = {"schema": 1, "database": "default", "result": "ok", "exit_code": 0, "outcomes": [], "error": None}
    assert document(ended.stdout) == expected


def test_a_failure_as_one_document(shop: LocalSite) -> None:
    shop.write("002_b.sql", "SELECT 1;\nSELECT nothing;\n")

    ended = shop.run("sqlmigrate_apply", "--format", "json")

    assert ended.returncode == 1
    found = document(ended.stdout)
    advice = "The column does not exist here. Check its spelling and the order of the files."
    assert found == {
        "schema": 1,
        "database": "default",
        "result": "error",
        "exit_code": 1,
        "outcomes": found["outcomes"],
        "error": {
            "type": "MigrationFailed",
            "message": "project.002_b failed and was rolled back.",
            "next": f"{advice} Then run  python manage.py sqlmigrate_apply",
            "findings": [],
            "migration": "project.002_b",
            "file": "migrations_sql/002_b.sql",
            "line": 2,
            "column": 8,
            "kept": "Nothing of this file was kept; 1 migration was applied in this run before it.",
            "sqlstate": "42703",
            "server": 'column "nothing" does not exist',
        },
    }
    assert [(o["id"], o["result"]) for o in found["outcomes"]] == [
        ("project.001_a", "applied"),
        ("project.002_b", "failed"),
    ]
    assert "project.002_b failed and was rolled back." in ended.stderr


def test_a_refusal_as_one_document(shop: LocalSite) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.remove("001_a.sql")
    shop.remove("001_a.down.sql")

    ended = shop.run("sqlmigrate_apply", "--format", "json")

    assert ended.returncode == 4
    found = json.loads(ended.stdout)
    (finding,) = found["error"].pop("findings")
    assert (finding["rule"], finding["migration"]) == ("missing", "project.001_a")
    assert found == {
        "schema": 1,
        "database": "default",
        "run_id": None,
        "outcomes": [],
        "result": "error",
        "exit_code": 4,
        "error": {
            "type": "IntegrityError",
            "message": "The migration files do not agree with what is recorded; nothing has run.",
            "next": "",
        },
    }


PLAN = """\
Planned SQL migrations:
  project.001_a
      in one transaction, 1 statement, lock timeout deadlock_timeout + 1 s, statement timeout as the role has, \
rollback ready
  project.002_b
      in one transaction, 2 statements, lock timeout 5.0 s, statement timeout 2 min 0 s, no rollback
"""


def test_a_plan_as_text_changes_nothing(shop: LocalSite) -> None:
    shop.remove("003_c.sql")

    ended = shop.run("sqlmigrate_apply", "--plan", check=True)

    assert (ended.stdout, ended.stderr) == (PLAN, "")
    assert names(shop) == []


def test_a_plan_before_the_tables_exist_creates_nothing(local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_apply", "--plan", check=True)

    assert f"  {TRACKING}\n" in ended.stdout
    assert local_site.query("SELECT to_regclass('schema_migrations')") == [(None,)]


def test_an_empty_plan_says_so(local_site: LocalSite) -> None:
    local_site.run("sqlmigrate_apply", check=True)

    ended = local_site.run("sqlmigrate_apply", "--plan", check=True)

    assert ended.stdout == "Planned SQL migrations:\n  No planned migrations.\n"


def test_a_plan_as_one_document(shop: LocalSite) -> None:
    shop.write("005_e.sql", "SELECT 1;\n")
    shop.run("sqlmigrate_apply", check=True)
    shop.write("004_d.sql", "-- late: fine\nDROP TABLE a;\n")
    shop.write("004_d.down.sql", "SELECT 1;\n")

    ended = shop.run("sqlmigrate_apply", "--plan", "--format", "json", check=True)

    found = json.loads(ended.stdout)
    (finding,) = found.pop("findings")
    assert (finding["rule"], finding["file"], finding["line"]) == ("drop-table", "migrations_sql/004_d.sql", 2)
    assert found == {
        "schema": 1,
        "database": "default",
        "result": "pending",
        "exit_code": 0,
        "steps": [
            {
                "id": "project.004_d",
                "mode": "transaction",
                "statements": 1,
                "lock_timeout_ms": None,
                "statement_timeout_ms": None,
                "late": True,
                "rollback_ready": True,
            }
        ],
        "error": None,
    }


def test_a_late_step_is_marked_in_the_plan(shop: LocalSite) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.write("0_x.sql", "SELECT 1;\n")

    ended = shop.run("sqlmigrate_apply", "--plan", "--allow-late", check=True)

    assert "  project.0_x\n      late, in one transaction, 1 statement," in ended.stdout


def test_check_is_3_when_something_is_pending_and_0_when_not(shop: LocalSite) -> None:
    pending = shop.run("sqlmigrate_apply", "--check")
    in_json = shop.run("sqlmigrate_apply", "--check", "--format", "json")
    assert names(shop) == []
    shop.run("sqlmigrate_apply", check=True)
    done = shop.run("sqlmigrate_apply", "--check")

    assert (pending.returncode, in_json.returncode, done.returncode) == (3, 3, 0)
    assert json.loads(in_json.stdout)["exit_code"] == 3


def test_check_is_4_when_files_and_records_do_not_agree(shop: LocalSite) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.write("001_a.sql", "SELECT 1;\n")

    checked, planned = shop.run("sqlmigrate_apply", "--check"), shop.run("sqlmigrate_apply", "--plan")

    assert (checked.returncode, planned.returncode) == (4, 4)
    assert "  migrations_sql/001_a.sql  [modified]\n" in checked.stderr
    assert checked.stderr == planned.stderr


def test_a_refused_plan_as_one_document(shop: LocalSite) -> None:
    shop.write("004_d.sql", "SELECT 1;\nCOMMIT;\n")

    ended = shop.run("sqlmigrate_apply", "--plan", "--format", "json")

    found = json.loads(ended.stdout)
    assert ended.returncode == found["exit_code"] == 6
    assert [finding["rule"] for finding in found["error"]["findings"]] == ["transaction-control"]


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
            "There is no source with the label 'shpo'.\n\n  Next: The labels are: sqlmigrations, project.\n",
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


def test_a_note_is_titled_as_one(shop: LocalSite) -> None:
    shop.run("sqlmigrate_apply", check=True)
    shop.write("001_a.sql", "CREATE TABLE a (id int); -- a\n")

    ended = shop.run("sqlmigrate_apply", check=True)

    assert (
        ended.stdout
        == """\
For your information:
  migrations_sql/001_a.sql  [reformatted]
    Its layout or comments changed since it was applied; the statements are the same.
All migrations are already applied!
"""
    )


def test_a_database_that_does_not_exist_is_a_usage_error(shop: LocalSite) -> None:
    ended = shop.run("sqlmigrate_apply", "--database", "other")

    assert ended.returncode == 2
    assert ended.stderr == "There is no database 'other'.\n\n  Next: The aliases are: default.\n"


@pytest.mark.parametrize("wait", ["abc", "-1", "1 fortnight"])
def test_a_wait_that_is_none_is_refused(shop: LocalSite, wait: str) -> None:
    assert shop.run("sqlmigrate_apply", "--lock-wait", wait).returncode != 0


@pytest.mark.parametrize("wait", ["0.5", "2", "2s", "500ms"])
def test_a_wait_is_seconds_or_has_a_unit(shop: LocalSite, wait: str) -> None:
    assert shop.run("sqlmigrate_apply", "--lock-wait", wait, "--wait-for-db", wait, "--noinput").returncode == 0
