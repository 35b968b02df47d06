"""What a role needs on the tracking tables: reads them, or tells which GRANT it lacks."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, replace

from sqlmigrations import columns
from sqlmigrations.backends import postgresql
from sqlmigrations.backends.base import Queries
from sqlmigrations.exceptions import ConfigurationError, SqlMigrationsError, StatementFailed
from sqlmigrations.ledger import EVENTS, LEDGER, TEXTS, Ledger, Tracking
from sqlmigrations.quoting import quote
from sqlmigrations.types import Applied, ServerError

Need = tuple[str, str]

_UNDEFINED_TABLE = "42P01"
_UNDEFINED_COLUMN = "42703"

READING: tuple[Need, ...] = ((LEDGER, "SELECT"),)
READING_JOURNAL: tuple[Need, ...] = (*READING, (EVENTS, "SELECT"))
READING_TEXTS: tuple[Need, ...] = (*READING, (TEXTS, "SELECT"))
_READING_ALL: tuple[Need, ...] = tuple((table, "SELECT") for table in (LEDGER, EVENTS, TEXTS))
_WRITING: tuple[Need, ...] = (
    *((LEDGER, right) for right in ("SELECT", "INSERT", "UPDATE", "DELETE")),
    # The journal of a half-done file is read from the events.
    *((EVENTS, right) for right in ("SELECT", "INSERT")),
    # ON CONFLICT (checksum) reads that column.
    *((TEXTS, right) for right in ("SELECT", "INSERT")),
)

_ASK = """
SELECT n.nspname IS NOT NULL,
       ARRAY(SELECT p.name FROM pg_catalog.unnest(ARRAY['USAGE', 'CREATE']) AS p (name)
              WHERE NOT pg_catalog.has_schema_privilege(n.oid, p.name)),
       pg_catalog.has_database_privilege(pg_catalog.current_database(), 'CREATE'),
       ARRAY(SELECT w.name || ': ' || w.privilege
               FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])) AS w (name, privilege)
               JOIN pg_catalog.pg_class AS c ON c.relname = w.name AND c.relnamespace = n.oid
              WHERE NOT pg_catalog.has_table_privilege(c.oid, w.privilege)),
       ARRAY(SELECT DISTINCT w.name FROM pg_catalog.unnest(%s::text[]) AS w (name)
              WHERE NOT EXISTS (SELECT FROM pg_catalog.pg_class AS c
                                 WHERE c.relname = w.name AND c.relnamespace = n.oid)),
       current_user::text, pg_catalog.current_database()::text
  FROM (SELECT 1) AS one
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = %s
"""

# A member of the role that deploys may have forgotten to act as it. Predefined roles are nobody to act as.
_STAND_IN = """
SELECT r.rolname::text
  FROM pg_catalog.pg_roles AS r
  LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = %s
  LEFT JOIN pg_catalog.pg_class AS c ON c.relname = %s AND c.relnamespace = n.oid
 WHERE r.rolname <> current_user AND NOT pg_catalog.starts_with(r.rolname, 'pg_')
   AND pg_catalog.pg_has_role(session_user, r.oid, CASE WHEN pg_catalog.current_setting('server_version_num')::int
                                                             >= 160000 THEN 'SET' ELSE 'MEMBER' END)
   AND CASE WHEN c.oid IS NOT NULL THEN pg_catalog.has_table_privilege(r.oid, c.oid, 'INSERT')
            WHEN n.oid IS NOT NULL THEN pg_catalog.has_schema_privilege(r.oid, n.oid, 'CREATE')
            ELSE pg_catalog.has_database_privilege(r.oid, pg_catalog.current_database(), 'CREATE') END
 ORDER BY NOT coalesce(c.relowner = r.oid, false), r.rolname
 LIMIT 1
