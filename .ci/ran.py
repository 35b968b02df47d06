"""Says what the sessions of the tests in a file ran on, and fails unless everything that is promised is among it."""

import json
import sys
from pathlib import Path

# A session of all tests, and one of those that are tried on older servers too.
ALL, CORE = 1000, 50

PROMISED = {
    "Django 5.2 with a browser": lambda said: said["django"].startswith("5.2.") and said["browser"],
    "Django 6 with a browser": lambda said: said["django"].startswith("6.") and said["browser"],
    "psycopg2": lambda said: said["driver"].startswith("psycopg2 ") and said["passed"] > ALL,
    "psycopg 3": lambda said: said["driver"].startswith("psycopg 3.") and said["passed"] > ALL,
    "PostgreSQL 18": lambda said: said["server"].startswith("18.") and said["passed"] > ALL,
    "PostgreSQL 16": lambda said: said["server"].startswith("16.") and said["passed"] > CORE,
    "PostgreSQL 15": lambda said: said["server"].startswith("15.") and said["passed"] > CORE,
}

said = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
LINE = (
    "{passed} tests passed ({browser} in a browser) on Python {python}, Django {django}, {driver}, PostgreSQL {server}"
)
print("\n".join(LINE.format(**session) for session in said))
missing = [name for name, is_it in PROMISED.items() if not any(is_it(session) for session in said)]
if missing:
    sys.exit(f"No session of the tests ran on {', '.join(missing)}.")
