"""What the static system checks of many files cost, with imports as in a process that has just begun, or not."""

from __future__ import annotations

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.question import Question
from benchmarks.report import ROOT
from benchmarks.stage import Stage

MIGRATION = """\
-- Makes room for what step {number} of this benchmark keeps.
-- depends: {before:04}_step
CREATE TABLE IF NOT EXISTS step_{number} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL DEFAULT 'it''s',
    made_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX IF NOT EXISTS step_{number}_name_idx ON step_{number} (name);
COMMENT ON TABLE step_{number} IS 'What step {number} keeps.';
"""

PROGRAM = """
import sys, time
from django.conf import settings
database = {"ENGINE": "django.db.backends.postgresql", "NAME": "nowhere"}
settings.configure(
    DATABASES={"default": database},
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "sqlmigrations"],
    SQLMIGRATIONS={"DIRS": {"project": sys.argv[1]}},
    USE_TZ=True,
)
import django
django.setup()
from sqlmigrations.checks import check_files
for _ in range(3):
    begun = time.process_time()
    assert check_files() == []
    print(time.process_time() - begun)
"""


@dataclass(frozen=True)
class Sizes:
    """How many files, and how many processes look at them."""

    files: int = 1000
    rounds: int = 10


def answer(sizes: Sizes, stage: Stage) -> str:
    """A sentence; the processor's time, of which the least counts, tells more than the clock."""
    folder = stage.room()
    _write(folder, sizes.files)
    command = [sys.executable, "-c", PROGRAM, str(folder)]
    printed = [
        subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
        for _ in range(sizes.rounds)
    ]
    first = min(float(times[0]) for times in printed)
    again = min(float(time) for times in printed for time in times[1:])
    return (
        f"{sizes.files:,} files take {first * 1000:.0f} ms of processor time where the check is the first to import "
        f"what it needs, {again * 1000:.0f} ms otherwise; the least of {sizes.rounds} processes."
    )


def _write(folder: Path, count: int) -> None:
    """Each waits for the one before it."""
    for number in range(1, count + 1):
        text = MIGRATION.format(number=number, before=number - 1)
        text = text if number > 1 else text.replace("-- depends: 0000_step\n", "")
        (folder / f"{number:04}_step.sql").write_text(text)


QUESTION = Question("checks", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
