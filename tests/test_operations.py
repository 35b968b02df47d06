"""ApplySQL: a file applied by a Django migration, in its transaction or beside it."""

from __future__ import annotations

import io
import traceback
from collections.abc import Iterator
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections, transaction
from django.db.migrations.exceptions import IrreversibleError

from sqlmigrations import signals
from sqlmigrations.exceptions import MigrationFailed
from sqlmigrations.executor import Executor
from sqlmigrations.sql import statements
from tests.shop import Shop

MODEL = "migrations.CreateModel('Thing', [('id', models.BigAutoField(primary_key=True))])"


@pytest.fixture
def tracked(shop: Shop) -> Shop:
    """With tracking tables."""
    shop.run("sqlmigrate_apply", check=True)
    return shop


def test_a_file_is_applied_and_recorded_with_its_migration(shop: Shop) -> None:
    shop.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")

    done = shop.migrate()

    assert (done.returncode, done.stdout.split()[-3:]) == (0, ["Applying", "shop.0001_x...", "OK"]), done
    assert (shop.has("a"), shop.django(), shop.names()) == (True, ["0001_x"], ["001_a"])
    own, row = shop.ledger()
    assert (own["state"], own["name"]) == ("applied", "000_migration_tracking")
    assert (row["state"], row["mode"], row["metadata"]) == ("applied", "transaction", {"django": "shop.0001_x"})
    assert shop.events() == [
        ("applied", "000_migration_tracking"),
        ("run_started", None),
        ("applied", "001_a"),
        ("run_finished", None),
    ]
    details = [detail for (detail,) in shop.query("SELECT detail FROM schema_migration_events ORDER BY id")]
    assert {detail["django"] for detail in details} == {"shop.0001_x"}


def test_a_file_that_fails_takes_its_migration_with_it(tracked: Shop) -> None:
    tracked.migration("0001_x", f"{MODEL}, ApplySQL('project', '001_a')")
    tracked.write("001_a.sql", "-- runs-in: django:shop.0001_x\nCREATE TABLE a (id int);\nCREATE TABLE a (id int);\n")

    failed = tracked.migrate()

    assert failed.returncode == 1
    assert failed.error == (
        "project.001_a failed and was rolled back.\n\n"
        "  migrations_sql/001_a.sql:3:14\n"
        "    2 | CREATE TABLE a (id int);\n"
        "  > 3 | CREATE TABLE a (id int);\n"
        "      |              ^\n"
        '  PostgreSQL 42P07: relation "a" already exists\n\n'
        "  Nothing of shop.0001_x was kept: its transaction is rolled back.\n"
        "  Next: The relation exists already. Guard it with IF NOT EXISTS or choose another name. (If the whole file "
        "was run by hand, record it instead:  python manage.py sqlmigrate_apply --fake project 001 ) Then run  "
        "python manage.py migrate shop"
    )
    assert (tracked.has("a"), tracked.has("shop_thing"), tracked.django(), tracked.names()) == (False, False, [], [])
    # The beginning of the run was rolled back with the migration; its end is told by a connection of our own.
    assert tracked.events()[-2:] == [("failed", "001_a"), ("run_finished", None)]


def test_nothing_of_ours_is_left_when_the_first_file_of_all_fails(shop: Shop) -> None:
    shop.wrap("0001", "001_a", "SELECT 1/0;\n")

    assert shop.migrate().returncode == 1

    assert (shop.has("schema_migrations"), shop.django()) == (False, [])


SETTINGS = "current_setting('search_path') || '|' || current_setting('lock_timeout') || '|' || current_user"


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT pg_catalog.set_config('search_path', '', false);\n",
        "SET search_path = '';\nSET lock_timeout = 0;\nSET statement_timeout = '1h';\nSET row_security = off;\n",
        "SET LOCAL search_path = '';\n",
        "DO $$BEGIN PERFORM set_config('search_path', 'pg_catalog', false); END$$;\n",
        "SET ROLE pg_monitor;\n",
        "SET LOCAL ROLE pg_monitor;\n",
        "SET SESSION AUTHORIZATION pg_monitor;\n",
        "RESET ALL;\n",
    ],
)
def test_what_a_file_sets_is_put_back_before_anything_else_runs(tracked: Shop, sql: str) -> None:
    tracked.django_sees("SELECT 'plpgsql_call_handler'::regproc::text; LOAD 'plpgsql'; SELECT 1")
    before = [tracked.django_sees(f"SELECT {SETTINGS}"), _all(tracked)]
    tracked.write("001_a.sql", f"-- runs-in: django:shop.0001_x\n{sql}")
    tracked.migration("0001_x", f"ApplySQL('project', '001_a'), {MODEL}, migrations.RunSQL('CREATE TABLE b ()')")

    tracked.migrate(check=True)

    assert [tracked.query("SELECT tablename FROM pg_tables WHERE tablename IN ('b', 'shop_thing')")] != []
    assert (tracked.has("public.b"), tracked.has("public.shop_thing"), tracked.django()) == (True, True, ["0001_x"])
    assert set(_all(tracked)) ^ set(before[1]) == set()
    assert tracked.django_sees(f"SELECT {SETTINGS}") == before[0]


