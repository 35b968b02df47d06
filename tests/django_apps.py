"""Small Django apps with migrations of their own, written into the folder of a site."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from django.conf import settings
from django.test import override_settings


class DjangoApp:
    """A package with the label as its name."""

    def __init__(self, folder: Path, label: str) -> None:
        self.label = label
        self.migrations = folder / label / "migrations"
        self.migrations.mkdir(parents=True)
        (self.migrations.parent / "__init__.py").touch()
        (self.migrations / "__init__.py").touch()

    def write(
        self,
        name: str,
        *operations: str,
        after: Sequence[tuple[str, str]] = (),
        replaces: Sequence[str] = (),
        atomic: bool = True,
    ) -> None:
        """Makes or replaces a migration: after one of its own or of another app, with operations as source text."""
        (self.migrations / f"{name}.py").write_text(
            "from django.db import migrations, models\n\nfrom sqlmigrations.operations import ApplySQL\n\n\n"
            "class Migration(migrations.Migration):\n"
            f"    atomic = {atomic}\n"
            f"    replaces = {[(self.label, replaced) for replaced in replaces]!r}\n"
            f"    dependencies = {list(after)!r}\n"
            f"    operations = [{', '.join(operations)}]\n"
        )
        self.forget()

    def chain(self, *names: str) -> None:
        """Empty migrations, each after the one before."""
        before: list[tuple[str, str]] = []
        for name in names:
            self.write(name, after=before)
            before = [(self.label, name)]

    def remove(self, name: str) -> None:
        (self.migrations / f"{name}.py").unlink()
        self.forget()

    def forget(self) -> None:
        """The next import reads it from disk."""
        for name in [name for name in sys.modules if name.partition(".")[0] == self.label]:
            del sys.modules[name]
        importlib.invalidate_caches()

    @contextmanager
    def installed(self) -> Iterator[None]:
        """A block in which this process has the app."""
        sys.path.insert(0, str(self.migrations.parent.parent))
        try:
            with override_settings(INSTALLED_APPS=[*settings.INSTALLED_APPS, self.label]):
                yield
        finally:
            sys.path.remove(str(self.migrations.parent.parent))
            self.forget()
