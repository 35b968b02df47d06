"""``manage.py sqlmigrate_apply``: applies what is pending, or says what it would do."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.core.management.color import no_style

from sqlmigrations import glimpses
from sqlmigrations.exceptions import ExitCode, Interrupted, MigrationFailed, SqlMigrationsError
from sqlmigrations.executor import Executor, Options
from sqlmigrations.idle import IdleRun
from sqlmigrations.management import interrupts, rendering
from sqlmigrations.management.base import SqlMigrationsCommand, seconds
from sqlmigrations.management.progress import Progress
from sqlmigrations.masking import mask_lines
from sqlmigrations.plan import Plan, Step
from sqlmigrations.target import Target
from sqlmigrations.types import Audience, Finding, Outcome, Result, RunMode, Severity

if TYPE_CHECKING:
    from sqlmigrations.run import Run

_SHOWN_STATEMENTS = 200
_STATEMENT_WIDTH = 100


class Command(SqlMigrationsCommand):
    """Applies pending SQL migrations, once each, in order, under a lock."""

    help = "Applies pending SQL migrations, once each, in order, under a lock."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds the target and the options."""
        super().add_arguments(parser)
        add = parser.add_argument
        add("label", nargs="?", default="", help="Only the migrations of this label, and what they depend on.")
        add("version", nargs="?", default="", help="Up to and including this number or name.")
        add("--plan", action="store_true", help="Show what would be done, and do nothing.")
        add(
            "--check", action="store_true",
            help="Show the plan; exit 3 when something is pending, 4 when files and records do not agree, 6 when a "
            "safety rule refuses, 7 when a migration stopped half way.",
        )  # fmt: skip
        add("--fake", action="store_true", help="Record migrations as applied without running them.")
        add(
            "--lock-wait", type=seconds, metavar="SECONDS",
            help="How long to wait for another run; LOCK_WAIT of the settings, 60 s.",
        )  # fmt: skip
        add(
            "--wait-for-db", type=seconds, default=0.0, metavar="SECONDS",
            help="How long to wait for the server; 0 fails at once, or after 5 s when only no connection is free.",
        )  # fmt: skip
        add("--allow-late", action="store_true", help="Run a number below one that is applied already.")
        add("--allow", action="append", default=[], metavar="RULE", help="Silence a warning; may be repeated.")
        add("--noinput", "--no-input", action="store_false", dest="interactive", help="Accepted; nothing is asked.")

    def handle(self, *args: Any, **options: Any) -> None:
        """Reads the options and does one of apply, plan and check."""
        self.verbosity: int = options["verbosity"]
        self.json: bool = options["format"] == "json"
        executor = Executor(options["database"])
        out = self.stderr if self.json else self.stdout
        if not (out.isatty() or options["force_color"]):
            self.style = no_style()
        self.progress = Progress(out, self.style, executor.database, self.verbosity)
        order = _options(options, self.progress.audience)
        if options["plan"] or options["check"]:
            self._show_plan(executor, order, check=options["check"])
        else:
            self._apply(executor, order)

    def _show_plan(self, executor: Executor, order: Options, *, check: bool) -> None:
        with self.progress.listening():
            plan = executor.plan(order)
        refusal = plan.refusal()
        if self.json and refusal is None:
            self.document(
                {
                    "database": executor.database,
                    "result": "pending" if plan.steps or plan.held else "ok",
                    "exit_code": int(_check_code(plan)) if check else 0,
                    "pooling": plan.pooling.value,
                    "steps": [rendering.step_document(step) for step in plan.steps],
                    "held": [rendering.held_document(entry) for entry in plan.held],
                    "findings": [rendering.finding_document(found) for found in (*plan.warnings, *plan.ahead)],
                    "error": None,
                }
            )
        elif not self.json and self.verbosity >= 1:
            self.stdout.write(self.style.MIGRATE_HEADING("Planned SQL migrations:"))
            for line in rendering.plan_lines(plan):
                self.stdout.write(line)
            for line in rendering.held_lines(plan.held, executor.database):
                self.stdout.write(f"  {line}")
            self._warn(plan.warnings)
            if plan.ahead:
                title = "In files that migrate applies:"
                self.progress.say(self.style.WARNING(rendering.findings_text(title, plan.ahead)))
        if refusal is not None:
            raise refusal
        if check:
            pending = len(plan.steps) + len(plan.held)
            self.end(_check_code(plan), f"SQL migrations that are pending: {pending}.")

    def _apply(self, executor: Executor, order: Options) -> None:
        started = time.perf_counter()
        run: Run | IdleRun | None = None
        with interrupts.heard(executor.cancel):
            try:
                with self.progress.listening(), executor.run(order) as run:
                    self._announce(run.plan, executor.database)
                    for step in run.plan.steps:
                        self._perform(run, step)
            except SqlMigrationsError as error:
                if self.json:
                    content = rendering.error_document(error)
                    self.document(_document(executor.database, run) | content)
                raise
            self._summarise(executor.database, run, time.perf_counter() - started)

    def _announce(self, plan: Plan, database: str) -> None:
        if plan.steps:
            self.progress.say(self.style.MIGRATE_HEADING(f'Running SQL migrations on "{database}":'))
        # How a half-done file goes on is about to be seen.
        self._warn([finding for finding in plan.warnings if finding.rule != "partial"])

    def _perform(self, run: Run | IdleRun, step: Step) -> None:
        self.progress.begin(step.migration.id)
        try:
            outcome = run.perform(step)
        except BaseException as error:
            self.progress.fail("INTERRUPTED" if isinstance(error, Interrupted) else "FAILED")
            if isinstance(error, MigrationFailed):
                self._tell_statements(step, error.finding.line)
                self._tell_notices(error.notices)
            raise
        self.progress.end(outcome)
        if outcome.result is Result.APPLIED:
            self._tell_statements(step, None)
        self._tell_notices(outcome.notices)

    def _tell_statements(self, step: Step, last_line: int | None) -> None:
        """At verbosity 2 the statements that were run, up to a line where one failed."""
        if self.verbosity < 2:
            return
        ran = [s for s in step.script.statements if last_line is None or s.line <= last_line]
        for statement in ran[:_SHOWN_STATEMENTS]:
            first = mask_lines(statement.text, step.secrets)[0]
            self.progress.say(f"      line {statement.line}: {first[:_STATEMENT_WIDTH]}")
        if (rest := len(ran) - _SHOWN_STATEMENTS) > 0:
            self.progress.say(f"      ... and {rest} more")

    def _tell_notices(self, notices: Sequence[str]) -> None:
        for notice in notices if self.verbosity >= 2 else ():
            self.progress.say(f"      {notice}")

    def _warn(self, warnings: Sequence[Finding]) -> None:
        for word, severity in (("warning", Severity.WARNING), ("note", Severity.NOTE)):
            if found := [finding for finding in warnings if finding.severity is severity]:
                title = f"{len(found)} {word}{'' if len(found) == 1 else 's'}:"
                self.progress.say(self.style.WARNING(rendering.findings_text(title, found)))

    def _summarise(self, database: str, run: Run | IdleRun | None, elapsed_s: float) -> None:
        if self.json:
            self.document(_document(database, run) | {"result": "ok", "exit_code": 0, "error": None})
        held = run.plan.held if run else ()
        outcomes = run.outcomes if run else []
        if outcomes:
            self.progress.say(_totals(outcomes, elapsed_s))
        else:
            self.progress.say("Nothing to apply now." if held else "All migrations are already applied!")
        for line in rendering.held_lines(held, database):
            self.progress.say(self.style.NOTICE(line))


