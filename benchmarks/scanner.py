"""What it takes to find the statements in a large text: seconds and memory, and whether both grow as the text does."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass

from benchmarks.question import Question
from benchmarks.report import ROOT, number, table, times
from benchmarks.stage import Stage

MIXED = """\
-- What step {number} needs: a table, an index, a function; a 'quote', a "name" and a $tag$ in a comment.
CREATE TABLE "Step {number}" (id bigint PRIMARY KEY, name text NOT NULL DEFAULT 'it''s', at timestamptz DEFAULT now());
CREATE INDEX step_{number}_idx ON "Step {number}" (lower(name), (at::date)) WHERE name <> E'\\\\'';
CREATE FUNCTION step_{number}() RETURNS trigger LANGUAGE plpgsql AS $body$
BEGIN
    IF NEW.name IS NULL THEN RAISE EXCEPTION 'no name; not in step {number}'; END IF; /* as /* was */ agreed */
    RETURN NEW;
END
$body$;
INSERT INTO "Step {number}" (id, name) VALUES (1, 'one'), (2, 'two; three'), (3, U&'\\0441');
COPY "Step {number}" (id, name) FROM stdin;
4\tfour
5\tfive; six
\\.
UPDATE "Step {number}" SET name = upper(name) WHERE id % 2 = 0 AND at < now() - interval '1 day';
"""
LINE = "INSERT INTO notes (id, name, note) VALUES ({number}, 'name of the row', 'a note; with ''quotes''');\n"

# Memory by the kernel's word, so that what the interpreter does not give back counts too.
PROGRAM = """
import re, sys, time
from sqlmigrations.sql.scanner import split
part, size = sys.stdin.read(), int(sys.argv[1])
pieces = []
while size > 0:
    pieces.append(part.replace("{number}", str(len(pieces))))
    size -= len(pieces[-1])
text = "".join(pieces)
del pieces
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1]) * 1024
open("/proc/self/clear_refs", "w").write("5")  # the peak begins anew
before, begun = peak(), time.process_time()
found = split(text)
print(len(text), len(found.statements), time.process_time() - begun, peak() - before)
"""


@dataclass(frozen=True)
class Sizes:
    """Megabytes of each kind, and how many processes take them apart."""

    mixed: int = 10
    lines: int = 20
    rounds: int = 3


def answer(sizes: Sizes, stage: Stage) -> str:
    """A line for each kind, and one for half of it."""
    kinds = {"mixed SQL": (MIXED, sizes.mixed), "single INSERTs": (LINE, sizes.lines)}
    lines = [_line(name, part, mb, sizes.rounds) for name, (part, most) in kinds.items() for mb in (most / 2, most)]
    headings = ["text", "MB", "statements", "CPU s", "MB a second", "more memory, MB", "times the text"]
    said = f"Processor time, the least of {sizes.rounds} processes; memory beyond that of the text itself."
    return f"{said}\n\n{table(headings, lines)}"


def _line(name: str, part: str, megabytes: float, rounds: int) -> list[str]:
    command = [sys.executable, "-c", PROGRAM, str(int(megabytes * 1e6))]
    printed = [
        subprocess.run(command, cwd=ROOT, input=part, check=True, capture_output=True, text=True).stdout.split()
        for _ in range(rounds)
    ]
    length, statements, seconds, more = (min(float(cells[cell]) for cells in printed) for cell in range(4))
    return [
        name,
        number(length / 1e6, 0),
        number(statements, 0),
        number(seconds),
        number(length / 1e6 / seconds, 1),
        number(more / 1e6, 0),
        times(more, length),
    ]


QUESTION = Question("scanner", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
