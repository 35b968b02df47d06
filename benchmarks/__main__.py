"""Asks all questions, one after the other: ``python -m benchmarks [--only apply link] [--write]``.

What one has answered stands in the page at once, so that what was interrupted can go on with ``--only``.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from typing import Any

from benchmarks import apply, checks, growth, link, load, machine, rerun, scanner, status, volume
from benchmarks.question import Question, end_in_order

QUESTIONS: tuple[Question[Any], ...] = (
    machine.QUESTION,
    apply.QUESTION,
    link.QUESTION,
    rerun.QUESTION,
    status.QUESTION,
    checks.QUESTION,
    scanner.QUESTION,
    volume.QUESTION,
    growth.QUESTION,
    load.QUESTION,
)


def main() -> None:
    names = [question.name for question in QUESTIONS]
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure everything, beside other tools."
    )
    parser.add_argument("--only", nargs="+", choices=names, default=names, help="leave the other questions out")
    parser.add_argument("--write", action="store_true", help="write the answers into docs/benchmarks.md")
    options = parser.parse_args()
    end_in_order()
    failed = []
    for question in QUESTIONS:
        if question.name in options.only:
            print(f"\n== {question.name}", file=sys.stderr, flush=True)
            try:
                print(question.ask(question.sizes(), write=options.write), flush=True)
            except Exception:  # the others are to be answered all the same
                traceback.print_exc()
                failed.append(question.name)
    if failed:
        sys.exit(f"Not answered: {', '.join(failed)}.\nNext: python -m benchmarks --write --only {' '.join(failed)}")


if __name__ == "__main__":
    main()
