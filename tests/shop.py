"""A throw-away site with a Django app ``shop``, whose migrations tests write; its commands run in this process."""

from __future__ import annotations

import importlib
import io
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.test import override_settings

from tests.inprocess import LocalSite

_MIGRATION = """\
from django.db import migrations, models

from sqlmigrations.operations import ApplySQL


class Migration(migrations.Migration):
    initial = {initial}
    atomic = {atomic}
    dependencies = {dependencies!r}
    operations = [{operations}]
"""


def make_app(folder: Path) -> None:
    """Makes the package of the app, with no migration yet."""
    for package in (folder / "shop", folder / "shop" / "migrations"):
        package.mkdir()
        (package / "__init__.py").touch()
    (folder / "shop" / "models.py").touch()


def write_migration(folder: Path, name: str, operations: str, *, atomic: bool = True) -> Path:
    """Writes a migration of the app that follows the one before it."""
    path = folder / "shop" / "migrations" / f"{name}.py"
    before = sorted(other.stem for other in path.parent.glob("0*.py") if other.stem < name)
    dependencies = [("shop", before[-1])] if before else []
    path.write_text(
        _MIGRATION.format(
            initial=not before, atomic=atomic, dependencies=dependencies, operations=textwrap.dedent(operations)
        )
    )
    return path


class Migrated(NamedTuple):
    """How ``migrate`` ended, and what it said."""

    returncode: int
    stdout: str
    error: str


@dataclass(frozen=True)
class Shop(LocalSite):
    """As ``LocalSite``, with the app installed."""

    def migration(self, name: str, operations: str, *, atomic: bool = True) -> Path:
        forget()
        return write_migration(self.folder, name, operations, atomic=atomic)

    def wrap(self, number: str, name: str, sql: str, *, atomic: bool = True, down: str | None = None) -> None:
        """Writes a file, and the migration that applies it."""
        self.write(f"{name}.sql", f"-- runs-in: django:shop.{number}_x\n{sql}")
        if down is not None:
            self.write(f"{name}.down.sql", down)
        self.migration(f"{number}_x", f"ApplySQL('project', '{name}')", atomic=atomic)

    @contextmanager
    def configured(self) -> Iterator[None]:
        """A block in which this process has the settings of the site."""
        installed = ["sqlmigrations", "django.contrib.contenttypes", "shop"]
        with super().configured(), override_settings(INSTALLED_APPS=installed):
            yield

    def migrate(self, *arguments: str, check: bool = False) -> Migrated:
        stdout = io.StringIO()
        with self.configured():
            try:
                call_command("migrate", "shop", *arguments, stdout=stdout, no_color=True)
            except CommandError as error:
                ended = Migrated(error.returncode, stdout.getvalue(), str(error))
            else:
                ended = Migrated(0, stdout.getvalue(), "")
        assert not check or not ended.returncode, ended
        return ended

    def django(self) -> list[str]:
        """What Django has recorded for the app."""
        if self.query("SELECT to_regclass('django_migrations')") == [(None,)]:
            return []
        return [name for (name,) in self.query("SELECT name FROM django_migrations WHERE app = 'shop' ORDER BY id")]

    def names(self) -> list[str]:
        return [row["name"] for row in self.ledger() if row["label"] == "project"]

    def events(self) -> list[tuple[str, str | None]]:
        return [*self.query("SELECT event, name FROM schema_migration_events ORDER BY id")]

    def has(self, relation: str) -> bool:
        return self.query("SELECT to_regclass(%s) IS NOT NULL", relation) == [(True,)]

    def django_sees(self, sql: str) -> Any:
        """One value, asked through Django's own connection."""
        with connections["default"].cursor() as cursor:
            cursor.execute(sql)
            return cursor.fetchone()[0]


def forget() -> None:
    """Takes the modules of the app out of this process."""
    for name in [name for name in sys.modules if name.partition(".")[0] == "shop"]:
        del sys.modules[name]
    importlib.invalidate_caches()


@contextmanager
def opened(folder: Path, database: Any) -> Iterator[Shop]:
    """The shop of a folder."""
    make_app(folder)
    sys.path.insert(0, str(folder))
    try:
        assert settings.configured
        yield Shop(folder, database)
    finally:
        sys.path.remove(str(folder))
        forget()
