"""What becomes of a hundred megabytes in one file: time, and memory on both sides."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from benchmarks.arena import query
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.dblift import Dblift
from benchmarks.peers.dbmate import Dbmate
from benchmarks.peers.loop import BareLoop
from benchmarks.peers.ours import Ours
from benchmarks.peers.psql import Psql
from benchmarks.peers.yoyo import Yoyo
from benchmarks.process import Measured, RunFailed
from benchmarks.question import Question
from benchmarks.report import number, table, times
from benchmarks.rounds import Row, ahead_of_us, interleave, notes
from benchmarks.scripts import Script
from benchmarks.stage import Stage, Workload

# Whoever had so much time for one play plays it no more.
ENOUGH_S = 12
ROWS_A_STATEMENT = 1000
CREATE = "CREATE TABLE bench_rows (id bigint, name text, note text);\n"


@dataclass(frozen=True)
class Sizes:
    """How many rows of about a hundred bytes, how often, and after how many seconds a run is ended."""

    rows: int = 1_000_000
    rounds: int = 2
    limit: int = 60


@dataclass(frozen=True)
class Kind:
    """A way to write rows into a file.

    Attributes:
        name: As the table shows it.
        lines: Of the file.
        yardstick: Whose time the others are compared with.
        harder: The kind that nobody manages who does not manage this one.
    """

    name: str
    lines: Callable[[int], Iterator[str]]
    yardstick: type[Contestant]
    harder: str = ""

    def script(self, rows: int) -> Script:
        """The migration."""
        return Script(1, CREATE + "".join(self.lines(rows)))


def _values(row: int) -> str:
    return f"({row}, 'name of the row {row:08d}', 'a note of the usual length, or so; with ''quotes'' and more')"


def _multi_row(rows: int) -> Iterator[str]:
    for first in range(1, rows + 1, ROWS_A_STATEMENT):
        values = (_values(row) for row in range(first, min(first + ROWS_A_STATEMENT, rows + 1)))
        yield "INSERT INTO bench_rows (id, name, note) VALUES\n" + ",\n".join(values) + ";\n"


def _single(rows: int) -> Iterator[str]:
    for row in range(1, rows + 1):
        yield f"INSERT INTO bench_rows (id, name, note) VALUES {_values(row)};\n"


def _copy(rows: int) -> Iterator[str]:
    yield "COPY bench_rows (id, name, note) FROM stdin;\n"
    for row in range(1, rows + 1):
        yield f"{row}\tname of the row {row:08d}\ta note of the usual length, or so; with 'quotes' and more\n"
    yield "\\.\n"


KINDS = (
    Kind("multi-row INSERTs", _multi_row, BareLoop, "single INSERTs"),
    Kind("single INSERTs", _single, BareLoop),
    Kind("COPY data", _copy, Psql),
)


def answer(sizes: Sizes, stage: Stage) -> str:
    """A table for each kind of file."""
    rows = stage.rows(Ours, BareLoop, Psql, Dbmate, Dblift, Yoyo)
    parts = []
    for kind in KINDS:
        parts.append(_of_kind(kind, rows, sizes, stage))
        for row in rows:
            if kind.name in row.over and kind.harder:
                row.failures[kind.harder] = f"not asked, since it was ended with {kind.name} already"
    rules = f"medians of at most {sizes.rounds} interleaved rounds; whoever takes more than {sizes.limit} s is ended."
    return "\n\n".join([f"{sizes.rows:,} rows in one file; {rules}", *parts])


def _of_kind(kind: Kind, rows: list[Row], sizes: Sizes, stage: Stage) -> str:
    trial, script = stage.workload([kind.script(3)]), kind.script(sizes.rows)
    large = stage.workload([script])

    def play(contestant: Contestant) -> Measured:
        _fill(stage, trial, contestant, 3, sizes.limit)  # who cannot do it at all fails here, at once
        return _fill(stage, large, contestant, sizes.rows, sizes.limit)

    interleave(rows, {kind.name: play}, sizes.rounds, ENOUGH_S)
    large.drop()
    base = next((row for row in rows if isinstance(row.contestant, kind.yardstick)), Row(kind.yardstick()))
    heading = f"**{kind.name[0].upper()}{kind.name[1:]}**, {len(script.sql) / 1e6:.0f} MB:"
    headings = [
        "tool",
        "seconds",
        f"times {base.contestant.name}",
        "CPU s",
        "server CPU s",
        "client's peak MB",
        "server's peak MB",
    ]
    return "\n\n".join(
        [
            heading,
            table(headings, [_line(row, kind.name, base) for row in rows]),
            "\n".join([*ahead_of_us(rows, [kind.name]), *notes(rows, [kind.name], sizes.rounds)]),
        ]
    )


def _line(row: Row, play: str, base: Row) -> list[str]:
    return [
        row.contestant.name,
        row.seconds(play),
        times(row.median(play), base.median(play)),
        number(row.median(play, "cpu_seconds")),
        number(row.median(play, "server_cpu_seconds")),
        number(row.median(play, "peak_mb"), 0),
        number(row.median(play, "server_peak_mb"), 0),
    ]


def _fill(stage: Stage, work: Workload, contestant: Contestant, expected: int, limit_s: float) -> Measured:
    settled = work.of(contestant)
    with stage.arena.database() as database:
        measured = stage.arena.run(settled.apply(database), database, limit_s)
        found = query(database, "SELECT count(*) FROM bench_rows")
    if found != str(expected):
        raise RunFailed(f"wrote {found} rows of {expected}")
    return measured


QUESTION = Question("volume", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
