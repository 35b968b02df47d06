"""A site with a long history: fifty apps of migrations on disk, and databases that remember them in different ways."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

STATES = {
    "applied": "all applied",
    "modified": "a tenth modified",
    "missing": "files of all other rows gone",
    "pending": "all pending",
}

# Every tenth file deserves a word of the lint: what it indexes was made by a file before it.
MIGRATION = """\
-- Makes room for what step {number} of this benchmark keeps.
{depends}CREATE TABLE step_{number} (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL DEFAULT 'it''s',
    made_at timestamptz NOT NULL DEFAULT now()
);
{index}COMMENT ON TABLE step_{number} IS 'What step {number} keeps.';
"""
INDEX = "CREATE INDEX step_{number}_at_idx ON old_step_{number} (made_at);\n"

# Three years, runs of ten files. What has no file here belongs to apps that are gone, two thousand rows each.
LEDGER = """
INSERT INTO schema_migrations (label, key, version, name, kind, mode, checksum, sql_checksum, checksum_algorithm,
                               state, applied_at, execution_ms, run_id, statements_done, statements_total,
                               tool_version)
SELECT label, version::text, version, name, 'versioned', 'transaction', checksum, '', 'sha256-1', 'applied',
       now() - interval '3 years' * (1 - n / %(all)s::float8), n %% 1000, md5((n / 10)::text)::uuid, 3, 3, '0'
  FROM (SELECT n, 'gone_' || lpad((n / 2000)::text, 2, '0') AS label, 1 + n %% 2000 AS version,
               lpad((1 + n %% 2000)::text, 4, '0') || '_change' AS name,
               encode(sha256(n::text::bytea), 'hex') AS checksum
          FROM generate_series(0, %(gone)s - 1) AS n
         UNION ALL
        SELECT %(gone)s + n - 1, label, version, name, checksum
          FROM ROWS FROM (unnest(%(labels)s::text[]), unnest(%(versions)s::int[]), unnest(%(names)s::text[]),
                          unnest(%(checksums)s::text[])) WITH ORDINALITY AS f (label, version, name, checksum, n)
       ) AS every
 WHERE n >= 0
 ORDER BY n
"""
# Of a file its journal, and at its end that it was applied; one in a hundred failed before.
EVENTS = """
INSERT INTO schema_migration_events (happened_at, run_id, event, label, key, name, os_user, host, pid, detail)
SELECT m.applied_at + interval '1 ms' * (n - {each}), m.run_id,
       CASE WHEN n = {each} THEN 'applied' WHEN n = 1 AND m.id %% 100 = 0 THEN 'failed'
            WHEN n %% 2 = 0 THEN 'statement_started' ELSE 'statement_finished' END,
       m.label, m.key, m.name, 'deploy', 'ci-' || m.id %% 7, 4711,
       CASE WHEN n = {each} THEN jsonb_build_object('checksum', m.checksum, 'sql_checksum', m.sql_checksum)
            WHEN n = 1 AND m.id %% 100 = 0 THEN '{{"sqlstate": "22012", "error": "division by zero", "line": 7}}'
            ELSE jsonb_build_object('number', n / 2, 'line', n) END
  FROM schema_migrations AS m, generate_series(1, {each}) AS n
 WHERE m.label ~ %(labels)s AND m.id BETWEEN %(first)s AND %(last)s
 ORDER BY m.id, n
"""
RUNS = """
INSERT INTO schema_migration_events (happened_at, run_id, event, os_user, host, pid, detail)
SELECT moment, run_id, event, 'deploy', 'ci-1', 4711, detail::jsonb
  FROM (SELECT run_id, min(applied_at) AS begun, max(applied_at) AS ended FROM schema_migrations GROUP BY run_id) AS r,
       LATERAL (VALUES (begun, 'run_started', '{"mode": "apply", "steps": 10}'),
                       (ended, 'run_finished', '{"done": 10}')) AS e (moment, event, detail)
 ORDER BY begun
"""


@dataclass(frozen=True)
class Scale:
    """How much there is.

    Attributes:
        apps: With files.
        files: Of all of them together.
        rows: Of the ledger.
        events: Of each migration that has a file.
    """

    apps: int
    files: int
    rows: int
    events: int

    @property
    def all_events(self) -> int:
        """Roughly: those of the others and of the runs come on top."""
        return self.files * self.events


def write_apps(folder: Path, scale: Scale) -> list[str]:
    """Makes the packages of the apps; their names, for ``INSTALLED_APPS``."""
    names = [f"app_{number:02}" for number in range(scale.apps)]
    for name in names:
        files = folder / name / "migrations_sql"
        files.mkdir(parents=True)
        (folder / name / "__init__.py").touch()
        for number in range(1, scale.files // scale.apps + 1):
            depends = f"-- depends: {number - 1:04}_step\n" if number > 1 else ""
            index = INDEX.format(number=number) if number % 10 == 0 else ""
            text = MIGRATION.format(number=number, depends=depends, index=index)
            (files / f"{number:04}_step.sql").write_text(text.replace("step_", f"{name}_step_"))
    return names


def remember(cursor: Any, scale: Scale, files: Sequence[Any]) -> None:
    """Fills the ledger: a row for every file, and as many others as there are to be.

    Args:
        cursor: Of the database.
        scale: How much there is to be.
        files: The migrations of the apps as they are loaded.
    """
    columns: dict[str, object] = {
        "labels": [file.label for file in files],
        "versions": [file.version for file in files],
        "names": [file.name for file in files],
        "checksums": [file.file.checksum for file in files],
        "gone": scale.rows - len(files),
        "all": scale.rows,
    }
    cursor.execute(LEDGER, columns)


def tell(cursor: Any, scale: Scale) -> Iterator[int]:
    """Fills the events in portions; yields how many migrations have theirs."""
    cursor.execute("SELECT min(id), max(id) FROM schema_migrations WHERE label <> 'sqlmigrations'")
    first, last = cursor.fetchone()
    cursor.execute(RUNS)
    for begun in range(first, last + 1, 1000):
        portion = {"first": begun, "last": min(begun + 999, last)}
        cursor.execute(EVENTS.format(each=1), {**portion, "labels": "^gone"})
        cursor.execute(EVENTS.format(each=scale.events), {**portion, "labels": "^app"})
        yield min(begun + 999, last) - first + 1


def forget(cursor: Any, state: str) -> None:
    """Makes the ledger disagree with the files in the way that the name of a state says."""
    if state == "modified":
        cursor.execute("DELETE FROM schema_migrations WHERE label ~ '^gone'")
        changed = "UPDATE schema_migrations SET checksum = encode(sha256(name::bytea), 'hex')"
        cursor.execute(f"{changed} WHERE label ~ '^app' AND version %% 10 = 0", [])
    elif state == "missing":
        # Below the highest number that each app has a file for.
        cursor.execute(
            "UPDATE schema_migrations SET label = 'app_' || right(label, 2), key = '0' || key, version = 0"
            " WHERE label ~ '^gone'"
        )
