"""What it takes to apply many small files, start-up included, beside the server and away from it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from benchmarks.arena import Address, query
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.dbmate import Dbmate
from benchmarks.peers.loop import BareLoop
from benchmarks.peers.ours import Ours
from benchmarks.process import Measured, RunFailed
from benchmarks.proxy import counted
from benchmarks.question import Question
from benchmarks.report import number, table, times
from benchmarks.rounds import Row, ahead_of_us, interleave, notes
from benchmarks.scripts import COUNT_TABLES, one_table_each
from benchmarks.stage import Stage, Workload

# Between two zones of a cloud; within one it is a third of it, to another region a hundred times.
NETWORK_S = 0.001
# Whoever had so much time for one play plays it no more.
ENOUGH_S = 10
BESIDE, AWAY, TRIPS = "beside the server", "1 ms away", "round trips"


@dataclass(frozen=True)
class Sizes:
    """How many files, and how often."""

    files: int = 1000
    rounds: int = 3


def answer(sizes: Sizes, stage: Stage) -> str:
    """The table, and what it says of us."""
    rows = stage.rows()
    work = stage.workload(one_table_each(sizes.files))
    few, more = (stage.workload(one_table_each(files)) for files in (10, 20))
    plays = {
        BESIDE: lambda contestant: applied(stage, work, contestant, None, sizes.files),
        AWAY: lambda contestant: applied(stage, work, contestant, NETWORK_S, sizes.files),
    }
    interleave(rows, plays, sizes.rounds, ENOUGH_S)
    interleave(rows, {TRIPS: lambda contestant: _for_one_file(stage, few, more, contestant)}, 1, ENOUGH_S)
    return _report(rows, sizes)


def applied(stage: Stage, work: Workload, contestant: Contestant, network_s: float | None, tables: int) -> Measured:
    """One run on an empty database; its round trips are counted where a network is between.

    Args:
        stage: Where it is played.
        work: What is applied.
        contestant: By whom.
        network_s: What is added to every round trip; none where nobody stands between.
        tables: How many tables it has to make.

    Raises:
        RunFailed: It failed, or did not make the tables or did not record the migrations.
    """
    settled = work.of(contestant)
    with stage.arena.database() as database:
        if network_s is None:
            measured = stage.arena.run(settled.apply(database), database)
        else:
            with counted(database, network_s) as (address, counter):
                measured = stage.arena.run(settled.apply(address), database)
            measured = replace(measured, round_trips=counter.round_trips)
        _expect(database, COUNT_TABLES, tables, "tables")
        if contestant.recorded:
            _expect(database, contestant.recorded, len(work.scripts), "records")
    return measured


def _for_one_file(stage: Stage, few: Workload, more: Workload, contestant: Contestant) -> Measured:
    """What more files take beyond few, so that start-up does not count."""
    first, second = (applied(stage, work, contestant, 0, len(work.scripts)) for work in (few, more))
    trips = (second.round_trips - first.round_trips) / (len(more.scripts) - len(few.scripts))
    return replace(second, round_trips=trips)


def _expect(database: Address, count: str, expected: int, what: str) -> None:
    found = query(database, count)
    if found != str(expected):
        raise RunFailed(f"made {found} {what} of {expected}")


def _report(rows: list[Row], sizes: Sizes) -> str:
    by_class = {type(row.contestant): row for row in rows}
    loop = by_class.get(BareLoop, Row(BareLoop()))
    headings = [
        "tool",
        "seconds",
        "times the loop",
        "1 ms away, s",
        "times the loop",
        "CPU s",
        "server CPU s",
        "peak MB",
        "trips a file",
    ]
    lines = [
        [
            row.contestant.name,
            number(row.median(BESIDE)),
            times(row.median(BESIDE), loop.median(BESIDE)),
            number(row.median(AWAY)),
            times(row.median(AWAY), loop.median(AWAY)),
            number(row.median(BESIDE, "cpu_seconds")),
            number(row.median(BESIDE, "server_cpu_seconds")),
            number(row.median(BESIDE, "peak_mb"), 0),
            number(row.median(TRIPS, "round_trips"), 1),
        ]
        for row in rows
    ]
    said = [
        f"{sizes.files:,} files with one table each, start-up included; medians of {sizes.rounds} interleaved rounds.",
        "",
        table(headings, lines),
        "",
        *_in_short(by_class.get(Ours), loop, by_class.get(Dbmate), sizes.files),
        *ahead_of_us(rows, [BESIDE, AWAY]),
        *notes(rows, [BESIDE, AWAY], sizes.rounds),
    ]
    return "\n".join(said).rstrip()


def _in_short(ours: Row | None, loop: Row, dbmate: Row | None, files: int) -> list[str]:
    if ours is None or dbmate is None:
        return []
    near, away = (
        [times(ours.median(play), other.median(play)) for other in (loop, dbmate)] for play in (BESIDE, AWAY)
    )
    return [
        "<!-- benchmark:in-short -->",
        f"To apply {files:,} files with one table each, start-up included, takes {near[0]} times as long as a bare",
        f"loop over psycopg2, and {near[1]} times as long as dbmate, a compiled program; where every round trip takes",
        f"a millisecond more, {away[0]} and {away[1]} times.",
        "<!-- /benchmark:in-short -->",
        "",
    ]


QUESTION = Question("apply", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
