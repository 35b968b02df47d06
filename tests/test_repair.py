"""``sqlmigrate_repair``: what it shows, asks, refuses and records."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from typing import Any, TypeVar

import pytest
from django.db import transaction

from sqlmigrations.decision import Action, Decision
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.executor import Executor
from sqlmigrations.target import Target
from sqlmigrations.text import checksum
from tests.inprocess import LocalSite
from tests.site import Site
from tests.terminal import at_a_terminal

AnySite = TypeVar("AnySite", bound=Site)
WHY = ("--reason", "a comment was wrong", "--noinput")
EVENTS = "SELECT event FROM schema_migration_events"
CHANGED = "CREATE TABLE b (v bigint);\n"


@pytest.fixture
def three(local_site: LocalSite) -> LocalSite:
    """Three migrations, applied."""
    return applied(local_site)


@pytest.fixture
def apart(site: Site) -> Site:
    """As ``three``, its commands in processes of their own."""
    return applied(site)


def applied(site: AnySite) -> AnySite:
    for number, name in enumerate("abc", start=1):
        site.write(f"00{number}_{name}.sql", f"CREATE TABLE {name} (v int);\n")
    site.run("sqlmigrate_apply", check=True)
    return site


def plain(text: str) -> str:
    return re.sub(r"\d{4}-\d\d-\d\d \d\d:\d\d(:\d\d)? UTC", "WHEN", text)


def events(site: Site, event: str) -> list[dict[str, Any]]:
    rows = site.query("SELECT to_jsonb(e) FROM schema_migration_events AS e WHERE event = %s ORDER BY id", event)
    return [row for (row,) in rows]


def row_of(site: Site, key: str) -> dict[str, Any]:
    return next(row for row in site.ledger() if (row["label"], row["key"]) == ("project", key))


def test_a_changed_file_is_shown_and_recorded_as_it_is(three: LocalSite) -> None:
    before = row_of(three, "2")
    three.write("002_b.sql", CHANGED)

    done = three.run("sqlmigrate_repair", "accept", "project", "2", *WHY)

    assert (done.returncode, done.stderr) == (0, "")
    assert (
        plain(done.stdout)
        == f"""\
project.002_b  (modified, applied WHEN)
  --- project.002_b as applied
  +++ migrations_sql/002_b.sql
  @@ -1 +1 @@
  -CREATE TABLE b (v int);
  +CREATE TABLE b (v bigint);
