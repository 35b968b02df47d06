"""dblift as a contestant: a runner of files named as Flyway's, written in Python."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.environments import distribution_version, python_environment
from benchmarks.process import Invocation, measure
from benchmarks.scripts import Script


class Dblift(Contestant):
    """As its own pages install and call it."""

    name = "dblift"
    checksums = "compared in every run"
    how = "`dblift migrate`, installed as `dblift[cli,postgresql]`"
    recorded = "SELECT count(*) FROM dblift_schema_history WHERE success AND type = 'SQL'"

    def install(self) -> None:
        """From PyPI, with its extras."""
        self._programs = python_environment("dblift", "dblift[cli,postgresql]")

    def version(self) -> str:
        """As its environment tells it."""
        own, engine, driver = distribution_version(self._programs, "dblift", "sqlalchemy", "psycopg")
        return f"{own}, SQLAlchemy {engine}, psycopg {driver}"

    def write(self, scripts: Sequence[Script]) -> None:
        """The number stands before two underscores."""
        self.write_plain(scripts, name="V{script.number}__step.sql")

    def apply(self, address: Address) -> Invocation:
        """Without the line that moves while it works, which is for people."""
        return self._migrate(address)

    def record(self, address: Address, scripts: Sequence[Script]) -> None:
        """By its own means."""
        self.write(scripts)
        measure(self._migrate(address, "--mark-as-executed"))

    def _migrate(self, address: Address, *options: str) -> Invocation:
        url = address.url.replace("postgresql:", "postgresql+psycopg:")
        where = ["--db-url", url, "--db-schema", "public", "--scripts", self.folder / "migrations_sql"]
        arguments = [self._programs / "dblift", *where, "--no-progress", "migrate", *options]
        return Invocation(
            arguments, self.folder, {"DBLIFT_DB_USERNAME": address.user, "DBLIFT_DB_PASSWORD": "asked for by nobody"}
        )
