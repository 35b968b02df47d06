"""The ledger as it is read: whose tables they are, and the rows in them."""

from __future__ import annotations

import json
import shlex
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from enum import Enum
from functools import cache
from typing import Any

from sqlmigrations.backends.base import Queries
from sqlmigrations.columns import MAKES_THEM, check_complete
from sqlmigrations.exceptions import ConfigurationError, ForeignTable
from sqlmigrations.quoting import quote
from sqlmigrations.testimony import ROW, TELLING, Trace
from sqlmigrations.types import Applied, SqlMigration

LEDGER, EVENTS, TEXTS = "schema_migrations", "schema_migration_events", "schema_migration_texts"

_OURS = frozenset({"label", "key", "checksum", "checksum_algorithm", "run_id", "metadata"})
# The columns by which the ledgers of others are known.
_FOREIGN: tuple[tuple[frozenset[str], str], ...] = (
    (frozenset({"version", "dirty"}), "golang-migrate"),
    (frozenset({"version", "inserted_at"}), "Ecto"),
    (frozenset({"version"}), "Rails or dbmate"),
)

_COLUMNS = """
SELECT a.attname::text
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped
"""

_READ = """
SELECT m.label, m.key, m.version, m.name, m.kind, m.mode, m.checksum, m.sql_checksum, m.checksum_algorithm,
       m.state, extract(epoch FROM m.applied_at)::float8, m.execution_ms, m.applied_by, m.run_id::text, m.late,
       m.metadata::text, {text}, m.statements_done, m.statements_total
  FROM {ledger} AS m {join} {where}
 ORDER BY m.id
"""
_JOURNAL = """
SELECT event, detail::text FROM {events} WHERE label = %s AND key = %s AND event = ANY (%s::text[]) ORDER BY id
"""
# In one query, so that both are seen at one moment: a run may be under way.
_TRACES = """
SELECT '{row}', m.label, m.key, m.name, m.state, m.checksum, m.sql_checksum,
       extract(epoch FROM m.applied_at)::float8, 0::bigint AS id
  FROM {ledger} AS m
UNION ALL
SELECT e.event, e.label, e.key, e.name, e.detail ->> 'how', e.detail ->> 'checksum', e.detail ->> 'sql_checksum',
       extract(epoch FROM e.happened_at)::float8, e.id
  FROM {events} AS e
 WHERE e.event = ANY (%s::text[]) AND e.label IS NOT NULL
 ORDER BY id
"""
# From one label to the next by the index on (label, key): DISTINCT would read every row.
_LABELS = """
WITH RECURSIVE known (label) AS (
    (SELECT t.label FROM {table} AS t WHERE t.label IS NOT NULL ORDER BY t.label LIMIT 1)
    UNION ALL
    SELECT (SELECT t.label FROM {table} AS t WHERE t.label > k.label ORDER BY t.label LIMIT 1)
      FROM known AS k
     WHERE k.label IS NOT NULL
)
SELECT label FROM known WHERE label IS NOT NULL
"""
_JOIN_TEXTS = "LEFT JOIN {texts} AS t ON t.checksum = m.checksum AND m.checksum <> ALL (%s::text[])"


class Tracking(Enum):
    """Whether the tracking tables are there."""

    ABSENT = "absent"
    PRESENT = "present"


