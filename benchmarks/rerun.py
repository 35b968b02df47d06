"""What a deploy costs in which nothing is pending: a thousand and ten thousand files that are all applied."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace

from benchmarks.arena import Address, query
from benchmarks.peers import RUNNERS
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.ours import Ours
from benchmarks.peers.run_sql import RunSQL
from benchmarks.process import Measured, RunFailed, measure
from benchmarks.proxy import counted
from benchmarks.question import Question
from benchmarks.report import number, table, times
from benchmarks.rounds import Row, ahead_of_us, interleave, notes
from benchmarks.scripts import COUNT_TABLES, one_table_each
from benchmarks.stage import Stage

# Whoever had so much time for one play plays it no more.
ENOUGH_S = 6
AGAIN, PROBE, TRIPS = "again", "an empty command", "round trips"


@dataclass(frozen=True)
class Sizes:
    """How many files are applied, how many in the second play, how often."""

    files: int = 1000
    more: int = 10_000
    rounds: int = 3

    @property
    def plays(self) -> dict[str, int]:
        """Both, by their names."""
        return {f"{files:,} files": files for files in (self.files, self.more)}


class Applied:
    """Databases in which everything is applied, one for each contestant, made when it plays first.

    Args:
        stage: Where the server is.
        files: How many are applied.
        databases: What they end with.
    """

    def __init__(self, stage: Stage, files: int, databases: ExitStack) -> None:
        self._stage = stage
        self._scripts = one_table_each(files)
        self._databases = databases
        self._places: dict[type[Contestant], tuple[Address, str]] = {}

    def again(self, contestant: Contestant) -> Measured:
        """One more run, which must not apply anything.

        Raises:
            RunFailed: It did, or failed.
        """
        address, tables = self._place(contestant)
        measured = self._stage.arena.run(contestant.apply(address), address)
        if query(address, COUNT_TABLES) != tables:
            raise RunFailed("applied something again")
        return measured

    def trips(self, contestant: Contestant) -> Measured:
        """The same with its round trips, but for the one of each login."""
        with counted(self._place(contestant)[0]) as (address, counter):
            measured = measure(contestant.apply(address))
        return replace(measured, round_trips=counter.round_trips - counter.connections)

    def probe(self, ours: Contestant) -> Measured:
        """A command of the same project that does next to nothing."""
        assert isinstance(ours, Ours)
        return measure(ours.command(self._place(ours)[0], "probe"))

    def _place(self, contestant: Contestant) -> tuple[Address, str]:
        if type(contestant) not in self._places:
            address = self._databases.enter_context(self._stage.arena.database())
            contestant.record(address, self._scripts)
            measure(contestant.apply(address))  # compiles what is compiled once
            self._places[type(contestant)] = address, query(address, COUNT_TABLES)
        return self._places[type(contestant)]


def answer(sizes: Sizes, stage: Stage) -> str:
    """One table for both sizes."""
    rows = stage.rows(*RUNNERS)
    for play, files in sizes.plays.items():
        _of_size(play, files, rows, sizes, stage)
    headings = ["tool", "checksums"]
    for play in sizes.plays:
        headings += [f"{play}, s", "times migrate", "CPU s", "peak MB"]
    lines = [
        f"Everything is applied and unchanged; medians of at most {sizes.rounds} interleaved rounds.",
        "",
        table([*headings, "round trips"], _lines(rows, sizes), words=["checksums"]),
        "",
        *_beyond_a_probe(rows, sizes),
        *ahead_of_us(rows, sizes.plays),
        *notes(rows, sizes.plays, sizes.rounds),
    ]
    return "\n".join(lines).rstrip()


def _of_size(play: str, files: int, rows: list[Row], sizes: Sizes, stage: Stage) -> None:
    with ExitStack() as databases:
        applied = Applied(stage, files, databases)
        settled = [replace(row, contestant=row.contestant.settled(stage.room())) for row in rows]
        interleave(settled, {play: applied.again}, sizes.rounds, ENOUGH_S)
        if files == sizes.files:
            interleave(settled, {f"{play}, {TRIPS}": applied.trips}, 1, ENOUGH_S)
        ours = [row for row in settled if isinstance(row.contestant, Ours)]
        plays = {f"{play}, {AGAIN}": applied.again, f"{play}, {PROBE}": applied.probe}
        interleave(ours, plays, sizes.rounds, ENOUGH_S)


def _lines(rows: list[Row], sizes: Sizes) -> Iterator[list[str]]:
    migrate = next((row for row in rows if isinstance(row.contestant, RunSQL)), Row(RunSQL()))
    for row in rows:
        cells = [row.contestant.name, row.contestant.checksums]
        for play in sizes.plays:
            cells += [
                row.seconds(play),
                times(row.median(play), migrate.median(play)),
                number(row.median(play, "cpu_seconds")),
                number(row.median(play, "peak_mb"), 0),
            ]
        yield [*cells, number(row.median(f"{next(iter(sizes.plays))}, {TRIPS}", "round_trips"), 0)]


def _beyond_a_probe(rows: list[Row], sizes: Sizes) -> Iterator[str]:
    ours = next((row for row in rows if isinstance(row.contestant, Ours)), Row(Ours()))
    for play in sizes.plays:
        again, probe = (ours.median(f"{play}, {what}") for what in (AGAIN, PROBE))
        if again and probe:
            yield (
                f"* With {play}, ours takes {(again - probe) * 1000:.0f} ms more than a command of the same "
                f"project that connects and reads one row, which takes {probe * 1000:.0f} ms."
            )


QUESTION = Question("rerun", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
