"""The embedded engine: processes that come, go, fork and get killed."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from project.embedded.cluster import wait_until
from tests.embedded import HOLD, STARTED, WHERE, Folder, finish, line_of


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


def test_a_server_that_is_stopping_without_its_keeper_is_waited_for(folder: Folder) -> None:
    process = folder.start()
    line_of(process)
    server = folder.server
    assert server is not None
    for pid in folder.processes():
        if pid != server:
            os.kill(pid, signal.SIGKILL)
    os.kill(server, signal.SIGTERM)  # it waits for its clients, and takes no other one
    assert wait_until(lambda: "stopping" in (folder.path / "data" / "postmaster.pid").read_text(), 20)

    newcomer = folder.start(WHERE)
    has_ended = wait_until(lambda: newcomer.poll() is not None, 2)
    process.kill()

    assert not has_ended
    assert finish(newcomer) == (0, "invoices", "")


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
