"""Pending files applied as a part of ``migrate``: told in its output, and failing as its own steps do."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from django.core.management.base import CommandError, OutputWrapper
from django.core.management.color import color_style, no_style

from sqlmigrations import lease
from sqlmigrations.backends.base import Reader
from sqlmigrations.django_graph import files_of
from sqlmigrations.exceptions import (
    IntegrityError,
    Interrupted,
    MigrationFailed,
    PartialMigration,
    SqlMigrationsError,
    Terminated,
    UnsafePlan,
)
from sqlmigrations.executor import EVERYTHING, Executor, Options, Target
from sqlmigrations.guidance import APPLY, addressed
from sqlmigrations.idle import IdleRun
from sqlmigrations.integrity import LEDGER_RULES
from sqlmigrations.management import interrupts, rendering
from sqlmigrations.management.progress import Progress
from sqlmigrations.run import Run
from sqlmigrations.types import UNAPPLIED, Finding

# Rules that a database can break only by having been there before.
_OF_A_KEPT_DATABASE = LEDGER_RULES | {"partial"}
_ANEW = "python manage.py test  without --keepdb, or  pytest --create-db"
_KEPT = f"The test database was kept from an earlier run. Make it anew once:  {_ANEW}"
_CORRECT = f"Correct the file, then make the test database anew:  {_ANEW}"
_HAND_MADE = (
    f"If the test database was kept from an earlier run, make it anew once:  {_ANEW}\n"
    "If it is new, Django's models make the same: guard the file (CREATE TABLE IF NOT EXISTS ...)."
)
_NAME_IT = "Let the migration that applies a file after this one come after that: name it in its dependencies."
_RUN_AGAIN = f"Then run  {APPLY}"


class NotApplied(CommandError):
    """The files could not be applied; the message tells all there is to know."""


class _Beside(Executor):
    """Runs where a migration of Django's has just begun its transaction: nothing that it has done is waited for."""

    def _refuse_block(self) -> None:
        pass


class Following:
    """What is applied with ``migrate``, on connections of its own that are closed at the end of each call.

    Args:
        alias: The database.
        verbosity: That of ``migrate``.
        stdout: Where ``migrate`` prints.
        in_tests: Whether the database can be thrown away.
    """

    def __init__(self, alias: str, verbosity: int, stdout: OutputWrapper, *, in_tests: bool) -> None:
        self._alias = alias
        self._style = color_style() if stdout.isatty() else no_style()
        self._progress = Progress(stdout, self._style, alias, verbosity)
        self._in_tests = in_tests

    def apply_before(self, migrations: Iterable[Any]) -> None:
        """Applies what the files wait for that Django's migrations are about to apply, and nothing else.

        What itself waits for one of these migrations is left for ``apply_between``.

        Raises:
            NotApplied: It failed.
            KeyboardInterrupt: Ctrl-C.
        """
        wrapped = [Target(id) for migration in migrations for id in files_of(migration.operations)]
        # The last one of a label comes after all that the others come after.
        last = {target.label: target for target in sorted(wrapped, key=_number)}
        with self._answering():
            for target in last.values():
                try:
                    self._apply(target)
                except IntegrityError as error:
                    if any(finding.rule != UNAPPLIED for finding in error.findings):
                        raise

    def apply_between(self, id: str) -> None:
        """Applies what a file waits for, right before one of Django's migrations applies that file itself.

        Raises:
            NotApplied: It failed.
            KeyboardInterrupt: Ctrl-C.
        """
        target = Target(id)
        with self._answering():
            if Executor(self._alias).plan(Options(target)).steps:
                self._apply(target, _Beside)

    def apply_rest(self) -> None:
        """Applies what is pending, where ``migrate`` has not stopped before what it waits for.

        Raises:
            NotApplied: It failed.
            KeyboardInterrupt: Ctrl-C.
        """
        with self._answering():
            try:
                self._apply(EVERYTHING)
            except IntegrityError as error:
                if any(finding.rule != UNAPPLIED for finding in error.findings):
                    raise
                waiting = ", ".join(dict.fromkeys(finding.migration for finding in error.findings))
                self._progress.say(f"  SQL migrations are left until Django's are applied: {waiting} and others.")

    def _apply(self, target: Target, kind: type[Executor] = Executor) -> None:
        if lease.known(Reader(self._alias)) is not None:
            return  # A listener of that run has called migrate: the run is in the middle of its own plan.
        executor, order = kind(self._alias), Options(target, audience=self._progress.audience)
        with interrupts.heard(executor.cancel), self._progress.listening(), executor.run(order) as run:
            if run.plan.steps:
                self._progress.say(self._style.MIGRATE_HEADING(f'Running SQL migrations on "{self._alias}":'))
            self._perform_all(run)

    def _perform_all(self, run: Run | IdleRun) -> None:
        for step in run.plan.steps:
            self._progress.begin(step.migration.id)
            try:
                outcome = run.perform(step)
            except BaseException:
                self._progress.fail()
                raise
            self._progress.end(outcome)

    @contextmanager
    def _answering(self) -> Iterator[None]:
        try:
            yield
        except Terminated as error:
            sys.exit(int(error.exit_code))
        except Interrupted as error:
            # Whoever runs the tests knows this one, and stops.
            raise KeyboardInterrupt(error.message) from None
        except SqlMigrationsError as error:
            text = rendering.error_text(_for_tests(error) if self._in_tests else error)
            raise NotApplied(addressed(text, self._alias), returncode=int(error.exit_code)) from None


def _number(target: Target) -> int:
    digits = target.version.partition("_")[0]
    return int(digits) if digits.isdecimal() else 0


def _for_tests(error: SqlMigrationsError) -> SqlMigrationsError:
    """The same with what there is to do about it where the database can be thrown away."""
    kept = any(finding.rule in _OF_A_KEPT_DATABASE for finding in error.findings)
    error.findings = tuple(map(_finding_for_tests, error.findings))
    if kept:
        error.remedy = _KEPT
    elif isinstance(error, PartialMigration):
        error.remedy = _CORRECT
    elif isinstance(error, UnsafePlan) and _is_hand_made(error):
        error.remedy = _HAND_MADE
    elif isinstance(error, MigrationFailed):
        error.remedy = error.remedy.replace(_RUN_AGAIN, "Then run the tests again.")
    return error


def _finding_for_tests(finding: Finding) -> Finding:
    if finding.rule in _OF_A_KEPT_DATABASE:
        return replace(finding, remedy="")
    return replace(finding, remedy=_NAME_IT) if finding.rule == UNAPPLIED else finding


def _is_hand_made(error: UnsafePlan) -> bool:
    return "--fake" in error.remedy or any(finding.rule == "hand-made" for finding in error.findings)
