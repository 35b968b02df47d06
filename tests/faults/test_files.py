"""Faults that come with the bytes, names and kinds of files."""

from __future__ import annotations

import os
import re
from pathlib import Path

import pytest

from sqlmigrations.text import checksum
from tests.faults.refusals import refused
from tests.faults.scene import FaultySite


def test_f51_a_crlf_checkout_of_an_applied_file_is_the_same_file(site: FaultySite) -> None:
    lf = "-- note\nCREATE TABLE a (v text DEFAULT 'x\ny');\n"
    path = site.write("001_a.sql", lf)
    site.run("sqlmigrate_apply", check=True)
    path.write_bytes(lf.replace("\n", "\r\n").encode())

    again, status = site.apply(), site.run("sqlmigrate_status", "--check", "-v", "2")

    assert (again.returncode, again.stdout) == (0, "All migrations are already applied!\n")
    assert status.returncode == 0
    assert "       (on disk with CRLF line ends or a byte order mark: sha256sum says " in status.stdout


def test_f51_a_crlf_file_is_applied_and_recorded_as_its_lf_twin(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (v text DEFAULT 'x\r\ny');\r\n")

    assert site.apply().returncode == 0

    assert site.ledger()[1]["checksum"] == checksum("CREATE TABLE a (v text DEFAULT 'x\ny');\n")
    assert site.query("INSERT INTO a DEFAULT VALUES RETURNING v") == [("x\ny",)]


def test_f52_a_byte_order_mark_is_stripped(site: FaultySite) -> None:
    site.write("001_a.sql", b"\xef\xbb\xbf-- lock-timeout: 3s\nCREATE TABLE a ();\n")

    assert site.apply().returncode == 0

    assert site.ledger()[1]["checksum"] == checksum("-- lock-timeout: 3s\nCREATE TABLE a ();\n")


def test_f52_utf16_and_latin1_are_refused_with_their_offsets(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\n".encode("utf-16"))
    site.write("002_b.sql", "CREATE TABLE b ();\n-- für\n".encode("latin-1"))

    assert (
        refused(site, 4)
        == """\
The migration files are not in order; nothing has run.

  migrations_sql/001_a.sql:1:1  [encoding]
    The file is UTF-16 (byte offset 0).
    Next: Save the file as UTF-8.

  migrations_sql/002_b.sql:2:5  [encoding]
    Not UTF-8: byte 0xfc at offset 23.
    Next: Save the file as UTF-8.
"""
    )
    site.write("001_a.sql", "CREATE TABLE a ();\n")
    site.write("002_b.sql", "CREATE TABLE b ();\n-- für\n")
    assert (site.apply().returncode, site.names()) == (0, ["001_a", "002_b"])


def test_f53_a_nul_byte_is_refused_and_no_statement_runs(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\n")
    site.write("002_b.sql", "CREATE TABLE b ();\n\x00DROP TABLE a;\n")

    assert (
        refused(site, 4)
        == """\
The migration files are not in order; nothing has run.

  migrations_sql/002_b.sql:2:1  [nul]
    A NUL byte, which ends the SQL for the driver.
    Next: Remove it.
"""
    )
    assert not site.has("a")
    site.write("002_b.sql", "CREATE TABLE b ();\n")
    assert (site.apply().returncode, site.names()) == (0, ["001_a", "002_b"])


def test_f54_a_bidi_control_character_is_refused(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\nDELETE FROM a; -- \u202e;eurt EREHW\n")

    assert (
        refused(site, 4)
        == """\
The migration files are not in order; nothing has run.

  migrations_sql/001_a.sql:2:19  [hidden-text]
    Bidi control character U+202E: a reviewer sees another text than the one that runs.
    Next: Remove it, or write it as U&'\\202E' in a literal.
"""
    )
    assert not site.has("a")
    site.write("001_a.sql", "CREATE TABLE a (v text DEFAULT U&'\\202E');\n")
    assert (site.apply().returncode, site.names()) == (0, ["001_a"])


def test_f55_files_without_a_statement_are_recorded_as_empty_with_a_note(site: FaultySite) -> None:
    for name, text in (("001_a", ""), ("002_b", "-- only a comment\n/* two */"), ("003_c", ";;;\n")):
        site.write(f"{name}.sql", text)

    ended = site.apply()

    assert ended.returncode == 0
    told = [line for line in ended.stdout.splitlines() if "project." in line or line.startswith("      ")]
    assert [re.sub(r"\d+ ms", "N ms", line) for line in told] == [
        line
        for name in ("001_a", "002_b", "003_c")
        for line in (f"  Applying project.{name}... OK, empty (N ms)", "      no statement in it")
    ]
    assert [(row["name"], row["metadata"], row["statements_total"]) for row in site.ledger()[1:]] == [
        (name, {"empty": True}, 0) for name in ("001_a", "002_b", "003_c")
    ]


PIECES = r"""
CREATE TABLE notes (id int GENERATED ALWAYS AS IDENTITY, v text);
INSERT INTO notes (v) VALUES ('100 % of %s and %(name)s; :x, $1, ''quoted''; -- no comment');
INSERT INTO notes (v) VALUES (E'tab\t; back\\slash, \' quote');
INSERT INTO notes (v) VALUES ('C:\new; \');
INSERT INTO notes (v) VALUES ($a$ $b$ ; $b$ $$ ; $$ -- x
/* ; $a$);
/* outer ; /* inner ; */ still outer ' ; */
INSERT INTO notes (v) SELECT v FROM (VALUES (U&'\00e4;')) AS "odd ; ""one"" name" (v) WHERE 7 % 4 = 3;
DO $do$ BEGIN EXECUTE $q$ INSERT INTO notes (v) VALUES (';%') $q$; END $do$;
"""


def test_f56_every_kind_of_text_is_executed_byte_for_byte(site: FaultySite) -> None:
    site.write("001_notes.sql", PIECES)

    assert site.apply().returncode == 0

    assert site.query("SELECT v FROM notes ORDER BY id") == [
        ("100 % of %s and %(name)s; :x, $1, 'quoted'; -- no comment",),
        ("tab\t; back\\slash, ' quote",),
        ("C:\\new; \\",),
        (" $b$ ; $b$ $$ ; $$ -- x\n/* ; ",),
        ("ä;",),
        (";%",),
    ]
    assert site.ledger()[1]["statements_done"] == 7


COPIED = r"""
CREATE TABLE a (n int, v text);
COPY a (n, v) FROM stdin;
1	x;y\n
2	\N
\.
SELECT 1;
""".replace(r"\t", "\t")


def test_f57_psql_commands_are_refused_and_inline_data_is_loaded(site: FaultySite) -> None:
    site.write("001_a.sql", COPIED)
    site.write("002_b.sql", "SELECT 1;\n\\i more.sql\n  \\copy a FROM 'x'\n\\set v 1\n")
    places = re.findall(r"002_b\.sql:\d+:\d+  \[psql-command\]", refused(site, 6))
    assert places == [f"002_b.sql:{place}  [psql-command]" for place in ("2:1", "3:3", "4:1")]
    site.remove("002_b.sql")

    assert site.apply().returncode == 0

    assert site.query("SELECT n, v FROM a ORDER BY n") == [(1, "x;y\n"), (2, None)]


@pytest.mark.parametrize(
    "line",
    [
        *("\\i more.sql", "\\ir more.sql", "\\include more.sql", "\\set v 1", "\\copy a FROM 'x'", "\\connect other"),
        *("\\echo done", "\\if true", "\\gexec", "\\!touch x", "\\o out.txt", "SELECT 1 \\gset", "SELECT 1 AS v \\g"),
    ],
)
def test_f57_every_psql_command_stops_the_plan_before_anything_runs(site: FaultySite, line: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\n")
    site.write("002_b.sql", f"SELECT 1;\n{line}\n")

    said = refused(site, 6)

    assert f"  migrations_sql/002_b.sql:2:{line.index(chr(92)) + 1}  [psql-command]" in said
    assert not site.has("a")


def test_f57_a_variable_of_psql_is_an_error_at_its_line(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\nALTER TABLE :name ADD COLUMN b int;\n")

    failed = site.apply()

    assert failed.returncode == 1
    assert "migrations_sql/001_a.sql:2:13\n" in failed.stderr
    assert 'PostgreSQL 42601: syntax error at or near ":"' in failed.stderr
    assert (site.recorded(), site.has("a")) == ([], False)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize(
    ("options", "data", "rows"),
    [
        ("", "1\tone\n2\ttwo\n\\.\n", [(1, "one"), (2, "two")]),
        ("", "\\.\n", []),
        ("", "1\tC:\\\\new\\tx\n\\.\n", [(1, "C:\\new\tx")]),
        (" WITH (FORMAT csv)", '1,"one; ""two""\nthree"\n\\.\n', [(1, 'one; "two"\nthree')]),
        (" WITH (FORMAT csv, HEADER)", "n,v\n7,ü\n\\.\n", [(7, "ü")]),
        (" WITH (DELIMITER '|', NULL '-')", "1|-\n\\.\n", [(1, None)]),
    ],
)
def test_f57_inline_data_of_every_form_are_loaded(
    site: FaultySite, driver: str, options: str, data: str, rows: list[tuple[object, ...]]
) -> None:
    site.query("CREATE TABLE a (n int, v text)")
    site.write("001_a.sql", f"COPY a FROM stdin{options};\n{data}SELECT 1;\n")

    applied = site.apply(DRIVER=driver)

    assert (applied.returncode, applied.stderr) == (0, "")
    assert site.query("SELECT n, v FROM a ORDER BY n") == rows


def test_f62_10_comes_after_9(site: FaultySite) -> None:
    site.write("10_b.sql", "ALTER TABLE a ADD COLUMN n int;\n")
    site.write("9_a.sql", "CREATE TABLE a ();\n")

    assert site.apply().returncode == 0

    assert site.names() == ["9_a", "10_b"]


def test_f63_links_pipes_folders_and_files_that_cannot_be_read_are_refused_without_waiting(
    site: FaultySite, tmp_path: Path
) -> None:
    (tmp_path / "outside.sql").write_text("SELECT 1;\n")
    (site.migrations / "001_a.sql").symlink_to("/etc/passwd")
    (site.migrations / "002_b.sql").symlink_to("../outside.sql")
    os.mkfifo(site.migrations / "003_c.sql")
    (site.migrations / "004_d.sql").mkdir()
    (site.migrations / "005_e.sql").symlink_to("005_e.sql")

    findings = re.findall(r"^  migrations_sql/(\S+)  \[(\S+)\]\n    (.*)$", refused(site, 4), re.MULTILINE)

    assert findings == [
        ("001_a.sql", "symlink", "A symbolic link that leaves the folder."),
        ("002_b.sql", "symlink", "A symbolic link that leaves the folder."),
        ("003_c.sql", "not-a-file", "Not a regular file (a pipe, socket or device)."),
        ("004_d.sql", "not-a-file", "A directory with the name of an SQL file."),
        ("005_e.sql", "unreadable", "The file cannot be read: Too many levels of symbolic links."),
    ]
