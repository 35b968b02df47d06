"""Asks the catalog what there is of the object of a statement that runs outside a transaction.

No question here waits for a lock, whoever holds one on the object: it reads catalog tables, and calls none of the
functions that open the relation, as ``pg_get_indexdef`` does. None needs a right to the object or its schema.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import NamedTuple

from sqlmigrations.backends.base import Queries
from sqlmigrations.resume.effects import Effect, EffectKind, Path, Scope
from sqlmigrations.resume.observation import Index, Observation, Partition

# Where the session's search_path finds a name.
_RELATION = """
SELECT c.oid::int8, pg_catalog.format('%%I.%%I', n.nspname, c.relname), c.relkind::text, n.nspname::text
  FROM (SELECT %s::name AS schema, %s::name AS name) AS wanted
  JOIN pg_catalog.pg_class AS c ON c.relname = wanted.name
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  LEFT JOIN pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS path (schema, place)
    ON path.schema = n.nspname
 WHERE CASE WHEN wanted.schema IS NULL THEN path.place IS NOT NULL
            WHEN wanted.schema = 'pg_temp' THEN n.oid = pg_catalog.pg_my_temp_schema()
            ELSE n.nspname = wanted.schema END
 ORDER BY path.place
 LIMIT 1
"""

_INDEXES = """
SELECT c.oid::int8, pg_catalog.format('%%I.%%I', n.nspname, c.relname),
       pg_catalog.format('%%I.%%I', home.nspname, t.relname), t.oid::int8,
       i.indisvalid, i.indisready, i.indislive, i.indisunique, c.relkind = 'I',
       pg_catalog.has_schema_privilege(n.oid, 'USAGE')
       AND (pg_catalog.pg_has_role(c.relowner, 'USAGE') OR pg_catalog.pg_has_role(n.nspowner, 'USAGE'))
  FROM pg_catalog.pg_index AS i
  JOIN pg_catalog.pg_class AS c ON c.oid = i.indexrelid
  JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
  JOIN pg_catalog.pg_class AS t ON t.oid = i.indrelid
  JOIN pg_catalog.pg_namespace AS home ON home.oid = t.relnamespace
"""
_ONE = f"{_INDEXES} WHERE c.oid = %s::oid"
_OF_TABLES = f"{_INDEXES} WHERE t.oid = ANY (%s::oid[]) ORDER BY c.oid"
# A TOAST table counts as in the schema of the table that it belongs to.
_INVALID = f"""{_INDEXES}
  LEFT JOIN pg_catalog.pg_class AS main ON main.reltoastrelid = t.oid
  LEFT JOIN pg_catalog.pg_namespace AS main_home ON main_home.oid = main.relnamespace
 WHERE NOT i.indisvalid AND coalesce(coalesce(main_home.nspname, home.nspname) = %s::name, true)
 ORDER BY c.oid
"""

# A table or an index with its partitions of every level, by their tables, and the TOAST tables, reindexed as well.
_TABLES = """
WITH RECURSIVE tree AS (
    SELECT %s::oid AS oid
     UNION
    SELECT link.inhrelid
      FROM tree
      JOIN pg_catalog.pg_class AS parent ON parent.oid = tree.oid AND parent.relkind IN ('p', 'I')
      JOIN pg_catalog.pg_inherits AS link ON link.inhparent = tree.oid
)
SELECT tree.oid::int8, t.oid::int8, t.reltoastrelid::int8
  FROM tree
  LEFT JOIN pg_catalog.pg_index AS i ON i.indexrelid = tree.oid
  JOIN pg_catalog.pg_class AS t ON t.oid = coalesce(i.indrelid, tree.oid)