"""


@dataclass(frozen=True, slots=True)
class _Answer:
    """What the server says of the role.

    Attributes:
        schema_lacks: Rights on the schema.
        missing: Table and right.
        absent: Tables that are not there.
    """

    schema_exists: bool
    schema_lacks: Sequence[str]
    may_create_schema: bool
    missing: Sequence[str]
    absent: Sequence[str]
    user: str
    database: str


def check_writing(queries: Queries, ledger: Ledger) -> Tracking:
    """Whether the tables are there, and that this role can create them, or write to them: in two queries.

    Raises:
        ForeignTable: A ``schema_migrations`` of somebody else stands in their place.
        ConfigurationError: Names the missing GRANT, and the role to act as if there is one; or the table or
            column that is gone.
    """
    found_columns = columns.found(queries, ledger.schema)
    tracking = ledger.recognised(frozenset(found_columns[LEDGER]))
    answer = _ask(queries, ledger, _WRITING)
    if tracking is Tracking.PRESENT and answer.absent:
        raise ledger.incomplete(f"there is no {' and no '.join(answer.absent)}")
    found = _not_writable(ledger, answer) if tracking is Tracking.PRESENT else _not_creatable(ledger, answer)
    if found:
        raise _lacking(*found, stand_in=_stand_in(queries, ledger))
    if tracking is Tracking.PRESENT:
        columns.check(ledger.schema, found_columns)
    return tracking


def read(queries: Queries, ledger: Ledger, known: Sequence[str] | None = None) -> tuple[Tracking, tuple[Applied, ...]]:
    """The rows, once it is known that there are any: in two queries, neither of which fails for want of a table.

    Args:
        queries: Where to ask; it may be in a transaction of the caller's.
        ledger: The tables.
        known: As of ``Ledger.read``.

    Raises:
        ConfigurationError: A foreign table is in the way, a table is gone, or a right is missing.
        DatabaseUnavailable: The server does not answer.
    """
    try:
        tracking = ledger.tracking(queries)
        return tracking, ledger.read(queries, known) if tracking is Tracking.PRESENT else ()
    except StatementFailed as failed:
        needs = READING if known is None else READING_TEXTS
        raise unreadable(queries, ledger, needs, failed.server) from None


def read_at_once(queries: Queries, ledger: Ledger) -> tuple[Tracking, tuple[Applied, ...]]:
    """As ``read``, in one query, on a connection where it may fail: only then is looked what is there instead."""
    try:
        return Tracking.PRESENT, ledger.read(queries)
    except StatementFailed as failed:
        if not failed.server.is_forbidden and failed.server.sqlstate not in (_UNDEFINED_TABLE, _UNDEFINED_COLUMN):
            raise postgresql.unreachable(failed.server) from None
        return read(queries, ledger)


def unreadable(queries: Queries, ledger: Ledger, needs: Sequence[Need], server: ServerError) -> SqlMigrationsError:
    """The error for tables that could not be read: a right is missing, or a table, or the server does not answer."""
    if server.sqlstate == _UNDEFINED_TABLE:
        return ledger.incomplete(server.message)
    if server.sqlstate == _UNDEFINED_COLUMN:
        try:
            columns.check(ledger.schema, columns.found(queries, ledger.schema))
        except ConfigurationError as error:
            return error
        except StatementFailed:
            pass  # In a transaction of the caller's the refusal broke it.
    if not server.is_forbidden:
        return postgresql.unreachable(server)
    try:
        answer = _ask(queries, ledger, needs)
    except StatementFailed:
        # In a transaction of the caller's the refusal broke it: nothing more can be asked there.
        message = f"The role of this alias may not read the tracking tables: {server.message}."
        return ConfigurationError(message, remedy="Let their owner GRANT it SELECT on them.")
    message = f"The role {answer.user!r} may not read the tracking tables: {server.message}."
    return _lacking(message, _table_grants(ledger, answer))


def unreadable_tables(queries: Queries, ledger: Ledger) -> dict[str, ConfigurationError]:
    """The tracking tables that this role cannot read, each with why; asked without a statement that could fail.

    For a page in whose transaction a refusal would break everything after it.
    """
    answer = _ask(queries, ledger, _READING_ALL)
    found = {table: ledger.incomplete(f"there is no {table}") for table in answer.absent}
    for table, right in _READING_ALL:
        if table not in found and ("USAGE" in answer.schema_lacks or f"{table}: {right}" in answer.missing):
            message = f"The role {answer.user!r} may not read {ledger.schema}.{table}."
            mine = replace(answer, missing=[entry for entry in answer.missing if entry == f"{table}: {right}"])
            found[table] = _lacking(message, _table_grants(ledger, mine))
    return found


def _not_writable(ledger: Ledger, answer: _Answer) -> tuple[str, list[str]] | None:
    grants = _table_grants(ledger, answer)
    if not grants:
        return None
    usage = [f"schema {ledger.schema}: USAGE"] if "USAGE" in answer.schema_lacks else []
    listed = ", ".join([*usage, *answer.missing])
    return f"The role {answer.user!r} lacks rights on the tracking tables ({listed}).", grants


def _not_creatable(ledger: Ledger, answer: _Answer) -> tuple[str, list[str]] | None:
    user = _spelled(answer.user)
    if answer.schema_exists and answer.schema_lacks:
        grant = f"GRANT {', '.join(answer.schema_lacks)} ON SCHEMA {_spelled(ledger.schema)} TO {user};"
        return f"The role {answer.user!r} may not create tables in the schema {ledger.schema!r}.", [grant]
    if not answer.schema_exists and not answer.may_create_schema:
        grant = f"GRANT CREATE ON DATABASE {_spelled(answer.database)} TO {user};"
        return f"The role {answer.user!r} may not create the schema {ledger.schema!r}.", [grant]
    return None


def _stand_in(queries: Queries, ledger: Ledger) -> str | None:
    """The role with these rights that whoever logged in may act as."""
    rows = queries.query(_STAND_IN, [ledger.schema, LEDGER])
    return rows[0][0] if rows else None


def _ask(queries: Queries, ledger: Ledger, needs: Sequence[Need]) -> _Answer:
    tables = [table for table, _ in needs]
    params = [tables, [right for _, right in needs], tables, ledger.schema]
    return _Answer(*queries.query(_ASK, params)[0])


def _table_grants(ledger: Ledger, answer: _Answer) -> list[str]:
    role, schema = _spelled(answer.user), _spelled(ledger.schema)
    rights: dict[str, list[str]] = {}
    for entry in answer.missing:
        table, _, right = entry.partition(": ")
        rights.setdefault(table, []).append(right)
    usage = [f"GRANT USAGE ON SCHEMA {schema} TO {role};"] if "USAGE" in answer.schema_lacks else []
    return [*usage, *(f"GRANT {', '.join(rights[t])} ON {schema}.{t} TO {role};" for t in rights)]


def _spelled(name: str) -> str:
    """As an SQL identifier on one line of a terminal."""
    if name.isprintable():
        return quote(name)
    return "U&" + quote("".join(c if c.isprintable() and c != "\\" else f"\\+{ord(c):06X}" for c in name))


def _lacking(message: str, grants: Sequence[str], stand_in: str | None = None) -> ConfigurationError:
    remedy = f"As the owner:  {' '.join(grants)}"
    if stand_in is not None:
        act = json.dumps({"assume_role": stand_in}, ensure_ascii=False)
        remedy = f"Act as {stand_in!r}, which may: {act} in OPTIONS of the alias. To let this role itself: {remedy}"
    return ConfigurationError(message, remedy=remedy)
