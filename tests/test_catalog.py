"""What the catalog says of objects that real statements made, or were interrupted while making, and what follows."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from sqlmigrations.resume.judging import Cause, Judgement, Verdict, Way
from sqlmigrations.resume.observation import Observation, Partition
from tests.faults.scene import lend_role
from tests.inprocess import LocalSite
from tests.interruptions import BUILD, DETACH, DROP_I, GUARDED, LOST, WRITER, Scene, partitioned


def test_a_build_of_which_nothing_is_left_is_run(scene: Scene) -> None:
    with scene.transaction("LOCK t"):
        before = scene.see(BUILD)
        with scene.begun(BUILD) as (pid, causes):
            scene.run(f"SELECT pg_cancel_backend({pid})")

    judgement = scene.judged(BUILD, before, causes[0])

    assert judgement == Judgement(Verdict.RUN, "No index i was left behind on public.t.")


def test_an_index_that_stood_there_before_is_never_taken_for_ours(scene: Scene) -> None:
    scene.run("CREATE INDEX i ON t (b)")
    before = scene.see(BUILD)
    cause = scene.fails(BUILD)

    judgement = scene.judged(BUILD, before, cause)

    assert cause == Cause("42P07")
    assert judgement.verdict is Verdict.DECIDE
    assert judgement.reason == "The index public.i was there before, so the statement did not make it."
    assert [way.sql for way in judgement.ways] == [(), (DROP_I,)]


def test_an_index_that_somebody_else_made_meanwhile_is_not_ours(scene: Scene) -> None:
    before = scene.see(BUILD)
    scene.run("CREATE INDEX i ON t (b)")

    judgement = scene.judged(BUILD, before, scene.fails(BUILD))

    assert judgement.verdict is Verdict.DECIDE
    assert (
        judgement.reason == "The index public.i was made by somebody else meanwhile, so the statement did not make it."
    )


@pytest.mark.parametrize(
    ("other", "fact"),
    [
        ("CREATE TABLE i ()", "public.i is a table"),
        ("CREATE MATERIALIZED VIEW i AS SELECT 1", "public.i is a materialized view"),
        ("CREATE TABLE o (a int); CREATE INDEX i ON o (a)", "the index public.i is on public.o"),
    ],
)
def test_if_not_exists_over_something_else_is_no_success(scene: Scene, other: str, fact: str) -> None:
    scene.run(other)
    before = scene.see(GUARDED)

    problem = scene.confirmed(GUARDED, before)

    assert problem is not None
    assert problem.reason == f"The server passed over the statement because of IF NOT EXISTS, but {fact}."
    assert scene.judged(GUARDED, before, LOST).verdict is Verdict.DECIDE


def test_an_unnamed_index_is_told_by_being_new(scene: Scene) -> None:
    sql = "CREATE INDEX CONCURRENTLY ON t (a)"
    scene.run("CREATE INDEX ON t (a)")
    before = scene.see(sql)
    cause = scene.interrupt(sql, WRITER)

    judgement = scene.judged(sql, before, cause)

    assert (judgement.verdict, judgement.cleanup) == (Verdict.REBUILD, ("DROP INDEX CONCURRENTLY public.t_a_idx1",))
    scene.clean_up(judgement)
    assert scene.judged(sql, before, cause).verdict is Verdict.RUN
    assert scene.confirmed(sql, before) is None
    assert scene.judged(sql, before, LOST).verdict is Verdict.DONE


def test_an_index_made_after_the_drop_began_is_not_dropped(scene: Scene) -> None:
    sql = "DROP INDEX CONCURRENTLY i"
    scene.run("CREATE INDEX i ON t (a)")
    before = scene.see(sql)
    scene.run("DROP INDEX i")
    scene.run("CREATE INDEX i ON t (b)")

    judgement = scene.judged(sql, before, LOST)

    assert judgement.verdict is Verdict.DECIDE


def test_a_detach_is_seen_before_and_after(scene: Scene) -> None:
    partitioned(scene)
    before = scene.see(DETACH)

    problem = scene.confirmed(DETACH, before)

    assert (before.partition, before.oid) == (Partition.ATTACHED, scene.oid("p1"))
    assert problem is None
    assert scene.see(DETACH).partition is Partition.DETACHED
    scene.run("DROP TABLE p1")
    assert scene.see(DETACH).partition is Partition.MISSING
    assert scene.judged(DETACH, before, LOST).verdict is Verdict.DONE


def test_an_index_on_only_a_partitioned_table_is_rightly_invalid(scene: Scene) -> None:
    partitioned(scene)
    only = "CREATE INDEX IF NOT EXISTS i ON ONLY p (b)"

    problem = scene.confirmed(only, scene.see(only))

    assert problem is None
    assert scene.confirmed(only, scene.see(only)) is None
    every = "CREATE INDEX IF NOT EXISTS i ON p (b)"
    half = scene.confirmed(every, scene.see(every))
    assert half is not None
    assert half.reason == (
        "The index public.i was there before and is invalid: a partition of public.p has no part of it."
    )


def test_the_partitions_of_an_index_are_reindexed_with_it(scene: Scene) -> None:
    partitioned(scene)
    scene.run("CREATE INDEX i ON p (b)")
    sql = "REINDEX INDEX CONCURRENTLY i"
    before = scene.see(sql)

    scene.run(sql)

    assert [index.name for index in before.indexes] == ["public.i", "public.p1_b_idx", "public.p2_b_idx"]
    assert scene.judged(sql, before, LOST).verdict is Verdict.DONE


def test_names_are_found_as_the_session_finds_them(scene: Scene) -> None:
    long = "ü" * 40
    scene.run(
        f'CREATE SCHEMA "A b"; CREATE TABLE "A b".t (a int); CREATE TABLE "A b"."{long}" (a int);'
        'CREATE TEMP TABLE u (a int); SET search_path = nowhere, "A b", public'
    )

    seen = [
        scene.see(f"CREATE INDEX CONCURRENTLY ON {table} (a)").table
        for table in ("t", "public.t", '"A b".T', f'U&"{long}"', "u", "pg_temp.u", '"T"', "nowhere.t", "pg_class")
    ]

    temporary = scene.run("SELECT pg_my_temp_schema()::regnamespace::text")[0][0]
    assert seen == [
        *('"A b".t', "public.t", '"A b".t', f'"A b"."{"ü" * 31}"'),
        *(f"{temporary}.u", f"{temporary}.u", "", "", "pg_catalog.pg_class"),
    ]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE INDEX CONCURRENTLY i ON u (a)", Observation()),
        ("DROP INDEX CONCURRENTLY u", Observation()),
        ("DROP INDEX CONCURRENTLY t", Observation(object="public.t", other="table")),
        ("REINDEX TABLE CONCURRENTLY u", Observation()),
        ("ALTER TABLE u DETACH PARTITION v CONCURRENTLY", Observation(partition=Partition.MISSING)),
        ("DROP DATABASE u", Observation()),
        ("VACUUM", Observation()),
    ],
)
def test_of_what_is_not_there_nothing_is_seen(scene: Scene, sql: str, expected: Observation) -> None:
    assert scene.see(sql) == expected


def test_a_partition_of_a_table_that_is_not_there_is_seen_as_detached(scene: Scene) -> None:
    seen = scene.see("ALTER TABLE u DETACH PARTITION t CONCURRENTLY")

    assert (seen.table, seen.object, seen.partition) == ("", "public.t", Partition.DETACHED)


def test_looking_waits_for_nobody(scene: Scene) -> None:
    scene.run("CREATE INDEX i ON t (lower(b)) WHERE a > 1; SET lock_timeout = '100ms'")
    partitioned(scene)
    asked = (BUILD, "DROP INDEX i", "REINDEX TABLE t", "REINDEX INDEX i", "REINDEX DATABASE", DETACH)

    with scene.transaction("LOCK t, p, p1"):
        seen = [scene.see(sql) for sql in asked]

    assert seen == [scene.see(sql) for sql in asked]


def test_looking_needs_no_rights(scene: Scene, local_site: LocalSite) -> None:
    scene.run("CREATE SCHEMA s; CREATE TABLE s.t (a int); CREATE INDEX i ON s.t (a)")
    partitioned(scene)
    asked = (
        *("CREATE INDEX CONCURRENTLY i ON s.t (a)", "DROP INDEX s.i", "REINDEX TABLE s.t", "REINDEX INDEX s.i"),
        *("REINDEX SCHEMA s", DETACH, "DROP DATABASE postgres", "DROP TABLESPACE pg_default", "DROP SUBSCRIPTION s"),
    )
    with lend_role(local_site.database) as role:
        scene.run(f"REVOKE ALL ON SCHEMA s FROM PUBLIC; SET SESSION AUTHORIZATION {role.name}")

        seen = [scene.see(sql) for sql in asked]

        scene.run("RESET SESSION AUTHORIZATION")
        assert seen[0].indexes[0].name == "s.i"
        assert seen == [foreign(scene.see(sql)) for sql in asked]


def foreign(seen: Observation) -> Observation:
    """The same, as somebody sees it to whom the indexes do not belong."""
    return replace(seen, indexes=tuple(replace(index, droppable=False) for index in seen.indexes))


def test_what_only_a_superuser_may_drop_stays_and_is_named(scene: Scene, local_site: LocalSite) -> None:
    sql = "REINDEX TABLE CONCURRENTLY t"
    scene.run("CREATE INDEX i ON t (a)")
    toast = scene.run("SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 't'::regclass")[0][0]
    with lend_role(local_site.database) as role:
        scene.run(f"ALTER TABLE t OWNER TO {role.name}; GRANT CREATE ON SCHEMA public TO {role.name}")
        before = scene.see(sql)
        cause = scene.interrupt(sql, WRITER)
        scene.run(f"SET SESSION AUTHORIZATION {role.name}")

        judgement = scene.judged(sql, before, cause)

        scene.clean_up(judgement)
        after = scene.judged(sql, before, cause)
        assert scene.confirmed(sql, before) is None
        scene.run("RESET SESSION AUTHORIZATION")
    stays = f"Only a superuser may drop {toast}_index_ccnew, which stays behind."
    assert judgement == Judgement(
        Verdict.REBUILD,
        f"The REINDEX left public.i_ccnew behind because it was cancelled. {stays}",
        ("DROP INDEX CONCURRENTLY public.i_ccnew",),
    )
    assert after == Judgement(Verdict.RUN, f"To run a REINDEX again does no harm. {stays}")


def test_somebody_elses_build_is_left_alone(scene: Scene, local_site: LocalSite) -> None:
    before = scene.see(BUILD)
    with lend_role(local_site.database) as role, scene.transaction(WRITER), scene.begun(BUILD) as (pid, _):
        scene.run(f"SET SESSION AUTHORIZATION {role.name}")

        judgement = scene.judged(BUILD, before, LOST)

        scene.run(f"RESET SESSION AUTHORIZATION; SELECT pg_cancel_backend({pid})")
    assert judgement == Judgement(
        Verdict.DECIDE,
        f"The index public.i is not valid yet, and another session (pid {pid}) is building an index on its table.",
        ways=(Way("Wait until it has ended"),),
    )


def test_databases_are_seen(scene: Scene) -> None:
    name = f"{scene.database.name}_x"
    create, drop = f"CREATE DATABASE {name}", f"DROP DATABASE {name}"
    before = scene.see(create)

    made = scene.confirmed(create, before)

    there = scene.see(drop)
    assert made is None
    assert scene.judged(create, before, LOST).verdict is Verdict.DONE
    assert scene.judged(create, there, Cause("42P04")).verdict is Verdict.DECIDE
    assert scene.judged(drop, there, LOST).verdict is Verdict.RUN
    assert scene.confirmed(drop, there) is None
    assert scene.judged(drop, there, LOST).verdict is Verdict.DONE


def test_subscriptions_are_seen(scene: Scene) -> None:
    create = "CREATE SUBSCRIPTION s CONNECTION 'dbname=x' PUBLICATION p WITH (connect = false, slot_name = NONE)"
    before = scene.see(create)
    scene.run(create)
    there = scene.see("DROP SUBSCRIPTION s")

    judgement = scene.judged(create, before, LOST)

    assert judgement == Judgement(Verdict.DONE, "The subscription s is there, and was not there before.")
    assert scene.confirmed("DROP SUBSCRIPTION s", there) is None


def test_tablespaces_are_seen(scene: Scene) -> None:
    seen = scene.see("DROP TABLESPACE pg_default")

    assert seen == replace(Observation(), object="pg_default", oid=1663)


def test_what_was_seen_survives_the_journal(scene: Scene) -> None:
    partitioned(scene)
    scene.run("CREATE INDEX i ON t (a)")
    seen = [scene.see(sql) for sql in (BUILD, DETACH, "DROP DATABASE postgres")]

    kept = [json.loads(json.dumps(one.to_json())) for one in seen]

    assert [Observation.from_json(one) for one in kept] == seen
    assert Observation.from_json({**kept[0], "later": 1}) == seen[0]
