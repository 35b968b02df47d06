"""What becomes of a statement, from what is written of the catalog before it and after it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sqlmigrations.resume.effects import effect
from sqlmigrations.resume.judging import Cause, Judgement, Resolution, Verdict, confirm, judge
from sqlmigrations.resume.observation import Index, Observation, Partition
from sqlmigrations.sql.scanner import split

INDEX = Index(
    oid=10,
    name="s.i",
    table="s.t",
    table_oid=5,
    valid=True,
    ready=True,
    live=True,
    unique=False,
    partitioned=False,
    droppable=True,
)
INVALID = replace(INDEX, valid=False)
TABLE = Observation(table="s.t", table_oid=5)
NOTHING = Observation()
BUILD, GUARDED = "CREATE INDEX CONCURRENTLY i ON s.t (a)", "CREATE INDEX CONCURRENTLY IF NOT EXISTS i ON s.t (a)"
UNNAMED, DROP = "CREATE INDEX CONCURRENTLY ON s.t (a)", "DROP INDEX CONCURRENTLY s.i"
REINDEX, REINDEX_TABLE = "REINDEX INDEX CONCURRENTLY s.i", "REINDEX TABLE CONCURRENTLY s.t"
DETACH, FINALIZE = "ALTER TABLE p DETACH PARTITION q CONCURRENTLY", "ALTER TABLE p DETACH PARTITION q FINALIZE"
CREATE_DB, DROP_DB = "CREATE DATABASE d", "DROP DATABASE d"


def having(*indexes: Index, builders: tuple[int, ...] = ()) -> Observation:
    return replace(TABLE, indexes=indexes, builders=builders)


def standing(partition: Partition) -> Observation:
    return replace(TABLE, table="p", object="q", oid=6, partition=partition)


def numbered(oid: int, name: str = "s.i", *, valid: bool = True) -> Index:
    return replace(INDEX, oid=oid, name=name, valid=valid)


def judged(sql: str, before: Observation | None, now: Observation, sqlstate: str = "", rebuilt: int = 0) -> Judgement:
    (statement,) = split(sql).statements
    return judge(effect(statement), before, now, Cause(sqlstate), rebuilt)


@pytest.mark.parametrize(
    ("sql", "before", "now", "verdict"),
    [
        # Nothing there before, nothing now; or there and valid, or there and not.
        (BUILD, TABLE, TABLE, Verdict.RUN),
        (BUILD, NOTHING, NOTHING, Verdict.RUN),
        (BUILD, TABLE, having(INDEX), Verdict.DONE),
        (BUILD, TABLE, having(INVALID), Verdict.REBUILD),
        (BUILD, TABLE, having(INVALID, builders=(7,)), Verdict.DECIDE),
        (BUILD, TABLE, having(INDEX, builders=(7,)), Verdict.DONE),
        ("CREATE INDEX i ON ONLY s.t (a)", TABLE, having(replace(INVALID, partitioned=True)), Verdict.DONE),
        (BUILD, TABLE, having(replace(INDEX, table="s.u", table_oid=6)), Verdict.DECIDE),
        (BUILD, TABLE, replace(TABLE, object="s.i", other="view"), Verdict.DECIDE),
        # Something stood there before.
        (BUILD, having(INDEX), TABLE, Verdict.RUN),
        (BUILD, having(INDEX), having(INDEX), Verdict.DECIDE),
        (BUILD, having(INVALID), having(INVALID), Verdict.DECIDE),
        (BUILD, having(INDEX), having(numbered(11)), Verdict.DECIDE),
        (GUARDED, having(INDEX), having(INDEX), Verdict.RUN),
        (GUARDED, having(INVALID), having(INVALID), Verdict.DECIDE),
        (GUARDED, having(INVALID), having(numbered(11)), Verdict.RUN),
        (GUARDED, having(INVALID), TABLE, Verdict.RUN),
        (GUARDED, TABLE, having(INVALID), Verdict.REBUILD),
        (GUARDED, having(replace(INVALID, partitioned=True)), having(replace(INVALID, partitioned=True)), Verdict.RUN),
        # Of an index without a name only the new ones count, and of those only its like.
        (UNNAMED, having(INDEX), having(INDEX), Verdict.RUN),
        (UNNAMED, having(INDEX), having(INDEX, numbered(11)), Verdict.DONE),
        (UNNAMED, having(INDEX), having(INDEX, numbered(11, valid=False)), Verdict.REBUILD),
        (UNNAMED, having(INVALID), having(INVALID), Verdict.RUN),
        (UNNAMED, having(INDEX), having(INDEX, numbered(11), numbered(12)), Verdict.DECIDE),
        (UNNAMED, TABLE, having(replace(INDEX, unique=True)), Verdict.RUN),
        (UNNAMED, TABLE, having(numbered(11, "s.i_ccnew", valid=False)), Verdict.RUN),
        (DROP, having(INDEX), having(INDEX), Verdict.RUN),
        (DROP, having(INDEX), having(INVALID), Verdict.RUN),
        (DROP, having(INDEX), NOTHING, Verdict.DONE),
        (DROP, NOTHING, NOTHING, Verdict.RUN),
        (DROP, NOTHING, having(INDEX), Verdict.DECIDE),
        (DROP, having(INDEX), having(numbered(11)), Verdict.DECIDE),
        ("DROP INDEX CONCURRENTLY s.i, s.j", having(INDEX), NOTHING, Verdict.RUN),
        (REINDEX, having(INDEX), having(INDEX), Verdict.RUN),
        (REINDEX, having(INDEX), having(numbered(11)), Verdict.DONE),
        (REINDEX, having(INVALID), having(numbered(11)), Verdict.DONE),
        (REINDEX, having(INDEX), having(INDEX, numbered(11, "s.i_ccnew", valid=False)), Verdict.REBUILD),
        (REINDEX, having(INDEX), having(INDEX, numbered(11, "s.i_ccnew", valid=False), builders=(7,)), Verdict.DECIDE),
        (REINDEX, having(INDEX), having(numbered(11), numbered(10, "s.i_ccold", valid=False)), Verdict.FINISH),
        (REINDEX, NOTHING, NOTHING, Verdict.RUN),
        ("REINDEX INDEX s.i", having(INDEX), having(numbered(11)), Verdict.RUN),
        ("REINDEX SCHEMA CONCURRENTLY s", NOTHING, NOTHING, Verdict.RUN),
        (REINDEX_TABLE, having(INDEX, numbered(20, "s.j")), having(INDEX, numbered(21, "s.j")), Verdict.RUN),
        (REINDEX_TABLE, having(INVALID, numbered(20, "s.j")), having(INVALID, numbered(21, "s.j")), Verdict.DONE),
        (REINDEX_TABLE, having(INDEX, numbered(20, "s.j")), having(numbered(11)), Verdict.RUN),
        (REINDEX_TABLE, having(INDEX), having(numbered(11, valid=False)), Verdict.RUN),
        (
            REINDEX,
            having(INDEX),
            having(INDEX, replace(INVALID, oid=11, name="s.i_ccnew", droppable=False)),
            Verdict.RUN,
        ),
        (DETACH, standing(Partition.ATTACHED), standing(Partition.ATTACHED), Verdict.RUN),
        (DETACH, standing(Partition.ATTACHED), standing(Partition.PENDING), Verdict.FINISH),
        (DETACH, standing(Partition.ATTACHED), standing(Partition.DETACHED), Verdict.DONE),
        (DETACH, standing(Partition.ATTACHED), standing(Partition.MISSING), Verdict.DONE),
        (DETACH, standing(Partition.PENDING), standing(Partition.PENDING), Verdict.DECIDE),
        (DETACH, standing(Partition.PENDING), standing(Partition.DETACHED), Verdict.DONE),
        (DETACH, standing(Partition.DETACHED), standing(Partition.DETACHED), Verdict.RUN),
        (DETACH, standing(Partition.MISSING), standing(Partition.MISSING), Verdict.RUN),
        (FINALIZE, standing(Partition.PENDING), standing(Partition.PENDING), Verdict.RUN),
        (FINALIZE, standing(Partition.PENDING), standing(Partition.DETACHED), Verdict.DONE),
        (CREATE_DB, NOTHING, NOTHING, Verdict.RUN),
        (CREATE_DB, NOTHING, Observation(oid=1), Verdict.DONE),
        (CREATE_DB, Observation(oid=1), Observation(oid=1), Verdict.DECIDE),
        (CREATE_DB, Observation(oid=1), NOTHING, Verdict.RUN),
        (DROP_DB, Observation(oid=1), Observation(oid=1), Verdict.RUN),
        (DROP_DB, Observation(oid=1), NOTHING, Verdict.DONE),
        (DROP_DB, Observation(oid=1), Observation(oid=2), Verdict.DECIDE),
        (DROP_DB, NOTHING, NOTHING, Verdict.RUN),
        ("VACUUM", None, NOTHING, Verdict.RUN),
        ("CALL p()", NOTHING, NOTHING, Verdict.DECIDE),
    ],
)
def test_after_a_lost_connection_the_catalog_decides(
    sql: str, before: Observation, now: Observation, verdict: Verdict
) -> None:
    judgement = judged(sql, before, now)

    assert judgement.verdict is verdict
    assert bool(judgement.cleanup) is (verdict in (Verdict.REBUILD, Verdict.FINISH))
    assert bool(judgement.ways) is (verdict is Verdict.DECIDE)
    assert judgement.reason.endswith(".")


@pytest.mark.parametrize(
    ("sqlstate", "rebuilt", "verdict"),
    [
        ("", 0, Verdict.REBUILD),
        ("57014", 0, Verdict.REBUILD),
        ("57P01", 0, Verdict.REBUILD),
        ("57P02", 0, Verdict.REBUILD),
        ("55P03", 0, Verdict.REBUILD),
        ("40P01", 0, Verdict.REBUILD),
        ("08006", 0, Verdict.REBUILD),
        ("", 1, Verdict.DECIDE),
        ("57014", 1, Verdict.DECIDE),
        ("23505", 0, Verdict.DECIDE),
        ("53100", 0, Verdict.DECIDE),
        ("53200", 0, Verdict.DECIDE),
        ("22012", 0, Verdict.DECIDE),
        ("XX000", 0, Verdict.DECIDE),
    ],
)
@pytest.mark.parametrize(
    ("sql", "before", "now"),
    [
        (BUILD, TABLE, having(INVALID)),
        (REINDEX, having(INDEX), having(INDEX, numbered(11, "s.i_ccnew", valid=False))),
    ],
)
def test_a_leftover_is_cleaned_up_once_and_only_when_the_cause_can_pass(
    sql: str, before: Observation, now: Observation, sqlstate: str, rebuilt: int, verdict: Verdict
) -> None:
    assert judged(sql, before, now, sqlstate, rebuilt).verdict is verdict


def test_that_there_is_no_table_is_said() -> None:
    assert judged(BUILD, NOTHING, NOTHING) == Judgement(Verdict.RUN, "There is no table s.t.")


@pytest.mark.parametrize(
    ("sql", "before", "now", "reason"),
    [
        (BUILD, having(INDEX), having(INDEX), "The index s.i was there before, so the statement did not make it."),
        (
            BUILD,
            having(INDEX),
            having(numbered(11)),
            "The index s.i has replaced one that was there before, so the statement did not make it.",
        ),
        (GUARDED, having(INVALID), having(INVALID), "The index s.i was there before, and is invalid."),
        (
            BUILD,
            TABLE,
            having(replace(INDEX, table="s.u", table_oid=6)),
            "The index s.i is on s.u, not on s.t, so the statement did not make it.",
        ),
        (
            UNNAMED,
            TABLE,
            having(INDEX, numbered(11, "s.j")),
            "Several indexes on s.t are new, perhaps the statement's own is among them: s.i, s.j.",
        ),
        (
            REINDEX_TABLE,
            TABLE,
            having(numbered(11, "s.i_ccnew", valid=False), numbered(12, "s.j_ccnew", valid=False), builders=(7, 8)),
            "s.i_ccnew, s.j_ccnew are not valid, and another session (pid 7, 8) is building an index on its table.",
        ),
    ],
)
def test_what_a_person_has_to_decide_is_said(sql: str, before: Observation, now: Observation, reason: str) -> None:
    judgement = judged(sql, before, now)

    assert (judgement.verdict, judgement.reason) == (Verdict.DECIDE, reason)


def test_an_index_that_waits_for_its_partitions_may_be_taken_as_it_is() -> None:
    waiting = having(replace(INVALID, partitioned=True))

    judgement = judged("CREATE INDEX i ON ONLY s.t (a)", waiting, waiting)

    assert [way.resolve for way in judgement.ways] == [Resolution.DONE, None]
    assert judgement.ways[1].sql == ("DROP INDEX s.i",)
    assert judgement.warning == ""


@pytest.mark.parametrize(("sqlstate", "count"), [("23505", 1), ("53100", 2), ("22012", 2)])
def test_what_duplicates_stopped_cannot_be_made_valid_where_it_stands(sqlstate: str, count: int) -> None:
    assert len(judged(BUILD, TABLE, having(INVALID), sqlstate).ways) == count


def test_an_invalid_index_that_is_unique_and_was_not_to_be_is_not_made_valid() -> None:
    stood = having(replace(INVALID, unique=True))

    judgement = judged(GUARDED, stood, stood)

    assert [way.sql for way in judgement.ways] == [("DROP INDEX CONCURRENTLY s.i",)]


@pytest.mark.parametrize("before", [TABLE, having(INVALID)])
def test_an_invalid_index_is_never_offered_to_be_taken_as_it_is(before: Observation) -> None:
    judgement = judged(BUILD, before, having(INVALID), "42P07")

    assert judgement.verdict is Verdict.DECIDE
    assert [way.sql for way in judgement.ways] == [("DROP INDEX CONCURRENTLY s.i",)]
    assert judgement.warning == "Meanwhile every write to s.t keeps s.i up to date, and no query uses it."


@pytest.mark.parametrize(("sqlstate", "rebuilt"), [("XX000", 0), ("", 1)])
def test_a_partition_is_not_detached_to_the_end_against_an_error_or_twice(sqlstate: str, rebuilt: int) -> None:
    before, now = standing(Partition.ATTACHED), standing(Partition.PENDING)

    judgement = judged(DETACH, before, now, sqlstate, rebuilt)

    assert judgement.verdict is Verdict.DECIDE
    assert judgement.ways[0].sql == ("ALTER TABLE p DETACH PARTITION q FINALIZE",)


def test_a_partition_that_was_half_detached_before_is_said_to_be() -> None:
    half = standing(Partition.PENDING)

    judgement = judged(DETACH, half, half, "55000")

    assert judgement.reason == "q is detached from p half-way only, since before the statement began."


@pytest.mark.parametrize(
    ("sql", "now", "sqlstate"),
    [
        (BUILD, having(INDEX), "42P07"),
        (CREATE_DB, Observation(oid=1), "42P04"),
        ("CREATE TABLESPACE s LOCATION '/x'", Observation(oid=1), "42710"),
    ],
)
def test_that_it_exists_already_is_never_taken_for_success(sql: str, now: Observation, sqlstate: str) -> None:
    judgement = judged(sql, NOTHING, now, sqlstate)

    assert judgement.verdict is Verdict.DECIDE
    assert Resolution.DONE in [way.resolve for way in judgement.ways]


@pytest.mark.parametrize("sql", [BUILD, DROP, REINDEX, DETACH, CREATE_DB, DROP_DB])
def test_without_knowing_what_was_there_before_a_person_decides(sql: str) -> None:
    judgement = judged(sql, None, NOTHING)

    assert judgement.verdict is Verdict.DECIDE
    assert [way.resolve for way in judgement.ways] == [Resolution.DONE, Resolution.REDO]


@pytest.mark.parametrize(
    ("sqlstate", "words"),
    [
        ("23505", "Remove the rows with the same key, and drop the index; the next apply builds it anew"),
        ("53100", "Free space on the server, and drop the index; the next apply builds it anew"),
        ("22012", "Drop the index; the next apply builds it anew"),
    ],
)
def test_the_way_out_begins_with_the_cause(sqlstate: str, words: str) -> None:
    judgement = judged(BUILD, TABLE, having(INVALID), sqlstate)

    assert (judgement.ways[0].words, judgement.ways[0].sql) == (words, ("DROP INDEX CONCURRENTLY s.i",))


@pytest.mark.parametrize(
    ("index", "warning"),
    [
        (INVALID, "Meanwhile every write to s.t keeps s.i up to date, and no query uses it."),
        (
            replace(INVALID, unique=True),
            "Meanwhile s.i, though invalid, still rejects writes to s.t that repeat a key.",
        ),
        (replace(INVALID, ready=False), ""),
        (replace(INVALID, unique=True, ready=False), ""),
    ],
)
def test_what_an_invalid_index_does_to_writes_is_said(index: Index, warning: str) -> None:
    assert judged(BUILD, TABLE, having(index), "53100").warning == warning
    assert judged(BUILD, TABLE, having(index)).warning == warning


@pytest.mark.parametrize(
    ("sql", "before", "after", "is_success"),
    [
        (BUILD, TABLE, having(INDEX), True),
        (BUILD, TABLE, having(INVALID), False),
        (BUILD, TABLE, TABLE, False),
        (GUARDED, having(INDEX), having(INDEX), True),
        (GUARDED, having(INVALID), having(INVALID), False),
        (GUARDED, None, having(INVALID), False),
        (GUARDED, None, having(replace(INDEX, unique=True)), True),
        (GUARDED.replace("INDEX", "UNIQUE INDEX"), having(INDEX), having(INDEX), False),
        (UNNAMED, having(INVALID), having(INVALID, numbered(11)), True),
        (UNNAMED, having(INDEX), having(INDEX, numbered(11, valid=False)), False),
        (UNNAMED, having(INDEX), having(INDEX), False),
        (DROP, having(INDEX), TABLE, True),
        (DROP, having(INDEX), having(INDEX), False),
        (REINDEX, having(INVALID), having(numbered(11)), True),
        (REINDEX, having(INVALID), having(INVALID), False),
        (REINDEX_TABLE, having(INVALID), having(INVALID), True),
        (DETACH, standing(Partition.ATTACHED), standing(Partition.DETACHED), True),
        (DETACH, standing(Partition.ATTACHED), standing(Partition.PENDING), False),
        (CREATE_DB, NOTHING, Observation(oid=1), True),
        (CREATE_DB, NOTHING, NOTHING, False),
        (DROP_DB, Observation(oid=1), NOTHING, True),
        (DROP_DB, Observation(oid=1), Observation(oid=1), False),
        ("VACUUM", NOTHING, NOTHING, True),
    ],
)
def test_a_reported_success_is_one_when_the_catalog_agrees(
    sql: str, before: Observation | None, after: Observation, is_success: bool
) -> None:
    (statement,) = split(sql).statements

    problem = confirm(effect(statement), before, after)

    assert (problem is None) is is_success
