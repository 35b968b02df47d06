"""sqitch as a contestant: written in Perl, from Debian's packages; it has psql run each script."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.environments import debian_packages
from benchmarks.peers.psql import psql
from benchmarks.process import Invocation, measure
from benchmarks.scripts import Script

_CONFIGURATION = (
    '[core]\n\tengine = pg\n[user]\n\tname = Bench\n\temail = bench@example.com\n[engine "pg"]\n\tclient = {}\n'
)
_PLAN = "%syntax-version=1.0.0\n%project=bench\n\n"
_CHANGE = "{name} 2026-01-01T00:00:00Z Bench <bench@example.com> # A step.\n"


class Sqitch(Contestant):
    """The one that is installed, or else the packages unpacked beside the system."""

    name = "sqitch"
    checksums = "kept"
    how = "`sqitch deploy`, which starts a psql for each file"
    recorded = "SELECT count(*) FROM sqitch.changes"

    def install(self) -> None:
        """From Debian."""
        self._program = Path(shutil.which("sqitch") or "sqitch")
        self._environment: dict[str, str] = {}
        if not self._program.is_file():
            place = debian_packages("sqitch", "libdbd-pg-perl")
            libraries = [place / "usr/share/perl5", *place.glob("usr/lib/*/perl5/*")]
            self._program = place / "usr/bin/sqitch"
            self._environment = {"PERL5LIB": ":".join(map(str, libraries))}

    def version(self) -> str:
        """As the program tells it."""
        arguments = [str(self._program), "--version"]
        environment = {"PATH": "/usr/bin:/bin", **self._environment}
        said = subprocess.run(arguments, capture_output=True, text=True, check=True, env=environment)
        return said.stdout.split()[-1].removeprefix("v")

    def write(self, scripts: Sequence[Script]) -> None:
        """Scripts with their own transaction, as ``sqitch add`` makes them, and the plan that names them."""
        deploy = self.folder / "deploy"
        deploy.mkdir(exist_ok=True)
        for script in scripts:
            (deploy / f"{script.name}.sql").write_text(f"BEGIN;\n{script.sql}\nCOMMIT;\n")
        (self.folder / "sqitch.conf").write_text(_CONFIGURATION.format(psql()))
        changes = "".join(_CHANGE.format(name=script.name) for script in scripts)
        (self.folder / "sqitch.plan").write_text(_PLAN + changes)

    def apply(self, address: Address) -> Invocation:
        """Up to the last change."""
        return self._deploy(address)

    def record(self, address: Address, scripts: Sequence[Script]) -> None:
        """By its own means."""
        self.write(scripts)
        measure(self._deploy(address, "--log-only"))

    def _deploy(self, address: Address, *options: str) -> Invocation:
        arguments = [self._program, "deploy", *options, f"db:pg:{address.database}"]
        # Where a terminal is or is not, it writes a line for each change and asks nothing.
        environment = {**address.environment, **self._environment, "HOME": str(self.folder)}
        return Invocation(arguments, self.folder, environment)
