"""What all commands share: options, the way errors and documents leave, exit codes."""

from __future__ import annotations

import argparse
import gc
import io
import json
import os
import sys
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from django.core.management.base import BaseCommand, CommandError, CommandParser, OutputWrapper
from django.db import DEFAULT_DB_ALIAS

from sqlmigrations.directives import duration_ms
from sqlmigrations.exceptions import ConfigurationError, ExitCode, Interrupted, SqlMigrationsError
from sqlmigrations.guidance import addressed
from sqlmigrations.management import rendering

JSON_FORMAT = 1

# New objects until the collector looks for circles among them: ten megabytes or so, should they be garbage.
_COLLECTED_AT = 100_000


class LastingOutput(OutputWrapper):
    """A standard stream that may be lost (``| head``, a full disk): a deploy does not stop for that."""

    lost: OSError | None = None

    def write(self, *args: Any, **options: Any) -> None:  # type: ignore[override]  # as in Django
        """Writes at once; what a full disk does not take is dropped, the next line may find room again."""
        try:
            try:
                super().write(*args, **options)
            except UnicodeEncodeError:
                # A terminal that has no such letter: shown as on standard error.
                self.reconfigure(errors="backslashreplace")
                super().write(*args, **options)
            self.flush()
        except OSError as error:
            self.lost = error
            if isinstance(error, BrokenPipeError):
                self.discard()

    def discard(self) -> None:
        """Lets go of the reader: Python flushes what is left when it ends, and would fail at it."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self.fileno())
        os.close(nowhere)


class SqlMigrationsCommand(BaseCommand):
    """A command that answers with our exit codes and prints errors in our shape."""

    # The engine validates files and settings itself, and a check of another app must not stop a deploy half way.
    requires_system_checks: list[str] = []  # noqa: RUF012 - Django's own way to say it

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Python has no stream at all where it was closed from the beginning, as by  >&-
        if not options.get("stdout"):
            self.stdout = LastingOutput(sys.stdout or io.StringIO())
        if not options.get("stderr"):
            self.stderr = LastingOutput(sys.stderr or io.StringIO())
            self.stderr.style_func = self.style.ERROR

    def run_from_argv(self, argv: list[str]) -> None:
        """Runs the command of a command line; who asked for JSON is told in JSON that it could not be read."""
        self._argv = argv[2:]
        # What was imported stays until the end: for the collector to look through it again, and at the exit once more,
        # is a seventh of the time of a command that finds nothing to do.
        gc.freeze()
        # What is read of files and rows stays as well, and is looked through at every 700th object by default.
        gc.set_threshold(_COLLECTED_AT)
        super().run_from_argv(argv)

    def create_parser(self, prog_name: str, subcommand: str, **options: Any) -> CommandParser:
        """Makes the parser."""
        parser = super().create_parser(prog_name, subcommand, **options)
        if self._is_whole_process:
            # Django chooses the class.
            parser.error = partial(self._refuse_usage, parser.error, subcommand)  # type: ignore[method-assign]
        return parser

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds what every command takes."""
        parser.add_argument(
            "--database",
            default=DEFAULT_DB_ALIAS,
            help='Database alias to work on. Defaults to "default".',
        )
        parser.add_argument(
            "--format",
            choices=("text", "json"),
            default="text",
            help="text for people; json: one document on stdout, everything else on stderr.",
        )

    def execute(self, *args: Any, **options: Any) -> str | None:
        """Runs the command; an error leaves in its own shape and with its own exit code."""
        if not options.get("force_color") and (os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"):
            options["no_color"] = True
        try:
            return super().execute(*args, **options)
        except SqlMigrationsError as error:
            self.show_error(error, options)
            raise self._ended(error.exit_code, error.message) from (error if options.get("traceback") else None)
        except KeyboardInterrupt:
            met = Interrupted("Interrupted.", remedy="python manage.py sqlmigrate_status  tells what is recorded.")
            self.show_error(met, options)
            raise self._ended(met.exit_code, met.message) from None
        finally:
            if self._is_whole_process:
                self._settle_output()

    def show_error(self, error: SqlMigrationsError, options: Mapping[str, Any]) -> None:
        """Prints an error for people; on ``--format json`` the document on stdout carries it as well."""
        if options.get("format") == "json" and not getattr(self, "document_written", False):
            self.document({"database": options["database"], **rendering.error_document(error)})
        # What people copy from the message has to be complete.
        self.stderr.write(addressed(rendering.error_text(error), options["database"]), self.style.ERROR)

    def document(self, content: Mapping[str, object]) -> None:
        """Prints the one JSON document of a command."""
        self.document_written = True
        self.stdout.write(json.dumps({"schema": JSON_FORMAT, **content}, indent=2, default=str))

    def end(self, code: ExitCode, message: str) -> None:
        """Leaves with an exit code that is no error of ours, such as 3 for pending."""
        if code is not ExitCode.OK:
            raise self._ended(code, message)

    def _refuse_usage(self, refuse: Callable[[str], NoReturn], subcommand: str, message: str) -> NoReturn:
        # What of the command line can be read without the rest of it.
        reader = argparse.ArgumentParser(add_help=False)
        for option, otherwise in (("--format", "text"), ("--database", DEFAULT_DB_ALIAS)):
            reader.add_argument(option, nargs="?", default=otherwise)
        asked, _ = reader.parse_known_args(self._argv)
        if asked.format == "json":
            remedy = f"What it takes: python manage.py {subcommand} --help"
            error = ConfigurationError(f"The command line is wrong: {message}. Nothing was done.", remedy=remedy)
            self.document({"database": asked.database, **rendering.error_document(error)})
        refuse(message)

    @property
    def _is_whole_process(self) -> bool:
        return bool(getattr(self, "_called_from_command_line", False))

    def _settle_output(self) -> None:
        """What was done counts, not what was said of it: the exit code stays as it is."""
        for name, stream in (("output", self.stdout), ("error", self.stderr)):
            if isinstance(stream, LastingOutput) and stream.lost and not isinstance(stream.lost, BrokenPipeError):
                self.stderr.write(f"Standard {name} could not be written to its end: {stream.lost.strerror}.")
                stream.discard()

    def _ended(self, code: ExitCode, message: str) -> BaseException:
        # call_command() gets an exception it can catch, the shell its exit code without "CommandError:" before it.
        if self._is_whole_process:
            return SystemExit(int(code))
        return CommandError(message, returncode=int(code))


def seconds(text: str) -> float:
    """An argparse type: a bare number of seconds, or a duration with its unit."""
    try:
        return float(text) if text.replace(".", "", 1).isdecimal() else duration_ms(text) / 1000
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None
