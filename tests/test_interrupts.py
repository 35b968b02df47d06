"""Signals are heard only within the block, by a thread, and everything is as before afterwards."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

import pytest

from project.embedded.cluster import wait_until
from sqlmigrations.exceptions import Interrupted, Terminated
from sqlmigrations.interruption import Interruption
from sqlmigrations.management.interrupts import heard

Handler = Callable[[int, FrameType | None], object] | int | None


def handlers() -> list[Handler]:
    return [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]


@pytest.fixture
def wakeup_pipe() -> Iterator[int]:
    """As an event loop has it."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    before = signal.set_wakeup_fd(writing)
    yield writing
    signal.set_wakeup_fd(before)
    os.close(reading)
    os.close(writing)


@pytest.mark.parametrize(("number", "by"), [(signal.SIGINT, Interrupted), (signal.SIGTERM, Terminated)])
def test_a_signal_is_passed_on_by_another_thread_and_raises_nothing(
    number: signal.Signals, by: type[Interrupted]
) -> None:
    asked: list[tuple[type[Interrupted], str]] = []
    before = handlers()

    with heard(lambda kind: asked.append((kind, threading.current_thread().name))):
        signal.raise_signal(number)
        assert wait_until(lambda: bool(asked), 10)

    assert asked == [(by, "sqlmigrations signals")]
    assert handlers() == before


def test_an_echo_is_passed_on_once() -> None:
    asked: list[type[Interrupted]] = []

    with heard(asked.append):
        signal.raise_signal(signal.SIGINT)
        signal.raise_signal(signal.SIGTERM)
        signal.raise_signal(signal.SIGINT)

    assert asked == [Interrupted]


def test_whoever_was_woken_by_signals_before_is_afterwards(wakeup_pipe: int) -> None:
    with heard(lambda kind: None):
        pass

    assert signal.set_wakeup_fd(wakeup_pipe) == wakeup_pipe


def test_what_was_ignored_stays_so() -> None:
    before = signal.signal(signal.SIGTERM, signal.SIG_IGN)
    asked: list[type[Interrupted]] = []
    try:
        with heard(asked.append):
            signal.raise_signal(signal.SIGTERM)
    finally:
        signal.signal(signal.SIGTERM, before)

    assert asked == []


def test_outside_the_main_thread_nothing_is_done() -> None:
    seen: list[list[Handler]] = []

    def work() -> None:
        with heard(lambda kind: None):
            seen.append(handlers())

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()

    assert seen == [handlers()]


def test_a_cancel_that_comes_before_its_statement_is_sent_again() -> None:
    interruption, cancelled = Interruption(), threading.Semaphore(0)
    interruption.ask()

    with interruption.cancelling(cancelled.release):
        assert cancelled.acquire(timeout=10)
        assert cancelled.acquire(timeout=10)

    interruption.answer()


def test_what_puts_in_order_is_not_cancelled() -> None:
    interruption, cancelled = Interruption(), threading.Event()
    interruption.ask()

    with interruption.shielded(), interruption.cancelling(cancelled.set):
        assert not interruption.due
        assert not cancelled.wait(0.5)

    assert interruption.due
    interruption.answer()
    assert not interruption.due


def test_who_asks_first_decides_what_the_run_ends_by() -> None:
    interruption = Interruption()
    interruption.ask(Terminated)
    interruption.ask(Interrupted)

    with pytest.raises(Terminated):
        interruption.check()
