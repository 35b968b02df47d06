"""``manage.py sqlmigrate_repair``: what a person decides about one record, shown, asked for, recorded."""

from __future__ import annotations

import re
import sys
from typing import Any

from django.core.management.base import CommandParser

from sqlmigrations.backends.aliases import credentials
from sqlmigrations.decision import Action, Decision, Proposal
from sqlmigrations.difference import difference
from sqlmigrations.exceptions import ConfigurationError, Interrupted, UnsafePlan
from sqlmigrations.executor import Executor
from sqlmigrations.guidance import APPLY, addressed, on
from sqlmigrations.management import interrupts
from sqlmigrations.management.base import SqlMigrationsCommand, seconds
from sqlmigrations.management.progress import Progress
from sqlmigrations.masking import mask_lines
from sqlmigrations.parser import parse
from sqlmigrations.planning import passwords
from sqlmigrations.resume.judging import Resolution
from sqlmigrations.retreat import retreat
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.target import Target
from sqlmigrations.types import SqlMigration, State

# Of a statement; its place is told.
_SHOWN_LINES = 12


class Command(SqlMigrationsCommand):
    """Corrects the record of one migration: accepts its changed file, forgets it, or settles what is half done."""

    help = (
        "Corrects the record of one migration, with a reason: accepts its changed file, forgets it, or settles "
        "what is half done."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds what is decided, about which migration, and why."""
        super().add_arguments(parser)
        add = parser.add_argument
        add(
            "action", choices=[action.value for action in Action],
            help="accept: record a changed file as it is now. forget: delete the record of a migration that is gone. "
            "resolve: say of one that is half done that it is done, or to be run again.",
        )  # fmt: skip
        add("label", help="Label of the migration, or the whole of it as label.NNN_slug.")
        add("version", nargs="?", default="", help="Its number or name.")
        add("--reason", required=True, metavar="WHY", help="Why; it is kept in the event, and shown in the admin.")
        how = parser.add_mutually_exclusive_group()
        how.add_argument(
            "--done", action="store_const", const=Resolution.DONE, dest="how",
            help="With resolve: what is half done is in the database.",
        )  # fmt: skip
        how.add_argument(
            "--redo", action="store_const", const=Resolution.REDO, dest="how",
            help="With resolve: it is not, and is to be run again.",
        )  # fmt: skip
        add(
            "--statement", type=int, metavar="N",
            help="With resolve: which statement of the file, from 1. Defaults to the one in doubt.",
        )  # fmt: skip
        add(
            "--lock-wait", type=seconds, metavar="SECONDS",
            help="How long to wait for a run that is under way; LOCK_WAIT of the settings, 60 s.",
        )  # fmt: skip
        add(
            "--noinput", "--no-input", action="store_false", dest="interactive",
            help="Ask nothing, for scripts.",
        )  # fmt: skip

    def handle(self, *args: Any, **options: Any) -> None:
        """Shows what would be recorded, asks, and records it."""
        self.told = self.stderr if options["format"] == "json" else self.stdout
        # Who is asked has to see what about.
        verbosity = max(options["verbosity"], int(options["interactive"]))
        self.progress = Progress(self.told, self.style, options["database"], verbosity)
        reason = _reason(options["reason"])
        target = Target(options["label"], options["version"])
        decision = Decision(Action(options["action"]), target, options["how"], options["statement"])
        executor = Executor(options["database"])
        proposal = executor.propose(decision)
        self._show(proposal, executor.database)
        self._ask(proposal, interactive=options["interactive"])
        wait = options["lock_wait"]
        with interrupts.heard(executor.cancel), self.progress.listening():
            run_id = executor.repair(proposal, reason, None if wait is None else round(wait * 1000))
        self._report(proposal, executor.database, str(run_id), options["format"])

    def _show(self, proposal: Proposal, database: str) -> None:
        entry = proposal.entry
        half = entry.state is State.PARTIAL and retreat(proposal.applied) is None
        word = "begun" if half else "applied"
        when = f"{proposal.applied.applied_at:%Y-%m-%d %H:%M:%S %Z}"
        self.progress.say(self.style.MIGRATE_HEADING(f"{entry.id}  ({entry.state.value}, {word} {when})"))
        if proposal.doubt and proposal.doubt.statement and entry.migration:
            self._show_statement(proposal.doubt.begun.number, proposal.doubt.statement, entry.migration, database)
        if proposal.decision.action is Action.ACCEPT and entry.migration:
            for line in difference(proposal.applied, entry.migration, credentials(database)):
                self.progress.say(f"  {line}")
        for sentence in proposal.meaning:
            self.progress.say(addressed(sentence, database))

    def _show_statement(self, number: int, statement: Statement, migration: SqlMigration, database: str) -> None:
        script = parse(migration)
        self.progress.say(
            f"  {migration.file.location}:{statement.line}:{statement.column}, "
            f"statement {number} of {len(script.statements)}"
        )
        lines = mask_lines(statement.text, passwords(script) | credentials(database))
        for line in lines[:_SHOWN_LINES]:
            self.progress.say(f"    {line}")
        if len(lines) > _SHOWN_LINES:
            self.progress.say("    ...")

    def _ask(self, proposal: Proposal, *, interactive: bool) -> None:
        word = proposal.entry.id if proposal.is_grave else "yes"
        if not interactive:
            if proposal.is_grave:
                raise UnsafePlan(
                    f"{word} is {proposal.entry.state.value}: to forget it takes a person who types its name. "
                    "Nothing was changed.",
                    remedy="Leave out --noinput, in a terminal.",
                )
            return
        if not sys.stdin.isatty():
            raise ConfigurationError(
                "There is no terminal to ask on. Nothing was changed.",
                remedy="Run it in a terminal; or, when the above is what you want, with --noinput.",
            )
        try:
            self.told.write(f"\n    Type '{word}' to continue, or 'no' to cancel: ", ending="")
            self.told.flush()
            answer = sys.stdin.readline()
        except KeyboardInterrupt:
            answer = ""
        if not answer:
            self.told.write("")  # Nobody has ended the line.
        if answer.strip() != word:
            raise Interrupted("Cancelled. Nothing was changed.", remedy="python manage.py sqlmigrate_status")

    def _report(self, proposal: Proposal, database: str, run_id: str, form: str) -> None:
        action, entry = proposal.decision.action, proposal.entry
        if form == "json":
            content = {"database": database, "run_id": run_id, "action": action.value, "id": entry.id}
            self.document({**content, "result": "ok", "exit_code": 0, "error": None})
        self.progress.say(
            self.style.SUCCESS(f"{action.done.capitalize()}: {entry.id}. The event says when, who and why.")
        )
        back = retreat(proposal.applied)
        if back is not None and proposal.decision.how is not Resolution.DONE:
            self.progress.say(f"Next: {addressed(back.command, database)}")
        elif action is Action.RESOLVE:
            self.progress.say(f"Next: {APPLY}{on(database)}")


def _reason(given: str) -> str:
    if not re.search(r"\w", given):
        raise ConfigurationError(
            "The reason says nothing. Nothing was changed.",
            remedy="Say in a few words why: they are read by whoever wonders later.",
        )
    return given.strip()
