"""How a glimpse of a long statement is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from sqlmigrations import glimpses
from sqlmigrations.glimpses import Occasion, Pace
from sqlmigrations.types import Blocker, Glimpse

WEB = Blocker(4711, "shop", "web", "idle in transaction", 38.6, "invoices", "SELECT 1")


def seen(**facts: Any) -> Glimpse:
    return Glimpse(
        **{"migration": "project.004_search", "number": 3, "total": 7, "line": 9, "elapsed_s": 12.4} | facts
    )


@pytest.mark.parametrize(
    ("glimpse", "told"),
    [
        (seen(), "statement 3 of 7, 12 s"),
        (
            seen(phase="building index: scanning table", percent=41.4),
            "statement 3 of 7, 12 s, building index: scanning table 41 %",
        ),
        (seen(phase="initializing"), "statement 3 of 7, 12 s, initializing"),
        (
            seen(number=120_341, total=300_000, elapsed_s=0.0004),
            "statement 120,341 of 300,000, 1 min 5 s so far",
        ),
        (
            seen(blockers=(WEB,)),
            'waiting for invoices, held by pid 4711 (app "web", idle in transaction 38 s); statement 3 of 7, 12 s',
        ),
        (
            seen(blockers=(WEB, WEB)),
            'waiting for invoices, held by pid 4711 (app "web", idle in transaction 38 s) and 1 other; '
            "statement 3 of 7, 12 s",
        ),
        (seen(blockers=(Blocker(9, "", "", "", None),)), "waiting for pid 9; statement 3 of 7, 12 s"),
        (seen(phase="a\x1b[2Jb"), "statement 3 of 7, 12 s, a?[2Jb"),
    ],
)
def test_a_glimpse_in_words(glimpse: Glimpse, told: str) -> None:
    assert glimpses.account(glimpse, file_s=65) == told


@pytest.mark.parametrize(
    ("blocker", "told"),
    [
        (WEB, 'pid 4711 (app "web", idle in transaction 38 s)'),
        (Blocker(9, "bob", "", "active", 125), 'pid 9 (user "bob", active 2 min 5 s)'),
        (Blocker(9, "", "autovacuum worker", "active", 12_345), "pid 9 (autovacuum worker, active 3 h 25 min)"),
        (Blocker(9, "bob\n\x1b[2J", "", "", None), 'pid 9 (user "bob??[2J")'),
        (Blocker(9, "", "", "", None), "pid 9"),
        (Blocker(0, "", "", "prepared transaction", None), "a prepared transaction"),
        (Blocker(0, "bob", "", "", 61, "", "t-1"), 'the prepared transaction "t-1" (user "bob", 1 min 1 s)'),
    ],
)
def test_a_session_in_the_way_in_words(blocker: Blocker, told: str) -> None:
    assert glimpses.holders([blocker]) == told


@pytest.mark.parametrize(
    ("blockers", "told"),
    [
        ([], ""),
        ([WEB], 'invoices is held by pid 4711 (app "web", idle in transaction 38 s)'),
        ([Blocker(9, "", "", "", None), WEB, WEB], "pid 9 and 2 others are in the way"),
    ],
)
def test_an_obstacle_in_words(blockers: list[Blocker], told: str) -> None:
    assert glimpses.obstacle(blockers) == told


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time by which the pace is set; to be moved on by hand."""
    now = [1000.0]
    monkeypatch.setattr(glimpses, "time", SimpleNamespace(monotonic=lambda: now[0]))
    return now


def test_a_line_every_thirty_seconds(clock: list[float]) -> None:
    pace, told = Pace(), []

    for _ in range(95):
        clock[0] += 1
        if pace.occasion(seen()):
            told.append(round(pace.age_s))

    assert told == [30, 60, 90]


def test_somebody_new_in_the_way_is_worth_a_line_at_once(clock: list[float]) -> None:
    pace = Pace()
    other = Blocker(9, "bob", "", "active", 1)

    occasions = [pace.occasion(seen(blockers=who)) for who in ([], [WEB], [WEB, other], [], [WEB], [other])]

    assert occasions == [None, Occasion.BLOCKED, None, None, None, Occasion.BLOCKED]


def test_a_line_about_somebody_new_puts_the_next_one_off(clock: list[float]) -> None:
    pace = Pace()
    clock[0] += 20
    assert pace.occasion(seen(blockers=[WEB])) is Occasion.BLOCKED

    clock[0] += 15
    assert pace.occasion(seen(blockers=[WEB])) is None
    clock[0] += 15
    assert pace.occasion(seen(blockers=[WEB])) is Occasion.INTERVAL
