"""Our own statements, prepared once in a session of our own and sent as they are in any other."""

from __future__ import annotations

from sqlmigrations.backends.base import Connection
from sqlmigrations.backends.prepared import Prepared
from tests.inprocess import LocalSite
from tests.site import Site

ADD, NEGATE = "SELECT %s::int + %s::int", "SELECT -(%s::int)"


def test_statements_are_prepared_when_they_come_a_second_time(local_site: LocalSite) -> None:
    with local_site.configured():
        connection = Connection("default", "test")
        prepared = Prepared(connection, direct=True)

        sent = [prepared.sql("ours", [ADD, NEGATE]) for _ in range(3)]
        rows = [connection.query(sql, [1, 2, 5]) for sql in sent]

        assert sent == [f"{ADD};{NEGATE}", *["EXECUTE ours_0 (%s, %s);EXECUTE ours_1 (%s)"] * 2]
        assert rows == [[(-5,)]] * 3
        connection.close()


def test_behind_a_pooler_they_are_sent_as_they_are(local_site: LocalSite) -> None:
    with local_site.configured():
        connection = Connection("default", "test")
        prepared = Prepared(connection, direct=False)

        sent = {prepared.sql("ours", [ADD]) for _ in range(3)}

        assert sent == {ADD}
        assert connection.query("SELECT name FROM pg_prepared_statements") == []
        connection.close()


def test_files_that_drop_prepared_statements_are_recorded_like_others(site: Site) -> None:
    for number in range(1, 8):
        site.write(f"{number:03d}_x.sql", f"CREATE TABLE t{number} ();\n")
    site.write("004_x.sql", "CREATE TABLE t4 ();\nDEALLOCATE ALL;\n")
    site.write("006_x.sql", "DO $$ BEGIN EXECUTE 'DEALLOCATE ALL'; END $$;\nCREATE TABLE t6 ();\n")

    applied = site.run("sqlmigrate_apply")

    assert (applied.returncode, applied.stderr) == (0, "")
    assert [row["name"] for row in site.ledger()[1:]] == [f"{number:03d}_x" for number in range(1, 8)]
    assert {row["state"] for row in site.ledger()} == {"applied"}
