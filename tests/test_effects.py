"""Which object a statement is about; the judge is PostgreSQL's own parser."""

from __future__ import annotations

from typing import Any

import postgast
import pytest

from sqlmigrations.resume.effects import Effect, EffectKind, Path, Scope, effect
from sqlmigrations.sql.scanner import split

KINDS = {
    "createdb_stmt": (EffectKind.CREATE_DATABASE, "dbname"),
    "dropdb_stmt": (EffectKind.DROP_DATABASE, "dbname"),
    "create_table_space_stmt": (EffectKind.CREATE_TABLESPACE, "tablespacename"),
    "drop_table_space_stmt": (EffectKind.DROP_TABLESPACE, "tablespacename"),
    "create_subscription_stmt": (EffectKind.CREATE_SUBSCRIPTION, "subname"),
    "drop_subscription_stmt": (EffectKind.DROP_SUBSCRIPTION, "subname"),
}
LONG = "a" * 62 + "é"


def told(sql: str) -> Effect:
    (statement,) = split(sql).statements
    return effect(statement)


def parsed(sql: str) -> Effect:
    """The same, from libpg_query's parse tree."""
    node: Any = postgast.parse(sql).stmts[0].stmt
    kind = node.WhichOneof("node")
    tree = getattr(node, kind)
    if kind in KINDS:
        made, name = KINDS[kind]
        return Effect(made, ((getattr(tree, name),),), guarded=getattr(tree, "missing_ok", False))
    return {"index_stmt": _index, "drop_stmt": _drop, "reindex_stmt": _reindex, "alter_table_stmt": _alter}[kind](tree)


def _index(tree: Any) -> Effect:
    return Effect(
        EffectKind.CREATE_INDEX,
        ((tree.idxname,),) if tree.idxname else (),
        _path(tree.relation),
        unique=tree.unique,
        guarded=tree.if_not_exists,
        only=not tree.relation.inh,
        concurrently=tree.concurrent,
    )


def _drop(tree: Any) -> Effect:
    names = tuple(tuple(item.string.sval for item in entry.list.items) for entry in tree.objects)
    return Effect(EffectKind.DROP_INDEX, names, guarded=tree.missing_ok, concurrently=tree.concurrent)


def _reindex(tree: Any) -> Effect:
    scope = Scope(postgast.pg_query_pb2.ReindexObjectType.Name(tree.kind).removeprefix("REINDEX_OBJECT_").lower())
    options = {option.def_elem.defname: option.def_elem for option in tree.params}
    concurrently = options.get("concurrently")
    name = _path(tree.relation) if tree.HasField("relation") else (tree.name,) if tree.name else None
    return Effect(
        EffectKind.REINDEX,
        (name,) if name else (),
        scope=scope,
        concurrently=concurrently is not None and concurrently.arg.string.sval not in ("false", "off"),
    )


def _alter(tree: Any) -> Effect:
    command = tree.cmds[0].alter_table_cmd
    detached = getattr(command, "def").partition_cmd
    return Effect(
        EffectKind.DETACH,
        (_path(detached.name),),
        _path(tree.relation),
        guarded=tree.missing_ok,
        concurrently=detached.concurrent,
        finalizes=command.subtype == postgast.pg_query_pb2.AT_DetachPartitionFinalize,
    )


def _path(relation: Any) -> Path:
    return tuple(filter(None, (relation.catalogname, relation.schemaname, relation.relname)))


