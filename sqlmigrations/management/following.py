"""Pending files applied as a part of ``migrate``: told in its output, and failing as its own steps do."""

from __future__ import annotations

import sys
from dataclasses import replace

from django.core.management.base import CommandError, OutputWrapper
from django.core.management.color import color_style, no_style

from sqlmigrations.exceptions import (
    Interrupted,
    MigrationFailed,
    PartialMigration,
    SqlMigrationsError,
    Terminated,
    UnsafePlan,
)
from sqlmigrations.executor import Executor
from sqlmigrations.guidance import APPLY
from sqlmigrations.integrity import LEDGER_RULES
from sqlmigrations.management import interrupts, rendering
from sqlmigrations.management.progress import Progress
from sqlmigrations.run import Run

# Rules that a database can break only by having been there before.
_OF_A_KEPT_DATABASE = LEDGER_RULES | {"partial"}
_ANEW = "python manage.py test  without --keepdb, or  pytest --create-db"
_KEPT = f"The test database was kept from an earlier run. Make it anew once:  {_ANEW}"
_CORRECT = f"Correct the file, then make the test database anew:  {_ANEW}"
_HAND_MADE = (
    f"If the test database was kept from an earlier run, make it anew once:  {_ANEW}\n"
    "If it is new, Django's models make the same: guard the file (CREATE TABLE IF NOT EXISTS ...)."
)
_RUN_AGAIN = f"Then run  {APPLY}"


class NotApplied(CommandError):
    """The files could not be applied; the message tells all there is to know."""


def apply(alias: str, verbosity: int, stdout: OutputWrapper, *, in_tests: bool) -> None:
    """Applies what is pending, on connections of its own that are closed at the end.

    Raises:
        NotApplied: It failed.
        KeyboardInterrupt: Ctrl-C.
    """
    style = color_style() if stdout.isatty() else no_style()
    progress = Progress(stdout, style, alias, verbosity)
    try:
        executor = Executor(alias)
        with interrupts.heard(executor.cancel), progress.listening(), executor.run() as run:
            if run.plan.steps:
                progress.say(style.MIGRATE_HEADING(f'Running SQL migrations on "{alias}":'))
            _perform_all(run, progress)
    except Terminated as error:
        sys.exit(int(error.exit_code))
    except Interrupted as error:
        # Whoever runs the tests knows this one, and stops.
        raise KeyboardInterrupt(error.message) from None
    except SqlMigrationsError as error:
        text = rendering.error_text(_for_tests(error) if in_tests else error)
        raise NotApplied(rendering.addressed(text, alias), returncode=int(error.exit_code)) from None


def _perform_all(run: Run, progress: Progress) -> None:
    for step in run.plan.steps:
        progress.begin(step.migration.id)
        try:
            outcome = run.perform(step)
        except BaseException:
            progress.fail()
            raise
        progress.end(outcome)


def _for_tests(error: SqlMigrationsError) -> SqlMigrationsError:
    """The same with what there is to do about it where the database can be thrown away."""
    if any(finding.rule in _OF_A_KEPT_DATABASE for finding in error.findings):
        error.findings = tuple(
            replace(finding, remedy="") if finding.rule in _OF_A_KEPT_DATABASE else finding
            for finding in error.findings
        )
        error.remedy = _KEPT
    elif isinstance(error, PartialMigration):
        error.remedy = _CORRECT
    elif isinstance(error, UnsafePlan) and _is_hand_made(error):
        error.remedy = _HAND_MADE
    elif isinstance(error, MigrationFailed):
        error.remedy = error.remedy.replace(_RUN_AGAIN, "Then run the tests again.")
    return error


def _is_hand_made(error: UnsafePlan) -> bool:
    return "--fake" in error.remedy or any(finding.rule == "hand-made" for finding in error.findings)
