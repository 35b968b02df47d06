"""Where it was measured, and who competes in which version; installs what has to be installed."""

from __future__ import annotations

import os
import platform
import re
from dataclasses import dataclass
from pathlib import Path

import django

from benchmarks.peers.loop import driver_version
from benchmarks.question import Question
from benchmarks.report import table
from benchmarks.stage import Stage


@dataclass(frozen=True)
class Sizes:
    """There is nothing to choose."""


def answer(sizes: Sizes, stage: Stage) -> str:
    """A sentence about the machine, and a table of the contestants."""
    memory = re.search(r"MemTotal:\s+(\d+)", Path("/proc/meminfo").read_text())
    model = re.search(r"model name\s*:\s*(.*)", Path("/proc/cpuinfo").read_text())
    lines = [
        f"{os.cpu_count()} cores ({model[1] if model else platform.machine()}), "
        f"{int(memory[1]) / 1024**2 if memory else 0:.0f} GiB of memory, {platform.system()} {platform.release()}; "
        f"PostgreSQL {stage.arena.version()} with its default settings behind a Unix socket on the same machine; "
        f"Python {platform.python_version()}, Django {django.__version__}, psycopg2 {driver_version()}.",
        "",
        table(
            ["tool", "version", "called by", "checksums of files"],
            [
                [row.contestant.name, row.version or row.missing, row.contestant.how, row.contestant.checksums]
                for row in stage.rows()
            ],
            words=["version", "called by", "checksums of files"],
        ),
    ]
    return "\n".join(lines)


QUESTION = Question("machine", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