class Ledger:
    """The tracking tables of one schema, for reading.

    Nothing is kept here but names: every method is told the connection to speak on.
    """

    def __init__(self, schema: str) -> None:
        self.schema = schema
        tables = {"ledger": LEDGER, "events": EVENTS, "texts": TEXTS}
        self.names = {word: f"{quote(schema)}.{quote(table)}" for word, table in tables.items()}

    def tracking(self, queries: Queries) -> Tracking:
        """Looks whether the tables exist.

        Raises:
            ForeignTable: A ``schema_migrations`` of somebody else stands in their place.
            ConfigurationError: It lacks a column that is read.
        """
        return self.recognised(frozenset(row[0] for row in queries.query(_COLUMNS, [self.schema, LEDGER])))

    def recognised(self, columns: frozenset[str]) -> Tracking:
        """As ``tracking``, of the columns that ``schema_migrations`` was seen to have.

        Raises:
            ForeignTable, ConfigurationError: As ``tracking``.
        """
        if not columns:
            return Tracking.ABSENT
        if columns >= _OURS:
            check_complete(self.schema, LEDGER, columns)
            return Tracking.PRESENT
        raise _foreign(self.schema, columns)

    def read(self, queries: Queries, known: Sequence[str] | None = None) -> tuple[Applied, ...]:
        """The ledger in the order of recording.

        Args:
            queries: Where to ask.
            known: Checksums of the files at hand; given, every other row brings the SQL kept with it.
        """
        names, text, params = self.names, "NULL::text", None
        join = ""
        if known is not None:
            join, text, params = _JOIN_TEXTS.format(**names), "t.body", [list(known)]
        rows = queries.query(_READ.format(text=text, join=join, where="", **names), params)
        alike = _Alike()
        return tuple([_applied(row, alike) for row in rows])

    def journal(
        self, queries: Queries, migration: SqlMigration, kinds: Sequence[str]
    ) -> Iterator[tuple[str, dict[str, Any]]]:
        """What happened to a migration, the oldest first: events of these kinds, each with its detail."""
        rows = queries.query(_JOURNAL.format(**self.names), [migration.label, migration.key, list(kinds)])
        return ((event, json.loads(detail)) for event, detail in rows)

    def traces(self, queries: Queries) -> tuple[Trace, ...]:
        """All rows and the events about them, as they are at one moment."""
        rows = queries.query(_TRACES.format(row=ROW, **self.names), [list(TELLING)])
        return tuple(_trace(row) for row in rows)

    def find(self, queries: Queries, label: str, key: str) -> Applied | None:
        """The row of one migration, without its text."""
        sql = _READ.format(text="NULL::text", join="", where="WHERE m.label = %s AND m.key = %s", **self.names)
        return next((_applied(row, _Alike()) for row in queries.query(sql, [label, key])), None)

    def texts(self, queries: Queries, checksums: Sequence[str]) -> dict[str, str]:
        """The texts that were kept, by checksum."""
        sql = "SELECT checksum, body FROM {texts} WHERE checksum = ANY (%s::text[])".format(**self.names)
        return dict(queries.query(sql, [list(checksums)]))

    def labels(self, queries: Queries, table: str) -> tuple[str, ...]:
        """The labels that occur in the ledger, or among the events; in their order."""
        sql = _LABELS.format(table=f"{quote(self.schema)}.{quote(table)}")
        return tuple(label for (label,) in queries.query(sql))

    def incomplete(self, what: str) -> ConfigurationError:
        """The error for tracking tables of which some are gone."""
        # Every statement of that file is guarded: it makes what is missing and leaves what is there.
        path = shlex.quote(f"SET search_path TO {quote(self.schema)}")
        make = f"python manage.py dbshell -- -c {path} -f {shlex.quote(str(MAKES_THEM))}"
        return ConfigurationError(
            f"The tracking tables are not complete: {what}.", remedy=f"Make what is gone:  {make}"
        )


class _Alike:
    """What many rows have in common, their run and what is remarked on them, is taken apart once."""

    def __init__(self) -> None:
        self.run: Callable[[str], uuid.UUID] = cache(uuid.UUID)
        self.metadata: Callable[[str], Mapping[str, object]] = cache(json.loads)


def _applied(row: Sequence[Any], alike: _Alike) -> Applied:
    (
        label, key, version, name, kind, mode, checksum, sql_checksum, algorithm, state, at, execution_ms, applied_by,
        run, late, told, text, done, total,
    ) = row  # fmt: skip
    metadata = alike.metadata(told)
    # By way of seconds: with USE_TZ off Django's own connection drops the zone of a timestamp.
    applied_at = datetime.fromtimestamp(at, UTC)
    # In the order of the fields: their names would be looked up for every row.
    return Applied(
        label, key, version, name, kind, mode, checksum, sql_checksum, algorithm, state, applied_at, execution_ms,
        applied_by, alike.run(run), late, "down_checksum" in metadata, metadata, text, done, total,
    )  # fmt: skip


def _trace(row: Sequence[Any]) -> Trace:
    word, label, key, name, told, checksum, sql_checksum, at, _ = row
    return Trace(word, label, key, name, told, checksum, sql_checksum, datetime.fromtimestamp(at, UTC))


def _foreign(schema: str, columns: frozenset[str]) -> ForeignTable:
    by_hand = "a runner written by hand, or of a tool unknown here"
    whose = next((tool for shape, tool in _FOREIGN if columns == shape), by_hand)
    listed = ", ".join(sorted(columns))
    return ForeignTable(
        f"There is a table {schema}.{LEDGER} that is not ours. It looks like the one of {whose} "
        f"(columns: {listed}). It was left alone.",
        remedy='Give sqlmigrations a schema of its own: SQLMIGRATIONS = {"SCHEMA": "sqlmigrations", ...}',
    )
