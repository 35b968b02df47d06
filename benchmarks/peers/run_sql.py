"""Django's own migrations as a contestant, with the SQL in Python strings."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from compileall import compile_dir

import django

from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.loop import driver_version
from benchmarks.peers.project import write_project
from benchmarks.process import Invocation
from benchmarks.scripts import Script

_MIGRATION = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = {dependencies!r}
    operations = [migrations.RunSQL({sql!r})]
"""


class RunSQL(Contestant):
    """An app with as many migrations, each after the one before it."""

    name = "Django RunSQL"
    checksums = "none"
    how = "`manage.py migrate`, modules compiled beforehand"
    recorded = "SELECT count(*) FROM django_migrations WHERE app = 'bench'"

    def version(self) -> str:
        """Django's, and the driver's."""
        return f"Django {django.__version__}, psycopg2 {driver_version()}"

    def write(self, scripts: Sequence[Script]) -> None:
        """Modules, compiled as in an image that is deployed."""
        write_project(self.folder, "bench")
        migrations = self.folder / "bench" / "migrations"
        migrations.mkdir(parents=True, exist_ok=True)
        for package in (migrations.parent, migrations):
            (package / "__init__.py").touch()
        before: list[tuple[str, str]] = []
        for script in scripts:
            text = _MIGRATION.format(dependencies=before, sql=script.sql)
            (migrations / f"{script.name}.py").write_text(text)
            before = [("bench", script.name)]
        compile_dir(self.folder, quiet=1)

    def apply(self, address: Address) -> Invocation:
        """The command of a deploy."""
        return Invocation([sys.executable, "manage.py", "migrate"], self.folder, address.environment)

    def filling(self, scripts: Sequence[Script]) -> Sequence[str]:
        """The names of migrations."""
        return [
            "INSERT INTO django_migrations (app, name, applied) "
            "SELECT 'bench', lpad(n::text, 5, '0') || '_step', now() "
            f"FROM generate_series({scripts[0].number}, {scripts[-1].number}) AS n"
        ]
