"""What the catalog says of index builds that were interrupted, and what follows."""

from __future__ import annotations

import os
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from sqlmigrations.resume.judging import Cause, Judgement, Problem, Verdict, Way
from tests.interruptions import BUILD, DROP_I, DUPLICATES, GUARDED, LOST, SNAPSHOT, TIMED_OUT, WAYS, WRITER, Scene


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
