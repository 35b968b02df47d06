"""What the migrations of Django's say of SQL files, read off the disk: only those are imported that matter.

To import all of them, as Django's own loader does, would let every command of a large site wait for it.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db.migrations.loader import MigrationLoader

from sqlmigrations.directives import FIRST, LATEST
from sqlmigrations.django_graph import files_of
from sqlmigrations.types import DjangoHistory, DjangoNode
from sqlmigrations.types.django import Key

# What makes a migration matter: it applies a file, or stands for others that may.
_TELLING = re.compile(rb"\bApplySQL\b|\breplaces\b|\bsqlmigrations\b")
# The migrations that Django and we bring along are many, and apply none.
_WITHOUT_FILES = ("django.", "sqlmigrations")


@dataclass(frozen=True, slots=True)
class Wrapping:
    """What is to be known of Django's migrations without a database.

    Attributes:
        history: With nothing applied.
        files: The ids of the SQL files that each of them applies.
        atomic: Those that Django opens a transaction for.
    """

    history: DjangoHistory
    files: Mapping[Key, tuple[str, ...]]
    atomic: frozenset[Key]


def read(named: Collection[Key]) -> Wrapping:
    """Looks into the migrations of all installed apps.

    Args:
        named: Migrations that SQL files name; they are looked into whatever their text says.
    """
    packages = {config.label: _package(config.label) for config in apps.get_app_configs()}
    sources = {app: dict(_sources(package)) for app, package in packages.items() if package is not None}
    silent = {config.label for config in apps.get_app_configs() if config.name.startswith(_WITHOUT_FILES)}
    telling = [
        (app, name)
        for app, paths in sources.items()
        for name, path in sorted(paths.items())
        if (app, name) in named or (app not in silent and _TELLING.search(path.read_bytes()))
    ]
    found = {key: _migration(packages[key[0]], key[1]) for key in telling}
    files = {key: tuple(files_of(migration.operations)) for key, migration in found.items() if migration}
    return Wrapping(
        history=_history(sources, packages, {key: migration for key, migration in found.items() if migration}, files),
        files={key: ids for key, ids in files.items() if ids},
        atomic=frozenset(key for key, migration in found.items() if migration and migration.atomic),
    )


def _history(
    sources: Mapping[str, Collection[str]],
    packages: Mapping[str, Any],
    found: Mapping[Key, Any],
    files: Mapping[Key, tuple[str, ...]],
) -> DjangoHistory:
    squashes = {tuple(old): key for key, migration in found.items() for old in migration.replaces}
    every = [(app, name) for app, names in sources.items() for name in names]
    nodes = {key: DjangoNode(*_last(key, squashes), is_applied=False) for key in (*every, *squashes)}
    nodes |= {(app, end): DjangoNode(app, "", is_applied=False) for app in sources for end in (FIRST, LATEST)}
    wrappers: dict[str, list[Key]] = defaultdict(list)
    for key, ids in files.items():
        for each in ids:
            wrappers[each].append(key)
    return DjangoHistory(
        nodes=nodes,
        migrated=frozenset(sources),
        unmigrated=frozenset(app for app, package in packages.items() if package is None),
        # What each comes after is in texts that are not read here; this much is known without.
        parents={(app, LATEST): tuple((app, name) for name in names) for app, names in sources.items()},
        wrappers={each: tuple(keys) for each, keys in wrappers.items()},
    )


def _last(key: Key, squashes: Mapping[tuple[str, ...], Key]) -> Key:
    """The migration that stands for it: squashes may be squashed again."""
    seen = {key}
    while (key := squashes.get(key, key)) not in seen:
        seen.add(key)
    return key


def _package(label: str) -> Any:
    """The package of an app's migrations, as Django finds it; ``None`` where it has none."""
    name = MigrationLoader.migrations_module(label)[0]
    try:
        package = import_module(name) if name else None
    # It may be anybody's code; where something is wrong with it, Django says so when it migrates.
    except Exception:
        return None
    return package if getattr(package, "__file__", None) and hasattr(package, "__path__") else None


def _sources(package: Any) -> Iterator[tuple[str, Path]]:
    for folder in package.__path__:
        for path in Path(folder).glob("*.py"):
            # As Django's loader: what begins like this is no migration, and Python imports files only.
            if path.stem[0] not in "_~" and path.is_file():
                yield path.stem, path


def _migration(package: Any, name: str) -> Any:
    """The class of a migration; ``None`` where it cannot be imported."""
    try:
        return import_module(f"{package.__name__}.{name}").Migration
    except Exception:  # As above.
        return None
