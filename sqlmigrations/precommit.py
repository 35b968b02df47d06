"""``python -m sqlmigrations.precommit``: checks files without settings and database, for the hook of pre-commit."""

from __future__ import annotations

import argparse
import io
import os
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from sqlmigrations.examination import Examination, examine
from sqlmigrations.exceptions import ExitCode, SqlMigrationsError
from sqlmigrations.management import rendering
from sqlmigrations.types import Finding

_FAIL_LEVELS = ("ERROR", "WARNING")


def main(arguments: Sequence[str] | None = None) -> ExitCode:
    """Checks the files, prints what is wrong with them and their folders, and answers with an exit code.

    Args:
        arguments: Of the command line; those of this process when not given.
    """
    parser = _parser()
    options = parser.parse_args(arguments)
    if absent := [path for path in options.paths if not path.exists()]:
        parser.error(f"there is no file {absent[0]}")
    allow, ignore = frozenset(options.allow), tuple(options.ignore)
    try:
        seen = [examine(folder, names, allow=allow, ignore=ignore) for folder, names in _folders(options.paths)]
    except SqlMigrationsError as error:
        print(rendering.error_text(error), file=sys.stderr)
        return error.exit_code
    _print(seen)
    return _code(seen, options.fail_level)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m sqlmigrations.precommit",
        description="Checks SQL migration files, without settings and without a database.",
    )
    parser.add_argument("paths", nargs="+", type=Path, metavar="file", help="An SQL file, or a folder of them.")
    parser.add_argument(
        "--fail-level",
        choices=_FAIL_LEVELS,
        default="ERROR",
        help="What the exit code tells: errors, or warnings too. Defaults to ERROR.",
    )
    parser.add_argument(
        "--allow", action="append", default=[], metavar="RULE", help="Silence a rule; may be given more than once."
    )
    parser.add_argument(
        "--ignore",
        action="append",
        default=[],
        metavar="GLOB",
        help="File names to pass over, as SQLMIGRATIONS['IGNORE'].",
    )
    return parser


def _folders(paths: Iterable[Path]) -> Iterator[tuple[Path, set[str]]]:
    """Each folder once, however its files were named, and those of its files that were named."""
    named: dict[Path, set[str]] = defaultdict(set)
    for path in paths:
        absolute = Path(os.path.abspath(path))
        if absolute.is_dir():
            named[absolute].update(os.listdir(absolute))
        else:
            named[absolute.parent].add(absolute.name)
    yield from sorted(named.items())


def _print(seen: Sequence[Examination]) -> None:
    errors = [finding for one in seen for finding in (*one.faults, *one.dangers)]
    warnings = [finding for one in seen for finding in one.warnings]
    for finding in (*errors, *warnings):
        print("\n".join(rendering.finding_lines(finding)))
    if errors or warnings:
        print(f"{_count(errors, 'error')}, {_count(warnings, 'warning')}.")


def _count(findings: Sequence[Finding], noun: str) -> str:
    return f"{len(findings)} {noun}{'' if len(findings) == 1 else 's'}"


def _code(seen: Iterable[Examination], fail_level: str) -> ExitCode:
    """As ``sqlmigrate_apply`` would answer."""
    if any(one.faults for one in seen):
        return ExitCode.INTEGRITY
    if any(one.dangers or (one.warnings and fail_level == "WARNING") for one in seen):
        return ExitCode.UNSAFE
    return ExitCode.OK


if __name__ == "__main__":
    if isinstance(sys.stdout, io.TextIOWrapper):
        # A name may hold letters that the terminal has not.
        sys.stdout.reconfigure(errors="backslashreplace")
    sys.exit(main())
