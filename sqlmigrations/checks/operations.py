"""The static checks of ``ApplySQL``: operations of Django's migrations and the SQL files they apply, side by side."""

from __future__ import annotations

import difflib
from collections.abc import Iterator

from sqlmigrations.checks.wrappers import Wrapping, read
from sqlmigrations.guidance import operation
from sqlmigrations.loader import Loaded
from sqlmigrations.parser import outline, parse
from sqlmigrations.types import Directives, Finding, Mode, Severity, SqlMigration
from sqlmigrations.types.django import Key

MISSING, DISAGREEING, REFUSING = "applied-file", "runs-in", "non-transactional"


def wrapping(loaded: Loaded) -> Wrapping:
    """What Django's migrations say, those among them that the files name."""
    named = (_settled(migration).runs_in for migration in loaded.migrations)
    return read({(each.app, each.name) for each in named if each is not None})


def validate(loaded: Loaded, wrapping: Wrapping) -> Iterator[Finding]:
    """What is wrong with the operations; what a file itself says wrongly of them is told with the file.

    The rule of a finding is one of ``MISSING``, ``DISAGREEING`` and ``REFUSING``.
    """
    files = {migration.id: migration for migration in loaded.migrations}
    for key, ids in wrapping.files.items():
        for each in ids:
            if each in files:
                yield from _between(files[each], key, wrapping)
            elif not any(finding.location.endswith(f"/{each.partition('.')[2]}.sql") for finding in loaded.findings):
                yield _missing(each, key, files)


def _between(migration: SqlMigration, key: Key, wrapping: Wrapping) -> Iterator[Finding]:
    runs_in, nodes = _settled(migration).runs_in, wrapping.history.nodes
    if runs_in is None:
        message = f"{'.'.join(key)} applies it, and it does not say so: sqlmigrate_apply would apply it as well."
        yield _about(migration, DISAGREEING, message, f"Write at its top: -- runs-in: django:{'.'.join(key)}")
    elif (node := wrapping.history.find(runs_in)) != nodes[key] and any(
        nodes[other] == node for other in wrapping.history.wrappers[migration.id]
    ):
        message = f"It runs in {runs_in.id}, and {'.'.join(key)} applies it as well."
        remedy = f"Take {operation(migration.id)} out of {'.'.join(key)}, where Django has not applied it anywhere."
        yield _about(migration, DISAGREEING, message, remedy)
    if key in wrapping.atomic and _wants_its_own(migration):
        message = f"It cannot run in the transaction of another, and {'.'.join(key)}, which applies it, is one."
        yield _about(migration, REFUSING, message, f"Write  atomic = False  into class Migration of {'.'.join(key)}.")


def _wants_its_own(migration: SqlMigration) -> bool:
    script = parse(migration)
    return script.mode is Mode.STATEMENTS or script.isolation not in ("", "READ WRITE")


def _missing(id: str, key: Key, files: dict[str, SqlMigration]) -> Finding:
    message = f"{'.'.join(key)} has the operation {operation(id)}, and there is no such file."
    near = difflib.get_close_matches(id, files, n=1)
    remedy = f"Write {operation(near[0])}." if near else "Restore the file, or take the operation out."
    return Finding(MISSING, Severity.ERROR, message, remedy)


def _settled(migration: SqlMigration) -> Directives:
    """What a file says of Django's migrations: a glance first, for few say anything."""
    return outline(migration).directives if "django:" in migration.file.text else Directives()


def _about(migration: SqlMigration, rule: str, message: str, remedy: str) -> Finding:
    return Finding(rule, Severity.ERROR, message, remedy, migration.id, migration.file.location)
