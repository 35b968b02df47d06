"""Alembic as a contestant, with a revision for each SQL file that executes its text."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.environments import distribution_version, python_environment
from benchmarks.process import Invocation, measure
from benchmarks.scripts import Script

_CONFIGURATION = """\
[alembic]
script_location = %(here)s
"""
_ENVIRONMENT = """\
from alembic import context
from sqlalchemy import create_engine, pool

engine = create_engine("postgresql+psycopg2://", poolclass=pool.NullPool)  # libpq's environment says where
with engine.connect() as connection:
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
_REVISION = """\
from pathlib import Path

from alembic import op

revision = {revision!r}
down_revision = {before!r}


def upgrade():
    op.execute(Path({file!r}).read_text())
"""


class Alembic(Contestant):
    """Each revision in a transaction of its own, which takes a setting."""

    name = "alembic"
    checksums = "none"
    how = "`alembic upgrade head`, `op.execute` of the file, `transaction_per_migration`"
    recorded = "SELECT left(version_num, 5)::int FROM alembic_version"

    def install(self) -> None:
        """From PyPI, with the driver of the others."""
        self._programs = python_environment("alembic", "alembic", "psycopg2-binary")

    def version(self) -> str:
        """As its environment tells it."""
        own, engine, driver = distribution_version(self._programs, "alembic", "sqlalchemy", "psycopg2-binary")
        return f"{own}, SQLAlchemy {engine}, psycopg2 {driver}"

    def write(self, scripts: Sequence[Script]) -> None:
        """SQL files, and a module for each in the one chain there is."""
        folder = self.write_plain(scripts)
        versions = self.folder / "versions"
        versions.mkdir(exist_ok=True)
        (self.folder / "alembic.ini").write_text(_CONFIGURATION)
        (self.folder / "env.py").write_text(_ENVIRONMENT)
        before = None
        for script in scripts:
            file = str(folder / f"{script.name}.sql")
            text = _REVISION.format(revision=script.name, before=before, file=file)
            (versions / f"{script.name}.py").write_text(text)
            before = script.name

    def apply(self, address: Address) -> Invocation:
        """To the last revision."""
        return self._command(address, "upgrade")

    def record(self, address: Address, scripts: Sequence[Script]) -> None:
        """By its own means, a stamp; its modules are compiled by that."""
        self.write(scripts)
        measure(self._command(address, "stamp"))

    def _command(self, address: Address, command: str) -> Invocation:
        return Invocation([self._programs / "alembic", command, "head"], self.folder, address.environment)
