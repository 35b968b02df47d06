"""A command disturbed at one of its round trips, typed again, and compared with one that nothing happened to."""

from __future__ import annotations

import re
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dj_database_url
from django.db import connections
from django.db.utils import ConnectionHandler
from psycopg2.extensions import connection as Connection

from sqlmigrations.fingerprint import fingerprint
from tests.faults.claims import PARTIAL, Journal, done, is_same, untrue
from tests.faults.proxy import address
from tests.faults.scene import FaultySite, ended, until
from tests.faults.steps import Moment, SteppingProxy, Trip
from tests.faults.striking import ENDS, Brittle, Fault, Striker
from tests.inprocess import LocalSite
from tests.servers import Database

_OFFERED = re.compile(r"python manage\.py ((?:sqlmigrate_|migrate)[\w./=-]*(?: (?!--reason)[\w./=-]+)*)")
# A run that stopped half way may stop there once more, for a person to decide.
_ROUNDS = 4
_ROWS = """
SELECT to_jsonb(m) - ARRAY['id', 'applied_at', 'execution_ms', 'run_id'] FROM public.schema_migrations AS m ORDER BY id
"""
_EVENTS = "SELECT to_jsonb(e) FROM public.schema_migration_events AS e ORDER BY id"
_LEFT = """
SELECT application_name FROM pg_stat_activity
 WHERE datname = current_database() AND application_name LIKE 'sqlmigrations%'
UNION ALL
SELECT locktype FROM pg_locks
 WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
"""


@dataclass(frozen=True)
class Scenario:
    """What is disturbed.

    Attributes:
        files: Their texts by their names.
        command: What is typed.
        traces: For each file, by its name, SQL that is true when anything of it is there.
        data: Queries whose rows are compared.
        choose: Which of the commands is typed that a message offers.
        before: SQL that makes what is there before, from an empty schema.
    """

    files: dict[str, str]
    command: tuple[str, ...]
    traces: dict[str, str]
    data: tuple[str, ...]
    choose: Callable[[Sweep, Sequence[str]], str]
    before: str = ""


@dataclass(frozen=True)
class State:
    """What there is: the ledger, everything in the schemas, and the rows of the files."""

    ledger: list[dict[str, Any]]
    schema: tuple[str, ...]
    data: list[list[tuple[Any, ...]]]


@dataclass(frozen=True)
class Reference:
    """An undisturbed run, and what it leaves."""

    trips: list[Trip]
    said: subprocess.CompletedProcess[str]
    state: State
    done: list[tuple[str, str, int]]


