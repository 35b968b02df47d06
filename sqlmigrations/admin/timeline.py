"""The last runs as a drawing: where each bar stands, how high it is, and what is told of it in words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _

from sqlmigrations.admin import words
from sqlmigrations.annals import Ending, PastRun

# How many are shown; their bars share what the names of the scale leave.
RUNS = 20
_LEFT, _TOP = 12.0, 12.0
_SLOT = (100 - _LEFT) / RUNS
# One scale for every page, so that pages can be compared: each line is named by its height.
_SCALE_MS = {10: _("10 ms"), 1_000: _("1 s"), 60_000: _("1 min"), 3_600_000: _("1 h")}
_HIGHEST = math.log10(max(_SCALE_MS))
_LOWEST_PERCENT = 3.0
# What tells the bars apart without colours.
_MARKS = {Ending.DONE: "", Ending.STOPPED: "\N{MULTIPLICATION SIGN}", Ending.UNTOLD: "?"}


@dataclass(frozen=True, slots=True)
class Bar:
    """One run.

    Attributes:
        kind: How it ended; the class by which it is coloured.
        mark: A sign above it.
        left: Where it begins, as SVG wants it; so are the others.
        told: The run in words.
    """

    kind: str
    mark: str
    left: str
    middle: str
    top: str
    width: str
    height: str
    told: str


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the scale."""

    top: str
    name: Promise


@dataclass(frozen=True, slots=True)
class Timeline:
    """The drawing.

    Attributes:
        bars: From the oldest to the newest, which stands at the right end.
        told: The whole in words.
    """

    bars: tuple[Bar, ...]
    lines: tuple[Line, ...]
    left: str
    told: str


def timeline(runs: Sequence[PastRun]) -> Timeline | None:
    """Draws the runs, which come the newest first; ``None`` where there are none."""
    if not runs:
        return None
    shown = runs[:RUNS]
    return Timeline(
        bars=tuple(_bar(run, RUNS - 1 - number) for number, run in enumerate(shown))[::-1],
        lines=tuple(Line(_percent(100 - _height(ms)), name) for ms, name in _SCALE_MS.items()),
        left=_percent(_LEFT),
        told=_told(shown),
    )


def _bar(run: PastRun, slot: int) -> Bar:
    height = _height(run.duration_ms or 0)
    left = _LEFT + slot * _SLOT
    return Bar(
        kind=run.ending.value,
        mark=_MARKS[run.ending],
        left=_percent(left + _SLOT * 0.2),
        middle=_percent(left + _SLOT * 0.5),
        top=_percent(100 - height),
        width=_percent(_SLOT * 0.6),
        height=_percent(height),
        told=_run(run),
    )


def _height(milliseconds: float) -> float:
    """In percent of the drawing, by the logarithm: a run takes milliseconds or hours."""
    share = math.log10(max(milliseconds, 1)) / _HIGHEST
    return min(max(share * (100 - _TOP), _LOWEST_PERCENT), 100 - _TOP)


def _told(runs: Sequence[PastRun]) -> str:
    stopped = sum(run.ending is Ending.STOPPED for run in runs)
    longest = max(run.duration_ms or 0 for run in runs)
    return " ".join(
        (
            ngettext("The last run.", "The last %(count)s runs.", len(runs)) % {"count": len(runs)},
            ngettext("%(count)s was stopped.", "%(count)s were stopped.", stopped) % {"count": stopped},
            gettext("The longest took %(duration)s.") % {"duration": words.duration(longest)},
        )
    )


def _run(run: PastRun) -> str:
    when = words.moment(run.started_at)
    if run.ending is Ending.UNTOLD:
        return gettext("%(when)s: it has told no end, it is at work still or was killed.") % {"when": when}
    values = {"when": when, "done": run.done, "steps": run.steps, "duration": words.duration(run.duration_ms)}
    if run.ending is Ending.STOPPED:
        return gettext("%(when)s: stopped after %(duration)s, %(done)s of %(steps)s done.") % values
    return gettext("%(when)s: %(done)s of %(steps)s done in %(duration)s.") % values


def _percent(number: float) -> str:
    """As SVG writes it, whatever the language of the page."""
    return f"{number:.2f}%"
