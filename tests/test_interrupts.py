"""Ctrl-C, and a reader that leaves: what is said, in words and as JSON, and what is left."""

from __future__ import annotations

import json
import signal
import time

import pytest

from tests.site import Site

RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'sqlmigrations' AND query LIKE '%pg_sleep(%'"


def hear_ctrl_c() -> None:
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("form", ["text", "json"])
def test_ctrl_c_rolls_back_and_says_what_is_left(site: Site, form: str) -> None:
    site.write("001_invoices.sql", "CREATE TABLE invoices (number text);\n")
    # psycopg2 notices a signal when the statement ends.
    site.write("002_slow.sql", "CREATE TABLE vendors (name text);\nSELECT pg_sleep(2);\nSELECT pg_sleep(2);\n")
    # A shell without job control starts what it puts into the background deaf to it, and so this test, perhaps.
    runner = site.start("sqlmigrate_apply", "--format", form, preexec_fn=hear_ctrl_c)
    deadline = time.monotonic() + 30
    while site.query(f"{RUNNING} AND datname = current_database() AND pid <> pg_backend_pid()") != [(1,)]:
        assert time.monotonic() < deadline
        time.sleep(0.05)

    runner.send_signal(signal.SIGINT)
    out, err = runner.communicate(timeout=30)

    assert runner.returncode == 130
    assert err.endswith(
        "Interrupted. The migration under way was rolled back, unless its COMMIT was being sent; those before it are "
        "recorded.\n\n  Next: python manage.py sqlmigrate_status\n"
    )
    assert site.query("SELECT to_regclass('vendors'), to_regclass('invoices') IS NOT NULL") == [(None, True)]
    if form == "json":
        document = json.loads(out)
        assert (document["exit_code"], document["error"]["type"]) == (130, "Interrupted")
        assert [outcome["id"] for outcome in document["outcomes"]][:2] == [
            "sqlmigrations.000_migration_tracking",
            "project.001_invoices",
        ]


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("arguments", [["sqlmigrate_apply"], ["sqlmigrate_apply", "--plan"], ["sqlmigrate_status"]])
def test_a_command_goes_on_when_nobody_reads_its_output(site: Site, arguments: list[str], form: str) -> None:
    for number in (1, 2, 3):
        site.write(f"{number:03}_t.sql", f"CREATE TABLE t{number} (id int);\n")

    runner = site.start(*arguments, "--format", form)
    assert runner.stdout is not None
    runner.stdout.close()
    runner.stdout = None
    _, err = runner.communicate(timeout=30)

    assert runner.returncode == 0
    assert "Error" not in err
    assert len(site.ledger()) == (4 if arguments == ["sqlmigrate_apply"] else 0)


@pytest.mark.parametrize("command", ["sqlmigrate_apply", "sqlmigrate_status"])
def test_a_terminal_without_the_letters_of_a_name_stops_nothing(site: Site, command: str) -> None:
    site.write("001_größe.sql", "CREATE TABLE t (id int);\n")

    ended = site.run(command, env={"PYTHONIOENCODING": "ascii"})

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "001_gr\\xf6\\xdfe" in ended.stdout