"""

# Which of them are valid, on the table that is named as it was above, in the schema of that table.
_SOUND = """
SELECT count(*)
  FROM ROWS FROM (pg_catalog.unnest(%s::name[]), pg_catalog.unnest(%s::name[]), pg_catalog.unnest(%s::name[]),
                  pg_catalog.unnest(%s::bool[])) AS wanted (schema, name, index, is_unique)
 CROSS JOIN LATERAL (
       SELECT c.oid, n.oid AS schema
         FROM pg_catalog.pg_class AS c
         JOIN pg_catalog.pg_namespace AS n ON n.oid = c.relnamespace
         LEFT JOIN pg_catalog.unnest(pg_catalog.current_schemas(true)) WITH ORDINALITY AS path (schema, place)
           ON path.schema = n.nspname
        WHERE c.relname = wanted.name
          AND CASE WHEN wanted.schema IS NULL THEN path.place IS NOT NULL ELSE n.nspname = wanted.schema END
        ORDER BY path.place
        LIMIT 1) AS t
  JOIN pg_catalog.pg_class AS c ON c.relnamespace = t.schema AND c.relname = wanted.index
  JOIN pg_catalog.pg_index AS i ON i.indexrelid = c.oid AND i.indrelid = t.oid
 WHERE i.indisvalid AND (i.indisunique OR NOT wanted.is_unique)
"""

_DETACHING = "SELECT inhdetachpending FROM pg_catalog.pg_inherits WHERE inhparent = %s::oid AND inhrelid = %s::oid"

# The view lists everybody's processes, but tells only the privileged what they work on; the locks tell it to all.
_BUILDERS = """
SELECT DISTINCT l.pid
  FROM pg_catalog.pg_locks AS l
  JOIN pg_catalog.pg_stat_progress_create_index AS p ON p.pid = l.pid
 WHERE l.locktype = 'relation' AND l.relation = ANY (%s::oid[]) AND l.pid <> pg_catalog.pg_backend_pid()
   AND l.database = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
   AND l.mode IN ('ShareLock', 'ShareUpdateExclusiveLock')
 ORDER BY l.pid
"""

_DATABASE = "SELECT oid::int8, datname::text FROM pg_catalog.pg_database WHERE datname = %s::name"
_TABLESPACE = "SELECT oid::int8, spcname::text FROM pg_catalog.pg_tablespace WHERE spcname = %s::name"
_SUBSCRIPTION = """
SELECT oid::int8, subname::text FROM pg_catalog.pg_subscription
 WHERE subname = %s::name
   AND subdbid = (SELECT oid FROM pg_catalog.pg_database WHERE datname = pg_catalog.current_database())
