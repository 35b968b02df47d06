"""The lines of a run while it goes on: one line redrawn on a terminal, whole lines in a log."""

from __future__ import annotations

import io
import os
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from django.core.management.base import OutputWrapper
from django.core.management.color import no_style

from sqlmigrations import glimpses, signals
from sqlmigrations.exceptions import MigrationFailed
from sqlmigrations.management import terminal
from sqlmigrations.management.progress import Progress
from sqlmigrations.types import Blocker, Finding, Glimpse, Outcome, Result, ServerError, Severity
from tests.screen import Screen, lend_screen

ID = "project.004_search"
OPENING = f"  Applying {ID}..."
WEB = Blocker(4711, "shop", "web", "idle in transaction", 38.0, "invoices")
HELD = 'held by pid 4711 (app "web", idle in transaction 38 s)'
LONG = Glimpse(ID, 3, 7, 9, 12.4, phase="building index: scanning table", percent=41.0)
APPLIED = Outcome(ID, Result.APPLIED, 12_400, 7)


def step(secrets: frozenset[str] = frozenset()) -> Any:
    return SimpleNamespace(migration=SimpleNamespace(id=ID, file=SimpleNamespace(checksum="0")), secrets=secrets)


def watched(glimpse: Glimpse, database: str = "default", **about: Any) -> None:
    sent = signals.migration_watched.send_robust(
        sender=None, run_id="r", database=database, glimpse=glimpse, step=step(**about)
    )
    assert [answer for _, answer in sent if answer is not None] == []


def retrying(attempt: int = 1, *blockers: Blocker, error: object = None) -> None:
    sent = signals.migration_retrying.send_robust(
        sender=None, run_id="r", database="default", step=step(), attempt=attempt, delay_s=2.6, error=error,
        blockers=blockers,
    )  # fmt: skip
    assert [answer for _, answer in sent if answer is not None] == []


@pytest.fixture
def screen() -> Iterator[Screen]:
    with lend_screen() as screen:
        yield screen


@contextmanager
def progress_on(stream: Any, verbosity: int = 1) -> Iterator[Progress]:
    progress = Progress(OutputWrapper(stream), no_style(), "default", verbosity)
    with progress.listening():
        yield progress


@pytest.fixture
def shown(screen: Screen) -> Iterator[Progress]:
    """Progress on the screen."""
    with open(os.dup(screen.secondary), "w", encoding="utf-8") as stream, progress_on(stream) as progress:
        yield progress


@pytest.fixture
def log() -> io.StringIO:
    return io.StringIO()


@pytest.fixture
def logged(log: io.StringIO) -> Iterator[Progress]:
    """Progress in a log."""
    with progress_on(log) as progress:
        yield progress


def test_a_long_file_is_one_line_on_a_terminal_redrawn(shown: Progress, screen: Screen) -> None:
    shown.begin(ID)
    watched(LONG)
    assert screen.lines() == [f"{OPENING} statement 3 of 7, 12 s, building index: scanning table 41 %"]

    watched(replace(LONG, elapsed_s=13, percent=47.0))
    assert screen.lines() == [f"{OPENING} statement 3 of 7, 13 s, building index: scanning table 47 %"]

    watched(replace(LONG, number=4, elapsed_s=2, phase=""))
    assert screen.lines() == [f"{OPENING} statement 4 of 7, 2 s"]

    shown.end(APPLIED)
    assert screen.lines() == [f"{OPENING} OK (12.4 s)", ""]
    assert "\x1b" not in screen.raw


def test_each_redrawing_is_one_write_and_only_of_what_changed(shown: Progress, screen: Screen) -> None:
    shown.begin(ID)
    watched(LONG)
    before = screen.read()

    watched(LONG)
    assert screen.read() == before

    watched(replace(LONG, phase=""))
    assert re.fullmatch(r"\r[^\r\n]*", screen.read()[len(before) :])


def test_a_short_file_is_not_redrawn(shown: Progress, screen: Screen) -> None:
    shown.begin(ID)
    shown.end(replace(APPLIED, duration_ms=12))

    assert screen.read() == f"{OPENING} OK (12 ms)\r\n"


def test_the_line_is_cut_to_the_width_of_the_terminal_and_follows_it(shown: Progress, screen: Screen) -> None:
    screen.resize(40)
    shown.begin(ID)
    watched(replace(LONG, blockers=(WEB,)))
    assert screen.lines() == [f"{OPENING} waitin"]
    assert terminal.width(screen.lines()[0]) == 39

    screen.resize(60)
    watched(replace(LONG, blockers=(WEB,)))
    assert screen.lines() == [f"{OPENING} waiting for invoices, held by pid 4"[:59]]

    shown.end(APPLIED)
    assert screen.lines() == [f"{OPENING} OK (12.4 s)", ""]