def _all(shop: Shop) -> list[str]:
    """Every setting of Django's session, and where it comes from; the encoding is ours while a file runs."""
    every = "SELECT string_agg(name || '=' || setting || ' by ' || source, '|') FROM pg_settings"
    return str(shop.django_sees(f"{every} WHERE name <> 'client_encoding'")).split("|")


def test_settings_of_the_migration_itself_stay_its_own(tracked: Shop) -> None:
    tracked.write("001_a.sql", "-- runs-in: django:shop.0001_x\n-- lock-timeout: 7s\nCREATE TABLE a (id int);\n")
    tracked.migration(
        "0001_x",
        "migrations.RunSQL(\"SET LOCAL lock_timeout = '3s'\"), ApplySQL('project', '001_a'), "
        "migrations.RunSQL(\"CREATE TABLE seen AS SELECT current_setting('lock_timeout') AS it\")",
    )

    tracked.migrate(check=True)

    assert tracked.query("SELECT it FROM seen") == [("3s",)]
    assert tracked.django_sees("SELECT current_setting('lock_timeout')") == "0"


def test_the_timeouts_of_a_file_are_in_force_while_it_runs(tracked: Shop) -> None:
    tracked.wrap(
        "0001",
        "001_a",
        "-- lock-timeout: 7s\n-- statement-timeout: 9min\n"
        "CREATE TABLE seen AS\n"
        "  SELECT current_setting('lock_timeout') AS l, current_setting('statement_timeout') AS s;\n",
    )

    tracked.migrate(check=True)

    assert tracked.query("SELECT l, s FROM seen") == [("7s", "9min")]


HIDDEN = (
    "DO $$BEGIN PERFORM set_config('standard_conforming_strings', 'off', false); END$$;\n"
    "SELECT 'a\\', 'b; {ending}; --';\n"
)


@pytest.mark.parametrize("ending", ["ROLLBACK", "COMMIT", "ROLLBACK AND CHAIN", "COMMIT AND CHAIN"])
def test_an_ending_that_no_parser_sees_is_caught(tracked: Shop, ending: str) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n" + HIDDEN.format(ending=ending))

    failed = tracked.migrate()

    assert failed.error.startswith("project.001_a ended the transaction it ran in, by a COMMIT or ROLLBACK in it")
    assert failed.error.endswith("undo what took effect, and run  python manage.py migrate shop")
    assert (tracked.django(), tracked.names()) == ([], [])
    assert tracked.events()[-2:] == [("failed", "001_a"), ("run_finished", None)]


