"""Runners that race each other, again and again, each round a few milliseconds further apart than the one before."""

from __future__ import annotations

from contextlib import closing

from tests.faults.crew import Errand, crew
from tests.faults.scene import FaultySite

APPLY = ("sqlmigrate_apply",)
ROUNDS = 100
FILES = {
    "001_t": "CREATE TABLE t (a int NOT NULL);\nINSERT INTO t SELECT g FROM generate_series(1, 500) AS g;\n",
    "002_i": "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a);\n",
    "003_done": "INSERT INTO t VALUES (0);\n",
}
# What a round leaves behind: the ledger, how often each thing happened, and the index.
LEFT = """
SELECT (SELECT array_agg(m.name || ' ' || m.state ORDER BY m.id) FROM {0}.schema_migrations AS m),
       (SELECT array_agg(e.event || coalesce(' ' || e.name, '') ORDER BY e.id) FROM {0}.schema_migration_events AS e),
       (SELECT count(*) FROM {0}.t),
       (SELECT array_agg(c.relname::text) FROM pg_index AS i JOIN pg_class AS c ON c.oid = i.indexrelid
         WHERE i.indrelid = '{0}.t'::regclass AND i.indisvalid AND i.indisready)
"""
EVERY_THING_ONCE = (
    ["000_migration_tracking applied", "001_t applied", "002_i applied", "003_done applied"],
    [
        "applied 000_migration_tracking",
        "run_started",
        "applied 001_t",
        "begun 002_i",
        "statement_started 002_i",
        "statement_finished 002_i",
        "applied 002_i",
        "applied 003_done",
        "run_finished",
    ],
    501,
    ["i"],
)


def apart(number: int) -> tuple[float, float]:
    """The delays of two runners: one or the other comes first, by 0 to 96 milliseconds."""
    delay = number // 2 * 7 % 97
    return (delay, 0) if number % 2 else (0, delay)


def test_f01_f03_a_hundred_rounds_of_two_runners_build_every_index_once(site: FaultySite) -> None:
    for name, sql in FILES.items():
        site.write(f"{name}.sql", sql)
    with crew(site, "", "") as both, closing(site.database.connect()) as own, own.cursor() as cursor:
        for number in range(ROUNDS):
            schema = f"r_{number}"
            ends = both.perform(schema, *(Errand(APPLY, delay) for delay in apart(number)))
            cursor.execute(LEFT.format(schema))
            assert cursor.fetchone() == EVERY_THING_ONCE, (number, ends)
            assert [(ended.code, ended.err) for ended in ends] == [(0, "")] * 2, (number, ends)
