"""Says what the sessions of the tests in a file ran on, and fails unless everything that is promised is among it."""

import json
import sys
from pathlib import Path

PROMISED = {
    "Django 5.2": lambda said: said["django"].startswith("5.2."),
    "Django 6": lambda said: said["django"].startswith("6."),
    "psycopg2": lambda said: said["driver"].startswith("psycopg2 "),
    "psycopg 3": lambda said: said["driver"].startswith("psycopg 3."),
}

said = [json.loads(line) for line in Path(sys.argv[1]).read_text().splitlines()]
for session in said:
    print("{passed} tests passed on Python {python}, Django {django}, {driver}, PostgreSQL {server}".format(**session))
missing = [name for name, is_it in PROMISED.items() if not any(is_it(session) for session in said)]
if missing:
    sys.exit(f"No session of all tests ran on {', '.join(missing)}.")