def test_a_name_longer_than_the_terminal_is_cut_until_its_line_ends(shown: Progress, screen: Screen) -> None:
    screen.resize(20)
    shown.begin(ID)
    watched(LONG)
    assert screen.lines() == [OPENING[:19]]

    shown.end(APPLIED)

    assert screen.lines() == [f"{OPENING} OK (12.4 s)", ""]


def test_wide_letters_count_twice_and_are_erased_wholly(shown: Progress, screen: Screen) -> None:
    screen.resize(50)
    shown.begin(ID)
    watched(replace(LONG, blockers=(replace(WEB, relation="請求書請求書請求書"),)))
    assert screen.lines() == [f"{OPENING} waiting for 請求"]

    watched(replace(LONG, phase=""))
    assert screen.lines() == [f"{OPENING} statement 3 of 7"]


@pytest.mark.parametrize(
    ("text", "columns"), [("abc", 3), ("größe", 5), ("gro\u0308ße", 5), ("請求", 4), ("a\u200bb", 2)]
)
def test_the_width_of_a_text(text: str, columns: int) -> None:
    assert terminal.width(text) == columns
    assert terminal.cut(text, columns) == text
    assert terminal.width(terminal.cut(text, columns - 1)) < columns


def test_further_attempts_stay_on_the_screen(shown: Progress, screen: Screen) -> None:
    shown.begin(ID)
    watched(replace(LONG, blockers=(WEB,)))
    retrying(1, WEB)

    assert screen.lines() == [f"  {ID}: attempt 1 gave up after 0 s: invoices is {HELD}; next try in 3 s", OPENING]

    shown.fail()
    assert screen.lines()[1:] == [f"{OPENING} FAILED", ""]


def test_waiting_for_the_lock_is_a_line(shown: Progress, screen: Screen) -> None:
    signals.lock_waiting.send_robust(sender=None, database="default", holder="pid 7")
    signals.lock_waiting.send_robust(sender=None, database="other", holder="pid 8")
    signals.lock_waiting.send_robust(sender=None, database="default", holder=None, is_orphan=True)
    signals.database_waiting.send_robust(sender=None, database="default", wait_s=30.0, reason="refused")

    assert screen.lines() == [
        "  Waiting for the migration lock, held by pid 7 ...",
        "  Waiting for a statement of an earlier run, which the server still executes: a session that has just "
        "ended ...",
        "  Waiting up to 30 s for the database: refused ...",
        "",
    ]


