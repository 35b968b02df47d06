"""ApplySQL: ways back that run statement by statement, outside of a transaction."""

from __future__ import annotations

import io
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.db.migrations.exceptions import IrreversibleError

from sqlmigrations import signals
from tests.faults.scene import until
from tests.shop import Migrated, Shop

UP = "CREATE INDEX CONCURRENTLY a_n ON a (n);\nCREATE INDEX CONCURRENTLY a_m ON a (m);\n"
DOWN = "DROP INDEX CONCURRENTLY a_m;\nDROP INDEX CONCURRENTLY a_n;\n"
# The second statement fails until somebody corrects it.
WRONG = DOWN.replace("a_n", "a_o")

RUNNERS = (
    "SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'sqlmigrations%'"
)


@pytest.fixture
def indexed(shop: Shop) -> Shop:
    """With a table, and a migration that makes indexes on it; not applied yet."""
    shop.run("sqlmigrate_apply", check=True)
    shop.query("CREATE TABLE a (n int, m int); SELECT 1")
    shop.migration("0001_x", "migrations.RunSQL('SELECT 1', 'SELECT 1')")
    shop.wrap("0002", "001_a", UP, atomic=False, down=DOWN)
    return shop


def undo(shop: Shop, down: str) -> Migrated:
    """Takes the migration back with another way back."""
    shop.write("001_a.down.sql", down)
    return shop.migrate("0001")


def state(shop: Shop) -> list[str]:
    return [row["state"] for row in shop.ledger() if row["label"] == "project"]


@pytest.fixture
def half_undone(indexed: Shop) -> Shop:
    """One of the two indexes is dropped."""
    indexed.migrate(check=True)
    assert undo(indexed, WRONG).returncode == 7
    # The server may take a moment to see that the runner is gone.
    until(lambda: not indexed.query(RUNNERS))
    return indexed


def test_it_runs_and_the_record_goes(indexed: Shop) -> None:
    indexed.migrate(check=True)

    indexed.migrate("0001", check=True)

    assert (indexed.has("a_n"), indexed.has("a_m"), indexed.names()) == (False, False, [])
    assert indexed.django() == ["0001_x"]
    assert [event for event, _ in indexed.events()][-8:] == [
        *("run_started", "undoing"),
        *("statement_started", "statement_finished") * 2,
        *("rolled_back", "run_finished"),
    ]
    ((detail,),) = indexed.query("SELECT detail FROM schema_migration_events WHERE event = 'rolled_back'")
    assert (detail["django"], detail["statements"], detail["row"]["name"]) == ("shop.0002_x", 2, "001_a")
    assert detail["execution_ms"] > 0
    indexed.migrate(check=True)
    assert (indexed.has("a_n"), state(indexed)) == (True, ["applied"])


def test_a_first_statement_that_fails_leaves_everything_in_force(indexed: Shop) -> None:
    indexed.migrate(check=True)

    failed = undo(indexed, "DROP INDEX CONCURRENTLY a_o;\nDROP INDEX CONCURRENTLY a_n;\n")

    assert (failed.returncode, failed.error) == (
        1,
        "Undoing project.001_a failed.\n\n"
        "  migrations_sql/001_a.down.sql:1:25\n"
        "  > 1 | DROP INDEX CONCURRENTLY a_o;\n"
        "      |                         ^\n"
        "    2 | DROP INDEX CONCURRENTLY a_n;\n"
        '  PostgreSQL 42704: index "a_o" does not exist\n\n'
        "  Nothing was undone: project.001_a is in force as it was.\n"
        "  Next: If it was undone before, write IF EXISTS, so that the way back can be repeated. "
        "Then run  python manage.py migrate shop 0001_x",
    )
    assert (state(indexed), indexed.ledger()[-1]["metadata"].keys()) == (["applied"], {"django", "down_checksum"})
    assert (indexed.has("a_n"), indexed.django()) == (True, ["0001_x", "0002_x"])


