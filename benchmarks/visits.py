"""A process of a site with a long history: opens its pages and runs its commands, and prints what each of them took.

python -m benchmarks.visits '{"folder": ..., "scale": {...}, "databases": {...}, "rounds": 3}'
"""

from __future__ import annotations

import io
import json
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.stock import Scale, forget, remember, tell, write_apps

LEDGER, EVENTS = "/admin/sqlmigrations/schemamigration/", "/admin/sqlmigrations/schemamigrationevent/"
PAGES = {
    "the migrations": LEDGER,
    "their last page": f"{LEDGER}?p={{last}}",
    "by label": f"{LEDGER}?label=app_03",
    "by state": f"{LEDGER}?state=partial",
    "late ones": f"{LEDGER}?late__exact=1",
    "of a year": f"{LEDGER}?applied_at__year=2025",
    "of a month": f"{LEDGER}?applied_at__year=2025&applied_at__month=6",
    "of the last days": f"{LEDGER}?applied_at__gte=2026-01-01+00%3A00%3A00%2B00%3A00",
    "by duration": f"{LEDGER}?o=4",
    "by user": f"{LEDGER}?o=5",
    "search 0123": f"{LEDGER}?q=0123",
    "search, nothing found": f"{LEDGER}?q=nowhere",
    "search app_01.0123": f"{LEDGER}?q=app_01.0123",
    "a migration with all its events": f"{LEDGER}{{row}}/change/",
    "the status page": f"{LEDGER}status/",
    "the events": EVENTS,
    "their last page that is listed": f"{EVENTS}?p=100",
    "the oldest": f"{EVENTS}?o=0",
    "failures": f"{EVENTS}?event=failures",
    "of a kind that never happened": f"{EVENTS}?event=faked",
    "applied": f"{EVENTS}?event=applied",
    "statements": f"{EVENTS}?event=statement_started",
    "by label, the newest": f"{EVENTS}?label=app_49",
    "by label, the oldest": f"{EVENTS}?label=gone_00",
    "of a run": f"{EVENTS}?run={{run}}",
    "of a migration": f"{EVENTS}?migration=app_25.5",
    "events of a year": f"{EVENTS}?happened_at__year=2026",
    "events of a month": f"{EVENTS}?happened_at__year=2025&happened_at__month=6",
    "events of a day": f"{EVENTS}?happened_at__year=2025&happened_at__month=6&happened_at__day=9",
    "failures of a label": f"{EVENTS}?label=app_25&event=failures",
    "of a label in a year": f"{EVENTS}?label=app_25&happened_at__year=2026",
    "search deploy": f"{EVENTS}?q=deploy",
    "search of events, nothing found": f"{EVENTS}?q=nowhere",
    "search within a label": f"{EVENTS}?label=app_00&q=nowhere",
    "search of events app_01.0123": f"{EVENTS}?q=app_01.0123",
    "an event": f"{EVENTS}{{event}}/change/",
}
COMMANDS = {
    "`sqlmigrate_status`": ("sqlmigrate_status",),
    "`sqlmigrate_status --check`": ("sqlmigrate_status", "--check"),
    "`sqlmigrate_status -v 2`": ("sqlmigrate_status", "-v", "2"),
    "`sqlmigrate_status --format json`": ("sqlmigrate_status", "--format", "json"),
    "`sqlmigrate_apply --plan`": ("sqlmigrate_apply", "--plan"),
    "`sqlmigrate_apply --check`": ("sqlmigrate_apply", "--check"),
    "`check`": ("check",),
    "`check --database default`": ("check", "--database", "default"),
}
# What has another price where the files have another state; every page of the lists has not.
ELSEWHERE = ("the status page",)


@dataclass(frozen=True)
class Visit:
    """What one page or command took, processor time in milliseconds; the least of some rounds.

    Attributes:
        state: Which database it was about.
        client: Of this process.
        server: Of the server's process that answered it.
        queries: How many there were.
    """

    state: str
    name: str
    client: float
    server: float
    queries: int

    @property
    def both(self) -> float:
        """Of both sides."""
        return self.client + self.server


def main() -> None:
    given = json.loads(sys.argv[1])
    scale, databases = Scale(**given["scale"]), given["databases"]
    _configure(Path(given["folder"]), scale, next(iter(databases.values())))
    for state, address in databases.items():
        _turn_to(address)
        _furnish(state, scale)
        for visit in _visits(state, scale, given["rounds"]):
            print(json.dumps(asdict(visit)), flush=True)


