"""What the catalog says of objects that real statements made, or were interrupted while making, and what follows."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sqlmigrations.backends.base import Connection
from sqlmigrations.resume.judging import Cause, Judgement, Problem, Verdict, Way
from sqlmigrations.resume.observation import Observation, Partition
from tests.faults.scene import lend_role, until
from tests.inprocess import LocalSite
from tests.interruptions import READER, SNAPSHOT, WRITER, Scene

LOST, CANCELLED, TIMED_OUT, DUPLICATES = Cause(), Cause("57014"), Cause("55P03"), Cause("23505")
BUILD = "CREATE INDEX CONCURRENTLY i ON t (a)"
GUARDED = "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON t (a)"
DROP_I = "DROP INDEX CONCURRENTLY public.i"
REINDEX_I = "REINDEX INDEX CONCURRENTLY public.i"
WAYS = (
    Way("Drop the index; the next apply builds it anew", (DROP_I,)),
    Way("Make it valid where it stands", (REINDEX_I,)),
)
DETACH = "ALTER TABLE p DETACH PARTITION p1 CONCURRENTLY"


@pytest.fixture
def scene(local_site: LocalSite) -> Iterator[Scene]:
    with closing(Connection("default", "test")) as connection:
        made = Scene(local_site.database, connection)
        made.run("CREATE TABLE t (a int, b text); INSERT INTO t SELECT g, g FROM generate_series(1, 1000) AS g")
        yield made


def partitioned(scene: Scene) -> None:
    scene.run(
        "CREATE TABLE p (a int, b int) PARTITION BY RANGE (a);"
        "CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10);"
        "CREATE TABLE p2 PARTITION OF p FOR VALUES FROM (10) TO (20);"
        "INSERT INTO p VALUES (1, 1), (11, 11)"
    )


def test_f23_a_build_that_was_cancelled_is_dropped_and_run_again(scene: Scene) -> None:
    before = scene.see(BUILD)
    cause = scene.interrupt(BUILD, WRITER)

    judgement = scene.judged(BUILD, before, cause)

    assert judgement == Judgement(
        Verdict.REBUILD, "The index public.i was left invalid because it was cancelled.", (DROP_I,)
    )
    scene.clean_up(judgement)
    assert scene.see(BUILD) == before
    assert scene.confirmed(BUILD, before) is None
    assert scene.indexes() == [("i", True)]


def test_f23_a_terminated_build_is_cleaned_up_once_and_then_waits_for_a_person(scene: Scene) -> None:
    before = scene.see(BUILD)
    cause = scene.interrupt(BUILD, SNAPSHOT, "terminate")

    first, second = (scene.judged(BUILD, before, cause, rebuilt) for rebuilt in (0, 1))

    assert (first.verdict, first.cleanup) == (Verdict.REBUILD, (DROP_I,))
    assert second == Judgement(
        Verdict.DECIDE,
        "The index public.i was left invalid because the connection or the runner was lost, after it had been run "
        "anew already.",
        ways=WAYS,
        warning="Meanwhile every write to public.t keeps public.i up to date, and no query uses it.",
    )


@pytest.mark.parametrize("way", WAYS)
def test_either_way_out_lets_the_next_run_go_on(scene: Scene, way: Way) -> None:
    before = scene.see(BUILD)
    cause = scene.interrupt(BUILD, SNAPSHOT)

    for sql in way.sql:
        scene.run(sql)

    verdict = Verdict.RUN if way.sql == (DROP_I,) else Verdict.DONE
    assert scene.judged(BUILD, before, cause, rebuilt=1).verdict is verdict


def test_f39_a_build_that_waited_too_long_for_a_lock_is_cleaned_up(scene: Scene) -> None:
    before = scene.see(BUILD)
    with scene.transaction(WRITER):
        scene.run(f"ALTER DATABASE {scene.database.name} SET lock_timeout = '100ms'")
        cause = scene.fails(BUILD)

    judgement = scene.judged(BUILD, before, cause)

    assert cause == TIMED_OUT
    assert (judgement.verdict, judgement.cleanup) == (Verdict.REBUILD, (DROP_I,))


def test_f42_duplicates_wait_for_a_person(scene: Scene) -> None:
    sql = "CREATE UNIQUE INDEX CONCURRENTLY i ON t (b)"
    scene.run(WRITER)
    scene.run(WRITER)
    before = scene.see(sql)
    cause = scene.fails(sql)

    judgement = scene.judged(sql, before, cause)

    assert cause == DUPLICATES
    assert judgement == Judgement(
        Verdict.DECIDE,
        "The index public.i was left invalid because rows with the same key exist.",
        ways=(Way("Remove the rows with the same key, and drop the index; the next apply builds it anew", (DROP_I,)),),
    )
    scene.run(WRITER)  # nothing to warn of: the build had not come so far that writes heed the index


def test_f42_an_invalid_unique_index_that_rejects_writes_is_warned_of(scene: Scene) -> None:
    sql = "CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)"
    before = scene.see(sql)
    cause = scene.interrupt(sql, SNAPSHOT)

    judgement = scene.judged(sql, before, cause, rebuilt=1)

    assert judgement.warning == (
        "Meanwhile public.i, though invalid, still rejects writes to public.t that repeat a key."
    )
    assert scene.fails("INSERT INTO t VALUES (1, '1')") == DUPLICATES


@contextmanager
def small_tablespace(scene: Scene) -> Iterator[str]:
    """A tablespace that holds two megabytes."""
    data = Path(scene.run("SHOW data_directory")[0][0])
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", folder], capture_output=True)
        if mounted.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.decode().strip()}")
        name = f"s_{uuid.uuid4().hex[:12]}"
        try:
            os.chown(folder, data.stat().st_uid, data.stat().st_gid)
            scene.run(f"CREATE TABLESPACE {name} LOCATION '{folder}'")
            yield name
            scene.run(f"DROP TABLESPACE {name}")
        finally:
            subprocess.run(["umount", "-l", folder], check=True)


def test_f46_a_full_disk_waits_for_a_person(scene: Scene) -> None:
    scene.run("INSERT INTO t SELECT g FROM generate_series(1, 200000) AS g")
    with small_tablespace(scene) as tablespace:
        sql = f"CREATE INDEX CONCURRENTLY i ON t (a) TABLESPACE {tablespace}"
        before = scene.see(sql)
        cause = scene.fails(sql)

        judgement = scene.judged(sql, before, cause)

        scene.run("DROP INDEX CONCURRENTLY i")
        assert scene.judged(sql, before, cause).verdict is Verdict.RUN
    assert cause == Cause("53100")
    assert judgement == Judgement(
        Verdict.DECIDE,
        "The index public.i was left invalid because the disk of the server was full.",
        ways=(
            Way("Free space on the server, and drop the index; the next apply builds it anew", (DROP_I,)),
            WAYS[1],
        ),
    )


def test_f81_an_index_that_is_there_is_not_built_twice(scene: Scene) -> None:
    before = scene.see(BUILD)
    scene.run(BUILD)

    judgement = scene.judged(BUILD, before, LOST)

    assert judgement == Judgement(Verdict.DONE, "The index public.i is there and valid, and was not there before.")


def test_a_build_of_which_nothing_is_left_is_run(scene: Scene) -> None:
    with scene.transaction("LOCK t"):
        before = scene.see(BUILD)
        with scene.begun(BUILD) as (pid, causes):
            scene.run(f"SELECT pg_cancel_backend({pid})")

    judgement = scene.judged(BUILD, before, causes[0])

    assert judgement == Judgement(Verdict.RUN, "No index i was left behind on public.t.")


def test_f43_if_not_exists_over_an_invalid_index_is_no_success(scene: Scene) -> None:
    scene.interrupt(BUILD, SNAPSHOT)
    before = scene.see(GUARDED)

    problem = scene.confirmed(GUARDED, before)

    assert problem == Problem(
        "The index public.i was there before and is invalid, so IF NOT EXISTS has built nothing.",
        WAYS,
        "Meanwhile every write to public.t keeps public.i up to date, and no query uses it.",
    )
    judgement = scene.judged(GUARDED, before, LOST)
    assert (judgement.verdict, judgement.ways) == (Verdict.DECIDE, WAYS)


@pytest.mark.parametrize("way", WAYS)
def test_f43_once_the_invalid_index_is_dealt_with_the_statement_is_run(scene: Scene, way: Way) -> None:
    scene.interrupt(BUILD, SNAPSHOT)
    before = scene.see(GUARDED)
    for sql in way.sql:
        scene.run(sql)

    judgement = scene.judged(GUARDED, before, LOST)

    assert judgement.verdict is Verdict.RUN
    assert scene.confirmed(GUARDED, scene.see(GUARDED)) is None


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


def test_f44_a_drop_that_was_cancelled_is_run_again(scene: Scene) -> None:
    sql = "DROP INDEX CONCURRENTLY i"
    scene.run("CREATE INDEX i ON t (a)")
    before = scene.see(sql)
    cause = scene.interrupt(sql, READER)

    judgement = scene.judged(sql, before, cause)

    assert judgement == Judgement(Verdict.RUN, "The index public.i is still there, marked invalid.")
    assert scene.confirmed(sql, before) is None
    assert scene.judged(sql, before, LOST) == Judgement(Verdict.DONE, "The index i was there before, and is gone.")


def test_f44_an_index_that_is_dead_already_is_dropped(scene: Scene) -> None:
    sql = "DROP INDEX CONCURRENTLY i"
    scene.run("CREATE INDEX i ON t (a)")
    before = scene.see(sql)
    cause = interrupted_late(scene, sql)

    judgement = scene.judged(sql, before, cause)

    (dead,) = scene.see(sql).indexes
    assert (dead.valid, dead.ready, dead.live) == (False, False, False)
    assert judgement.verdict is Verdict.RUN
    assert scene.confirmed(sql, before) is None


def interrupted_late(scene: Scene, sql: str) -> Cause:
    """Cancels what waits twice for everybody who uses the table, while it does so for the second time."""
    with ExitStack() as early, ExitStack() as late:
        first = early.enter_context(scene.transaction(READER))
        pid, causes = late.enter_context(scene.begun(sql))
        second = late.enter_context(scene.transaction(READER))
        assert scene.blockers(pid) == [first]
        early.close()
        until(lambda: scene.blockers(pid) == [second])
        scene.run(f"SELECT pg_cancel_backend({pid})")
    return causes[0]


def test_an_index_made_after_the_drop_began_is_not_dropped(scene: Scene) -> None:
    sql = "DROP INDEX CONCURRENTLY i"
    scene.run("CREATE INDEX i ON t (a)")
    before = scene.see(sql)
    scene.run("DROP INDEX i")
    scene.run("CREATE INDEX i ON t (b)")

    judgement = scene.judged(sql, before, LOST)

    assert judgement.verdict is Verdict.DECIDE


def test_f44_a_reindex_that_was_cancelled_leaves_a_copy_which_is_dropped(scene: Scene) -> None:
    sql = "REINDEX INDEX CONCURRENTLY i"
    scene.run("CREATE INDEX i ON t (a)")
    before = scene.see(sql)
    cause = scene.interrupt(sql, SNAPSHOT)

    judgement = scene.judged(sql, before, cause)

    assert judgement == Judgement(
        Verdict.REBUILD,
        "The REINDEX left public.i_ccnew behind because it was cancelled.",
        ("DROP INDEX CONCURRENTLY public.i_ccnew",),
        warning="Meanwhile every write to public.t keeps public.i_ccnew up to date, and no query uses it.",
    )
    assert scene.judged(sql, before, cause, rebuilt=1).verdict is Verdict.DECIDE
    scene.clean_up(judgement)
    assert scene.confirmed(sql, before) is None
    assert scene.judged(sql, before, LOST).verdict is Verdict.DONE
    assert scene.indexes() == [("i", True)]


def test_f44_a_reindex_that_was_cancelled_at_its_end_is_not_repeated(scene: Scene) -> None:
    sql = "REINDEX INDEX CONCURRENTLY i"
    scene.run("CREATE INDEX i ON t (a)")
    before = scene.see(sql)
    cause = scene.interrupt(sql, READER)

    judgement = scene.judged(sql, before, cause)

    assert (judgement.verdict, judgement.cleanup) == (
        Verdict.FINISH,
        ("DROP INDEX CONCURRENTLY public.i_ccold",),
    )
    scene.clean_up(judgement)
    assert scene.indexes() == [("i", True)]


def test_f44_what_a_reindex_was_about_to_drop_is_dropped(scene: Scene) -> None:
    sql = "REINDEX INDEX CONCURRENTLY i"
    scene.run("CREATE INDEX i ON t (a)")
    before = scene.see(sql)
    cause = interrupted_late(scene, sql)

    judgement = scene.judged(sql, before, cause)

    assert (judgement.verdict, judgement.cleanup) == (Verdict.FINISH, ("DROP INDEX CONCURRENTLY public.i_ccold",))
    scene.clean_up(judgement)
    assert scene.indexes() == [("i", True)]


def test_f44_a_table_is_reindexed_with_what_it_stores_apart(scene: Scene) -> None:
    sql = "REINDEX TABLE CONCURRENTLY t"
    scene.run("CREATE INDEX i ON t (a); CREATE UNIQUE INDEX j ON t (a)")
    toast = scene.run("SELECT reltoastrelid::regclass::text FROM pg_class WHERE oid = 't'::regclass")[0][0]
    before = scene.see(sql)
    cause = scene.interrupt(sql, WRITER, "terminate")

    judgement = scene.judged(sql, before, cause)

    assert judgement.verdict is Verdict.REBUILD
    assert sorted(judgement.cleanup) == [
        f"DROP INDEX CONCURRENTLY {toast}_index_ccnew",
        "DROP INDEX CONCURRENTLY public.i_ccnew",
        "DROP INDEX CONCURRENTLY public.j_ccnew",
    ]
    scene.clean_up(judgement)
    assert scene.confirmed(sql, before) is None
    assert scene.judged(sql, before, LOST).verdict is Verdict.DONE
    assert scene.indexes() == [("i", True), ("j", True)]


def test_f44_what_earlier_reindexes_left_is_not_touched(scene: Scene) -> None:
    sql = "REINDEX (CONCURRENTLY) SCHEMA public"
    scene.run(
        "CREATE SCHEMA other; CREATE TABLE other.t (a int); CREATE INDEX i ON t (a); CREATE INDEX o ON other.t (a)"
    )
    scene.interrupt("REINDEX INDEX CONCURRENTLY i", SNAPSHOT)
    before = scene.see(sql)
    scene.interrupt("REINDEX INDEX CONCURRENTLY other.o", SNAPSHOT)

    nothing_new = scene.judged(sql, before, LOST)
    cause = scene.interrupt("REINDEX INDEX CONCURRENTLY i", SNAPSHOT)
    one_new = scene.judged(sql, before, cause)

    assert [index.name for index in before.indexes] == ["public.i_ccnew"]
    assert nothing_new.verdict is Verdict.RUN
    assert (one_new.verdict, one_new.cleanup) == (Verdict.REBUILD, ("DROP INDEX CONCURRENTLY public.i_ccnew1",))


def test_f44_a_detach_that_was_cancelled_is_finalized(scene: Scene) -> None:
    partitioned(scene)
    before = scene.see(DETACH)
    cause = scene.interrupt(DETACH, "SELECT * FROM p")

    judgement, second = (scene.judged(DETACH, before, cause, rebuilt) for rebuilt in (0, 1))

    finalize = "ALTER TABLE public.p DETACH PARTITION public.p1 FINALIZE"
    warning = (
        "Meanwhile queries of public.p do not see the rows of public.p1, and no other partition of it can be "
        "detached concurrently."
    )
    assert judgement == Judgement(
        Verdict.FINISH,
        "public.p1 is detached from public.p half-way only, because it was cancelled.",
        (finalize,),
        warning=warning,
    )
    assert (second.verdict, second.ways[0].sql, second.warning) == (Verdict.DECIDE, (finalize,), warning)
    assert scene.run("SELECT a FROM p") == [(11,)]
    assert scene.fails("ALTER TABLE p DETACH PARTITION p2 CONCURRENTLY") == Cause("55000")
    scene.clean_up(judgement)
    assert scene.judged(DETACH, before, LOST).verdict is Verdict.DONE


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
