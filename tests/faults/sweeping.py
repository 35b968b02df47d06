"""A command disturbed at one of its round trips, typed again, and compared with one that nothing happened to."""

from __future__ import annotations

import io
import re
import subprocess
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import Error
from psycopg2.extensions import connection as Connection

from sqlmigrations.fingerprint import fingerprint
from tests.faults.claims import OF_DJANGO, PARTIAL, Journal, done, is_same, untrue
from tests.faults.proxy import address
from tests.faults.scenarios import Scenario
from tests.faults.scene import FaultySite, ended, until
from tests.faults.steps import Moment, SteppingProxy, Trip
from tests.faults.striking import ENDS, Brittle, Fault, Striker
from tests.inprocess import LocalSite, leading_to

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

    def __init__(self, scenario: Scenario, fault: Fault, site: FaultySite, here: LocalSite, server: Brittle | None):
        self.ends: Counter[int] = Counter()
        self._scenario = scenario
        self._fault = fault
        self._site = site
        self._here = here
        self._server = server
        self._proxy = SteppingProxy(address(site.database.url))
        self._connection: Connection | None = None
        self._ends = ENDS[fault] | {scenario.ends} | scenario.lost
        self._before = ""
        self._begin_anew()
        with leading_to(site.database.url):
            scenario.prepare(here)
        self._before = self._dump()
        self.reference = self._undisturbed()

    def close(self) -> None:
        self._proxy.close()
        self._forget_connection()

    def points(self) -> list[tuple[int, Moment]]:
        """Where the fault can strike."""
        striker, trips = self._striker(), enumerate(self.reference.trips)
        return [(number, moment) for number, trip in trips for moment in Moment if striker.aims_at(trip, moment)]

    def disturb(self, number: int, moment: Moment) -> list[str]:
        """Disturbs a run, and types the command again; what is wrong then."""
        self._begin_anew()
        striker = self._striker()
        self._proxy.strike_at(number, moment, striker.strike)
        said = self._run(striker)
        self.ends[said.returncode] += 1
        self._proxy.settle()
        if self._server is not None:
            self._forget_connection()
            self._server.start()
        wrong = [] if said.returncode in self._ends else ["so it must not end"]
        rows = {f"{row['label']}.{row['name']}": row for row in self._ledger()}
        wrong += untrue(said, rows, self._recorded_by_django(), self._has_trace)
        wrong += self._again(said)
        return [*wrong, f"exit {said.returncode}\n{said.stdout}\n{said.stderr}"] if wrong else []

    def counted(self, what: str) -> tuple[str, int, dict[str, int]]:
        """For the summary of the tests: the round trips, and how many runs ended with which exit code."""
        return what, len(self.reference.trips), {str(code): count for code, count in self.ends.items()}

    def query(self, sql: str, params: Sequence[object] | None = None) -> list[tuple[Any, ...]]:
        """On a connection that is kept."""
        if self._connection is None or self._connection.closed:
            self._connection = self._site.database.connect()
        with self._connection.cursor() as cursor:
            cursor.execute(sql, params or None)
            return cursor.fetchall() if cursor.description else []

    def _striker(self) -> Striker:
        return Striker(self._fault, self._proxy, self._site.database, self._server)

    def _undisturbed(self) -> Reference:
        self._begin_anew()
        said = self._run(self._striker())
        assert said.returncode == self._scenario.ends, said
        return Reference(self._proxy.trips, said, self._state(), done(self._events()))

    def _begin_anew(self) -> None:
        self.query(f"DROP SCHEMA public CASCADE; CREATE SCHEMA public; {self._before}")
        self.query("RESET ALL")
        self._proxy.count_anew()

    def _dump(self) -> str:
        """All there is, as SQL."""
        dump = self._site.database.program("pg_dump", "--inserts", "-d", self._site.database.url).stdout
        return "\n".join(line for line in dump.splitlines() if not line.startswith("\\"))

    def _run(self, striker: Striker) -> subprocess.CompletedProcess[str]:
        """Where it is to be killed, in a process of its own."""
        if self._fault is not Fault.KILLED:
            return self._type(self._scenario.command, proxied=True)
        env = {"DATABASE_URL": self._proxy.url(self._site.database.url)}
        runner = self._site.start(*self._scenario.command, env=env)
        striker.runner.set_result(runner)
        try:
            return ended(runner)
        finally:
            runner.kill()

    def _type(self, command: Sequence[str], *, proxied: bool = False) -> subprocess.CompletedProcess[str]:
        stdout, stderr, code = io.StringIO(), io.StringIO(), 0
        url = self._site.database.url
        with leading_to(self._proxy.url(url) if proxied else url), self._here.configured():
            try:
                call_command(*command, stdout=stdout, stderr=stderr, no_color=True)
            except CommandError as error:
                code = error.returncode
                stderr.write("" if stderr.getvalue() else f"CommandError: {error}\n")
            except Error as error:
                code = 1
                stderr.write(f"{OF_DJANGO}: {error}\n")
        return subprocess.CompletedProcess(command, code, stdout.getvalue(), stderr.getvalue())

    def _again(self, said: subprocess.CompletedProcess[str]) -> list[str]:
        """Does what a message says until all is as it is undisturbed."""
        for _ in range(_ROUNDS):
            command = self._next(said)
            said = self._type(command)
            if command == self._scenario.command and self._is_end(said):
                return list(self._different())
            if said.returncode not in (0, PARTIAL):
                break
        return [f"then {command}: exit {said.returncode}\n{said.stdout}\n{said.stderr}", *self._different()]

    def _is_end(self, said: subprocess.CompletedProcess[str]) -> bool:
        """Whether a run ended as one that nothing happened to, or found that all is done."""
        is_as_ever = said.returncode == self._scenario.ends and is_same(said.stderr, self.reference.said.stderr)
        return is_as_ever or said.returncode == self._scenario.repeated

    def _next(self, said: subprocess.CompletedProcess[str]) -> tuple[str, ...]:
        if said.returncode != PARTIAL:
            return self._scenario.command
        chosen = self._scenario.choose(self, _OFFERED.findall(said.stderr)).split()
        return (*chosen, "--reason", "swept", "--noinput") if chosen[0] == "sqlmigrate_repair" else tuple(chosen)

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

    def _recorded_by_django(self) -> set[str]:
        if self.query("SELECT to_regclass('public.django_migrations')") == [(None,)]:
            return set()
        return {id for (id,) in self.query("SELECT app || '.' || name FROM public.django_migrations")}

    def _has_trace(self, id: str) -> bool:
        return bool(self.query(f"SELECT {self._scenario.traces[id.partition('.')[2]]}")[0][0])

    def _state(self) -> State:
        return State(self._ledger(), fingerprint(self), [self.query(sql) for sql in self._scenario.data])

    def _ledger(self) -> list[dict[str, Any]]:
        return self._recorded(_ROWS)

    def _events(self) -> list[dict[str, Any]]:
        return self._recorded(_EVENTS)

    def _recorded(self, sql: str) -> list[dict[str, Any]]:
        is_founded = self.query("SELECT to_regclass('public.schema_migrations') IS NOT NULL") == [(True,)]
        return [row for (row,) in self.query(sql)] if is_founded else []

    def _forget_connection(self) -> None:
        if self._connection is not None:
            self._connection.close()
