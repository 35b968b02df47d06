"""Fixtures for pytest, for projects that ask for them: ``pytest_plugins = ["sqlmigrations.pytest_plugin"]``.

Nothing of the app imports this module, and pytest does not load it by itself.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Generator, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError, OutputWrapper
from django.db import DEFAULT_DB_ALIAS
from django.db.models.signals import post_migrate, pre_migrate

from sqlmigrations import receivers, roundtrip, scratch
from sqlmigrations.exceptions import SqlMigrationsError
from sqlmigrations.executor import Executor
from sqlmigrations.management import rendering
from sqlmigrations.management.following import Following, NotApplied
from sqlmigrations.roundtrip import RoundTrip
from sqlmigrations.types import Status


class Scratch:
    """An empty database to which an alias leads while the test lasts.

    Attributes:
        database: The alias.
    """

    def __init__(self, database: str) -> None:
        self.database = database

    def apply(self) -> Status:
        """Does what makes a test database: Django's ``migrate``, and all files. A file that fails fails the test."""
        with _telling():
            self._migrate()
            self._following().apply_rest()
            return Executor(self.database).status()

    def up_down_up(self) -> RoundTrip:
        """Applies each file, undoes it, and applies it again; what its down file leaves behind fails the test."""
        with _telling():
            self._migrate()
            return roundtrip.up_down_up(self.database)

    def _following(self) -> Following:
        return Following(self.database, 0, OutputWrapper(io.StringIO()), in_tests=True)

    def _migrate(self) -> None:
        """Runs ``migrate``, and of the files, whatever the setting says, those that it applies or needs before."""
        with _left_to(lambda plan: self._following().apply_before([migration for migration, _ in plan])):
            call_command("migrate", database=self.database, verbosity=0, interactive=False, run_syncdb=True)


@pytest.fixture
def sql_scratch(db: None, request: pytest.FixtureRequest) -> Iterator[Scratch]:
    """A ``Scratch`` for ``default``; ``parametrize("sql_scratch", ["other"], indirect=True)`` is for another alias."""
    database: str = getattr(request, "param", DEFAULT_DB_ALIAS)
    with _telling(), scratch.lent(database):
        yield Scratch(database)


@pytest.fixture
def assert_nothing_pending(db: None) -> Callable[..., None]:
    """A function that fails the test when files and records of a test database do not agree, or a file is pending."""

    def check(database: str = DEFAULT_DB_ALIAS) -> None:
        with _telling():
            plan = Executor(database).plan()
            if (refusal := plan.refusal()) is not None:
                raise refusal
            # What waits for Django is not applied either.
            pending = [step.migration.id for step in plan.steps] + [entry.id for entry in plan.held]
        if pending:
            pytest.fail(f"SQL migrations that are pending on {database!r}: {', '.join(pending)}.", pytrace=False)

    return check


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Generator[None, Any, None]:
    """Stops the run at the first test whose database could not get the files: all others would say the same."""
    outcome = yield
    error = call.excinfo and call.excinfo.value
    # Of an operation it is the cause.
    if isinstance(error, NotApplied) or (error and isinstance(error.__cause__, SqlMigrationsError)):
        outcome.get_result().longrepr = str(error)
        item.session.shouldstop = "the test database could not get the SQL migrations"


@contextmanager
def _telling() -> Iterator[None]:
    """What goes wrong is told as the commands tell it, without the way there."""
    try:
        yield
        return
    except SqlMigrationsError as error:
        told = rendering.error_text(error)
    except CommandError as error:
        told = str(error)
    raise pytest.fail.Exception(told, pytrace=False) from None


@contextmanager
def _left_to(before: Callable[[receivers.Plan], None]) -> Iterator[None]:
    """A block in which ``migrate`` is preceded by this, whatever the setting says, and followed by nothing."""

    def receive(plan: receivers.Plan, **_: Any) -> None:
        before(plan)

    for sent in (pre_migrate, post_migrate):
        sent.disconnect(dispatch_uid=receivers.UID)
    # Once: after the other apps, as it is sent for each.
    last = receivers.last_app()
    pre_migrate.connect(receive, sender=last)
    try:
        yield
    finally:
        pre_migrate.disconnect(receive, sender=last)
        receivers.connect()
