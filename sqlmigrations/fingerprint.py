"""What the schemas of a database consist of, in lines that can be compared."""

from __future__ import annotations

from sqlmigrations.backends.base import Queries

# Columns go by name, not by place: one that was dropped and made again stands last.
_LINES = r"""
WITH spaces AS (
    SELECT oid, nspname FROM pg_catalog.pg_namespace WHERE nspname !~ '^pg_' AND nspname <> 'information_schema'
), lent AS (
    SELECT classid, objid FROM pg_catalog.pg_depend WHERE deptype = 'e'
), relations AS (
    SELECT c.*, pg_catalog.format('%I.%I', s.nspname, c.relname) AS name
      FROM pg_catalog.pg_class AS c JOIN spaces AS s ON s.oid = c.relnamespace
     WHERE NOT EXISTS (SELECT FROM lent WHERE classid = 'pg_class'::pg_catalog.regclass AND objid = c.oid)
), lines (line) AS (
    SELECT pg_catalog.format('schema %I %s', nspname, (SELECT nspacl FROM pg_catalog.pg_namespace WHERE oid = s.oid))
      FROM spaces AS s
    UNION ALL
    SELECT pg_catalog.format('relation %s kind %s %s options %s acl %s row security %s %s partition %s %s', name,
           relkind, relpersistence, reloptions, relacl, relrowsecurity, relforcerowsecurity,
           pg_catalog.pg_get_expr(relpartbound, oid),
           CASE WHEN relkind = 'p' THEN pg_catalog.pg_get_partkeydef(oid) END)
      FROM relations WHERE relkind NOT IN ('i', 'I')
    UNION ALL
    SELECT pg_catalog.format('column %s.%I %s not null %s default %s identity %s generated %s acl %s', name, a.attname,
           pg_catalog.format_type(a.atttypid, a.atttypmod), a.attnotnull, pg_catalog.pg_get_expr(d.adbin, d.adrelid),
           a.attidentity, a.attgenerated, a.attacl)
      FROM relations AS r JOIN pg_catalog.pg_attribute AS a ON a.attrelid = r.oid
      LEFT JOIN pg_catalog.pg_attrdef AS d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
     WHERE a.attnum > 0 AND NOT a.attisdropped AND r.relkind NOT IN ('i', 'I', 'S')
    UNION ALL
    SELECT pg_catalog.format('index %s valid %s', pg_catalog.pg_get_indexdef(i.indexrelid), i.indisvalid)
      FROM relations AS r JOIN pg_catalog.pg_index AS i ON i.indexrelid = r.oid
    UNION ALL
    SELECT pg_catalog.format('view %s %s', name, pg_catalog.pg_get_viewdef(oid))
      FROM relations WHERE relkind IN ('v', 'm')
    UNION ALL
    SELECT pg_catalog.format('sequence %s %s from %s by %s in %s..%s cycle %s', r.name,
           pg_catalog.format_type(q.seqtypid, NULL), q.seqstart, q.seqincrement, q.seqmin, q.seqmax, q.seqcycle)
      FROM relations AS r JOIN pg_catalog.pg_sequence AS q ON q.seqrelid = r.oid
    UNION ALL
    SELECT pg_catalog.format('constraint %I on %s %s', c.conname,
           coalesce(r.name, pg_catalog.format_type(c.contypid, NULL)), pg_catalog.pg_get_constraintdef(c.oid))
      FROM pg_catalog.pg_constraint AS c JOIN spaces AS s ON s.oid = c.connamespace
      LEFT JOIN relations AS r ON r.oid = c.conrelid
    UNION ALL
    SELECT pg_catalog.format('trigger %s enabled %s', pg_catalog.pg_get_triggerdef(t.oid), t.tgenabled)
      FROM relations AS r JOIN pg_catalog.pg_trigger AS t ON t.tgrelid = r.oid WHERE NOT t.tgisinternal
    UNION ALL
    SELECT pg_catalog.format('rule %s', pg_catalog.pg_get_ruledef(u.oid))
      FROM relations AS r JOIN pg_catalog.pg_rewrite AS u ON u.ev_class = r.oid WHERE u.rulename <> '_RETURN'
    UNION ALL
    SELECT pg_catalog.format('policy %I on %s %s %s for %s using %s check %s', p.polname, r.name, p.polpermissive,
           p.polcmd, p.polroles::pg_catalog.regrole[], pg_catalog.pg_get_expr(p.polqual, r.oid),
           pg_catalog.pg_get_expr(p.polwithcheck, r.oid))
      FROM relations AS r JOIN pg_catalog.pg_policy AS p ON p.polrelid = r.oid
    UNION ALL
    SELECT pg_catalog.format('function %s acl %s %s', p.oid::pg_catalog.regprocedure, p.proacl,
           CASE WHEN p.prokind <> 'a' THEN pg_catalog.pg_get_functiondef(p.oid) END)
      FROM pg_catalog.pg_proc AS p JOIN spaces AS s ON s.oid = p.pronamespace
     WHERE NOT EXISTS (SELECT FROM lent WHERE classid = 'pg_proc'::pg_catalog.regclass AND objid = p.oid)
    UNION ALL
    SELECT pg_catalog.format('type %s kind %s of %s not null %s default %s labels %s acl %s',
           pg_catalog.format_type(t.oid, NULL), t.typtype, pg_catalog.format_type(t.typbasetype, t.typtypmod),
           t.typnotnull, t.typdefault,
           (SELECT pg_catalog.array_agg(enumlabel ORDER BY enumsortorder) FROM pg_catalog.pg_enum
             WHERE enumtypid = t.oid), t.typacl)
      FROM pg_catalog.pg_type AS t JOIN spaces AS s ON s.oid = t.typnamespace
     WHERE t.typrelid = 0 AND t.typelem = 0
       AND NOT EXISTS (SELECT FROM lent WHERE classid = 'pg_type'::pg_catalog.regclass AND objid = t.oid)
    UNION ALL
    SELECT pg_catalog.format('extension %I %s', extname, extversion) FROM pg_catalog.pg_extension
    UNION ALL
    SELECT pg_catalog.format('event trigger %I on %s %s %s %s', evtname, evtevent, evttags, evtenabled,
           evtfoid::pg_catalog.regprocedure)
      FROM pg_catalog.pg_event_trigger
    UNION ALL
    SELECT pg_catalog.format('comment on %s: %s', pg_catalog.pg_describe_object(classoid, objoid, objsubid),
           description)
      FROM pg_catalog.pg_description WHERE objoid >= 16384
       AND NOT EXISTS (SELECT FROM lent WHERE classid = classoid AND objid = objoid)
)
SELECT line FROM lines ORDER BY line COLLATE "C"
"""


def fingerprint(queries: Queries) -> tuple[str, ...]:
    """Everything in the schemas that are not the server's own, a line for each; what extensions bring is theirs.

    Compared are schemas, tables, columns, indexes, views, sequences (not where they stand), constraints, triggers,
    rules, policies, functions, types, extensions, event triggers, comments and rights. Rows are not.

    Raises:
        StatementFailed: The server refused to answer.
    """
    return tuple(line for (line,) in queries.query(_LINES))
