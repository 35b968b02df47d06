"""What Django's own migration loader knows, and what it has recorded in one database, as a plain value."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from django.db import InterfaceError, OperationalError, ProgrammingError
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.migrations.loader import MigrationLoader

from sqlmigrations.backends import postgresql
from sqlmigrations.backends.aliases import wrapper
from sqlmigrations.backends.base import Reader
from sqlmigrations.backends.diagnostics import sqlstate
from sqlmigrations.directives import FIRST, LATEST
from sqlmigrations.exceptions import ConfigurationError, SqlMigrationsError, StatementFailed
from sqlmigrations.types import DjangoHistory, DjangoNode, ServerError
from sqlmigrations.types.django import Key
from sqlmigrations.types.running import INSUFFICIENT_PRIVILEGE


def read(database: str) -> DjangoHistory:
    """Loads the migrations of all installed apps, and reads what is recorded of them: two queries, of reading only.

    Django's own connection is used, as its loader does; it is closed again where it was not open before.

    Args:
        database: The alias.

    Raises:
        DatabaseUnavailable: The connection is gone.
        ConfigurationError: The role may not read Django's table.
    """
    connection = wrapper(database)
    try:
        with _as_it_was(connection), Reader(database).answering():
            return _history(connection)
    except StatementFailed as failed:
        raise _unreadable(failed.server) from None


def _unreadable(server: ServerError) -> SqlMigrationsError:
    if not server.is_forbidden:
        return postgresql.unreachable(server)
    message = f"The role of this alias may not read what Django has applied: {server.message}."
    return ConfigurationError(message, remedy="Let the owner of django_migrations GRANT it SELECT on that table.")


@contextmanager
def _as_it_was(connection: BaseDatabaseWrapper) -> Iterator[None]:
    is_open = connection.connection is not None
    try:
        yield
    finally:
        if not is_open:
            connection.close()


def _history(connection: BaseDatabaseWrapper) -> DjangoHistory:
    try:
        loader = MigrationLoader(connection)
    # Modules of migrations are anybody's code, and importing them may raise anything.
    except Exception as error:
        if isinstance(error, OperationalError | InterfaceError) or _is_forbidden(error):
            raise
        return DjangoHistory(fault=fault(error))
    return DjangoHistory(
        nodes=_nodes(loader),
        migrated=frozenset(loader.migrated_apps),
        unmigrated=frozenset(loader.unmigrated_apps),
        parents=_parents(loader),
        wrappers=_wrappers(loader),
    )


def fault(error: Exception) -> str:
    """Why Django's migrations could not be loaded, in a line."""
    return f"{type(error).__name__}: {' '.join(str(error).split())}"


def _is_forbidden(error: Exception) -> bool:
    return isinstance(error, ProgrammingError) and sqlstate(error.__cause__) == INSUFFICIENT_PRIVILEGE


def _nodes(loader: MigrationLoader) -> dict[Key, DjangoNode]:
    # What is recorded and has no file any more was squashed, and what it was replaced by is no longer known.
    applied: Any = loader.applied_migrations
    nodes = {(app, name): DjangoNode(app, name, is_applied=True) for app, name in applied}
    for key in loader.graph.nodes:
        nodes[key] = _node(loader, key, key)
    for key, migration in loader.replacements.items():
        into = standing(loader, key)
        if into not in loader.graph.nodes:
            # A squash that is applied in part is not in the graph: its parts are, one by one.
            into = standing(loader, migration.replaces[-1])
        nodes[key] = _node(loader, key, into)
        for app, name in migration.replaces:
            if (app, name) not in loader.graph.nodes:
                nodes[app, name] = _node(loader, (app, name), standing(loader, (app, name)))
    for app in loader.migrated_apps:
        leaves, roots = loader.graph.leaf_nodes(app), loader.graph.root_nodes(app)
        nodes[app, LATEST] = DjangoNode(app, "", _all_applied(loader, leaves))
        nodes[app, FIRST] = DjangoNode(
            app, _reached_by(loader, roots[0]) if roots else "", _all_applied(loader, roots)
        )
    return nodes


def standing(loader: MigrationLoader, key: Key) -> Key:
    """What stands in the graph for a migration that was replaced; from Django 6.0 on a squash may be squashed too."""
    while key not in loader.graph.nodes:
        over = [squash for squash, migration in loader.replacements.items() if key in migration.replaces]
        if not over:
            break
        key = over[0]
    return key


def _node(loader: MigrationLoader, key: Key, into: Key) -> DjangoNode:
    applied: Any = loader.applied_migrations
    return DjangoNode(key[0], _reached_by(loader, into), key in applied or into in applied)


def _all_applied(loader: MigrationLoader, keys: Iterable[Key]) -> bool:
    applied: Any = loader.applied_migrations
    return all(key in applied for key in keys)


def _reached_by(loader: MigrationLoader, key: Key) -> str:
    """The shortest name that ``migrate`` takes for it: its number, where no other begins with it."""
    app, name = key
    number = name.partition("_")[0]
    disk: Any = loader.disk_migrations
    alike = [other for label, other in disk if label == app and other.startswith(number)]
    return number if number.isdecimal() and alike == [name] else name


def _parents(loader: MigrationLoader) -> dict[Key, tuple[Key, ...]]:
    parents = {key: tuple(each.key for each in node.parents) for key, node in loader.graph.node_map.items()}
    for key, migration in loader.replacements.items():
        # Of a squash and what it replaces one is in the graph, and the other stands for it.
        parents.setdefault(key, tuple(migration.replaces))
        for app, name in migration.replaces:
            parents.setdefault((app, name), (key,))
    for app in loader.migrated_apps:
        parents[app, LATEST] = tuple(loader.graph.leaf_nodes(app))
        parents[app, FIRST] = tuple(loader.graph.root_nodes(app))
    return parents


def _wrappers(loader: MigrationLoader) -> dict[str, tuple[Key, ...]]:
    found: dict[str, list[Key]] = defaultdict(list)
    disk: Any = loader.disk_migrations
    for key, migration in sorted(disk.items()):
        for applied in files_of(migration.operations):
            found[applied].append(key)
    return {applied: tuple(keys) for applied, keys in found.items()}


def files_of(operations: Iterable[Any]) -> Iterator[str]:
    """The ids of the SQL files that operations apply, those within ``SeparateDatabaseAndState`` too."""
    for operation in every(operations):
        # By its name: the operation stands above this module, and a site may have derived its own from it.
        if any(kind.__name__ == "ApplySQL" for kind in type(operation).__mro__):
            yield f"{operation.label}.{operation.name}"


def every(operations: Iterable[Any]) -> Iterator[Any]:
    """The operations, each followed by those that it holds, as ``SeparateDatabaseAndState`` does."""
    for operation in operations:
        yield operation
        yield from every(getattr(operation, "database_operations", ()))
