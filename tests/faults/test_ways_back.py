"""Ways back that are missing, hold nothing, fail, or do not restore what was there before."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from django.db.migrations.exceptions import IrreversibleError

from sqlmigrations import signals
from sqlmigrations.exceptions import SqlMigrationsError
from sqlmigrations.roundtrip import up_down_up
from sqlmigrations.scratch import lent
from tests.inprocess import LocalSite
from tests.shop import Shop

UP = "CREATE TABLE a (id int);\n"
ALONE = "(001_a.down.sql runs statement by statement, outside of a transaction, and shop.0001_x is one; write "
EMPTY = "(001_a.down.sql holds no statement; where nothing has to be undone, write SELECT 1; into it)"


@pytest.fixture
def tracked(shop: Shop) -> Shop:
    """With tracking tables."""
    shop.run("sqlmigrate_apply", check=True)
    return shop


@pytest.mark.parametrize(
    ("down", "why"),
    [
        (None, "(there is no 001_a.down.sql beside it)"),
        ("", EMPTY),
        ("-- Undoes 001_a.sql.\n", EMPTY),
        (";;\n", EMPTY),
        ("VACUUM;\n", ALONE),
    ],
    ids=["missing", "empty", "comment", "semicolons", "outside"],
)
def test_f73_f55_what_has_no_way_back_is_refused_until_it_has_one(tracked: Shop, down: str | None, why: str) -> None:
    tracked.wrap("0001", "001_a", UP, down=down)
    tracked.migrate(check=True)
    before = (tracked.ledger(), tracked.events())

    with pytest.raises(IrreversibleError) as raised:
        tracked.migrate("zero")

    assert str(raised.value).startswith(f"Operation SQL file project.001_a {why}")
    assert (tracked.ledger(), tracked.events(), tracked.django(), tracked.has("a")) == (*before, ["0001_x"], True)
    tracked.write("001_a.down.sql", "DROP TABLE a;\n")
    tracked.migrate("zero", check=True)
    assert (tracked.names(), tracked.django(), tracked.has("a")) == ([], [], False)


def test_f73_what_says_that_there_is_no_way_back_is_refused(tracked: Shop) -> None:
    tracked.wrap("0001", "001_a", f"-- irreversible: the old data are gone\n{UP}", down="DROP TABLE a;\n")
    tracked.migrate(check=True)

    with pytest.raises(IrreversibleError) as raised:
        tracked.migrate("zero")

    why = "(it says  -- irreversible: the old data are gone)"
    assert str(raised.value).startswith(f"Operation SQL file project.001_a {why}")
    assert (tracked.django(), tracked.names(), tracked.has("a")) == (["0001_x"], ["001_a"], True)


@pytest.mark.parametrize("atomic", [True, False])
def test_f73_a_way_back_that_fails_is_rolled_back_and_gone_once_it_is_corrected(tracked: Shop, atomic: bool) -> None:
    tracked.wrap("0001", "001_a", UP, down="DROP TABLE a;\nDROP TABLE b;\n", atomic=atomic)
    tracked.migrate(check=True)
    before = tracked.ledger()

    failed = tracked.migrate("zero")

    assert failed.returncode == 1
    assert failed.error.startswith("Undoing project.001_a failed and was rolled back.\n")
    assert "migrations_sql/001_a.down.sql:2:" in failed.error
    assert failed.error.endswith("Then run  python manage.py migrate shop zero")
    assert (tracked.has("a"), tracked.django(), tracked.ledger()) == (True, ["0001_x"], before)
    assert tracked.events()[-2:] == [("failed", "001_a"), ("run_finished", None)]
    tracked.write("001_a.down.sql", "DROP TABLE a;\n")
    tracked.migrate("zero", check=True)
    assert (tracked.names(), tracked.django(), tracked.has("a")) == ([], [], False)
    assert tracked.events()[-2:] == [("rolled_back", "001_a"), ("run_finished", None)]


@pytest.mark.parametrize(("ending", "stays"), [("ROLLBACK", True), ("COMMIT AND CHAIN", False)])
@pytest.mark.parametrize("atomic", [True, False])
def test_f14_f15_an_ending_hidden_in_a_way_back_does_not_remove_the_record(
    tracked: Shop, atomic: bool, ending: str, stays: bool
) -> None:
    hidden = "DO $$BEGIN PERFORM set_config('standard_conforming_strings', 'off', true); END$$;\n"
    hidden += f"DROP TABLE a;\nSELECT 'a\\', '; {ending}; --';\n"
    tracked.wrap("0001", "001_a", UP, down=hidden, atomic=atomic)
    tracked.migrate(check=True)

    failed = tracked.migrate("zero")

    assert failed.error.startswith("Undoing project.001_a ended the transaction it ran in"), failed
    assert (tracked.has("a"), tracked.names(), tracked.django()) == (stays, ["001_a"], ["0001_x"])
    tracked.write("001_a.down.sql", "DROP TABLE IF EXISTS a;\n")
    tracked.migrate("zero", check=True)
    assert (tracked.has("a"), tracked.names(), tracked.django()) == (False, [], [])


@pytest.fixture
def lock_lost(tracked: Shop) -> Iterator[None]:
    """The connection that holds the lock ends when a file is about to begin."""

    def end_it(**_: object) -> None:
        signals.migration_started.disconnect(end_it)
        sessions = "pg_stat_activity WHERE datname = current_database() AND application_name = 'sqlmigrations lock'"
        assert tracked.query(f"SELECT pg_terminate_backend(pid, 60000) FROM {sessions}") == [(True,)]

    tracked.wrap("0001", "001_a", UP, down="DROP TABLE a;\n", atomic=False)
    tracked.migrate(check=True)
    signals.migration_started.connect(end_it)
    yield
    signals.migration_started.disconnect(end_it)


def test_f05_a_way_back_is_not_begun_without_the_lock(tracked: Shop, lock_lost: None) -> None:
    stopped = tracked.migrate("zero")

    assert stopped.returncode == 10, stopped
    assert stopped.error.startswith("The connection that held the migration lock is gone; the run stopped before the ")
    assert (tracked.has("a"), tracked.names(), tracked.django()) == (True, ["001_a"], ["0001_x"])
    tracked.migrate("zero", check=True)
    assert (tracked.has("a"), tracked.names(), tracked.django()) == (False, [], [])


def test_f73_a_rehearsal_reports_a_way_back_that_does_not_restore(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", f"{UP}CREATE TYPE mood AS ENUM ('sad');\n")
    local_site.write("001_a.down.sql", "DROP TABLE a;\n")
    local_site.write("002_b.sql", "CREATE TABLE b (id int, mood mood);\n")
    local_site.write("002_b.down.sql", "ALTER TABLE b DROP COLUMN mood;\n")
    with local_site.configured(), lent("default"), pytest.raises(SqlMigrationsError) as first:
        up_down_up("default")
    local_site.write("001_a.down.sql", "DROP TABLE a;\nDROP TYPE mood;\n")
    with local_site.configured(), lent("default"), pytest.raises(SqlMigrationsError) as second:
        up_down_up("default")
    local_site.write("002_b.down.sql", "DROP TABLE b;\n")

    with local_site.configured(), lent("default"):
        proven = up_down_up("default").proven

    told = "migrations_sql/{0}.down.sql does not undo project.{0}. What is missing (-) and what is left over (+):\n\n"
    assert first.value.message.startswith(f"{told.format('001_a')}+ type mood kind e")
    assert second.value.message.startswith(f"{told.format('002_b')}+ column public.b.id integer")
    assert proven == ("project.001_a", "project.002_b")
