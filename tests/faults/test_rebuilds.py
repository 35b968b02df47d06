"""Builds that fail again and again: what is done about them without a person's word, and what is not."""

from __future__ import annotations

from tests.faults.scene import FaultySite, until

AGAIN = """\
  The index public.t_a was left invalid because it was cancelled, after it had been run anew already. Until then \
every write to public.t keeps public.t_a up to date, and no query uses it.
  Next: Choose one of these, then run  python manage.py sqlmigrate_apply
  - Drop the index; the next apply builds it anew:
      DROP INDEX CONCURRENTLY public.t_a;
  - Make it valid where it stands:
      REINDEX INDEX CONCURRENTLY public.t_a;
"""
BUILD = "CREATE INDEX CONCURRENTLY t_a ON t (a);\n"


def cancelled(site: FaultySite) -> tuple[int, str]:
    """A run whose build is cancelled while it waits at its end for somebody who still reads what was before."""
    reader = site.database.connect()
    with reader.cursor() as cursor:
        cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ; SELECT 1")
    runner = site.start_apply()
    until(lambda: site.query("SELECT 1 FROM pg_stat_progress_create_index WHERE phase = 'waiting for old snapshots'"))
    site.query("SELECT pg_cancel_backend(pid) FROM pg_stat_progress_create_index")
    _, err = runner.communicate(timeout=60)
    reader.close()
    return runner.returncode, err


def test_f82_a_build_that_is_cancelled_again_and_again_is_built_anew_once(site: FaultySite) -> None:
    site.query("CREATE TABLE t (a int)")
    site.write("001_i.sql", BUILD)

    first, second = cancelled(site), cancelled(site)
    third, fourth = site.apply(), site.apply()

    assert [first[0], second[0], third.returncode, fourth.returncode] == [7, 7, 7, 7]
    assert "DROP INDEX CONCURRENTLY public.t_a  and then statement 1 again, once." in first[1]
    assert all(AGAIN in said for said in (second[1], third.stderr, fourth.stderr))
    assert len(site.events("statement_started")) == 2
    assert len(site.events("statement_rebuilt")) == 1
    site.query("DROP INDEX CONCURRENTLY t_a")
    assert site.apply().returncode == 0
    assert site.names() == ["001_i"]
