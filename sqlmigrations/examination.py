"""A folder of SQL files looked at by itself: all that can be said of it without settings and without a database."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass, replace
from pathlib import Path

from sqlmigrations import hazards, lint
from sqlmigrations.loader import load
from sqlmigrations.masking import mask_finding
from sqlmigrations.parser import Script, outline, parse
from sqlmigrations.pending import Terms, arrange
from sqlmigrations.types import Finding, Severity, Source, SqlMigration

_ANY_DATABASE = "default"


@dataclass(frozen=True, slots=True)
class Examination:
    """What was found.

    Attributes:
        faults: Of names, numbers, directives and dependencies: a run would refuse the folder (exit 4).
        dangers: Contents that certainly fail or break recording: a run would refuse the file (exit 6).
        warnings: What is safe to run but deserves a look.
    """

    faults: tuple[Finding, ...]
    dangers: tuple[Finding, ...]
    warnings: tuple[Finding, ...]


def examine(
    folder: Path, chosen: Collection[str], *, allow: frozenset[str] = frozenset(), ignore: tuple[str, ...] = ()
) -> Examination:
    """Looks at a folder as a whole, and at the contents of the files that are chosen.

    Their neighbours are looked at for what concerns all of them: two files with one number are two files. What they
    contain has been reviewed before, and runs no more.

    Args:
        folder: Where the files are.
        chosen: Their names.
        allow: Rules silenced for all of them.
        ignore: Globs of names to pass over.

    Raises:
        ConfigurationError: An allowed rule does not exist.
    """
    lint.check_allowed(allow)
    loaded = load([Source(_label(folder), folder)], ignore)
    order = arrange(loaded, (), Terms(_ANY_DATABASE, (_ANY_DATABASE,)), read=_by_itself)
    scripts = [parse(migration) for migration in loaded.migrations if _names(migration) & set(chosen)]
    found, _ = hazards.find(scripts, allow)
    dangers = [danger for script in scripts for danger in script.dangers]
    dangers += [finding for finding in found if finding.severity is Severity.ERROR]
    # The reason that a directive gives is quoted as it stands.
    secrets = frozenset[str]().union(*(lint.secrets(each.statements, each.migration.file.text) for each in scripts))
    return Examination(
        faults=tuple(mask_finding(finding, secrets) for finding in order.disagreements),
        dangers=tuple(mask_finding(finding, secrets) for finding in dangers),
        warnings=tuple(mask_finding(finding, secrets) for finding in found if finding.severity is not Severity.ERROR),
    )


def _label(folder: Path) -> str:
    """What its migrations are called; an app's label need not be the name of its folder, but mostly is."""
    absolute = folder.absolute()
    return (absolute.parent if absolute.name == "migrations_sql" else absolute).name or "project"


def _names(migration: SqlMigration) -> set[str]:
    return {os.path.basename(file.path) for file in (migration.file, migration.down) if file is not None}


def _by_itself(migration: SqlMigration) -> Script:
    """Without what only the project can tell: its other folders and its databases. Django's graph is not asked for."""
    script = outline(migration)
    own = tuple(dependency for dependency in script.directives.depends if not dependency.label)
    alone = replace(script.directives, depends=own, database=None)
    return replace(script, directives=alone)