"""

_KINDS = {"r": "table", "p": "table", "v": "view", "m": "materialized view", "S": "sequence", "f": "foreign table"}
_INDEX_KINDS = ("i", "I")


class _Relation(NamedTuple):
    oid: int
    name: str
    kind: str
    schema: str


def observe(queries: Queries, effect: Effect) -> Observation:
    """What the catalog says right now, names found as the session's search_path would find them.

    Raises:
        StatementFailed: The connection is gone.
    """
    look = _LOOKS.get(effect.kind)
    return look(queries, effect) if look else Observation()


def has_indexes(queries: Queries, wanted: Sequence[Effect]) -> bool:
    """Whether the indexes of several CREATE INDEX are there and valid, names found as in ``observe``.

    Raises:
        StatementFailed: The connection is gone.
    """
    named = [(each.table, each.names[0][-1], each.unique) for each in wanted if each.table and each.names]
    schemas = [table[-2] if len(table) > 1 else None for table, _, _ in named]
    tables = [table[-1] for table, _, _ in named]
    params = [schemas, tables, [name for _, name, _ in named], [unique for _, _, unique in named]]
    found: int = queries.query(_SOUND, params)[0][0]
    return found == len(wanted)


def _created(queries: Queries, effect: Effect) -> Observation:
    assert effect.table is not None
    table = _relation(queries, effect.table)
    if table is None:
        return Observation()
    seen = Observation(table=table.name, table_oid=table.oid)
    if effect.names:
        # An index has no schema of its own: it is made in that of its table.
        seen = _with_named(queries, seen, _relation(queries, (table.schema, effect.names[0][-1])))
    else:
        seen = replace(seen, indexes=_indexes(queries, _OF_TABLES, [table.oid]))
    return _with_builders(queries, seen)


def _dropped(queries: Queries, effect: Effect) -> Observation:
    seen = Observation()
    for name in effect.names:
        seen = _with_named(queries, seen, _relation(queries, name))
    return seen


def _with_named(queries: Queries, seen: Observation, found: _Relation | None) -> Observation:
    if found is None:
        return seen
    if found.kind not in _INDEX_KINDS:
        return replace(seen, other=_KINDS.get(found.kind, "relation"), object=found.name)
    return replace(seen, indexes=(*seen.indexes, *_indexes(queries, _ONE, found.oid)))


def _reindexed(queries: Queries, effect: Effect) -> Observation:
    name = effect.names[0] if effect.names else None
    if effect.scope not in (Scope.INDEX, Scope.TABLE):
        schema = name[-1] if name and effect.scope is Scope.SCHEMA else None
        return _with_builders(queries, Observation(_indexes(queries, _INVALID, schema)))
    root = _relation(queries, name) if name else None
    if root is None:
        return Observation()
    rows = queries.query(_TABLES, [root.oid])
    tables = [oid for _, table, toast in rows for oid in (table, toast) if oid]
    found = _indexes(queries, _OF_TABLES, tables)
    if effect.scope is Scope.INDEX:
        members = {row[0] for row in rows}
        found = tuple(index for index in found if index.oid in members or index.is_leftover)
    return _with_builders(queries, Observation(found))


def _detached(queries: Queries, effect: Effect) -> Observation:
    assert effect.table is not None
    parent = _relation(queries, effect.table)
    partition = _relation(queries, effect.names[0]) if effect.names else None
    seen = Observation(partition=Partition.MISSING)
    if parent is not None:
        seen = replace(seen, table=parent.name, table_oid=parent.oid)
    if partition is None:
        return seen
    links = queries.query(_DETACHING, [parent.oid, partition.oid]) if parent else []
    state = {(): Partition.DETACHED, (False,): Partition.ATTACHED, (True,): Partition.PENDING}
    return replace(seen, object=partition.name, oid=partition.oid, partition=state[tuple(row[0] for row in links)])


def _by_name(sql: str) -> _Look:
    def look(queries: Queries, effect: Effect) -> Observation:
        rows = queries.query(sql, [effect.names[0][-1]]) if effect.names else []
        return Observation(oid=rows[0][0], object=rows[0][1]) if rows else Observation()

    return look


def _relation(queries: Queries, path: Path) -> _Relation | None:
    schema = path[-2] if len(path) > 1 else None
    rows = queries.query(_RELATION, [schema, path[-1]])
    return _Relation(*rows[0]) if rows else None


def _indexes(queries: Queries, sql: str, of: object) -> tuple[Index, ...]:
    return tuple(Index(*row) for row in queries.query(sql, [of]))


def _with_builders(queries: Queries, seen: Observation) -> Observation:
    tables = [index.table_oid for index in seen.indexes if not index.valid]
    return replace(seen, builders=tuple(row[0] for row in queries.query(_BUILDERS, [tables]))) if tables else seen


_Look = Callable[[Queries, Effect], Observation]
_LOOKS: dict[EffectKind, _Look] = {
    EffectKind.CREATE_INDEX: _created,
    EffectKind.DROP_INDEX: _dropped,
    EffectKind.REINDEX: _reindexed,
    EffectKind.DETACH: _detached,
    EffectKind.CREATE_DATABASE: _by_name(_DATABASE),
    EffectKind.DROP_DATABASE: _by_name(_DATABASE),
    EffectKind.CREATE_TABLESPACE: _by_name(_TABLESPACE),
    EffectKind.DROP_TABLESPACE: _by_name(_TABLESPACE),
    EffectKind.CREATE_SUBSCRIPTION: _by_name(_SUBSCRIPTION),
    EffectKind.DROP_SUBSCRIPTION: _by_name(_SUBSCRIPTION),
}