def test_a_later_statement_that_fails_leaves_it_half_undone(indexed: Shop) -> None:
    indexed.migrate(check=True)

    failed = undo(indexed, WRONG)

    assert (failed.returncode, failed.error) == (
        7,
        "Undoing project.001_a stopped at statement 2 of 2, in line 2.\n\n"
        "  migrations_sql/001_a.down.sql:2:25\n"
        "    1 | DROP INDEX CONCURRENTLY a_m;\n"
        "  > 2 | DROP INDEX CONCURRENTLY a_o;\n"
        "      |                         ^\n"
        '  PostgreSQL 42704: index "a_o" does not exist\n\n'
        "  Statement 1 is done and recorded. There was no index a_o before, and there is none now.\n"
        "  Next: If it was undone before, write IF EXISTS, so that the way back can be repeated. "
        "Then run  python manage.py migrate shop 0001_x\n"
        "  It goes on at statement 2, or begins again when what is above line 2 was changed.",
    )
    assert (state(indexed), indexed.django()) == (["partial"], ["0001_x", "0002_x"])
    assert (indexed.has("a_m"), indexed.has("a_n")) == (False, True)


TOLD = (
    "  project.001_a  [partial]\n"
    "    Half undone: 1 of 2 statements of its way back are done. Statement 1 is done and recorded. "
    "There was no index a_o before, and there is none now.\n"
    "    Next: Go on with it: python manage.py migrate shop 0001_x\n"
    "    Or, when all that was undone is in the database again: "
    'python manage.py sqlmigrate_repair resolve project 001 --done --reason "..."\n'
)


def test_status_and_apply_tell_of_it_and_what_to_type(half_undone: Shop) -> None:
    status = half_undone.run("sqlmigrate_status", "--check")
    applied = half_undone.run("sqlmigrate_apply")

    assert (status.returncode, applied.returncode) == (7, 7)
    line, *others = status.stdout.partition("project\n")[2].splitlines(keepends=True)
    assert line.startswith(" [!] 001_a  (partial, half undone, 1 of 2 statements of its way back, applied 20")
    assert "".join(others) == "2 in all, 1 applied, 0 pending, 1 partial; integrity broken.\n" + TOLD
    assert applied.stderr == "A migration is half done; nothing has run.\n\n" + TOLD
    with half_undone.configured():
        checked = io.StringIO()
        call_command("check", databases=["default"], tags=["sqlmigrations"], stdout=checked, stderr=checked)
    assert "SQL migrations that are half done: project.001_a." in checked.getvalue()


@pytest.mark.parametrize(
    ("down", "ran"),
    [
        (DOWN, ["DROP INDEX CONCURRENTLY a_n;"]),
        # What is done was changed as well: it begins again.
        (DOWN.replace("LY", "LY IF EXISTS"), [f"DROP INDEX CONCURRENTLY IF EXISTS a_{c};" for c in "mn"]),
        # What is left could run in a transaction.
        ("-- transaction: off\nDROP INDEX CONCURRENTLY a_m;\nDROP INDEX a_n;\n", []),
        ("DROP INDEX IF EXISTS a_m, a_n;\n", []),
    ],
)
def test_a_way_back_that_was_corrected_is_gone_on_with(half_undone: Shop, down: str, ran: list[str]) -> None:
    (last,) = half_undone.query("SELECT max(id) FROM schema_migration_events")

    done = undo(half_undone, down)

    assert (done.returncode, half_undone.has("a_n"), half_undone.names()) == (0, False, []), done
    assert half_undone.django() == ["0001_x"]
    sql = "SELECT detail->>'sql' FROM schema_migration_events WHERE id > %s AND detail ? 'sql' ORDER BY id"
    assert [row[0] for row in half_undone.query(sql, last[0])] == ran


def test_the_way_back_that_was_begun_is_gone_on_with_when_its_file_is_gone(half_undone: Shop) -> None:
    half_undone.query("CREATE INDEX a_o ON a (n); SELECT 1")
    half_undone.remove("001_a.down.sql")
    half_undone.remove("001_a.sql")

    half_undone.migrate("0001", check=True)

    assert (half_undone.has("a_o"), half_undone.names()) == (False, [])


def test_migrate_does_not_apply_what_is_half_undone(half_undone: Shop) -> None:
    half_undone.migrate("0001", "--fake", check=True)

    refused = half_undone.migrate()

    assert refused.returncode == 7
    assert "Half undone: 1 of 2 statements of its way back are done." in refused.error


