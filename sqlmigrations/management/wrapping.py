"""The migration of Django's that applies a new SQL file: its number, what it comes after, its text and its place."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from django.apps import apps
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader

from sqlmigrations.directives import FIRST, LATEST
from sqlmigrations.django_graph import fault, standing
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.parser import outline
from sqlmigrations.types import DjangoMigration, SqlMigration
from sqlmigrations.types.django import Key

# Where django-linear-migrations keeps the name of the newest migration of an app.
_NEWEST = "max_migration.txt"
_INSTALLED = frozenset(("site-packages", "dist-packages"))
_TEXT = """\
from django.db import migrations

from sqlmigrations.operations import ApplySQL


class Migration(migrations.Migration):
    dependencies = [
{dependencies}    ]

    operations = [
        # What the file means for the models, if anything, goes into state_operations=[...].
        ApplySQL("{label}", "{name}"),
    ]
"""


@dataclass(frozen=True, slots=True)
class NewMigration:
    """A migration that is not written yet.

    Attributes:
        dependencies: What it comes after.
    """

    app: str
    name: str
    folder: Path
    dependencies: tuple[Key, ...]

    @property
    def path(self) -> Path:
        """Where it is to be."""
        return self.folder / f"{self.name}.py"

    @property
    def newest(self) -> Path | None:
        """The file that has to name it, where the app keeps one."""
        path = self.folder / _NEWEST
        return path if path.is_file() else None

    def text(self, label: str, name: str) -> str:
        """Its source, applying an SQL file."""
        dependencies = "".join(f'        ("{app}", "{before}"),\n' for app, before in self.dependencies)
        return _TEXT.format(dependencies=dependencies, label=label, name=name)


def prepare(app: str, slug: str, before: Sequence[SqlMigration]) -> NewMigration:
    """The next migration of an app, as ``makemigrations`` would number it.

    Args:
        app: The label of the app.
        slug: What it does.
        before: The SQL files that the new one comes after: so does the migration after what they name of Django's.

    Raises:
        ConfigurationError: There is no such app, or no place for a further migration of it.
    """
    loader = _loader(app)
    folder = _folder(app, loader)
    leaves: list[Key] = loader.graph.leaf_nodes(app)
    if len(leaves) > 1:
        names = " and ".join(name for _, name in leaves)
        message = f"{app} has two newest migrations: {names}. Nothing was written."
        raise ConfigurationError(message, remedy=f"python manage.py makemigrations --merge {app}")
    _refuse_latest(app, before, leaves)
    newest = MigrationAutodetector.parse_number(leaves[0][1]) if leaves else 0
    name = f"{(newest or 0) + 1:04d}_{slug}"
    return NewMigration(app, name, folder, _nearest([*leaves, *_named(loader, before)], loader))


def _loader(app: str) -> MigrationLoader:
    labels = [config.label for config in apps.get_app_configs()]
    if app not in labels:
        near = difflib.get_close_matches(app, labels, n=1)
        remedy = f"Did you mean {near[0]}? " if near else ""
        remedy += f"The labels are: {', '.join(labels)}."
        raise ConfigurationError(f"No app with the label {app!r} is installed.", remedy=remedy)
    try:
        return MigrationLoader(None)
    # Modules of migrations are anybody's code, and importing them may raise anything.
    except Exception as error:
        message = f"Django's migrations cannot be looked at: {fault(error)}. Nothing was written."
        remedy = "See it whole: python manage.py makemigrations --check"
        raise ConfigurationError(message, remedy=remedy) from None


def _folder(app: str, loader: MigrationLoader) -> Path:
    module, _ = loader.migrations_module(app)
    if module is None:
        message = f"The migrations of {app} are switched off in MIGRATION_MODULES. Nothing was written."
        raise ConfigurationError(message, remedy="Leave out --django: the file is then applied like any other.")
    if app in loader.unmigrated_apps:
        message = f"{app} has no migrations. Nothing was written."
        raise ConfigurationError(message, remedy=f"Make its first one:  python manage.py makemigrations --empty {app}")
    folder = Path(next(iter(import_module(module).__path__)))
    if _INSTALLED & set(folder.parts):
        message = f"The migrations of {app} belong to an installed package; yours would be lost with an update."
        raise ConfigurationError(message, remedy="Name an app of your own, and let its migration depend on them.")
    return folder


def _refuse_latest(app: str, before: Iterable[SqlMigration], leaves: Sequence[Key]) -> None:
    """What waits for all migrations of an app cannot come before a file that a further one applies."""
    for migration in before:
        if (app, LATEST) in ((each.app, each.name) for each in outline(migration).directives.django_depends):
            message = f"{migration.id} depends on django:{app}.{LATEST}, and the new migration would be one of those. "
            message += "Nothing was written."
            newest = leaves[0][1] if leaves else "NAME"
            remedy = (
                f"Name in {migration.file.location} the migration that it needs: -- depends: django:{app}.{newest}"
            )
            raise ConfigurationError(message, remedy=remedy)


def _named(loader: MigrationLoader, before: Iterable[SqlMigration]) -> Iterator[Key]:
    """What SQL files run in and depend on, as far as it is there."""
    for migration in before:
        directives = outline(migration).directives
        for named in [*directives.django_depends, *filter(None, [directives.runs_in])]:
            yield from _keys(loader, named)


def _keys(loader: MigrationLoader, named: DjangoMigration) -> list[Key]:
    if named.name == LATEST:
        leaves: list[Key] = loader.graph.leaf_nodes(named.app)
        return leaves
    if named.name == FIRST:
        roots: list[Key] = loader.graph.root_nodes(named.app)
        return roots
    key = standing(loader, (named.app, named.name))
    return [key] if key in loader.graph.nodes else []


def _nearest(keys: Iterable[Key], loader: MigrationLoader) -> tuple[Key, ...]:
    """Those that are not behind another one of them anyway."""
    wanted: dict[Key, Any] = dict.fromkeys(keys)
    behind = {before for key in wanted for before in loader.graph.forwards_plan(key) if before != key}
    return tuple(key for key in wanted if key not in behind)
