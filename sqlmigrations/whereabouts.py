"""Which migration of Django's an operation stands in, by the modules that are loaded."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from django.apps import apps
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations import Migration
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation

from sqlmigrations.wrapped import Wrapper


def home(operation: Operation) -> Wrapper | None:
    """The migration the operation stands in, where its module is loaded: Django tells an operation nothing of it."""
    for app in (config.label for config in apps.get_app_configs()):
        for name, migration in _loaded(app).items():
            if _stands_in(operation, migration.operations):
                return Wrapper(app, name, in_transaction=migration.atomic, is_atomic=migration.atomic)
    return None


def _loaded(app: str) -> dict[str, type[Migration]]:
    """The migrations of an app whose modules are loaded, by name."""
    package, _ = MigrationLoader.migrations_module(app)
    return {
        name.rpartition(".")[2]: module.Migration
        for name, module in list(sys.modules.items())
        if name.rpartition(".")[0] == package and isinstance(getattr(module, "Migration", None), type)
    }


def wrapper(operation: Operation, app: str, editor: BaseDatabaseSchemaEditor) -> Wrapper:
    """The migration the operation stands in: Django tells an operation only the app."""
    found = _loaded(app)
    name = next((name for name, migration in found.items() if _stands_in(operation, migration.operations)), "")
    return Wrapper(
        app=app,
        name=name,
        replaces=tuple((app, old) for app, old in found[name].replaces) if name else (),
        siblings=frozenset(found),
        in_transaction=editor.connection.in_atomic_block,
        is_atomic=bool(getattr(editor, "atomic_migration", False)),
        before=_before(app, found[name].dependencies if name else ()),
    )


def _before(app: str, dependencies: Sequence[tuple[str, str]]) -> str:
    """The migration that is left when the one with these dependencies is taken back."""
    named = (name for other, name in dependencies if other == app and not name.startswith("__"))
    return next(named, "zero")


def _stands_in(operation: Operation, operations: Sequence[Operation]) -> bool:
    """Whether it is one of them, or of those that ``SeparateDatabaseAndState`` holds."""
    return any(
        each is operation or _stands_in(operation, getattr(each, "database_operations", ())) for each in operations
    )