class Sweep:
    """Runs of a scenario in one database; those that are not killed in this very process.

    Attributes:
        ends: How many disturbed runs ended with which exit code.
    """

    def __init__(self, scenario: Scenario, site: FaultySite, server: Brittle | None = None) -> None:
        self.ends: Counter[int] = Counter()
        self._scenario = scenario
        self._site = site
        self._here = LocalSite(site.folder, site.database)
        self._server = server
        self._proxy = SteppingProxy(address(site.database.url))
        self._connection: Connection | None = None
        for name, text in scenario.files.items():
            site.write(name, text)
        self.reference = self._undisturbed()

    def close(self) -> None:
        self._proxy.close()
        self._forget_connection()

    def points(self, fault: Fault) -> list[tuple[int, Moment]]:
        """Where a fault can strike."""
        striker = Striker(fault, self._proxy, self._site.database)
        trips = enumerate(self.reference.trips)
        return [(number, moment) for number, trip in trips for moment in Moment if striker.aims_at(trip, moment)]

    def disturb(self, fault: Fault, number: int, moment: Moment) -> list[str]:
        """Disturbs a run, and types the command again; what is wrong then."""
        self._begin_anew()
        striker = Striker(fault, self._proxy, self._site.database, self._server)
        self._proxy.strike_at(number, moment, striker.strike)
        said = self._struck(striker) if fault is Fault.KILLED else self._type(self._scenario.command, proxied=True)
        if self._server is not None:
            self._forget_connection()
            self._server.start()
        self.ends[said.returncode] += 1
        self._proxy.struck()
        wrong = []
        if said.returncode not in ENDS[fault]:
            wrong.append("so it must not end")
        wrong += untrue(said, {f"{row['label']}.{row['name']}": row for row in self._ledger()}, self._has_trace)
        wrong += self._again(said)
        return [*wrong, f"exit {said.returncode}\n{said.stdout}\n{said.stderr}"] if wrong else []

    def query(self, sql: str, params: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """On a connection that is kept."""
        if self._connection is None or self._connection.closed:
            self._connection = self._site.database.connect()
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return cursor.fetchall() if cursor.description else []

    def _undisturbed(self) -> Reference:
        self._begin_anew()
        said = self._type(self._scenario.command, proxied=True)
        return Reference(self._proxy.trips, said, self._state(), done(self._events()))

    def _begin_anew(self) -> None:
        self.query(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {self._scenario.before}")
        self._proxy.count_anew()

    def _struck(self, striker: Striker) -> subprocess.CompletedProcess[str]:
        env = {"DATABASE_URL": self._proxy.url(self._site.database.url)}
        runner = self._site.start(*self._scenario.command, env=env)
        striker.runner.set_result(runner)
        try:
            return ended(runner)
        finally:
            runner.kill()

    def _type(self, command: Sequence[str], *, proxied: bool = False) -> subprocess.CompletedProcess[str]:
        url = self._site.database.url
        with leading_to(self._proxy.url(url) if proxied else url):
            return self._here.run(*command)

    def _again(self, said: subprocess.CompletedProcess[str]) -> list[str]:
        """Does what a message says until all is as it is undisturbed."""
        expected = self.reference.said
        for _ in range(_ROUNDS):
            command = self._next(said)
            said = self._type(command)
            if said.returncode == expected.returncode and is_same(said.stderr, expected.stderr):
                return list(self._different())
            if said.returncode not in (0, PARTIAL):
                break
        return [f"then {command}: exit {said.returncode}\n{said.stdout}\n{said.stderr}", *self._different()]

    def _next(self, said: subprocess.CompletedProcess[str]) -> Sequence[str]:
        if said.returncode != PARTIAL:
            return self._scenario.command
        chosen = self._scenario.choose(self, _OFFERED.findall(said.stderr)).split()
        return [*chosen, "--reason", "swept", "--noinput"] if chosen[0] == "sqlmigrate_repair" else chosen

    def _different(self) -> Iterator[str]:
        """What is not as it is after an undisturbed run."""
        until(lambda: not self.query(_LEFT))
        state, events, expected = self._state(), self._events(), self.reference
        if state.ledger != expected.state.ledger:
            yield f"the ledger: {state.ledger}"
        if state.schema != expected.state.schema:
            yield f"the schema: {sorted(set(state.schema) ^ set(expected.state.schema))}"
        if state.data != expected.state.data:
            yield f"the data: {state.data}"
        if done(events) != expected.done:
            yield f"what was done: {done(events)}"
        yield from Journal().read(events)

    def _has_trace(self, id: str) -> bool:
        return bool(self.query(f"SELECT {self._scenario.traces[id.partition('.')[2]]}")[0][0])

    def _state(self) -> State:
        return State(self._ledger(), fingerprint(self), [self.query(sql) for sql in self._scenario.data])

    def _ledger(self) -> list[dict[str, Any]]:
        return [row for (row,) in self.query(_ROWS)] if self._is_founded() else []

    def _events(self) -> list[dict[str, Any]]:
        return [row for (row,) in self.query(_EVENTS)] if self._is_founded() else []

    def _is_founded(self) -> bool:
        return self.query("SELECT to_regclass('public.schema_migrations') IS NOT NULL") == [(True,)]

    def _forget_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()


@contextmanager
def leading_to(url: str) -> Iterator[None]:
    """The default connection of this process leads there meanwhile, in every thread."""
    before, settings = connections["default"], connections.settings["default"]
    connections.settings["default"] = ConnectionHandler({"default": dj_database_url.parse(url)}).settings["default"]
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"], connections["default"] = settings, before


@dataclass(frozen=True)
class Place(Database):
    """A database on a server of the test's own."""

    server: Brittle = field(kw_only=True)

    @property
    def url(self) -> str:
        return self.server.url(self.name)