def test_an_ending_that_was_overlooked_is_caught(tracked: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(statements, "control", lambda statement: None)
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\nROLLBACK;\nCREATE TABLE b (id int);\n")

    failed = tracked.migrate()

    assert failed.error.startswith("project.001_a ended the transaction it ran in")
    assert (tracked.has("a"), tracked.has("b"), tracked.django(), tracked.names()) == (False, False, [], [])


def test_what_is_recorded_is_not_run_again(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")
    tracked.migrate(check=True)
    tracked.query("DELETE FROM django_migrations RETURNING 1")

    tracked.migrate(check=True)

    assert tracked.django() == ["0001_x"]


def test_a_file_that_was_changed_is_refused(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")
    tracked.migrate(check=True)
    tracked.query("DELETE FROM django_migrations RETURNING 1")
    tracked.wrap("0001", "001_a", "CREATE TABLE b (id int);\n")

    refused = tracked.migrate()

    assert refused.returncode == 4
    assert "migrations_sql/001_a.sql  [modified]" in refused.error
    assert tracked.django() == []


def test_what_a_file_waits_for_is_named_with_the_command(tracked: Shop) -> None:
    tracked.write("001_a.sql", "CREATE TABLE a (id int);\n")
    tracked.write("002_b.sql", "CREATE TABLE b (id int);\n")
    tracked.wrap("0001", "003_c", "CREATE TABLE c (id int);\n")

    refused = tracked.migrate()

    assert (refused.returncode, refused.error) == (
        4,
        "project.003_c waits for project.001_a, project.002_b, which are not applied. Nothing was changed.\n\n"
        "  Next: python manage.py sqlmigrate_apply project 002",
    )
    assert (tracked.django(), tracked.names()) == ([], [])


def test_a_file_that_waits_for_one_of_another_migration_names_that(tracked: Shop) -> None:
    tracked.write("001_a.sql", "-- runs-in: django:stock.0007_y\nCREATE TABLE a (id int);\n")
    tracked.wrap("0001", "002_b", "CREATE TABLE b (id int);\n")

    assert tracked.migrate().error.endswith("\n  Next: python manage.py migrate stock 0007_y")


def test_several_files_of_one_migration_follow_each_other(shop: Shop) -> None:
    for name in ("001_a", "002_b"):
        shop.write(f"{name}.sql", f"-- runs-in: django:shop.0001_x\nCREATE TABLE {name[-1]} (id int);\n")
    shop.migration("0001_x", "ApplySQL('project', '001_a'), ApplySQL('project', '002_b')")

    shop.migrate(check=True)

    assert shop.names() == ["001_a", "002_b"]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("", "[runs-in]\n    shop.0001_x applies it, but the file does not say so"),
        ("-- runs-in: django:shop.0009_y\n", ":1  [runs-in]\n    It says that shop.0009_y applies it"),
        ("-- runs-in: django:stock.0001_x\n", ":1  [runs-in]\n    It says that stock.0001_x applies it"),
    ],
)
def test_a_file_has_to_name_its_migration(tracked: Shop, line: str, said: str) -> None:
    tracked.migration("0001_x", "ApplySQL('project', '001_a')")
    tracked.migration("0009_y", "")
    tracked.write("001_a.sql", f"{line}CREATE TABLE a (id int);\n")

    refused = tracked.migrate("0001")

    assert refused.returncode == 4
    assert refused.error.startswith("shop.0001_x cannot apply project.001_a; nothing was changed.\n\n")
    assert said in refused.error
    assert "-- runs-in: django:shop.0001_x" in refused.error
    assert tracked.django() == []


def test_a_file_that_is_not_there_is_named(tracked: Shop) -> None:
    tracked.migration("0001_x", "ApplySQL('project', '001_b')")
    tracked.write("001_a.sql", "-- runs-in: django:shop.0001_x\n")

    refused = tracked.migrate()

    assert refused.returncode == 2
    assert refused.error.startswith("ApplySQL names project.001_b, and there is no 001_b.sql in ")
    assert "Did you mean 001_a?" in refused.error


@pytest.mark.parametrize(
    "sql", ["CREATE INDEX CONCURRENTLY i ON a (id);\n", "BEGIN ISOLATION LEVEL SERIALIZABLE;\nSELECT 1;\nCOMMIT;\n"]
)
def test_what_needs_a_transaction_of_its_own_or_none_wants_a_migration_that_is_none(tracked: Shop, sql: str) -> None:
    tracked.query("CREATE TABLE a (id int); SELECT 1")
    tracked.wrap("0001", "001_a", sql)

    refused = tracked.migrate()

    assert refused.returncode == 4
    assert "Next: Write  atomic = False  into the class Migration of shop.0001_x." in refused.error
    tracked.wrap("0001", "001_a", sql, atomic=False)
    tracked.migrate(check=True)
    (row,) = [row for row in tracked.ledger() if row["label"] == "project"]
    assert (row["state"], row["metadata"]["django"], tracked.django()) == ("applied", "shop.0001_x", ["0001_x"])


def test_a_migration_that_is_no_transaction_applies_a_file_that_is_one(shop: Shop) -> None:
    shop.wrap("0001", "001_a", "CREATE TABLE a (id int);\nSELECT 1/0;\n", atomic=False)

    failed = shop.migrate()

    assert (failed.returncode, shop.has("a"), shop.django(), shop.names()) == (1, False, [], [])
    assert failed.error.endswith("Then run  python manage.py migrate shop")
    shop.wrap("0001", "001_a", "CREATE TABLE a (id int);\n", atomic=False)
    shop.migrate(check=True)
    assert (shop.has("a"), shop.django(), shop.names()) == (True, ["0001_x"], ["001_a"])


def test_a_file_that_stopped_half_way_is_gone_on_with(tracked: Shop) -> None:
    begun = "-- transaction: off\nCREATE TABLE a (id int);\n"
    tracked.wrap("0001", "001_a", f"{begun}SELECT 1/0;\n", atomic=False)
    stopped = tracked.migrate()
    assert (stopped.returncode, tracked.ledger()[-1]["state"], tracked.django()) == (7, "partial", [])

    tracked.wrap("0001", "001_a", f"{begun}CREATE TABLE b (id int);\n", atomic=False)
    tracked.migrate(check=True)

    assert (tracked.ledger()[-1]["state"], tracked.has("b"), tracked.django()) == ("applied", True, ["0001_x"])


def test_a_broken_constraint_is_told_of_the_file_that_broke_it(tracked: Shop) -> None:
    tracked.query(
        "CREATE TABLE v (id int PRIMARY KEY); "
        "CREATE TABLE i (v int CONSTRAINT i_v_fk REFERENCES v DEFERRABLE INITIALLY DEFERRED); SELECT 1"
    )
    tracked.wrap("0001", "001_a", "INSERT INTO i VALUES (7);\n")

    failed = tracked.migrate()

    assert failed.error.startswith("project.001_a broke a constraint that is checked at its end, and was rolled back.")
    assert "i_v_fk" in failed.error


def test_deferred_constraints_stay_deferred_and_leave_no_pending_trigger(tracked: Shop) -> None:
    tracked.query(
        "CREATE TABLE v (id int PRIMARY KEY); INSERT INTO v VALUES (7);"
        "CREATE TABLE i (v int REFERENCES v DEFERRABLE INITIALLY DEFERRED); SELECT 1"
    )
    tracked.write("001_a.sql", "-- runs-in: django:shop.0001_x\nINSERT INTO i VALUES (7);\n")
    later = "'ALTER TABLE i ADD w int; INSERT INTO i VALUES (8); INSERT INTO v VALUES (8)'"
    tracked.migration("0001_x", f"ApplySQL('project', '001_a'), migrations.RunSQL({later})")

    tracked.migrate(check=True)

    assert tracked.query("SELECT v FROM i ORDER BY v") == [(7,), (8,)]


@pytest.fixture
def vetoed() -> Iterator[None]:
    def veto(**_: object) -> None:
        raise RuntimeError("not today")

    signals.migration_started.connect(veto)
    yield
    signals.migration_started.disconnect(veto)


def test_a_listener_may_veto(tracked: Shop, vetoed: None) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")

    refused = tracked.migrate()

    assert refused.returncode == 6
    assert "a listener of migration_started refused it (not today)" in refused.error
    assert (tracked.has("a"), tracked.django()) == (False, [])


def test_a_migration_within_a_run_of_ours_does_not_wait_for_it(tracked: Shop) -> None:
    with tracked.configured(), Executor().run():
        tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")
        tracked.wrap("0002", "002_b", "CREATE TABLE b (id int);\n", atomic=False)
        done = tracked.migrate()

    assert (done.returncode, tracked.names()) == (0, ["001_a", "002_b"]), done


def test_a_migration_within_somebody_elses_transaction_goes_with_it(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")
    with transaction.atomic():
        tracked.migrate(check=True)
        assert tracked.django_sees("SELECT count(*) FROM schema_migrations WHERE label = 'project'") == 1
        transaction.set_rollback(True)

    assert (tracked.has("a"), tracked.django(), tracked.names()) == (False, [], [])


def test_migrate_of_a_transaction_already_open_refuses_what_is_none(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "VACUUM;\n", atomic=False)
    with transaction.atomic():
        refused = tracked.migrate()
        transaction.set_rollback(True)

    assert refused.returncode == 4
    assert "Next: Call migrate outside of transaction.atomic(); in tests use a TransactionTestCase." in refused.error


def test_sqlmigrate_prints_the_statements_and_touches_nothing(shop: Shop) -> None:
    shop.wrap(
        "0001",
        "001_a",
        "-- lock-timeout: 3s\nBEGIN;\nCREATE TABLE a (t text); -- here\nCOPY a FROM stdin;\nx\\ty\n\\.\nCOMMIT;\n",
    )

    printed = shop.run("sqlmigrate", "shop", "0001")

    assert printed.stdout == (
        "BEGIN;\n--\n-- SQL file project.001_a\n--\n"
        "CREATE TABLE a (t text);\nCOPY a FROM stdin;\nx\\ty\n\\.\nCOMMIT;\n"
    )
    assert shop.query("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'") == [(0,)]


def test_the_plan_names_the_file(shop: Shop) -> None:
    shop.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")

    planned = shop.migrate("--plan")

    assert planned.stdout == "Planned operations:\nshop.0001_x\n    SQL file project.001_a\n"
    assert not shop.has("schema_migrations")


def test_the_connection_of_django_is_as_it_was(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")
    tracked.migrate(check=True)

    assert tracked.query("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'") == [(0,)]
    assert not connections["default"].in_atomic_block
    assert tracked.django_sees("SHOW application_name") == ""


def test_a_migration_that_is_taken_back_undoes_its_file(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n", down="DROP TABLE a;\n")
    tracked.migrate(check=True)

    tracked.migrate("zero", check=True)

    assert (tracked.has("a"), tracked.django(), tracked.names()) == (False, [], [])
    assert tracked.events()[-3:] == [("run_started", None), ("rolled_back", "001_a"), ("run_finished", None)]
    ((detail,),) = tracked.query("SELECT detail FROM schema_migration_events WHERE event = 'rolled_back'")
    assert (detail["django"], detail["statements"], detail["row"]["name"]) == ("shop.0001_x", 1, "001_a")
    tracked.migrate(check=True)
    assert (tracked.has("a"), tracked.names()) == (True, ["001_a"])


@pytest.mark.parametrize("ending", ["ROLLBACK", "COMMIT"])
def test_an_ending_hidden_in_a_way_back_is_caught(tracked: Shop, ending: str) -> None:
    down = "DROP TABLE a;\n" + HIDDEN.format(ending=ending)
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n", down=down)
    tracked.migrate(check=True)

    failed = tracked.migrate("zero")

    assert failed.error.startswith("Undoing project.001_a ended the transaction it ran in")
    assert (tracked.has("a"), tracked.names()) == (ending == "ROLLBACK", ["001_a"])
    assert tracked.django() == ["0001_x"]


def test_a_migration_that_is_no_transaction_undoes_its_file(tracked: Shop) -> None:
    tracked.wrap(
        "0001",
        "001_a",
        "CREATE TABLE a (id int);\n",
        atomic=False,
        down="SET search_path = ''; DROP TABLE public.a;\n",
    )
    tracked.migrate(check=True)

    tracked.migrate("zero", check=True)

    assert (tracked.has("a"), tracked.django(), tracked.names()) == (False, [], [])
    assert tracked.events()[-2:] == [("rolled_back", "001_a"), ("run_finished", None)]


def test_the_way_back_that_was_kept_is_run_when_its_file_is_gone(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n", down="DROP TABLE a;\n")
    tracked.migrate(check=True)
    tracked.remove("001_a.sql")
    tracked.remove("001_a.down.sql")

    tracked.migrate("zero", check=True)

    assert (tracked.has("a"), tracked.django(), tracked.names()) == (False, [], [])


def test_what_was_not_kept_is_irreversible_when_its_files_are_gone(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")
    tracked.migrate(check=True)
    tracked.remove("001_a.sql")

    with pytest.raises(IrreversibleError, match=r"there is no 001_a\.down\.sql, and none was kept"):
        tracked.migrate("zero")


UNRECORD_B = (
    "WITH gone AS (DELETE FROM public.schema_migrations WHERE label = 'project' AND key = '2' RETURNING *) "
    "INSERT INTO public.schema_migration_events (run_id, event, label, key, name, os_user, host, pid, detail) "
    "SELECT gen_random_uuid(), 'rolled_back', label, key, name, session_user, 'psql', pg_backend_pid(), "
    "jsonb_build_object('row', to_jsonb(gone)) FROM gone"
)


def test_what_came_after_a_file_is_undone_first(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n", down="DROP TABLE a;\n")
    tracked.migrate(check=True)
    tracked.write("002_b.sql", "CREATE TABLE b (id int);\n")
    tracked.write("002_b.down.sql", "DROP TABLE b;\n")
    tracked.run("sqlmigrate_apply", check=True)

    refused = tracked.migrate("zero")

    assert (refused.returncode, refused.error) == (
        4,
        "project.002_b came after project.001_a and is applied. Nothing was changed.\n\n"
        "  Next: Undo them first, the newest first. Of project.002_b:\n"
        "  python manage.py dbshell -- -v ON_ERROR_STOP=1 -1 -f migrations_sql/002_b.down.sql "
        f'-c "{UNRECORD_B}"',
    )
    assert (tracked.django(), tracked.has("a")) == (["0001_x"], True)
    tracked.query(f"DROP TABLE b; {UNRECORD_B}")
    tracked.migrate("zero", check=True)
    assert "integrity valid" in tracked.run("sqlmigrate_status", "--check").stdout


def test_what_is_not_recorded_is_not_undone(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n", down="DROP TABLE a;\n")
    tracked.migrate("--fake", check=True)

    tracked.migrate("zero", check=True)

    assert (tracked.django(), tracked.names()) == ([], [])


def test_sqlmigrate_prints_the_way_back(shop: Shop) -> None:
    shop.wrap("0001", "001_a", "CREATE TABLE a (id int);\n", down="-- gone\nDROP TABLE a;\n")

    printed = shop.run("sqlmigrate", "shop", "0001", "--backwards")

    assert printed.stdout == "BEGIN;\n--\n-- SQL file project.001_a\n--\nDROP TABLE a;\nCOMMIT;\n"


def test_a_password_in_a_file_is_shown_nowhere(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", "CREATE ROLE somebody PASSWORD 's3cr3t' NONSENSE;\n")

    with tracked.configured(), pytest.raises(CommandError) as raised:
        call_command("migrate", "shop", stdout=io.StringIO())

    told = "".join(traceback.format_exception(raised.value))
    assert "PostgreSQL 42601" in told
    assert "s3cr3t" not in told
    assert isinstance(raised.value.__cause__, MigrationFailed)


def test_a_file_that_fails_takes_the_ones_before_it_in_its_migration_with_it(shop: Shop) -> None:
    shop.write("001_a.sql", "-- runs-in: django:shop.0001_x\nCREATE TABLE a (id int);\n")
    shop.write("002_b.sql", "-- runs-in: django:shop.0001_x\nSELECT 1/0;\n")
    shop.migration("0001_x", "ApplySQL('project', '001_a'), ApplySQL('project', '002_b')")

    assert shop.migrate().returncode == 1

    assert (shop.has("a"), shop.has("schema_migrations"), shop.django()) == (False, False, [])


@pytest.fixture
def directions() -> Iterator[list[tuple[str, str]]]:
    """What listeners are told: of each migration begun its direction, of each ended its result."""
    told: list[tuple[str, str]] = []

    def begun(step: Any, **_: object) -> None:
        told.append((step.migration.name, step.direction.value))

    def done(step: Any, outcome: Any, **_: object) -> None:
        told.append((step.migration.name, outcome.result.value))

    signals.migration_started.connect(begun)
    signals.migration_finished.connect(done)
    yield told
    signals.migration_started.disconnect(begun)
    signals.migration_finished.disconnect(done)


@pytest.mark.parametrize("atomic", [True, False])
def test_listeners_are_told_which_way_it_goes(tracked: Shop, directions: list[tuple[str, str]], atomic: bool) -> None:
    directions.clear()
    tracked.wrap("0001", "001_a", "CREATE TABLE a (id int);\n", down="DROP TABLE a;\n", atomic=atomic)

    tracked.migrate(check=True)
    tracked.migrate("zero", check=True)

    assert directions == [("001_a", "apply"), ("001_a", "applied"), ("001_a", "undo"), ("001_a", "undone")]


def test_a_foreign_table_is_left_alone(shop: Shop) -> None:
    shop.query("CREATE TABLE schema_migrations (version text PRIMARY KEY); SELECT 1")
    shop.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")

    refused = shop.migrate()

    assert refused.returncode == 2
    assert "It looks like the one of Rails or dbmate" in refused.error
    assert shop.django() == []
