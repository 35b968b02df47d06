"""What can go wrong inside the process of a runner; each function arranges for one fault."""

from __future__ import annotations

import dataclasses
import datetime
import json
import logging
import os
import signal
import time
from pathlib import Path
from typing import Any, NoReturn

from django.db import close_old_connections, connection

from sqlmigrations import alone, glimpses, signals, transaction
from sqlmigrations.backends import postgresql
from sqlmigrations.backends.base import Connection
from sqlmigrations.plan import Step
from sqlmigrations.sql import statements
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.types import Blocker, Glimpse

A_DAY_S = 86_400


def wait_behind_barrier() -> None:
    """Says that it is there and goes on with all the others."""
    barrier = Path(os.environ["BARRIER"])
    (barrier / str(os.getpid())).touch()
    while not (barrier / "open").exists():
        time.sleep(0.001)


def overlook_transaction_control() -> None:
    def blind(statement: Statement) -> None:
        return None

    statements.control = blind


def die_before_commit() -> None:
    def die(*args: object) -> NoReturn:
        os.kill(os.getpid(), signal.SIGKILL)
        raise AssertionError

    transaction._close = die  # type: ignore[assignment]


def go_a_day_back() -> None:
    """The clocks that Python code reads; ``time.monotonic`` knows no date."""
    real = time.time

    class Yesterday(datetime.datetime):
        @classmethod
        def now(cls, tz: datetime.tzinfo | None = None) -> Yesterday:
            return cls.fromtimestamp(real() - A_DAY_S, tz)

    time.time = lambda: real() - A_DAY_S
    datetime.datetime = Yesterday  # type: ignore[misc]


def recycle_djangos_connection() -> None:
    """As at the end of every request: what is too old or unusable is closed, and opened anew."""

    def recycle(**event: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_backend_pid()")
        close_old_connections()
        connection.close()

    signals.migration_started.connect(recycle, weak=False)
    signals.migration_finished.connect(recycle, weak=False)


def end_the_idle_work_connection() -> None:
    """Between two files, and after the last one."""

    def end(**event: Any) -> None:
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity "
                "WHERE application_name = 'sqlmigrations' AND datname = current_database()"
            )

    signals.migration_finished.connect(end, weak=False)


def write_down_what_is_told() -> None:
    """What the signals tell of waiting goes into a file, a line of JSON each."""
    book = Path(os.environ["BOOK"])

    def write(told: str, **values: Any) -> None:
        with book.open("a") as lines:
            lines.write(json.dumps({"told": told, **values}, default=dataclasses.asdict) + "\n")

    def watched(step: Step, glimpse: Glimpse, **_: Any) -> None:
        write("watched", glimpse=glimpse)

    def retrying(attempt: int, delay_s: float, blockers: tuple[Blocker, ...], **_: Any) -> None:
        write("retrying", attempt=attempt, delay_s=delay_s, blockers=blockers)

    signals.migration_watched.connect(watched, weak=False)
    signals.migration_retrying.connect(retrying, weak=False)


def tell_often() -> None:
    """What a log is told every thirty seconds comes at once."""
    glimpses.EVERY_S = 0.2
    postgresql._TELL_AGAIN_S = 0.5


def log_to_a_full_disk() -> None:
    logging.getLogger("sqlmigrations").addHandler(logging.FileHandler("/dev/full"))
    logging.getLogger("sqlmigrations").setLevel(logging.DEBUG)


def interrupt_itself_between_files() -> None:
    """When the first file of the project is done."""

    def interrupt(outcome: Any, **event: Any) -> None:
        if outcome and outcome.id == "project.001_a":
            signal.raise_signal(signal.SIGINT)
            # The thread that hears it has not much to do, but has to come to it.
            time.sleep(0.2)

    signals.migration_finished.connect(interrupt, weak=False)


def give_up_soon() -> None:
    """The question what became of a COMMIT is put for a second, not for a minute."""
    transaction._RESOLVE_S = 1


def _die(*args: object, **named: object) -> NoReturn:
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError


def die_before_a_statement_that_is_journalled() -> None:
    alone._suitable = _die


def die_before_a_done_statement_is_journalled() -> None:
    alone.confirm = _die


def die_before_what_is_left_is_removed() -> None:
    """After the journal has it."""
    real = Connection.run

    def run(self: Connection, sql: str) -> None:
        if sql.startswith("DROP INDEX"):
            _die()
        real(self, sql)

    Connection.run = run  # type: ignore[method-assign]
