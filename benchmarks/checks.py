"""What the static system checks add to a command of a site, with imports as in a process that has just begun, or not.

    python benchmarks/checks.py [--files 1000] [--rounds 10]

Needs no database. Times are those of the processor, so that a busy machine matters less; the least of all counts.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

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


def write(folder: Path, count: int) -> None:
    """Makes the files, each waiting for the one before it."""
    for number in range(1, count + 1):
        text = MIGRATION.format(number=number, before=number - 1)
        text = text if number > 1 else text.replace("-- depends: 0000_step\n", "")
        (folder / f"{number:04}_step.sql").write_text(text)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--files", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=10)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        write(Path(name), given.files)
        command = [sys.executable, "-c", PROGRAM, name]
        printed = [
            subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True).stdout.split()
            for _ in range(given.rounds)
        ]
    first = min(float(times[0]) for times in printed)
    again = min(float(time) for times in printed for time in times[1:])
    print(f"{given.files} files: {first * 1000:.0f} ms with imports, {again * 1000:.0f} ms without")


if __name__ == "__main__":
    main()
