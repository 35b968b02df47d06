"""What a slow link makes of it: many files of one statement, and one file of many short ones, 20 ms away."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.apply import applied
from benchmarks.peers.loop import BareLoop
from benchmarks.question import Question
from benchmarks.report import number, table, times
from benchmarks.rounds import Row, interleave, notes
from benchmarks.scripts import all_in_one, one_table_each
from benchmarks.stage import Stage

# Whoever had so much time for one play plays it no more.
ENOUGH_S = 10
MANY, ONE = "many files", "one file"


@dataclass(frozen=True)
class Sizes:
    """How many statements, how far away, how often."""

    statements: int = 30
    milliseconds: int = 20
    rounds: int = 3


def answer(sizes: Sizes, stage: Stage) -> str:
    """Two plays, in seconds and round trips, those of start-up included."""
    away = sizes.milliseconds / 1000
    many = stage.workload(one_table_each(sizes.statements))
    one = stage.workload(all_in_one(sizes.statements))
    rows = stage.rows()
    plays = {
        MANY: lambda contestant: applied(stage, many, contestant, away, sizes.statements),
        ONE: lambda contestant: applied(stage, one, contestant, away, sizes.statements),
    }
    interleave(rows, plays, sizes.rounds, ENOUGH_S)
    lines = [
        f"{sizes.milliseconds} ms a round trip, start-up and all connections included; medians of {sizes.rounds} "
        "interleaved rounds.",
        "",
        _table(rows, sizes.statements),
        "",
        *notes(rows, [MANY, ONE], sizes.rounds),
    ]
    return "\n".join(lines).rstrip()


def _table(rows: list[Row], statements: int) -> str:
    loop = next((row for row in rows if isinstance(row.contestant, BareLoop)), Row(BareLoop()))
    headings = ["tool", "checksums"]
    for what in (f"{statements} files, s", f"one file of {statements} statements, s"):
        headings += [what, "times the loop", "round trips"]
    return table(headings, [_line(row, loop) for row in rows], words=["checksums"])


def _line(row: Row, loop: Row) -> list[str]:
    cells = [row.contestant.name, row.contestant.checksums]
    for play in (MANY, ONE):
        cells += [
            number(row.median(play)),
            times(row.median(play), loop.median(play)),
            number(row.median(play, "round_trips"), 0),
        ]
    return cells


QUESTION = Question("link", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