def test_what_was_put_back_by_hand_is_resolved_as_done(half_undone: Shop) -> None:
    half_undone.query("CREATE INDEX a_m ON a (m); SELECT 1")

    resolved = half_undone.run(
        *("sqlmigrate_repair", "resolve", "project", "001", "--done", "--reason", "made again", "--noinput")
    )

    assert resolved.stdout.partition("\n")[2] == (
        "It was being undone: 1 of 2 statements of its way back are done.\n"
        "It is recorded as applied again. Nothing is run, so all that it says has to be in the database, with what "
        "was undone of it put back by hand.\n"
        "Resolved: project.001_a. The event says when, who and why.\n"
        "Next: python manage.py sqlmigrate_apply\n"
    )
    assert (state(half_undone), half_undone.run("sqlmigrate_status", "--check").returncode) == (["applied"], 0)
    assert undo(half_undone, DOWN).returncode == 0
    assert (half_undone.has("a_m"), half_undone.names()) == (False, [])


@pytest.mark.parametrize("decision", [("resolve", "project", "001", "--redo"), ("forget", "project", "001")])
def test_what_was_undone_by_hand_is_resolved_or_forgotten(half_undone: Shop, decision: tuple[str, ...]) -> None:
    half_undone.query("DROP INDEX a_n; SELECT 1")

    resolved = half_undone.run("sqlmigrate_repair", *decision, "--reason", "dropped", "--noinput")

    assert resolved.returncode == 0, resolved
    assert "Its row is deleted; an event keeps it whole.\n" in resolved.stdout
    assert resolved.stdout.endswith("Next: python manage.py migrate shop 0001_x\n")
    assert half_undone.names() == []
    half_undone.migrate("0001", check=True)
    assert half_undone.django() == ["0001_x"]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("resolve", "--redo", "--statement", "2"), "project.001_a is half undone: it is resolved as a whole"),
        (("accept",), "project.001_a is half undone: only a whole one is accepted."),
    ],
)
def test_other_decisions_about_it_are_refused(half_undone: Shop, words: tuple[str, ...], said: str) -> None:
    action, *options = words

    refused = half_undone.run("sqlmigrate_repair", action, "project", "001", *options, "--reason", "so", "--noinput")

    assert refused.returncode == 2
    assert said in refused.stderr


def test_an_atomic_migration_cannot_undo_it(indexed: Shop) -> None:
    indexed.migrate(check=True)
    indexed.migration("0002_x", "ApplySQL('project', '001_a')", atomic=True)

    with pytest.raises(IrreversibleError, match=r"and shop\.0002_x is one; write  atomic = False  into its class"):
        indexed.migrate("0001")

    assert (state(indexed), indexed.has("a_m"), indexed.django()) == (["applied"], True, ["0001_x", "0002_x"])


def test_the_plan_tells_whether_it_can_be_undone(indexed: Shop) -> None:
    indexed.migrate(check=True)

    can = indexed.migrate("0001", "--plan", check=True)
    indexed.migration("0002_x", "ApplySQL('project', '001_a')", atomic=True)
    cannot = indexed.migrate("0001", "--plan", check=True)

    planned = "Planned operations:\nshop.0002_x\n    SQL file project.001_a -> "
    assert (can.stdout, cannot.stdout) == (f"{planned}001_a.down.sql\n", f"{planned}IRREVERSIBLE\n")


@pytest.fixture
def meddling(indexed: Shop) -> Iterator[None]:
    """Somebody deletes the row when the way back is about to begin."""

    def delete(**_: object) -> None:
        indexed.query("DELETE FROM schema_migrations WHERE label = 'project' RETURNING 1")

    indexed.migrate(check=True)
    signals.migration_started.connect(delete)
    yield
    signals.migration_started.disconnect(delete)


def test_a_row_that_somebody_removes_meanwhile_stops_it(indexed: Shop, meddling: None) -> None:
    stopped = indexed.migrate("0001")

    assert (stopped.returncode, stopped.error) == (
        4,
        "The record of project.001_a was changed or removed meanwhile, by somebody else.\n\n"
        "  Next: Look at it: python manage.py sqlmigrate_status",
    )
    assert (indexed.has("a_m"), indexed.django()) == (True, ["0001_x", "0002_x"])
