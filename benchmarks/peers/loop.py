"""The yardstick as a contestant."""

from __future__ import annotations

import sys
from collections.abc import Sequence

import psycopg2

from benchmarks.arena import Address
from benchmarks.peers import bare_loop
from benchmarks.peers.contestant import Contestant
from benchmarks.process import Invocation
from benchmarks.scripts import Script


class BareLoop(Contestant):
    """A Python process without Django that knows nothing but the names of the files it has run."""

    name = "bare psycopg2 loop"
    checksums = "none"
    how = "BEGIN; the file as one string; INSERT INTO ledger; COMMIT"
    recorded = "SELECT count(*) FROM ledger"

    def version(self) -> str:
        """The driver's."""
        return f"psycopg2 {driver_version()}"

    def write(self, scripts: Sequence[Script]) -> None:
        """Plain files."""
        self.write_plain(scripts)

    def apply(self, address: Address) -> Invocation:
        """The loop itself."""
        arguments = [sys.executable, bare_loop.__file__, self.folder / "migrations_sql"]
        return Invocation(arguments, self.folder, address.environment)

    def filling(self, scripts: Sequence[Script]) -> Sequence[str]:
        """The names of files."""
        return [
            "INSERT INTO ledger (name) SELECT lpad(n::text, 5, '0') || '_step.sql' "
            f"FROM generate_series({scripts[0].number}, {scripts[-1].number}) AS n"
        ]


def driver_version() -> str:
    """Of the psycopg2 in this environment."""
    return str(vars(psycopg2)["__version__"]).split()[0]
