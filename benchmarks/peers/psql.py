"""psql as a contestant: no runner at all, it knows nothing of what it has run."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.process import Invocation
from benchmarks.scripts import Script
from project.embedded.server import binaries


class Psql(Contestant):
    """One process for all files, each in a transaction."""

    name = "psql (no ledger)"
    checksums = "none"
    how = "one `psql -c BEGIN -f file -c COMMIT ...` for all files"
    recorded = None

    def version(self) -> str:
        """As the program tells it."""
        said = subprocess.run([psql(), "--version"], capture_output=True, text=True, check=True)
        return said.stdout.split()[2]

    def write(self, scripts: Sequence[Script]) -> None:
        """Plain files."""
        self.write_plain(scripts)

    def apply(self, address: Address) -> Invocation:
        """Without the user's own settings, and ended by the first error."""
        each = [
            word
            for file in sorted((self.folder / "migrations_sql").iterdir())
            for word in ("-c", "BEGIN", "-f", file, "-c", "COMMIT")
        ]
        arguments = [psql(), "--no-psqlrc", "--quiet", "--set", "ON_ERROR_STOP=1", *each]
        return Invocation(arguments, self.folder, address.environment)


def psql() -> Path:
    """That of the server's own version."""
    return binaries() / "psql"
