"""This tool as a contestant."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import django

import sqlmigrations
from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.loop import driver_version
from benchmarks.peers.project import write_project
from benchmarks.process import Invocation, measure
from benchmarks.scripts import Script

ROOT = Path(__file__).resolve().parents[2]


class Ours(Contestant):
    """In a minimal Django project."""

    name = "**sqlmigrations**"
    checksums = "compared in every run"
    how = "`manage.py sqlmigrate_apply`"
    recorded = "SELECT count(*) FROM schema_migrations WHERE label = 'project'"

    def version(self) -> str:
        """Ours and what we stand on."""
        return f"{sqlmigrations.__version__}, Django {django.__version__}, psycopg2 {driver_version()}"

    def write(self, scripts: Sequence[Script]) -> None:
        """Plain files, and the project that finds them."""
        folder = self.write_plain(scripts)
        write_project(self.folder, "sqlmigrations", more=f"SQLMIGRATIONS = {{'DIRS': {{'project': {str(folder)!r}}}}}")

    def apply(self, address: Address) -> Invocation:
        """The command of a deploy."""
        return self.command(address, "sqlmigrate_apply")

    def command(self, address: Address, *arguments: str) -> Invocation:
        """Any command of the project."""
        environment = {**address.environment, "PYTHONPATH": str(ROOT)}
        return Invocation([sys.executable, "manage.py", *arguments], self.folder, environment)

    def record(self, address: Address, scripts: Sequence[Script]) -> None:
        """By its own means: a run that takes all as applied."""
        self.write(scripts[:1])
        measure(self.apply(address))
        self.write(scripts)
        measure(self.command(address, "sqlmigrate_apply", "--fake"))
