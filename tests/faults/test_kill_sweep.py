"""Every round trip of a run is a place where it may be cut off: at each of them it is, and what comes of it is told.

``SWEEP_EVERY=5`` takes every fifth place only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from sqlmigrations import transaction
from tests.faults.scene import FaultySite
from tests.faults.striking import Brittle, Fault, lend_brittle
from tests.faults.sweeping import Place, Scenario, Sweep
from tests.servers import lend_database

EVERY = int(os.environ.get("SWEEP_EVERY", "1"))
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


APPLY = Scenario(
    FILES, ("sqlmigrate_apply",), TRACES, ("SELECT * FROM accounts ORDER BY id", "SELECT * FROM log"), decide
)


@pytest.fixture(scope="module")
def brittle() -> Iterator[Brittle]:
    with lend_brittle() as server:
        yield server


@pytest.fixture
def begin(
    request: pytest.FixtureRequest, tmp_path: Path, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[Scenario, Fault], Sweep]]:
    """Begins a sweep, on a server that can be stopped where the fault needs one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(transaction, "_RESOLVE_S", 1)
    (tmp_path / "migrations_sql").mkdir()
    with lend_database() as database, django_db_blocker.unblock():
        begun: list[Sweep] = []

        def begin(scenario: Scenario, fault: Fault) -> Sweep:
            server = request.getfixturevalue("brittle") if fault in (Fault.RESTARTED, Fault.STOPPED) else None
            place = Place("postgres", server=server) if server else database
            begun.append(Sweep(scenario, FaultySite(tmp_path, place), server))
            return begun[-1]

        yield begin
        for sweep in begun:
            sweep.close()


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
def test_a_run_cut_off_anywhere_is_right_when_it_is_done_again(
    begin: Callable[[Scenario, Fault], Sweep], fault: Fault, chunk: int, record_property: Callable[[str, object], None]
) -> None:
    sweep = begin(APPLY, fault)
    wrong = []

    for number, moment in sweep.points(fault)[::EVERY][chunk::CHUNKS]:
        found = sweep.disturb(fault, number, moment)
        if found:
            trip = sweep.reference.trips[number]
            where = f"{fault.value}, at round trip {number} ({trip.session}: {trip.asked}), {moment.value}"
            wrong.append("\n".join([where, *found]))

    record_property("sweep", [len(sweep.reference.trips), fault.name.lower(), dict(sweep.ends)])
    assert sweep.reference.said.returncode == 1, sweep.reference.said
    assert not wrong, f"\n\n{'-' * 80}\n".join(wrong)
