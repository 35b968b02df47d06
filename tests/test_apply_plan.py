"""What sqlmigrate_apply answers to --plan and --check, and its JSON documents."""

from __future__ import annotations

import json
import re
import uuid
from pathlib import Path
from typing import Any

import pytest

from tests.inprocess import LocalSite
from tests.site import Site

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


def document(text: str) -> dict[str, Any]:
    """A JSON document without the parts that are not the same twice."""
    answer: dict[str, Any] = json.loads(text)
    assert re.fullmatch(r"[0-9a-f-]{36}", answer.pop("run_id"))
    for outcome in answer["outcomes"]:
        assert outcome.pop("duration_ms") >= 0
    return answer


def test_a_run_as_one_document(shop: LocalSite) -> None:
    shop.write("002_b.sql", "-- nothing yet\n")

    ended = shop.run("sqlmigrate_apply", "--format", "json", check=True)

    assert document(ended.stdout) == {
        "schema": 1,
        "database": "default",
        "pooling": "none",
        "result": "ok",
        "exit_code": 0,
        "outcomes": [
            {"id": "project.001_a", "result": "applied", "statements": 1, "attempts": 1},
            {"id": "project.002_b", "result": "empty", "statements": 0, "attempts": 1},
            {"id": "project.003_c", "result": "applied", "statements": 1, "attempts": 1},
        ],
        "held": [],
        "error": None,
    }
    assert "Applying project.001_a... OK (" in ended.stderr


def test_nothing_to_do_as_one_document(local_site: LocalSite) -> None:
    local_site.run("sqlmigrate_apply", check=True)

    ended = local_site.run("sqlmigrate_apply", "--format", "json", check=True)

    known = {"schema": 1, "database": "default", "pooling": "none"}
    expected = known | {"result": "ok", "exit_code": 0, "outcomes": [], "held": [], "error": None}
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
        "pooling": "none",
        "result": "error",
        "exit_code": 1,
        "outcomes": found["outcomes"],
        "held": [],
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
            "attempts": 1,
            "blockers": [],
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
        "pooling": None,
        "run_id": None,
        "outcomes": [],
        "held": [],
        "result": "error",
        "exit_code": 4,
        "error": {
            "type": "IntegrityError",
            "message": "The migration files do not agree with what is recorded; nothing has run.",
            "next": "",
            "kept": "",
        },
    }


PLAN = """\
Planned SQL migrations:
  project.001_a
      in one transaction, 1 statement, lock timeout 1 s above deadlock_timeout, statement timeout as the role has, \
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


def test_every_label_of_a_database_made_by_hand_has_a_line_that_records_it(
    local_site: LocalSite, tmp_path: Path
) -> None:
    other = tmp_path / "billing"
    other.mkdir()
    local_site.settings["DIRS"] = {"project": local_site.migrations, "billing": other}
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    local_site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    (other / "007_c.sql").write_text("CREATE TABLE c (id int);\n")
    for table in "abc":
        local_site.query(f"CREATE TABLE {table} (id int)")

    refused = local_site.run("sqlmigrate_apply", "--check", "--format", "json")

    assert refused.returncode == 6
    assert json.loads(refused.stdout)["error"]["next"] == (
        "If those files were run by hand, record them:\n"
        "  python manage.py sqlmigrate_apply --fake billing 007\n"
        "  python manage.py sqlmigrate_apply --fake project 002"
    )
    assert refused.stderr.endswith(
        "\n\n  Next: If those files were run by hand, record them:\n"
        "    python manage.py sqlmigrate_apply --fake billing 007\n"
        "    python manage.py sqlmigrate_apply --fake project 002\n"
    )


def test_a_schema_that_the_role_may_not_look_into_does_not_stop_the_look_ahead(site: Site) -> None:
    role = f"looker_{uuid.uuid4().hex[:8]}"
    site.query(f"CREATE SCHEMA closed; CREATE TABLE closed.a (id int); CREATE ROLE {role} LOGIN")
    site.write("001_a.sql", "CREATE TABLE closed.a (id int);\n")
    owner, _, rest = site.database.url.partition("@")

    looked = site.run("sqlmigrate_apply", "--plan", env={"DATABASE_URL": f"{owner.rpartition('/')[0]}/{role}@{rest}"})
    site.query(f"DROP ROLE {role}")

    assert (looked.returncode, looked.stderr) == (0, "")
    assert "  project.001_a\n" in looked.stdout


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
        "pooling": "none",
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
                "resumes_at": None,
                "rollback_ready": True,
            }
        ],
        "held": [],
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


@pytest.mark.parametrize(
    ("sql", "told"),
    [
        ("ALTER TABLE a ADD b int;", "1 s above deadlock_timeout"),
        ("-- lock-timeout: 5s\nUPDATE a SET id = 1;", "5.0 s"),
        ("UPDATE a SET id = 1;", "30 s"),
        ("UPDATE a SET id = 1; ALTER TABLE a ADD b int;", "30 s (1 s above deadlock_timeout from statement 2 on)"),
        ("SET work_mem = '1MB'; CREATE INDEX CONCURRENTLY i ON a (id);", "none"),
        ("-- lock-timeout: 5s\nCREATE INDEX CONCURRENTLY i ON a (id);", "none"),
        ("-- transaction: off\nALTER TABLE a ADD b int; VACUUM a;", "1 s above deadlock_timeout or 30 s"),
        ("-- transaction: off\n-- lock-timeout: 5s\nALTER TABLE a ADD b int; VACUUM a;", "5.0 s"),
    ],
)
def test_a_plan_says_how_long_statements_wait_for_locks(local_site: LocalSite, sql: str, told: str) -> None:
    local_site.write("001_a.sql", sql)

    ended = local_site.run("sqlmigrate_apply", "--plan", check=True)

    assert re.findall("lock timeout (.*), statement timeout", ended.stdout)[-1] == told
