"""The least a runner can do, the yardstick of the others: BEGIN; file; INSERT; COMMIT. Run as its own process."""

from __future__ import annotations

import sys
from pathlib import Path

import psycopg2


def main(folder: Path) -> None:
    """Apply every file of the folder that is not applied yet; libpq's environment says where."""
    connection = psycopg2.connect("")
    with connection, connection.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE IF NOT EXISTS ledger (name text PRIMARY KEY, applied_at timestamptz NOT NULL DEFAULT now())"
        )
        cursor.execute("SELECT name FROM ledger")
        applied = {name for (name,) in cursor.fetchall()}
    for path in sorted(folder.glob("*.sql")):
        if path.name not in applied:
            with connection, connection.cursor() as cursor:
                cursor.execute(path.read_text())
                cursor.execute("INSERT INTO ledger (name) VALUES (%s)", [path.name])
    connection.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
