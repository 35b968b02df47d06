"""What a slow link makes of it: many files of one statement, and one file of many short ones, 20 ms away."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.apply import applied
from benchmarks.peers.loop import BareLoop
from benchmarks.question import Question
from benchmarks.report import number, table, times
from benchmarks.rounds import Row, ahead_of_us, interleave, notes
from benchmarks.scripts import all_in_one, one_table_each
from benchmarks.stage import Stage

# Whoever had so much time for one play plays it no more.
ENOUGH_S = 6


@dataclass(frozen=True)
class Sizes:
    """How many statements, how far away, how often."""

    statements: int = 30
    milliseconds: int = 20
    rounds: int = 2

    @property
    def many(self) -> str:
        """The name of the first play."""
        return f"{self.statements} files"

    @property
    def one(self) -> str:
        """The name of the second play."""
        return f"one file of {self.statements} statements"


def answer(sizes: Sizes, stage: Stage) -> str:
    """Two plays, in seconds and round trips, those of start-up included."""
    away = sizes.milliseconds / 1000
    many = stage.workload(one_table_each(sizes.statements))
    one = stage.workload(all_in_one(sizes.statements))
    rows = stage.rows()
    plays = {
        sizes.many: lambda contestant: applied(stage, many, contestant, away, sizes.statements),
        sizes.one: lambda contestant: applied(stage, one, contestant, away, sizes.statements),
    }
    interleave(rows, plays, sizes.rounds, ENOUGH_S)
    lines = [
        f"{sizes.milliseconds} ms a round trip, start-up and all connections included; medians of {sizes.rounds} "
        "interleaved rounds.",
        "",
        _table(rows, sizes),
        "",
        *ahead_of_us(rows, [sizes.many, sizes.one]),
        *notes(rows, [sizes.many, sizes.one], sizes.rounds),
    ]
    return "\n".join(lines).rstrip()


def _table(rows: list[Row], sizes: Sizes) -> str:
    loop = next((row for row in rows if isinstance(row.contestant, BareLoop)), Row(BareLoop()))
    headings = ["tool", "checksums"]
    for play in (sizes.many, sizes.one):
        headings += [f"{play}, s", "times the loop", "round trips"]
    return table(headings, [_line(row, loop, sizes) for row in rows], words=["checksums"])


def _line(row: Row, loop: Row, sizes: Sizes) -> list[str]:
    cells = [row.contestant.name, row.contestant.checksums]
    for play in (sizes.many, sizes.one):
        cells += [
            number(row.median(play)),
            times(row.median(play), loop.median(play)),
            number(row.median(play, "round_trips"), 0),
        ]
    return cells


QUESTION = Question("link", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
