"""Folders for embedded servers that tests use, and kill, by processes of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from project.embedded.cluster import wait_until
from tests.site import ROOT

SITE = """
import os, sys
if os.environ.get("DRIVER") == "psycopg2":
    sys.modules["psycopg"] = None
from django.conf import settings
database = {"ENGINE": "project.embedded", "NAME": "invoices", "HOST": sys.argv[1]}
settings.configure(DATABASES={"default": database}, USE_TZ=True)
import django
django.setup()
from django.db import connection

def ask(sql):
    with connection.cursor() as cursor:
        cursor.execute(sql)
        return cursor.fetchone()[0] if cursor.description else None

def say(value):
    print(value, flush=True)
"""
WHERE = "say(ask('SELECT current_database()'))"
STARTED = "say(ask('SELECT pg_postmaster_start_time()'))"
HOLD = f"{STARTED}; sys.stdin.readline()"


class Folder:
    """A folder for one embedded server, with processes that use it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.opened: list[subprocess.Popen[str]] = []

    def command(self, code: str) -> list[str]:
        return [sys.executable, "-W", "error", "-c", SITE + code, str(self.path)]

    def run(self, code: str, **environment: str) -> str:
        """What a process printed that ended well and without a word on stderr."""
        env = os.environ | {"PYTHONPATH": str(ROOT), **environment}
        ended = subprocess.run(self.command(code), env=env, capture_output=True, text=True, timeout=180)
        assert (ended.returncode, ended.stderr) == (0, ""), ended
        return ended.stdout.strip()

    def start(self, code: str = HOLD) -> subprocess.Popen[str]:
        env = os.environ | {"PYTHONPATH": str(ROOT)}
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        process = subprocess.Popen(self.command(code), env=env, text=True, **pipes)  # type: ignore[call-overload]
        self.opened.append(process)
        return process  # type: ignore[no-any-return]

    @property
    def server(self) -> int | None:
        """The pid of the server by its own pid file, which it removes when it stops."""
        try:
            return int((self.path / "data" / "postmaster.pid").read_text().splitlines()[0])
        except FileNotFoundError:
            return None

    def processes(self) -> list[int]:
        """The server and its keepers."""
        found = []
        for entry in Path("/proc").glob("[0-9]*/cmdline"):
            try:
                words = entry.read_bytes().split(b"\0")
            except OSError:
                continue
            if (b"-D" in words or b"project.embedded.keeper" in words) and any(
                os.fsdecode(word).startswith(str(self.path)) for word in words
            ):
                found.append(int(entry.parent.name))
        return found

    def is_quiet(self) -> bool:
        return wait_until(lambda: self.processes() == [], 20)

    def starts(self) -> int:
        return (self.path / "log").read_text().count("starting PostgreSQL")


def line_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline().strip()


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate("\n", timeout=180)
    return process.returncode, out.strip(), err


def lend(path: Path) -> Iterator[Folder]:
    folder = Folder(path)
    yield folder
    for process in folder.opened:
        process.kill()
        process.communicate()
    assert folder.is_quiet()
