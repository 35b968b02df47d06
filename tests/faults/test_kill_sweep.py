"""Every round trip of a run is a place where it may be cut off: at each of them it is, and what comes of it is told.

``SWEEP_EVERY=7`` takes every seventh place only, ``SWEEP_EVERY=1`` each. Without it ``sqlmigrate_apply`` is cut off at
each, by a server that stops in one of the two ways, and the others at every ninth.
"""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from sqlmigrations import transaction
from tests.faults.scenarios import APPLY, OTHERS, Scenario
from tests.faults.scene import FaultySite
from tests.faults.steps import Moment
from tests.faults.striking import Brittle, Fault, Place, lend_brittle
from tests.faults.sweeping import Sweep
from tests.inprocess import LocalSite
from tests.servers import lend_database
from tests.shop import opened

EVERY, EVERY_OTHER = (int(os.environ.get("SWEEP_EVERY", places)) for places in (1, 9))
ALL = "SWEEP_EVERY" in os.environ
STOPS = [Fault.RESTARTED, Fault.STOPPED]
# Tests that share the places of a fault among the workers.
CHUNKS = 4

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
            server = request.getfixturevalue("brittle") if fault in STOPS else None
            place = Place("postgres", server=server) if server else database
            here = LocalSite(tmp_path, place)
            if scenario.command[0] == "migrate":
                here = lent.enter_context(opened(tmp_path, place))
            sweep = Sweep(scenario, fault, FaultySite(tmp_path, place), here, server)
            lent.callback(sweep.close)
            return sweep

        yield begin


def places(sweep: Sweep, fault: Fault) -> list[tuple[int, Moment]]:
    """Where a run is cut off; unless all of them are asked for, each has one of the two ways to stop the server."""
    points = sweep.points()
    if fault in STOPS and not ALL:
        points = [(at, when) for at, when in points if (at + (when is Moment.AFTER)) % 2 == STOPS.index(fault)]
    return points[::EVERY]


def swept(sweep: Sweep, points: Sequence[tuple[int, Moment]], fault: Fault) -> str:
    """Disturbs a run at each of the places; all that is wrong then."""
    wrong = []
    for number, moment in points:
        if found := sweep.disturb(number, moment):
            trip = sweep.reference.trips[number]
            where = f"{fault.value}, at round trip {number} ({trip.session}: {trip.asked}), {moment.value}"
            wrong.append("\n".join([where, *found]))
    return f"\n\n{'-' * 80}\n".join(wrong)


def test_the_round_trips_are_the_same_each_time_in_a_process_of_its_own_too(begin: Begin) -> None:
    runs = [begin(APPLY, fault).reference.trips for fault in (Fault.KILLED, Fault.WORK_ENDED, Fault.WORK_ENDED)]

    # The lock has a number that nobody else knows; of a long one what stands behind it is cut off.
    first, *others = [[(trip.session, re.sub(r" ?-?\d+\)?", "0", trip.asked)) for trip in trips] for trips in runs]
    assert others == [first, first]


@pytest.mark.parametrize("chunk", range(CHUNKS))
@pytest.mark.parametrize("fault", Fault, ids=lambda fault: fault.name.lower())
def test_a_run_cut_off_anywhere_is_right_when_it_is_done_again(
    begin: Begin, fault: Fault, chunk: int, record_property: Note
) -> None:
    sweep = begin(APPLY, fault)

    wrong = swept(sweep, places(sweep, fault)[chunk::CHUNKS], fault)

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
