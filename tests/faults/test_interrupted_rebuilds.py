"""What the catalog says of drops, REINDEX and DETACH that were interrupted, and what follows."""

from __future__ import annotations

from contextlib import ExitStack

from sqlmigrations.resume.judging import Cause, Judgement, Verdict
from tests.faults.scene import until
from tests.interruptions import DETACH, LOST, READER, SNAPSHOT, WRITER, Scene, partitioned


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