def _totals(outcomes: Sequence[Outcome], elapsed_s: float) -> str:
    skipped = sum(outcome.result is Result.SKIPPED for outcome in outcomes)
    faked = sum(outcome.result is Result.FAKED for outcome in outcomes)
    done = len(outcomes) - skipped - faked
    parts = [f"{done} applied", *([f"{faked} recorded without running"] if faked else []), f"{skipped} skipped"]
    return f"{', '.join(parts)}, {glimpses.taken(elapsed_s * 1000)} in all."


def _options(options: dict[str, Any], audience: Audience) -> Options:
    wait = options["lock_wait"]
    return Options(
        target=Target(options["label"], options["version"]),
        mode=RunMode.FAKE if options["fake"] else RunMode.APPLY,
        allow=frozenset(options["allow"]),
        allow_late=options["allow_late"],
        lock_wait_ms=None if wait is None else round(wait * 1000),
        wait_for_db_s=options["wait_for_db"],
        audience=audience,
    )


def _check_code(plan: Plan) -> ExitCode:
    if any(step.progress is not None and step.progress.has_stopped for step in plan.steps):
        return ExitCode.PARTIAL
    return ExitCode.PENDING if plan.steps or plan.held else ExitCode.OK


def _document(database: str, run: Run | IdleRun | None) -> dict[str, object]:
    outcomes = run.outcomes if run else []
    return {
        "database": database,
        "run_id": str(run.mark.id) if run else None,
        "pooling": run.plan.pooling.value if run else None,
        "outcomes": [rendering.outcome_document(outcome) for outcome in outcomes],
        "held": [rendering.held_document(entry) for entry in run.plan.held] if run else [],
    }