@pytest.mark.parametrize(
    "sql",
    [
        "CREATE INDEX CONCURRENTLY i ON t (a)",
        "create unique index concurrently if not exists I on S.T using btree (lower(a)) where a is not null",
        "CREATE INDEX CONCURRENTLY ON t (a)",
        "CREATE UNIQUE INDEX CONCURRENTLY ON ONLY s.t (a)",
        "CREATE INDEX i ON ONLY t (a)",
        "CREATE INDEX IF NOT EXISTS i ON d.s.t (a)",
        'CREATE INDEX CONCURRENTLY "on" ON "if" (a)',
        'CREATE INDEX CONCURRENTLY "I ""x""" ON "S.t"."T" (a)',
        'CREATE INDEX CONCURRENTLY "concurrently" ON t (a)',
        "CREATE INDEX CONCURRENTLY -- why\n /* what */ i -- name\n ON t /* of */ (a)",
        "CREATE INDEX CONCURRENTLY ÄÖI ON Tü (a)",
        'CREATE INDEX CONCURRENTLY U&"d\\0061t\\+000061" ON u&"\\\\x" (a)',
        "CREATE INDEX CONCURRENTLY U&\"d!0061t\" UESCAPE '!' ON s.U&\"!!\" uescape '!' (a)",
        'CREATE INDEX CONCURRENTLY U&"\\D83D\\DE00" ON t (a)',
        f"CREATE INDEX CONCURRENTLY {LONG} ON {LONG}b (a)",
        f'CREATE INDEX CONCURRENTLY "{LONG}" ON "{LONG[1:]}b" (a)',
        "CREATE INDEX CONCURRENTLY type ON name (a)",
        "DROP INDEX CONCURRENTLY i",
        "DROP INDEX CONCURRENTLY IF EXISTS s.I CASCADE",
        'DROP INDEX CONCURRENTLY "a", s.b, c RESTRICT',
        "DROP INDEX i",
        "REINDEX INDEX CONCURRENTLY i",
        "REINDEX TABLE CONCURRENTLY s.t",
        "REINDEX (VERBOSE, CONCURRENTLY) TABLE t",
        "REINDEX (CONCURRENTLY FALSE, TABLESPACE x) INDEX s.i",
        "REINDEX (TABLESPACE concurrently) INDEX i",
        "REINDEX SCHEMA s",
        "REINDEX SCHEMA CONCURRENTLY s",
        "REINDEX DATABASE d",
        "REINDEX DATABASE",
        "REINDEX SYSTEM d",
        "REINDEX TABLE t",
        "ALTER TABLE t DETACH PARTITION p CONCURRENTLY",
        'ALTER TABLE IF EXISTS ONLY s.t DETACH PARTITION "S".P CONCURRENTLY',
        "ALTER TABLE t * DETACH PARTITION p",
        "ALTER TABLE t DETACH PARTITION s.p FINALIZE",
        "ALTER TABLE t DETACH PARTITION concurrent CONCURRENTLY",
        "CREATE DATABASE d WITH OWNER = x TEMPLATE template0",
        'CREATE DATABASE "D x"',
        "DROP DATABASE IF EXISTS D WITH (FORCE)",
        "CREATE TABLESPACE s OWNER x LOCATION '/x'",
        "DROP TABLESPACE IF EXISTS s",
        "CREATE SUBSCRIPTION s CONNECTION 'host=x' PUBLICATION p",
        "DROP SUBSCRIPTION IF EXISTS s CASCADE",
    ],
)
def test_the_object_of_a_statement_is_what_the_server_reads(sql: str) -> None:
    assert told(sql) == parsed(sql)
    assert told(f"{sql};") == parsed(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "VACUUM",
        "VACUUM (FULL) t",
        "ALTER SYSTEM SET work_mem = '1MB'",
        "CLUSTER",
        "CLUSTER t USING i",
        "DISCARD ALL",
        "ALTER DATABASE d SET TABLESPACE s",
        "ALTER SUBSCRIPTION s REFRESH PUBLICATION",
        "ALTER SUBSCRIPTION s SET PUBLICATION p",
    ],
)
def test_what_may_simply_be_run_again_is_told(sql: str) -> None:
    assert told(sql) == Effect(EffectKind.REPEATABLE)
    assert told(sql).is_repeatable


@pytest.mark.parametrize(
    "sql",
    [
        "CALL p()",
        "SELECT 'VACUUM'",
        "INSERT INTO t VALUES (1)",
        "CREATE TABLE t (a int)",
        "ALTER TABLE t ADD COLUMN detach int",
        "ALTER TABLE t ADD COLUMN a int, ADD COLUMN b int",
        "ALTER DATABASE d SET work_mem = '1MB'",
        "ALTER DATABASE d RENAME TO e",
        "ALTER SUBSCRIPTION s ADD PUBLICATION set",
        "ALTER SUBSCRIPTION s DROP PUBLICATION refresh",
        "CREATE INDEX CONCURRENTLY",
        "DROP INDEX",
        "REINDEX",
        "ALTER TABLE",
    ],
)
def test_of_all_else_the_catalog_tells_nothing(sql: str) -> None:
    assert told(sql) == Effect(EffectKind.OTHER)
