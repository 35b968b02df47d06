"""A question that a module answers: its sizes, which are its options, and its section of the page."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Generic, TypeVar

from benchmarks.report import IMAGES, put
from benchmarks.stage import NAMES, Stage, open_stage

Sizes = TypeVar("Sizes")


@dataclass(frozen=True)
class Question(Generic[Sizes]):
    """What is asked.

    Attributes:
        name: Of its section of the page and of its module.
        sizes: A frozen dataclass of numbers, whose names are the options and whose defaults the sizes of the page.
        answer: Measures, and returns Markdown.
    """

    name: str
    sizes: type[Sizes]
    answer: Callable[[Sizes, Stage], str]

    def main(self) -> None:
        """Ask as the command line says."""
        parser = argparse.ArgumentParser(prog=f"python -m benchmarks.{self.name}")
        for size in fields(self.sizes):  # type: ignore[arg-type]
            parser.add_argument(f"--{size.name}", type=type(size.default), default=size.default, help="%(default)s")
        parser.add_argument("--only", nargs="+", choices=sorted(NAMES), default=[], help="leave the others out")
        parser.add_argument("--write", action="store_true", help="write the answer into docs/benchmarks.md")
        given = vars(parser.parse_args())
        only, write = frozenset(given.pop("only")), given.pop("write")
        end_in_order()
        print(self.ask(self.sizes(**given), only, write=write))

    def ask(self, sizes: Sizes, only: frozenset[str] = frozenset(), *, write: bool) -> str:
        """Ask with these sizes; the answer is returned, and written into the page when that is wanted."""
        load, started, clock = os.getloadavg()[0], datetime.now(UTC), time.monotonic()
        with open_stage(only) as stage:
            answer = self.answer(sizes, stage)
            pictures = stage.pictures
        took = time.monotonic() - clock
        changed = [f" --{size.name} {getattr(sizes, size.name)}" for size in fields(sizes)]  # type: ignore[arg-type]
        changed += [" --only", *(f" {name}" for name in sorted(only))] if only else []
        answer += (
            f"\n\n`python -m benchmarks.{self.name}{''.join(changed)}`, {started:%Y-%m-%d %H:%M} UTC, {took:.0f} s; "
            f"load of the machine before it began: {load:.1f}."
        )
        if write:
            put(self.name, answer)
            for name, picture in pictures.items():
                (IMAGES / name).write_text(picture)
        return answer


def end_in_order() -> None:
    """Have Ctrl-C and SIGTERM end this process with servers stopped and temporary folders gone."""
    for wish in (signal.SIGINT, signal.SIGTERM):
        signal.signal(wish, _end)


def _end(number: int, frame: object) -> None:
    signal.signal(number, signal.SIG_IGN)  # who is impatient, or sends it to a whole group, does not stop that
    sys.exit(128 + number)
