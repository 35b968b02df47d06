"""Whether the tracking tables have the columns that are read and written, and none that nobody fills."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache
from pathlib import Path
from types import MappingProxyType

from sqlmigrations.backends.base import Queries
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.guidance import dbshell
from sqlmigrations.quoting import quote_as_needed

MAKES_THEM = Path(__file__).parent / "migrations_sql" / "000_migration_tracking.sql"

# By table and name, and whether a row cannot do without a value of it.
Columns = Mapping[str, Mapping[str, bool]]

_ASK = """
SELECT c.relname::text, a.attname::text,
       a.attnotnull AND NOT a.atthasdef AND a.attidentity = '' AND a.attgenerated = ''
  FROM pg_catalog.pg_attribute AS a
  JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
 WHERE n.nspname = %s AND c.relname = ANY (%s::text[]) AND a.attnum > 0 AND NOT a.attisdropped
"""
_TABLE = re.compile(r"CREATE TABLE IF NOT EXISTS (\w+) \(\n(.*?)\n\);", re.DOTALL)
_COLUMN = re.compile(r"    (?!CONSTRAINT)(\w+) +(.+?),?(?:\n|$)")


@cache
def definitions() -> Mapping[str, Mapping[str, str]]:
    """The columns of each table as they were made, by name: type and constraints."""
    tables = _TABLE.findall(MAKES_THEM.read_text())
    return MappingProxyType({table: dict(_COLUMN.findall(body)) for table, body in tables})


def found(queries: Queries, schema: str) -> Columns:
    """The columns that the tables have; none of a table that is not there.

    Raises:
        StatementFailed: The connection is gone.
    """
    met: dict[str, dict[str, bool]] = {table: {} for table in definitions()}
    for table, column, is_demanding in queries.query(_ASK, [schema, list(met)]):
        met[table][column] = is_demanding
    return met


def check(schema: str, met: Columns) -> None:
    """Looks whether a run could record in the tables, which are there.

    Raises:
        ConfigurationError: A column is missing, or one of somebody else's has to be filled.
    """
    for table, columns in met.items():
        check_complete(schema, table, columns)
        foreign = [name for name, is_demanding in columns.items() if is_demanding and name not in definitions()[table]]
        if foreign:
            raise _demanding(schema, table, foreign)


def check_complete(schema: str, table: str, columns: Collection[str]) -> None:
    """Looks whether a table has all columns.

    Raises:
        ConfigurationError: It has not.
    """
    missing = {name: kind for name, kind in definitions()[table].items() if name not in columns}
    if not missing:
        return
    plural = "s" if len(missing) > 1 else ""
    # What every row has to have cannot be made up.
    if any("NOT NULL" in kind and "DEFAULT" not in kind for kind in missing.values()):
        remedy = "Bring the table back from a backup, or give it the column with what is true of its rows."
    else:
        added = ", ".join(f"ADD COLUMN {name} {kind}" for name, kind in missing.items())
        remedy = f"Add what is missing:  {dbshell(f'ALTER TABLE {written(schema, table)} {added}')}"
    raise ConfigurationError(
        f"The table {schema}.{table} has no column{plural} {', '.join(missing)}: it was made by another version, or "
        "changed by hand. Nothing was changed.",
        remedy=remedy,
    )


def written(schema: str, table: str) -> str:
    """A table in SQL for a person, without quotes where they are not needed."""
    return f"{quote_as_needed(schema)}.{table}"


def _demanding(schema: str, table: str, foreign: Collection[str]) -> ConfigurationError:
    listed = ", ".join(foreign)
    loosened = ", ".join(f"ALTER COLUMN {quote_as_needed(name)} DROP NOT NULL" for name in foreign)
    command = dbshell(f"ALTER TABLE {written(schema, table)} {loosened}")
    return ConfigurationError(
        f"The table {schema}.{table} has a column of somebody else's that may not be empty and has no default: "
        f"{listed}. Nothing could be recorded there; nothing was changed.",
        remedy=f"Give it a DEFAULT, or let it be empty:  {command}",
    )
