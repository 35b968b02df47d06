"""How time grows with the number of files: apply, run again, status and plan, in a table and as a drawing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.ours import Ours
from benchmarks.plot import Line, Plot
from benchmarks.process import Measured, RunFailed
from benchmarks.question import Question
from benchmarks.report import number, table
from benchmarks.rounds import Row, interleave
from benchmarks.scripts import one_table_each
from benchmarks.stage import Stage

PICTURE = "growth.svg"
# Whoever had so much time for one play plays it no more.
ENOUGH_S = 5
PLAN, APPLY, AGAIN, STATUS, PROBE = "plan", "apply", "run again", "status", "an empty command"
COMMANDS = {
    PLAN: "sqlmigrate_apply --plan",
    APPLY: "sqlmigrate_apply",
    AGAIN: "sqlmigrate_apply",
    STATUS: "sqlmigrate_status",
    PROBE: "probe",
}
GROWING = [play for play in COMMANDS if play != PROBE]


@dataclass(frozen=True)
class Sizes:
    """The most files, a power of ten; how often what is short is played."""

    files: int = 10_000
    rounds: int = 3

    @property
    def steps(self) -> list[int]:
        """Ten and its powers."""
        return [10**power for power in range(1, len(str(self.files)))]


class Site:
    """A project with so many files; one database of it stays empty, in another one they are applied."""

    def __init__(self, stage: Stage, files: int, databases: ExitStack) -> None:
        self._arena, self._databases = stage.arena, databases
        self._work = stage.workload(one_table_each(files))
        self._empty = self._applied = self._new()

    def play(self, name: str, contestant: Contestant) -> Measured:
        """One run of a command.

        Raises:
            RunFailed: It failed.
        """
        if name == APPLY:
            self._applied = self._new()
        address = self._empty if name == PLAN else self._applied
        ours = self._work.of(contestant)
        assert isinstance(ours, Ours)
        return self._arena.run(ours.command(address, *COMMANDS[name].split()), address)

    def _new(self) -> Address:
        return self._databases.enter_context(self._arena.database())


def answer(sizes: Sizes, stage: Stage) -> str:
    """The table and a link to the drawing, which is written beside the page."""
    row = Row(Ours())
    for files in sizes.steps:
        with ExitStack() as databases:
            site = Site(stage, files, databases)
            plays = {_name(play, files): partial(site.play, play) for play in COMMANDS}
            interleave([row], plays, sizes.rounds, ENOUGH_S)
    if row.failures:
        raise RunFailed(", ".join(f"{play}: {why}" for play, why in row.failures.items()))
    lines = [[f"{files:,}", *(number(row.median(_name(play, files))) for play in COMMANDS)] for files in sizes.steps]
    plot = _plot(row, sizes)
    stage.pictures[PICTURE] = plot.svg()
    return "\n".join(
        [
            f"Seconds, start-up included; medians of at most {sizes.rounds} rounds, fewer of what takes long.",
            "",
            table(["files", *COMMANDS], lines),
            "",
            "Milliseconds of processor time, client and server, for each further file; the same in all lines if time "
            "grows as the files do:",
            "",
            table(["files", *GROWING], _each_further(row, sizes)),
            "",
            f"![{plot.title}. {plot.told}](images/{PICTURE})",
        ]
    )


def _name(play: str, files: int) -> str:
    return f"{play}, {files:,} files"


def _each_further(row: Row, sizes: Sizes) -> Iterator[list[str]]:
    """By processor time, of which a hundred files are the first that can be told from none."""
    for few, many in pairwise(sizes.steps[1:]):
        costs = ((_cpu_s(row, play, many) - _cpu_s(row, play, few)) / (many - few) for play in GROWING)
        yield [f"{few:,} to {many:,}", *(number(cost * 1000, 3) for cost in costs)]


def _cpu_s(row: Row, play: str, files: int) -> float:
    return sum(row.median(_name(play, files), what) or 0 for what in ("cpu_seconds", "server_cpu_seconds"))


def _plot(row: Row, sizes: Sizes) -> Plot:
    lines = [Line(play, [(files, row.median(_name(play, files)) or 0) for files in sizes.steps]) for play in COMMANDS]
    ends = "; ".join(f"{line.name}: " + ", ".join(f"{y:.2f}" for _, y in line.points) for line in lines)
    told = f"Seconds at {', '.join(f'{files:,}' for files in sizes.steps)} files. {ends}."
    return Plot("Seconds by the number of files", "files", "seconds, start-up included", told, lines)


QUESTION = Question("growth", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