def _configure(folder: Path, scale: Scale, address: dict[str, Any]) -> None:
    from django.conf import settings

    import project.settings as example

    known = {name: getattr(example, name) for name in dir(example) if name.isupper()}
    apps = write_apps(folder, scale)
    sys.path.insert(0, str(folder))
    # What helps in the background is not seen from here: no more than one process is to answer.
    alone = {"options": "-c max_parallel_workers_per_gather=0"}
    database = {"ENGINE": "django.db.backends.postgresql", "OPTIONS": alone, **address}
    settings.configure(
        **{
            **known,
            "DEBUG": False,
            "SECRET_KEY": "of a benchmark",
            "ALLOWED_HOSTS": ["testserver"],
            "DATABASES": {"default": database},
            "INSTALLED_APPS": [*known["INSTALLED_APPS"], *apps],
            "SQLMIGRATIONS": {},
        }
    )
    import django

    django.setup()


def _turn_to(address: dict[str, Any]) -> None:
    from django.db import connection

    connection.close()
    connection.settings_dict |= address


def _furnish(state: str, scale: Scale) -> None:
    from django.contrib.auth.models import User
    from django.core.management import call_command
    from django.db import connection

    from sqlmigrations import conf
    from sqlmigrations.loader import load

    call_command("migrate", verbosity=0, skip_checks=True)
    call_command("sqlmigrate_apply", "sqlmigrations", verbosity=0)
    User.objects.create_superuser("root")
    files = [each for each in load(conf.sources(conf.load())).migrations if each.label != "sqlmigrations"]
    with connection.cursor() as cursor:
        if state != "pending":
            remember(cursor, scale, files)
            forget(cursor, state)
        if state == "applied":
            for done in tell(cursor, scale):
                print(f"{done:,} of {scale.rows:,} migrations have their events", file=sys.stderr, flush=True)
        cursor.execute("VACUUM (FREEZE, ANALYZE)")
        cursor.execute("CHECKPOINT")


def _visits(state: str, scale: Scale, rounds: int) -> Iterator[Visit]:
    for name, page in _pages(state, scale):
        yield _least(state, name, page, rounds)
    for name, command in {**dict(_commands()), **dict(_looks())}.items():
        yield _least(state, name, command, rounds)


def _pages(state: str, scale: Scale) -> Iterator[tuple[str, Callable[[], object]]]:
    from django.contrib.auth.models import User
    from django.db import connection
    from django.test import Client

    client = Client()
    client.force_login(User.objects.get(username="root"))
    known = {"last": scale.rows // 100, "row": 0, "run": "", "event": 0}
    if state == "applied":
        with connection.cursor() as cursor:
            cursor.execute("SELECT id, run_id FROM schema_migrations WHERE label = 'app_25' AND key = '5'")
            known["row"], known["run"] = cursor.fetchone()
            cursor.execute("SELECT max(id) / 2 FROM schema_migration_events")
            (known["event"],) = cursor.fetchone()

    def opened(path: str) -> Callable[[], object]:
        def opening() -> None:
            response = client.get(path)
            assert response.status_code == 200, (path, response.status_code, response.headers.get("Location"))

        return opening

    for name, path in PAGES.items():
        if state == "applied" or name in ELSEWHERE:
            yield name, opened(path.format(**known))


def _commands() -> Iterator[tuple[str, Callable[[], object]]]:
    from django.core.management import CommandError, call_command

    def called(arguments: tuple[str, ...]) -> Callable[[], object]:
        def calling() -> None:
            # What is pending or does not agree ends some of them with another code.
            with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()), suppress(CommandError, SystemExit):
                call_command(*arguments)

        return calling

    for name, arguments in COMMANDS.items():
        yield name, called(arguments)


def _looks() -> Iterator[tuple[str, Callable[[], object]]]:
    from sqlmigrations.health.probe import look
    from sqlmigrations.management.notice import pending

    yield "health view", lambda: look(["default"], 60)
    yield "notice of `runserver`", pending


def _least(state: str, name: str, visited: Callable[[], object], rounds: int) -> Visit:
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    visited()
    took = []
    for _ in range(rounds):
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
            (pid,) = cursor.fetchone()
        server, client = _served(pid), time.process_time()
        visited()
        took.append(((time.process_time() - client) * 1000, _served(pid) - server))
    with CaptureQueriesContext(connection) as captured:
        visited()
    client, server = min(took, key=sum)
    return Visit(state, name, client, server, len(captured))


def _served(pid: int) -> float:
    """Processor time of a process of the server, in milliseconds, as Linux tells it."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0]) / 1e6


if __name__ == "__main__":
    main()
