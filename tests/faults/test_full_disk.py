"""A disk of the server that is full: under a file, under a build, under our own records, and under the WAL."""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.disks import Disk, lend_disk, lend_tablespace
from tests.faults.own import Elsewhere, lend_server, start_again
from tests.faults.scene import FaultySite, ended, until
from tests.servers import socket_url

DRIVERS = pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
FULL = "PostgreSQL 53100: could not "
REMEDY = "The disk of the server is full. Free space. Then run  python manage.py sqlmigrate_apply"


@pytest.fixture
def small(site: FaultySite) -> Iterator[Disk]:
    """A tablespace of a few megabytes."""
    with lend_tablespace(site.database, 8) as disk:
        yield disk


def noise(kilobytes: int) -> str:
    """That no compression makes smaller."""
    return random.Random(1).randbytes(kilobytes * 512).hex()


def fill(site: FaultySite, disk: Disk) -> None:
    """What is left of it is taken by somebody else."""
    left = os.statvfs(disk.folder)
    (disk.folder / "rubbish").write_bytes(b"0" * left.f_bavail * left.f_bsize)


@DRIVERS
def test_f45_a_full_disk_rolls_the_file_back(site: FaultySite, small: Disk, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write(
        "002_b.sql",
        f"CREATE TABLE b (words text) TABLESPACE {small.tablespace};\n"
        "INSERT INTO b SELECT repeat(md5(i::text), 50) FROM generate_series(1, 50000) AS i;\n",
    )

    failed = site.apply(DRIVER=driver)

    left = (site.recorded(), site.has("b"))
    small.free()
    applied = site.apply(DRIVER=driver)
    assert failed.returncode == 1, failed
    assert "project.002_b failed and was rolled back.\n" in failed.stderr
    assert "migrations_sql/002_b.sql:2:1" in failed.stderr
    assert FULL in failed.stderr
    assert ": No space left on device" in failed.stderr
    assert f"Next: {REMEDY}" in failed.stderr
    assert left == ([("001_a", "applied")], False)
    assert (applied.returncode, site.names()) == (0, ["001_a", "002_b"])


@DRIVERS
def test_f45_a_full_disk_under_the_ledger_rolls_the_file_back(site: FaultySite, small: Disk, driver: str) -> None:
    assert site.apply().returncode == 0
    site.query(f"ALTER TABLE schema_migration_texts SET TABLESPACE {small.tablespace}")
    fill(site, small)
    site.write("001_a.sql", f"CREATE TABLE a (id int); -- {noise(200)}\n")

    failed = site.apply(DRIVER=driver)

    left = (site.recorded(), site.has("a"))
    small.free()
    applied = site.apply(DRIVER=driver)
    assert failed.returncode == 1, failed
    assert "project.001_a failed and was rolled back.\n" in failed.stderr
    assert FULL in failed.stderr
    assert f"Next: {REMEDY}" in failed.stderr
    assert left == ([], False)
    assert (applied.returncode, site.names()) == (0, ["001_a"])


@DRIVERS
def test_f45_f46_a_journal_that_cannot_be_written_stops_the_file_before_its_statement(
    site: FaultySite, small: Disk, driver: str
) -> None:
    site.query("CREATE TABLE t AS SELECT 1 AS id")
    assert site.apply().returncode == 0
    site.query(f"ALTER TABLE schema_migration_events SET TABLESPACE {small.tablespace}")
    fill(site, small)
    site.write("001_i.sql", f"CREATE INDEX CONCURRENTLY /* {noise(200)} */ i ON t (id);\n")

    failed = site.apply(DRIVER=driver)

    left = (site.recorded(), site.has("i"))
    small.free()
    applied = site.apply(DRIVER=driver)
    assert failed.returncode == 7, failed
    assert "its journal could not be written" in failed.stderr
    assert FULL in failed.stderr
    assert REMEDY in failed.stderr
    assert "0 of 1 statements are done and recorded" in failed.stderr
    assert left == ([("001_i", "partial")], False)
    assert (applied.returncode, site.names()) == (0, ["001_i"])


@DRIVERS
def test_f46_a_build_on_a_full_disk_waits_for_space_and_a_person(site: FaultySite, small: Disk, driver: str) -> None:
    site.query("CREATE TABLE t AS SELECT g AS id FROM generate_series(1, 500000) AS g")
    site.write("001_i.sql", f"CREATE INDEX CONCURRENTLY i ON t (id) TABLESPACE {small.tablespace};\n")

    stopped = site.apply(DRIVER=driver)
    again = site.apply(DRIVER=driver)

    small.free()
    still = site.apply(DRIVER=driver)
    site.query("DROP INDEX CONCURRENTLY i")
    built = site.apply(DRIVER=driver)
    assert [run.returncode for run in (stopped, again, still, built)] == [7, 7, 7, 0], (stopped, again, still, built)
    assert FULL in stopped.stderr
    assert "The index public.i was left invalid because the disk of the server was full." in stopped.stderr
    assert "Free space on the server, and drop the index; the next apply builds it anew" in stopped.stderr
    assert "DROP INDEX CONCURRENTLY public.i;" in stopped.stderr
    assert "The index public.i was left invalid because the disk of the server was full." in again.stderr
    assert site.query("SELECT indisvalid FROM pg_index WHERE indexrelid = 'i'::regclass") == [(True,)]


def test_f45_a_device_that_takes_nothing_more_rolls_the_file_back(site: FaultySite) -> None:
    """Where nothing can be mounted this one runs all the same."""
    site.query("CREATE TABLE b (words text)")
    ((data, path),) = site.query("SELECT current_setting('data_directory'), pg_relation_filepath('b')")
    table = Path(data, path)
    site.write("001_a.sql", "CREATE TABLE a (id int);\nINSERT INTO b VALUES ('x');\n")
    kept = table.rename(table.with_name(f"{table.name}.kept"))
    table.symlink_to("/dev/full")

    failed = site.apply()

    kept.rename(table)
    applied = site.apply()
    assert failed.returncode == 1, failed
    assert "migrations_sql/001_a.sql:2:1" in failed.stderr
    assert FULL in failed.stderr
    assert (applied.returncode, site.names()) == (0, ["001_a"])
    assert site.query("SELECT words FROM b") == [("x",)]


@DRIVERS
def test_f45_a_full_disk_under_the_wal_is_a_crash_at_the_commit_that_is_told_truly(
    tmp_path: Path, driver: str
) -> None:
    late = ("wal_buffers=64MB", "wal_writer_delay=10s", "max_wal_size=64MB", "min_wal_size=32MB")
    with lend_server(*late, "restart_after_crash=off") as server:
        server.enter()
        data = server.folder / "data"
        with lend_disk(data, 64) as disk:
            server.leave()
            shutil.copytree(data / "pg_wal", disk.folder / "wal")
            for path in (disk.folder / "wal", *(disk.folder / "wal").rglob("*")):
                os.chown(path, data.stat().st_uid, data.stat().st_gid)
            shutil.rmtree(data / "pg_wal")
            (data / "pg_wal").symlink_to(disk.folder / "wal")
            site = FaultySite(tmp_path, Elsewhere("postgres", socket_url(server, "postgres")))
            site.migrations.mkdir()
            site.write("001_a.sql", "CREATE TABLE a (id int);\n")
            assert site.apply().returncode == 0
            fill(site, disk)
            rows = "SELECT repeat(md5(i::text), 50) FROM generate_series(1, 25000) AS i"
            site.write("002_b.sql", f"CREATE TABLE b (words text);\nINSERT INTO b {rows};\n")
            runner = site.start_apply("--wait-for-db", "60", DRIVER=driver)
            until(lambda: not Path(f"/proc/{server.pid}").exists())
            disk.free()
            start_again(server)

            crashed = ended(runner)

            left = (site.names(), site.has("b"))
            applied = site.apply(DRIVER=driver)
            site.end_processes()
            server.leave()
    assert crashed.returncode == 10, crashed
    assert "Nothing of this file was kept; no migrations were applied in this run before it." in crashed.stderr
    assert left == (["001_a"], False)
    assert (applied.returncode, applied.stderr) == (0, "")