Its record gets the checksum of the file as it is now ({checksum(CHANGED)[:16]}...), in place of \
{before["checksum"][:16]}... of the one that was applied. Nothing is run.
So what it says has to be true here already; a database made from it anew gets the file as it is now.
Accepted: project.002_b. The event says when, who and why.
"""
    )
    now = row_of(three, "2")
    assert {key: now[key] for key in now if now[key] != before[key]} == {
        "checksum": checksum(CHANGED),
        "sql_checksum": now["sql_checksum"],
    }
    assert three.query("SELECT body FROM schema_migration_texts WHERE checksum = %s", now["checksum"]) == [(CHANGED,)]
    assert three.query("SELECT atttypid::regtype::text FROM pg_attribute WHERE attrelid = 'b'::regclass AND attnum = 1"
    ) == [("integer",)]  # fmt: skip
    (event,) = events(three, "accepted")
    assert (event["label"], event["key"], event["name"]) == ("project", "2", "002_b")
    assert event["detail"] == {
        "reason": "a comment was wrong",
        "checksum": checksum(CHANGED),
        "checksum_before": before["checksum"],
        "sql_checksum": now["sql_checksum"],
    }
    assert event["os_user"]
    assert event["db_user"]
    assert three.run("sqlmigrate_status", "--check").returncode == 0
    assert three.run("sqlmigrate_apply").stdout == "All migrations are already applied!\n"


def test_a_renamed_file_is_recorded_under_its_new_name(three: LocalSite) -> None:
    (three.migrations / "002_b.sql").rename(three.migrations / "002_better.sql")

    done = three.run("sqlmigrate_repair", "accept", "project.002_better", *WHY)

    assert "\n  (the content is the same; only the name differs)\n" in done.stdout
    assert "...) and its name (002_better), in place of " in done.stdout
    assert row_of(three, "2")["name"] == "002_better"
    (event,) = events(three, "accepted")
    assert event["name"] == "002_better"
    assert (event["detail"]["name"], event["detail"]["name_before"]) == ("002_better", "002_b")
    assert three.run("sqlmigrate_status", "--check").returncode == 0


def test_a_file_of_other_layout_is_accepted_too_and_no_longer_noted(three: LocalSite) -> None:
    three.write("002_b.sql", "-- the second\nCREATE TABLE b (v int);\n")

    assert three.run("sqlmigrate_repair", "accept", "project", "002", *WHY).returncode == 0
    assert "reformatted" not in three.run("sqlmigrate_status").stdout


def test_what_a_file_says_of_its_way_back_is_recorded_with_it(three: LocalSite) -> None:
    three.write("002_b.sql", CHANGED)
    down = three.write("002_b.down.sql", "DROP TABLE b;\n")
    three.run("sqlmigrate_repair", "accept", "project", "2", *WHY, check=True)
    assert row_of(three, "2")["metadata"] == {"down_checksum": checksum(down.read_text())}
    down.unlink()
    three.write("002_b.sql", "-- irreversible: rows are gone\n")

    three.run("sqlmigrate_repair", "accept", "project", "2", *WHY, check=True)

    assert row_of(three, "2")["metadata"] == {
        "down_checksum": checksum("DROP TABLE b;\n"),
        "irreversible": "rows are gone",
        "empty": True,
    }


def test_a_password_in_the_accepted_file_is_neither_shown_nor_kept(three: LocalSite) -> None:
    three.write("002_b.sql", "CREATE TABLE b (v int);\nALTER ROLE app PASSWORD 'correct horse';\n")

    done = three.run("sqlmigrate_repair", "accept", "project", "2", *WHY, check=True)

    assert "  +ALTER ROLE app PASSWORD '********';\n" in done.stdout
    assert "horse" not in done.stdout
    assert three.query("SELECT 1 FROM schema_migration_texts WHERE body LIKE '%%horse%%'") == []


def test_a_missing_one_is_forgotten_and_its_table_stays(three: LocalSite) -> None:
    before = row_of(three, "2")
    three.remove("002_b.sql")

    done = three.run("sqlmigrate_repair", "forget", "project", "2", *WHY)

    assert (done.returncode, done.stderr) == (0, "")
    assert plain(done.stdout) == (
        "project.002_b  (missing, applied WHEN)\n"
        "Its row is deleted; an event keeps it whole. What the migration did to the database stays as it is.\n"
        "Forgotten: project.002_b. The event says when, who and why.\n"
    )
    assert [row["key"] for row in three.ledger() if row["label"] == "project"] == ["1", "3"]
    assert three.query("SELECT to_regclass('b') IS NOT NULL") == [(True,)]
    (event,) = events(three, "forgotten")
    assert event["detail"] == {"reason": "a comment was wrong", "row": before}
    assert (event["label"], event["key"], event["name"]) == ("project", "2", "002_b")
    assert three.run("sqlmigrate_status", "--check").returncode == 0


def test_who_forgets_one_that_was_renumbered_is_told(three: LocalSite) -> None:
    (three.migrations / "002_b.sql").rename(three.migrations / "004_b.sql")

    done = three.run("sqlmigrate_repair", "forget", "project", "2", *WHY)

    assert (
        "\n004_b.sql holds the same SQL and is pending: it was renumbered, and the next apply would run" in done.stdout
    )


@pytest.mark.parametrize("state", ["running", "partial"])
def test_one_that_is_half_done_is_forgotten_and_runs_again(three: LocalSite, state: str) -> None:
    three.query("UPDATE schema_migrations SET state = %s WHERE name = '003_c'", state)
    three.query("DROP TABLE c")

    done = three.run("sqlmigrate_repair", "forget", "project", "3", *WHY)

    assert plain(done.stdout) == (
        "project.003_c  (partial, begun WHEN)\n"
        f"It was begun and not finished (state {state}). Its row is deleted; an event keeps it whole.\n"
        "What took effect of it stays, and has to be undone by hand.\n"
        "It counts as never begun then: the next apply runs it from its first statement.\n"
        "Forgotten: project.003_c. The event says when, who and why.\n"
    )
    three.run("sqlmigrate_apply", check=True)
    assert three.query("SELECT to_regclass('c') IS NOT NULL") == [(True,)]


@pytest.mark.parametrize("state", ["running", "partial"])
def test_one_that_is_half_done_can_count_as_done(three: LocalSite, state: str) -> None:
    three.query("UPDATE schema_migrations SET state = %s, statements_done = 0 WHERE name = '003_c'", state)

    done = three.run("sqlmigrate_repair", "resolve", "project", "3", "--done", *WHY)

    assert plain(done.stdout) == (
        "project.003_c  (partial, begun WHEN)\n"
        f"It was begun and not finished (state {state}).\n"
        "It is recorded as applied. Nothing is run, so all that it says has to be in the database already.\n"
        "Resolved: project.003_c. The event says when, who and why.\n"
        "Next: python manage.py sqlmigrate_apply\n"
    )
    assert (row_of(three, "3")["state"], row_of(three, "3")["statements_done"]) == ("applied", 1)
    (event,) = events(three, "resolved")
    assert event["detail"] == {"reason": "a comment was wrong", "how": "done", "state_before": state}
    assert three.run("sqlmigrate_status", "--check").returncode == 0


def test_one_that_is_half_done_can_be_run_again(three: LocalSite) -> None:
    three.query("UPDATE schema_migrations SET state = 'running' WHERE name = '003_c'")
    three.query("DROP TABLE c")
    before = row_of(three, "3")

    done = three.run("sqlmigrate_repair", "resolve", "project", "3", "--redo", *WHY)

    assert "\nIts row is deleted; an event keeps it whole. The next apply runs it from its first" in done.stdout
    (event,) = events(three, "resolved")
    assert event["detail"] == {"reason": "a comment was wrong", "how": "redo", "row": before}
    three.run("sqlmigrate_apply", check=True)
    assert three.query("SELECT to_regclass('c') IS NOT NULL") == [(True,)]


def a_half_done_one_without_file(site: Site) -> None:
    a_row_unfinished(site)
    a_file_gone(site)


def test_one_that_is_ahead_is_not_forgotten_by_a_script(three: LocalSite) -> None:
    three.remove("003_c.sql")

    refused = three.run("sqlmigrate_repair", "forget", "project", "3", *WHY)

    assert refused.returncode == 6
    assert refused.stderr == (
        "project.003_c is ahead: to forget it takes a person who types its name. Nothing was changed.\n\n"
        "  Next: Leave out --noinput, in a terminal.\n"
    )
    assert row_of(three, "3")
    assert events(three, "forgotten") == []


def a_file_gone(site: Site) -> None:
    site.remove("002_b.sql")


def a_file_more(site: Site) -> None:
    site.write("004_d.sql", "CREATE TABLE d ();\n")


def a_file_changed(site: Site) -> None:
    site.write("002_b.sql", CHANGED)


def a_row_unfinished(site: Site) -> None:
    site.query("UPDATE schema_migrations SET state = 'partial' WHERE name = '002_b'")


def nothing(site: Site) -> None:
    pass


@pytest.mark.parametrize(
    ("arrange", "arguments", "said"),
    [
        (nothing, ("accept", "project", "2"), "is applied, and its file is the one that was applied: there is"),
        (a_file_more, ("accept", "project", "4"), "project.004_d is pending: nothing is recorded of it"),
        (a_file_gone, ("accept", "project", "2"), "project.002_b is missing: its file is not here"),
        (a_row_unfinished, ("accept", "project", "2"), "project.002_b was begun and not finished (state partial)"),
        (nothing, ("forget", "project", "2"), "project.002_b is applied and its file is here: forgotten, it would be"),
        (a_file_changed, ("forget", "project", "2"), "project.002_b is modified and its file is here"),
        (a_file_more, ("forget", "project", "4"), "project.004_d is pending: nothing is recorded of it"),
        (nothing, ("resolve", "project", "2"), "To resolve is to say how: whether it is done, or to be run again."),
        (nothing, ("forget", "project", "2", "--done"), "--done is said of what is half done, by resolve."),
        (nothing, ("resolve", "project", "2", "--redo"), "project.002_b is applied, not half done: there is"),
        (a_half_done_one_without_file, ("resolve", "project", "2", "--redo"), "so it cannot be run again"),
        (nothing, ("accept", "projct", "2"), "There is no source with the label 'projct'.\n\n  Next: Did you mean"),
        (nothing, ("accept", "project", "9"), "project has no migration '9'.\n\n  Next: Its newest are: 001_a, 002_b"),
        (nothing, ("accept", "project", "002_d"), "has no migration '002_d'.\n\n  Next: Did you mean 002_b?"),
        (nothing, ("accept", "002_b"), "is a migration without its label.\n\n  Next: Name it whole: project.002_b."),
        (nothing, ("accept", "2"), "'2' is a migration without its label.\n\n  Next: Name it whole: project.002_b."),
        (nothing, ("accept", "project"), "Which migration of project? A repair is about one."),
        (nothing, ("accept", "sqlmigrations", "0"), "sqlmigrations is the label of the tool's own files"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused_with_what_can(
    three: LocalSite, arrange: Callable[[Site], None], arguments: tuple[str, ...], said: str
) -> None:
    arrange(three)
    before = three.ledger()

    refused = three.run("sqlmigrate_repair", *arguments, *WHY)

    assert (refused.returncode, refused.stdout) == (2, "")
    assert said in refused.stderr
    assert "\n  Next: " in refused.stderr
    assert three.ledger() == before
    assert not {"accepted", "forgotten", "resolved"} & {event for (event,) in three.query(EVENTS)}


def test_a_file_that_cannot_be_read_is_not_taken_for_a_missing_one(three: LocalSite) -> None:
    three.write("002_b.sql", b"CREATE TABLE b (v int) -- \xff\n")

    refused = three.run("sqlmigrate_repair", "forget", "project", "2", *WHY)

    assert refused.returncode == 4
    assert refused.stderr.startswith("The migration files are not in order; nothing was changed.\n")
    assert row_of(three, "2")


@pytest.mark.parametrize("reason", ["", "  ", "..."])
def test_a_reason_has_to_say_something(three: LocalSite, reason: str) -> None:
    a_file_gone(three)

    refused = three.run("sqlmigrate_repair", "forget", "project", "2", "--reason", reason, "--noinput")

    assert refused.returncode == 2
    assert refused.stderr.startswith("The reason says nothing. Nothing was changed.\n")
    assert row_of(three, "2")


def test_without_a_reason_it_is_wrong_use(apart: Site) -> None:
    refused = apart.run("sqlmigrate_repair", "accept", "project", "2")

    assert refused.returncode == 2
    assert "error: the following arguments are required: --reason" in refused.stderr


def test_without_a_terminal_nobody_can_be_asked(apart: Site) -> None:
    a_file_changed(apart)
    before = apart.ledger()

    refused = apart.run("sqlmigrate_repair", "accept", "project", "2", "--reason", "typo")

    assert refused.returncode == 2
    assert "  -CREATE TABLE b (v int);\n  +CREATE TABLE b (v bigint);\n" in refused.stdout
    assert refused.stderr == (
        "There is no terminal to ask on. Nothing was changed.\n\n"
        "  Next: Run it in a terminal; or, when the above is what you want, with --noinput.\n"
    )
    assert apart.ledger() == before


def test_who_says_yes_at_the_terminal_is_obeyed(apart: Site) -> None:
    a_file_changed(apart)

    with at_a_terminal(apart, "sqlmigrate_repair", "accept", "project", "2", "--reason", "typo") as terminal:
        terminal.await_text("Type 'yes' to continue, or 'no' to cancel: ")
        terminal.type("yes\n")
        code = terminal.leave()

    assert code == 0, terminal.shown
    assert "Accepted: project.002_b." in terminal.shown
    assert row_of(apart, "2")["checksum"] == checksum(CHANGED)


@pytest.mark.parametrize("keys", ["no\n", "\n", "y\n", "\x04", "\x03"], ids=["no", "enter", "y", "ctrl-d", "ctrl-c"])
def test_who_says_anything_else_changes_nothing(apart: Site, keys: str) -> None:
    a_file_changed(apart)
    before = apart.ledger()

    with at_a_terminal(apart, "sqlmigrate_repair", "accept", "project", "2", "--reason", "typo") as terminal:
        terminal.await_text("or 'no' to cancel: ")
        terminal.type(keys)
        code = terminal.leave()

    assert code == 130
    assert terminal.shown.endswith("\nCancelled. Nothing was changed.\n\n  Next: python manage.py sqlmigrate_status\n")
    assert apart.ledger() == before


@pytest.mark.parametrize(("typed", "left"), [("project.003_c\n", ["1", "2"]), ("yes\n", ["1", "2", "3"])])
def test_one_that_is_ahead_is_forgotten_by_its_name_only(apart: Site, typed: str, left: list[str]) -> None:
    apart.remove("003_c.sql")

    with at_a_terminal(apart, "sqlmigrate_repair", "forget", "project", "3", "--reason", "undone") as terminal:
        terminal.await_text("Type 'project.003_c' to continue, or 'no' to cancel: ")
        terminal.type(typed)
        terminal.leave()

    assert "it is of a newer checkout, which would run it again when it is forgotten." in terminal.shown
    assert [row["key"] for row in apart.ledger() if row["label"] == "project"] == left


def test_what_changes_between_question_and_answer_is_not_overwritten(apart: Site) -> None:
    a_file_changed(apart)

    with at_a_terminal(apart, "sqlmigrate_repair", "accept", "project", "2", "--reason", "typo") as terminal:
        terminal.await_text("or 'no' to cancel: ")
        apart.write("002_b.sql", "CREATE TABLE b (v text);\n")
        before = apart.ledger()
        terminal.type("yes\n")
        code = terminal.leave()

    assert code == 4
    assert "project.002_b changed while it was being decided about, its record or its file." in terminal.shown
    assert apart.ledger() == before


def test_the_document_says_what_was_done(three: LocalSite) -> None:
    a_file_gone(three)

    done = three.run("sqlmigrate_repair", "forget", "project", "2", *WHY, "--format", "json")

    (event,) = events(three, "forgotten")
    assert json.loads(done.stdout) == {
        "schema": 1,
        "database": "default",
        "run_id": event["run_id"],
        "action": "forget",
        "id": "project.002_b",
        "result": "ok",
        "exit_code": 0,
        "error": None,
    }
    assert done.stderr.startswith("project.002_b  (missing, applied ")


def test_a_refusal_is_a_document_too(three: LocalSite) -> None:
    refused = three.run("sqlmigrate_repair", "forget", "project", "2", *WHY, "--format", "json")

    document = json.loads(refused.stdout)
    assert (document["exit_code"], document["error"]["type"]) == (2, "ConfigurationError")


def test_within_atomic_nothing_is_repaired(three: LocalSite) -> None:
    a_file_gone(three)

    with three.configured(), transaction.atomic():
        executor = Executor()
        proposal = executor.propose(Decision(Action.FORGET, Target("project", "2")))
        with pytest.raises(ConfigurationError, match="cannot run inside"):
            executor.repair(proposal, "why")

    assert row_of(three, "2")