def test_a_log_has_a_whole_line_every_thirty_seconds(
    logged: Progress, log: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1000.0
    monkeypatch.setattr(glimpses, "time", SimpleNamespace(monotonic=lambda: now))
    logged.begin(ID)

    for second in range(1, 65):
        now += 1
        watched(replace(LONG, elapsed_s=second))
    logged.end(replace(APPLIED, duration_ms=64_500))

    assert log.getvalue().splitlines() == [
        f"{OPENING} statement 3 of 7, 30 s, building index: scanning table 41 %",
        f"{OPENING} statement 3 of 7, 1 min 0 s, building index: scanning table 41 %",
        f"{OPENING} OK (1 min 4 s)",
    ]


def test_a_log_has_who_is_in_the_way_at_once_and_when_it_is_somebody_else(logged: Progress, log: io.StringIO) -> None:
    other = Blocker(9, "bob", "", "active", 1)
    waiting = replace(LONG, number=1, elapsed_s=2, phase="")
    logged.begin(ID)

    for blockers in ((WEB,), (WEB,), (other, WEB), (other,)):
        watched(replace(waiting, blockers=blockers))
    retrying(1, other)
    watched(replace(waiting, blockers=(other,)))
    logged.fail()

    assert log.getvalue().splitlines() == [
        f"{OPENING} waiting for invoices, {HELD}; statement 1 of 7, 2 s",
        f'{OPENING} waiting for pid 9 (user "bob", active 1 s) and 1 other; statement 1 of 7, 2 s',
        f'  {ID}: attempt 1 gave up after 0 s: pid 9 (user "bob", active 1 s) is in the way; next try in 3 s',
        f"{OPENING} FAILED",
    ]


def test_an_attempt_that_nobody_stood_in_the_way_of_tells_what_the_server_said(
    logged: Progress, log: io.StringIO
) -> None:
    finding = Finding("failed", Severity.ERROR, "deadlock detected")
    logged.begin(ID)

    retrying(2, error=MigrationFailed("failed", finding=finding, server=ServerError("40P01", "deadlock detected")))

    assert log.getvalue() == f"  {ID}: attempt 2 gave up after 0 s: deadlock detected; next try in 3 s\n"


def test_a_command_that_calls_ours_with_its_own_output_sees_one_line(screen: Screen) -> None:
    with (
        open(os.dup(screen.secondary), "w", encoding="utf-8") as stream,
        progress_on(OutputWrapper(stream)) as progress,
    ):
        progress.begin(ID)
        watched(LONG)
        progress.end(APPLIED)

    assert screen.lines() == [f"{OPENING} OK (12.4 s)", ""]


def test_secrets_of_the_file_are_masked(logged: Progress, log: io.StringIO) -> None:
    logged.begin(ID)

    watched(replace(LONG, blockers=(replace(WEB, application="hunter2"),)), secrets=frozenset({"hunter2"}))

    assert 'app "********"' in log.getvalue()
    assert "hunter2" not in log.getvalue()


def test_what_is_seen_of_another_run_is_not_told(logged: Progress, log: io.StringIO) -> None:
    blocked = replace(LONG, blockers=(WEB,))
    watched(blocked)
    logged.begin(ID)
    watched(replace(blocked, migration="project.005_other"))
    watched(blocked, database="other")
    logged.end(APPLIED)
    watched(blocked)

    assert log.getvalue() == f"{OPENING} OK (12.4 s)\n"


def test_at_verbosity_0_nothing_is_printed(log: io.StringIO) -> None:
    with progress_on(log, verbosity=0) as progress:
        progress.begin(ID)
        watched(replace(LONG, blockers=(WEB,)))
        retrying(1, WEB)
        progress.say("something")
        progress.end(APPLIED)

    assert log.getvalue() == ""


def test_a_stream_that_was_closed_stops_nobody(log: io.StringIO) -> None:
    with progress_on(log) as progress:
        log.close()
        progress.begin(ID)
        watched(replace(LONG, blockers=(WEB,)))
        retrying(1, WEB)
        progress.end(APPLIED)


def test_a_pipe_that_nobody_reads_does_not_keep_the_watcher_waiting() -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with suppress(BlockingIOError):
        while True:
            os.write(writing, b"x" * 4096)
    os.set_blocking(writing, True)
    with open(writing, "w", encoding="utf-8") as stream, progress_on(stream) as progress:
        progress.begin(ID)
        watching = threading.Thread(target=watched, args=(replace(LONG, blockers=(WEB,)),), daemon=True)
        watching.start()

        watching.join(10)

        assert not watching.is_alive()
        os.read(reading, 1 << 20)
        watched(replace(LONG, blockers=(replace(WEB, pid=1),)))
        assert b"held by pid 1 " in os.read(reading, 1 << 20)
    os.close(reading)


def test_many_threads_leave_whole_lines(logged: Progress, log: io.StringIO) -> None:
    logged.begin(ID)

    def watch(start: int) -> None:
        for pid in range(start, start + 200):
            watched(replace(LONG, blockers=(Blocker(pid, "", "", "", None),)))

    threads = [threading.Thread(target=watch, args=(start,)) for start in (1_000, 2_000, 3_000)]
    for thread in threads:
        thread.start()
    for _ in range(200):
        logged.say("said")
    for thread in threads:
        thread.join()

    whole = re.compile(r"said|  Applying \S+ waiting for pid \d+; statement 3 of 7, 12 s, .* 41 %")
    lines = log.getvalue().splitlines()
    assert [line for line in lines if not whole.fullmatch(line)] == []
    assert len(lines) == 800


def test_nothing_is_written_beyond_the_edge_of_a_terminal_that_became_narrower(
    shown: Progress, screen: Screen
) -> None:
    shown.begin(ID)
    watched(LONG)
    before = screen.read()

    screen.resize(60)
    watched(replace(LONG, phase=""))
    assert len(screen.read()[len(before) :]) <= 60

    watched(LONG)
    before = screen.read()
    screen.resize(40)
    shown.end(APPLIED)
    erased = screen.read()[len(before) :].split("\r")[1]
    assert (erased.strip(), len(erased)) == ("", 39)
