"""Which migration of Django's an operation stands in, by the modules that are loaded."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence

from django.apps import apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from sqlmigrations.django_graph import every
from sqlmigrations.wrapped import Wrapper


def home(operation: Operation) -> Wrapper | None:
    """The migration the operation stands in, where its module is loaded: Django tells an operation nothing of it."""
    for app, name, migration in _loaded(*(config.label for config in apps.get_app_configs())):
        if _stands_in(operation, migration):
            return Wrapper(app, name, in_transaction=migration.atomic, is_atomic=migration.atomic)
    return None


def wrapper(operation: Operation, app: str, editor: BaseDatabaseSchemaEditor) -> Wrapper:
    """The migration the operation stands in: Django tells an operation only the app."""
    found = {name: migration for _, name, migration in _loaded(app)}
    name = next((name for name, migration in found.items() if _stands_in(operation, migration)), "")
    return Wrapper(
        app=app,
        name=name,
        replaces=tuple((app, old) for app, old in found[name].replaces) if name else (),
        siblings=frozenset(found),
        in_transaction=editor.connection.in_atomic_block,
        is_atomic=bool(getattr(editor, "atomic_migration", False)),
        before=_before(app, found[name].dependencies if name else ()),
    )


def _loaded(*labels: str) -> Iterator[tuple[str, str, type[Migration]]]:
    """The migrations of these apps whose modules are loaded: app, name and class."""
    packages = {MigrationLoader.migrations_module(label)[0]: label for label in labels}
    for path, module in list(sys.modules.items()):
        package, _, name = path.rpartition(".")
        if package in packages and isinstance(getattr(module, "Migration", None), type):
            yield packages[package], name, module.Migration


def _before(app: str, dependencies: Sequence[tuple[str, str]]) -> str:
    """The migration that is left when the one with these dependencies is taken back."""
    named = (name for other, name in dependencies if other == app and not name.startswith("__"))
    return next(named, "zero")


def _stands_in(operation: Operation, migration: type[Migration]) -> bool:
    return any(each is operation for each in every(migration.operations))
