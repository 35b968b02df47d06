"""The migration operation that applies an SQL file at its place among Django's migrations."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandError
from django.db import router
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.operations.base import Operation, OperationCategory
from django.db.migrations.state import ProjectState

from sqlmigrations.types import Direction

if TYPE_CHECKING:
    from sqlmigrations.enclosed import Enclosed
    from sqlmigrations.parser import Script
    from sqlmigrations.wrapped import Wrapper

# Migrations import this module at every start: the engine is imported when there is something to do.

__all__ = ["ApplySQL"]

# ExitCode.USAGE
_USAGE = 2


class ApplySQL(Operation):
    """Applies an SQL file, once, under the migration lock and with its record.

    In an atomic migration it runs on Django's connection and in the migration's transaction, else on connections of
    its own as ``sqlmigrate_apply`` does it. The file names the migration: ``-- runs-in: django:shop.0004_x``.

    Args:
        label: Of the source the file is in.
        name: ``NNN_slug``, without ``.sql``.
        state_operations: What the file means for the models, as of ``RunSQL``.
        hints: Handed to the ``allow_migrate`` of database routers, as of ``RunSQL``.
    """

    category = OperationCategory.SQL
    serialization_expand_args = ["state_operations", "hints"]  # noqa: RUF012 - Django's own way to say it

    def __init__(
        self,
        label: str,
        name: str,
        state_operations: Sequence[Operation] | None = None,
        hints: Mapping[str, Any] | None = None,
    ) -> None:
        self.label = label
        self.name = name
        self.state_operations = list(state_operations or ())
        self.hints = dict(hints or {})

    def deconstruct(self) -> tuple[str, Sequence[Any], dict[str, Any]]:
        """See ``Operation``."""
        kwargs: dict[str, Any] = {"label": self.label, "name": self.name}
        if self.state_operations:
            kwargs["state_operations"] = self.state_operations
        if self.hints:
            kwargs["hints"] = self.hints
        return self.__class__.__qualname__, [], kwargs

    def describe(self) -> str:
        """What ``migrate --plan`` and ``sqlmigrate`` show."""
        return f"SQL file {self.label}.{self.name}"

    @property
    def migration_name_fragment(self) -> str:
        """For a migration that Django names itself."""
        return re.sub(r"\W+", "_", f"{self.label}_{self.name}").lower()

    def state_forwards(self, app_label: str, state: ProjectState) -> None:
        """See ``Operation``."""
        for operation in self.state_operations:
            operation.state_forwards(app_label, state)

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Applies the file, or prints it for ``sqlmigrate``.

        Raises:
            CommandError: It was not applied; the message says why and what next, its cause is the error itself.
        """
        self._perform(app_label, schema_editor, Direction.FORWARD)

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        """Runs the way back of the file and removes its record, or prints it for ``sqlmigrate --backwards``.

        Raises:
            IrreversibleError: It has none, and none was kept.
            CommandError: It was not undone; the message says why and what next, its cause is the error itself.
        """
        self._perform(app_label, schema_editor, Direction.BACKWARD)

    @property
    def reversible(self) -> bool:  # type: ignore[override]  # a property, as of RunSQL
        """Whether the files say how to go back; without them the database is asked when it comes to it."""
        return not self._obstacle()

    sql = ""

    @property
    def reverse_sql(self) -> str | None:
        """Where ``migrate --plan`` looks whether it can go back, as in ``RunSQL``; it shows the first words."""
        return None if self._obstacle() else f"{self.name}.down.sql"

    def __str__(self) -> str:
        """As Django names it in its ``IrreversibleError``."""
        obstacle = self._obstacle()
        return f"{self.describe()} ({obstacle})" if obstacle else self.describe()

    def _obstacle(self) -> str:
        from sqlmigrations.enclosed import obstacle
        from sqlmigrations.whereabouts import home

        return obstacle(self.label, self.name, home(self))

    def _perform(self, app_label: str, editor: BaseDatabaseSchemaEditor, direction: Direction) -> None:
        alias = editor.connection.alias
        if not router.allow_migrate(alias, app_label, **self.hints):
            return
        from sqlmigrations import receivers, whereabouts
        from sqlmigrations.enclosed import Enclosed
        from sqlmigrations.management.relaying import answering

        wrapper = whereabouts.wrapper(self, app_label, editor)
        if editor.connection.vendor != "postgresql":
            raise CommandError(
                f"{self.describe()} is for PostgreSQL, and {alias!r} is {editor.connection.display_name}. "
                f"Nothing was changed.\n\n  Next: Keep {app_label} away from {alias!r} by a router (allow_migrate), "
                "or let the alias lead to PostgreSQL.",
                returncode=_USAGE,
            )
        with answering(wrapper, alias, direction):
            engine = Enclosed(wrapper, alias)
            if getattr(editor, "collect_sql", False):
                _collect(editor, engine.script(self.label, self.name, direction))
                return
            if direction is Direction.FORWARD:
                receivers.apply_between(
                    editor.connection, f"{self.label}.{self.name}", is_atomic=bool(editor.atomic_migration)
                )
            with _heard(engine, wrapper):
                (engine.apply if direction is Direction.FORWARD else engine.undo)(self.label, self.name)


@contextmanager
def _heard(engine: Enclosed, wrapper: Wrapper) -> Iterator[None]:
    """A block in which Ctrl-C and SIGTERM end a run of our own as they end that of the command."""
    from sqlmigrations.management import interrupts

    with nullcontext() if wrapper.in_transaction else interrupts.heard(engine.cancel):
        yield


def _collect(editor: BaseDatabaseSchemaEditor, script: Script) -> None:
    """Prints the statements of a file in a form that psql takes, without a BEGIN and COMMIT around them."""
    for statement in script.statements:
        data = "" if statement.data is None else f"\n{statement.copy_data}\\."
        editor.collected_sql.append(f"{statement.text.rstrip(';')};{data}")
