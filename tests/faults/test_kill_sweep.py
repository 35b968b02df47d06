"""Every round trip of a run is a place where it may be cut off: at each of them it is, and what comes of it is told.

``SWEEP_EVERY=5`` takes every fifth place only, ``SWEEP_EVERY=1`` each; without it ``sqlmigrate_apply`` is cut off at
each and the others at every fifth.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sqlmigrations import transaction
from tests.faults.scene import FaultySite
from tests.faults.striking import Brittle, Fault, Place, lend_brittle
from tests.faults.sweeping import Scenario, Sweep
from tests.inprocess import LocalSite
from tests.servers import lend_database
from tests.shop import Shop, opened

EVERY, EVERY_OTHER = (int(os.environ.get("SWEEP_EVERY", places)) for places in (1, 5))
# Tests that share the places of a fault among the workers.
CHUNKS = 4

FILES = {
    "001_tables.sql": """\
CREATE TABLE accounts (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO accounts SELECT n, 'account ' || n FROM generate_series(1, 20) AS n;
COPY accounts FROM stdin;
21	account 21
22	account 22
\\.
CREATE TABLE log (what text);
""",
    "002_procedure.sql": """\
ALTER TABLE accounts ADD COLUMN active boolean NOT NULL DEFAULT true;
INSERT INTO log VALUES ('002');
CREATE PROCEDURE note(what text) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (what); COMMIT; END $$;
""",
    "003_apart.sql": """\
-- transaction: off
CREATE INDEX CONCURRENTLY accounts_name ON accounts (name);
INSERT INTO log VALUES ('003');
CALL note('003 called');
VACUUM accounts;
""",
    "004_fails.sql": "INSERT INTO log VALUES ('004');\nSELECT 1 / 0;\n",
}
TRACES = {
    "000_migration_tracking": "to_regclass('schema_migrations') IS NOT NULL",
    "001_tables": "coalesce(to_regclass('accounts'), to_regclass('log')) IS NOT NULL",
    "002_procedure": "to_regproc('note') IS NOT NULL OR EXISTS (SELECT FROM log WHERE what = '002')",
    "003_apart": "to_regclass('accounts_name') IS NOT NULL OR EXISTS (SELECT FROM log WHERE what LIKE '003%')",
    "004_fails": "EXISTS (SELECT FROM log WHERE what = '004')",
}


def decide(sweep: Sweep, offered: Sequence[str]) -> str:
    """What a person types who has looked whether the procedure has run, which no catalog tells."""
    ways = {command.rpartition(" ")[2]: command for command in offered}
    has_run = sweep.query("SELECT 1 FROM log WHERE what = '003 called'")
    return ways.get("--done" if has_run else "--redo", offered[0])


def write(files: dict[str, str]) -> Callable[[LocalSite], None]:
    def prepare(site: LocalSite) -> None:
        for name, text in files.items():
            site.write(name, text)

    return prepare


LOG = "SELECT * FROM log"
APPLY = Scenario(
    write(FILES), ("sqlmigrate_apply",), ("SELECT * FROM accounts ORDER BY id", LOG), TRACES, decide, ends=1
)


def half_done(site: LocalSite) -> None:
    """Three statements of which the second failed after it had committed: a person has to decide."""
    site.write("001_log.sql", "CREATE TABLE log (what text);\n")
    note = "BEGIN INSERT INTO log VALUES (what); COMMIT; PERFORM 1 / 0; END"
    site.write("002_note.sql", f"CREATE PROCEDURE note(what text) LANGUAGE plpgsql AS $$ {note} $$;\n")
    site.write("003_apart.sql", "-- transaction: off\nVACUUM log;\nCALL note('003');\nVACUUM log;\n")
    assert site.run("sqlmigrate_apply").returncode == 7


def changed(site: LocalSite) -> None:
    """Two files that are applied, one of them changed since."""
    site.write("001_log.sql", "CREATE TABLE log (what text);\n")
    site.write("002_more.sql", "INSERT INTO log VALUES ('002');\n")
    site.run("sqlmigrate_apply", check=True)
    site.write("002_more.sql", "INSERT INTO log VALUES ('002 and more');\n")


def wrapped(site: LocalSite) -> None:
    """Two files in migrations of Django's: in its transaction, and outside of any."""
    assert isinstance(site, Shop)
    site.migration("0001_x", "migrations.RunSQL('CREATE TABLE log (what text)', 'DROP TABLE log')")
    site.wrap("0002", "002_more", "INSERT INTO log VALUES ('002');\n", down="DELETE FROM log WHERE what = '002';\n")
    site.wrap(
        *("0003", "003_apart", "CREATE INDEX CONCURRENTLY log_what ON log (what);\n"),
        atomic=False,
        down="-- transaction: off\nDROP INDEX CONCURRENTLY log_what;\nINSERT INTO log VALUES ('back');\n",
    )


def migrated(site: LocalSite) -> None:
    wrapped(site)
    site.run("migrate", "shop", "--verbosity", "0", "--skip-checks", check=True)


DJANGO = "SELECT name FROM django_migrations WHERE app = 'shop' ORDER BY id"
TRACES_IN_DJANGO = {
    "0001_x": "to_regclass('log') IS NOT NULL",
    "0002_x": "EXISTS (SELECT FROM log WHERE what = '002')",
    "0003_x": "to_regclass('log_what') IS NOT NULL",
}
# A repair does not ask what became of its COMMIT: it can be looked up, and typed again.
UNKNOWN = frozenset({8})
REPAIR = ("sqlmigrate_repair", "--reason", "swept", "--noinput")
OTHERS = {
    "fake": Scenario(write(FILES), ("sqlmigrate_apply", "--fake"), (), dict.fromkeys(TRACES, "false")),
    "accept": Scenario(changed, (*REPAIR, "accept", "project", "2"), (LOG,), repeated=2, lost=UNKNOWN),
    "resolve": Scenario(half_done, (*REPAIR, "resolve", "project", "3", "--done"), (LOG,), repeated=2, lost=UNKNOWN),
    "migrate": Scenario(wrapped, ("migrate", "shop", "--skip-checks"), (DJANGO, LOG), TRACES_IN_DJANGO),
    "back": Scenario(migrated, ("migrate", "shop", "0001", "--skip-checks"), (DJANGO, LOG), TRACES_IN_DJANGO),
}
OF_SESSIONS = [Fault.KILLED, Fault.WORK_ENDED, Fault.LOCK_ENDED]
Begin = Callable[[Scenario, Fault], Sweep]
Note = Callable[[str, object], None]


@pytest.fixture(scope="module")
def brittle() -> Iterator[Brittle]:
    with lend_brittle() as server:
        yield server


@pytest.fixture
def begin(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Begin]:
    """Begins a sweep, on a server that can be stopped where the fault needs one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(transaction, "_RESOLVE_S", 1)
    (tmp_path / "migrations_sql").mkdir()
    with ExitStack() as lent, lend_database() as database, django_db_blocker.unblock():

        def begin(scenario: Scenario, fault: Fault) -> Sweep:
            server = request.getfixturevalue("brittle") if fault in (Fault.RESTARTED, Fault.STOPPED) else None
            place = Place("postgres", server=server) if server else database
            here = LocalSite(tmp_path, place)
            if scenario.command[0] == "migrate":
                here = lent.enter_context(opened(tmp_path, place))
            sweep = Sweep(scenario, fault, FaultySite(tmp_path, place), here, server)
            lent.callback(sweep.close)
            return sweep

        yield begin


def swept(sweep: Sweep, points: Sequence[tuple[int, Any]], fault: Fault) -> str:
    """Disturbs a run at each of the places; all that is wrong then."""
    wrong = []
    for number, moment in points:
        if found := sweep.disturb(number, moment):
            trip = sweep.reference.trips[number]
            where = f"{fault.value}, at round trip {number} ({trip.session}: {trip.asked}), {moment.value}"
            wrong.append("\n".join([where, *found]))
    return f"\n\n{'-' * 80}\n".join(wrong)


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
def test_a_run_cut_off_anywhere_is_right_when_it_is_done_again(
    begin: Begin, fault: Fault, chunk: int, record_property: Note
) -> None:
    sweep = begin(APPLY, fault)

    wrong = swept(sweep, sweep.points()[::EVERY][chunk::CHUNKS], fault)

    record_property("sweep", sweep.counted(f"apply, at 1 of {EVERY} places: {fault.value}"))
    assert not wrong, wrong


@pytest.mark.parametrize("scenario", OTHERS)
@pytest.mark.parametrize("fault", OF_SESSIONS, ids=lambda fault: fault.name.lower())
def test_whatever_else_writes_the_ledger_is_right_when_it_is_done_again(
    begin: Begin, fault: Fault, scenario: str, record_property: Note
) -> None:
    sweep = begin(OTHERS[scenario], fault)

    wrong = swept(sweep, sweep.points()[::EVERY_OTHER], fault)

    record_property("sweep", sweep.counted(f"{scenario}, at 1 of {EVERY_OTHER} places: {fault.value}"))
    assert not wrong, wrong
