"""yoyo as a contestant: a runner of SQL files written in Python."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.environments import distribution_version, python_environment
from benchmarks.process import Invocation
from benchmarks.scripts import Script


class Yoyo(Contestant):
    """Asking nothing."""

    name = "yoyo"
    checksums = "none"
    how = "`yoyo apply --batch`"
    recorded = "SELECT count(*) FROM _yoyo_migration"

    def install(self) -> None:
        """From PyPI, with the driver it knows."""
        self._programs = python_environment("yoyo-migrations", "yoyo-migrations", "psycopg2-binary")

    def version(self) -> str:
        """As its environment tells it."""
        own, driver = distribution_version(self._programs, "yoyo-migrations", "psycopg2-binary")
        return f"{own}, psycopg2 {driver}"

    def write(self, scripts: Sequence[Script]) -> None:
        """Plain files."""
        self.write_plain(scripts)

    def apply(self, address: Address) -> Invocation:
        """Where the server is says libpq's environment."""
        options = ["--batch", "--no-config-file", "--database", f"postgresql:///{address.database}"]
        arguments = [self._programs / "yoyo", "apply", *options, self.folder / "migrations_sql"]
        return Invocation(arguments, self.folder, address.environment)

    def filling(self, scripts: Sequence[Script]) -> Sequence[str]:
        """The names of files, each with the SHA-256 of the name."""
        return [
            "INSERT INTO _yoyo_migration (migration_hash, migration_id, applied_at_utc) "
            "SELECT encode(sha256(id::bytea), 'hex'), id, now() AT TIME ZONE 'UTC' "
            "FROM (SELECT lpad(n::text, 5, '0') || '_step' AS id "
            f"FROM generate_series({scripts[0].number}, {scripts[-1].number}) AS n) AS ids"
        ]
