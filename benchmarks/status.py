"""What it costs to look: the status of a thousand applied files beside a check of the same project."""

from __future__ import annotations

from dataclasses import dataclass

from benchmarks.arena import Address
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.ours import Ours
from benchmarks.process import Measured
from benchmarks.question import Question
from benchmarks.report import number, table
from benchmarks.rounds import Play, Row, interleave
from benchmarks.scripts import one_table_each
from benchmarks.stage import Stage

# Whoever had so much time for one play plays it no more.
ENOUGH_S = 10
CHECK = "check"
COMMANDS = ("probe", CHECK, "sqlmigrate_status", "sqlmigrate_status --check", "sqlmigrate_apply --plan")


@dataclass(frozen=True)
class Sizes:
    """How many files are applied, how often it is looked."""

    files: int = 1000
    rounds: int = 7


def answer(sizes: Sizes, stage: Stage) -> str:
    """A line for each command."""
    row = Row(Ours().settled(stage.room()))
    with stage.arena.database() as address:
        row.contestant.record(address, one_table_each(sizes.files))
        plays = {command: _call(stage, address, command) for command in COMMANDS}
        interleave([row], plays, sizes.rounds, ENOUGH_S)
    check = row.median(CHECK)
    lines = [
        [
            f"`{command}`",
            *(number(_ms(row.median(command, what)), 0) for what in ("seconds", "cpu_seconds", "server_cpu_seconds")),
            number(_ms((row.median(command) or 0) - (check or 0)), 0),
        ]
        for command in COMMANDS
    ]
    headings = ["`manage.py ...`", "milliseconds", "CPU ms", "server CPU ms", "beyond `check`, ms"]
    said = f"{sizes.files:,} files, all applied, none changed; medians of {sizes.rounds} interleaved rounds."
    return f"{said}\n\n{table(headings, lines)}"


def _call(stage: Stage, address: Address, command: str) -> Play:
    def play(contestant: Contestant) -> Measured:
        assert isinstance(contestant, Ours)
        return stage.arena.run(contestant.command(address, *command.split()), address)

    return play


def _ms(seconds: float | None) -> float | None:
    return None if seconds is None else seconds * 1000


QUESTION = Question("status", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
