"""Rounds in which the contestants take turns, so that a busy moment of the machine meets all of them."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from statistics import median

from benchmarks.peers.contestant import Contestant
from benchmarks.peers.ours import Ours
from benchmarks.process import Measured, TookTooLong
from benchmarks.report import number

Play = Callable[[Contestant], Measured]


@dataclass
class Row:
    """A contestant with what was measured of it.

    Attributes:
        contestant: Who it is.
        version: Which of it.
        missing: Why it does not play at all.
        played: Its rounds by the name of what was played.
        over: After how many seconds it was ended, likewise.
        failures: Why there are none, likewise; what fails once is not played again.
    """

    contestant: Contestant
    version: str = ""
    missing: str = ""
    played: dict[str, list[Measured]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    over: dict[str, float] = field(default_factory=dict)

    def seconds(self, play: str) -> str:
        """The median as a cell of a table, or how long it was waited for."""
        return f"> {self.over[play]:.0f}" if play in self.over else number(self.median(play))

    def median(self, play: str, what: str = "seconds") -> float | None:
        """Of a field of ``Measured``; none where nothing was measured."""
        rounds = self.played.get(play)
        return median(getattr(measured, what) for measured in rounds) if rounds else None


def interleave(rows: Sequence[Row], plays: Mapping[str, Play], rounds: int, enough_s: float) -> None:
    """Have everyone play everything in each round.

    Args:
        rows: Who plays; what they did is added there.
        plays: What is played, by name.
        rounds: How often.
        enough_s: Whoever has had so many seconds for one play plays it no more.
    """
    for this in range(1, rounds + 1):
        for name, play in plays.items():
            for row in rows:
                if not row.missing and name not in row.failures and _had(row, name) < enough_s:
                    _tell(f"{name}, round {this} of {rounds}: {row.contestant.name}")
                    _play(row, name, play)


def notes(rows: Sequence[Row], plays: Collection[str], rounds: int) -> list[str]:
    """What a reader of a table has to know about some of its cells, as items of a list.

    Args:
        rows: Those of the table.
        plays: What the table shows.
        rounds: How many were wanted.
    """
    said = [f"* {row.contestant.name}: {row.missing}." for row in rows if row.missing]
    fewer: dict[int, list[str]] = {}
    for row in rows:
        said += [f"* {row.contestant.name}, {play}: {row.failures[play]}." for play in plays if play in row.failures]
        for play in plays:
            if 0 < len(row.played.get(play, ())) < rounds and play not in row.failures:
                fewer.setdefault(len(row.played[play]), []).append(f"{row.contestant.name} ({play})")
    return said + [
        f"* Played {count} of {rounds} rounds, because they take long: {', '.join(who)}."
        for count, who in sorted(fewer.items())
    ]


def ahead_of_us(rows: Sequence[Row], plays: Collection[str]) -> list[str]:
    """Who was faster than this tool in each play, and by how much, as items of a list."""
    ours = next((row for row in rows if isinstance(row.contestant, Ours)), Row(Ours()))
    said = []
    for play in plays:
        if own := ours.median(play):
            faster = [(took, row) for row in rows if (took := row.median(play)) and took < own]
            told = "; ".join(
                f"{row.contestant.name} ({own / took:.2f} times as fast)"
                for took, row in sorted(faster, key=itemgetter(0))
            )
            said.append(f"* Faster than sqlmigrations, {play}: {told or 'nobody'}.")
    return said


def _had(row: Row, play: str) -> float:
    return sum(measured.seconds for measured in row.played.get(play, ()))


def _play(row: Row, name: str, play: Play) -> None:
    started = time.perf_counter()
    try:
        row.played.setdefault(name, []).append(play(row.contestant))
    except TookTooLong as over:
        row.failures[name] = f"ended after {over.seconds:.0f} s"
        row.over[name] = over.seconds
    except Exception as failed:  # whatever becomes of one contestant, the others go on
        row.failures[name] = f"failed: {str(failed).partition(chr(10))[0]}"
    _tell(f"  {time.perf_counter() - started:.1f} s {row.failures.get(name, '')}")


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)
