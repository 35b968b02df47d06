"""Faults that come with the files: their bytes, their names, what happened to them after they were applied."""

from __future__ import annotations

import os
import re
import unicodedata
from pathlib import Path

import pytest

from sqlmigrations.text import checksum
from tests.faults.scene import FaultySite
from tests.office import Office, page

ONE_NAME = "the file system holds only one of the two names"
WHEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")


def refused(site: FaultySite, code: int = 4) -> str:
    """What a run says that stops before its first statement."""
    before = site.ledger()
    ended = site.apply()
    assert (ended.returncode, ended.stdout) == (code, "")
    assert site.ledger() == before
    return WHEN.sub("WHEN", ended.stderr)


@pytest.fixture
def three(site: FaultySite) -> FaultySite:
    """Three migrations, applied."""
    for number, name in enumerate("abc", start=1):
        site.write(f"00{number}_{name}.sql", f"CREATE TABLE {name} (v text DEFAULT '{name}  {name}');\n")
    site.run("sqlmigrate_apply", check=True)
    return site


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
        refused(site)
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


def test_f53_a_nul_byte_is_refused_and_no_statement_runs(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\n")
    site.write("002_b.sql", "CREATE TABLE b ();\n\x00DROP TABLE a;\n")

    assert (
        refused(site)
        == """\
The migration files are not in order; nothing has run.

  migrations_sql/002_b.sql:2:1  [nul]
    A NUL byte, which ends the SQL for the driver.
    Next: Remove it.
"""
    )
    assert not site.has("a")


def test_f54_a_bidi_control_character_is_refused(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a ();\nDELETE FROM a; -- \u202e;eurt EREHW\n")

    assert (
        refused(site)
        == """\
The migration files are not in order; nothing has run.

  migrations_sql/001_a.sql:2:19  [hidden-text]
    Bidi control character U+202E (S04): a reviewer sees another text than the one that runs.
    Next: Remove it, or write it as U&'\\202E' in a literal.
"""
    )


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


def test_f59_a_space_changed_in_a_literal_of_an_applied_file_stops_the_run(three: FaultySite) -> None:
    applied = three.ledger()[2]["checksum"]
    path = three.write("002_b.sql", "CREATE TABLE b (v text DEFAULT 'b b');\n")
    three.write("004_d.sql", "CREATE TABLE d ();\n")

    said = refused(three)

    now = checksum(path.read_text())
    assert (
        said
        == f"""\
The migration files do not agree with what is recorded; nothing has run.

  migrations_sql/002_b.sql  [modified]
    Changed since it was applied on WHEN: recorded checksum {applied[:16]}..., file {now[:16]}...
    Next: Restore the file as it was applied (git log -p -- migrations_sql/002_b.sql), and put the change into a \
new one: python manage.py sqlmigrate_new project your_change
"""
    )
    assert not three.has("d")


def test_f60_a_file_deleted_from_between_stops_the_run(three: FaultySite) -> None:
    three.remove("002_b.sql")

    assert (
        refused(three)
        == """\
The migration files do not agree with what is recorded; nothing has run.

  project.002_b  [missing]
    Applied on WHEN, but 002_b.sql is gone.
    Next: Restore it from version control: git log --diff-filter=D --name-only -- '*002_b.sql'
"""
    )


def test_f60_a_renamed_file_stops_the_run(three: FaultySite) -> None:
    (three.migrations / "002_b.sql").rename(three.migrations / "002_better.sql")

    assert (
        refused(three)
        == """\
The migration files do not agree with what is recorded; nothing has run.

  migrations_sql/002_better.sql  [renamed]
    Number 2 was applied on WHEN as 002_b; the file is now 002_better, with the same content.
    Next: Give it its name back: mv migrations_sql/002_better.sql migrations_sql/002_b.sql
"""
    )


def test_f60_a_renumbered_file_stops_the_run(three: FaultySite) -> None:
    (three.migrations / "002_b.sql").rename(three.migrations / "004_b.sql")

    assert (
        refused(three)
        == """\
The migration files do not agree with what is recorded; nothing has run.

  project.002_b  [missing]
    Applied on WHEN, but 002_b.sql is gone. 004_b.sql has the same content: it was renumbered.
    Next: Give it its number back: mv migrations_sql/004_b.sql migrations_sql/002_b.sql
"""
    )


def test_f60_a_duplicate_version_stops_the_run(three: FaultySite) -> None:
    three.write("3_other.sql", "CREATE TABLE other ();\n")

    assert (
        refused(three)
        == """\
The migration files are not in order; nothing has run.

  migrations_sql/3_other.sql  [duplicate-version]
    The number 3 is taken by 003_c.sql as well.
    Next: 003_c is applied, keep it; rename the other: mv migrations_sql/3_other.sql migrations_sql/4_other.sql
"""
    )


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("004_Users.sql", "004_users.sql", "only in case"),
        (*(unicodedata.normalize(form, "004_größe.sql") for form in ("NFD", "NFC")), "only in Unicode normalisation"),
    ],
)
def test_f60_names_that_some_file_systems_do_not_tell_apart_stop_the_run(
    three: FaultySite, one: str, other: str, words: str
) -> None:
    three.write(one, "SELECT 1;\n")
    three.write(other, "SELECT 1;\n")
    if len(os.listdir(three.migrations)) == 4:
        pytest.skip(ONE_NAME)

    said = refused(three)

    assert f"migrations_sql/{other}  [twin-name]\n    Differs from {one} {words}." in said


def test_f61_a_lower_number_merged_late_stops_the_run_and_names_what_overtook_it(three: FaultySite) -> None:
    three.write("004_d.sql", "CREATE TABLE d ();\n")
    three.write("006_f.sql", "CREATE TABLE f ();\n")
    three.run("sqlmigrate_apply", check=True)
    three.write("005_e.sql", "CREATE TABLE e ();\n")

    assert (
        refused(three)
        == """\
The migration files do not agree with what is recorded; nothing has run.

  migrations_sql/005_e.sql  [late]
    Late: 006_f, a higher number, is applied already.
    Next: Give it a number above 006_f; or, when it may run after it, add the line -- late: why   to the file, or \
run once with --allow-late.
"""
    )


@pytest.mark.parametrize(
    ("head", "options", "settings"),
    [("-- late: adds a table\n", (), "{}"), ("", ("--allow-late",), "{}"), ("", (), '{"ALLOW_LATE": true}')],
)
def test_f61_it_is_applied_and_marked_when_it_may(
    three: FaultySite, head: str, options: tuple[str, ...], settings: str
) -> None:
    three.write("005_e.sql", "CREATE TABLE e ();\n")
    three.run("sqlmigrate_apply", check=True)
    three.write("004_d.sql", f"{head}CREATE TABLE d ();\n")

    assert three.apply(*options, SQLMIGRATIONS_JSON=settings).returncode == 0

    assert [(row["name"], row["late"]) for row in three.ledger()[-2:]] == [("005_e", False), ("004_d", True)]
    assert three.has("d")


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

    findings = re.findall(r"^  migrations_sql/(\S+)  \[(\S+)\]\n    (.*)$", refused(site), re.MULTILINE)

    assert findings == [
        ("001_a.sql", "symlink", "A symbolic link that leaves the folder."),
        ("002_b.sql", "symlink", "A symbolic link that leaves the folder."),
        ("003_c.sql", "not-a-file", "Not a regular file (a pipe, socket or device)."),
        ("004_d.sql", "not-a-file", "A directory with the name of an SQL file."),
        ("005_e.sql", "unreadable", "The file cannot be read: Too many levels of symbolic links."),
    ]


@pytest.mark.parametrize(
    ("tampering", "rule", "id"),
    [
        (
            "UPDATE schema_migrations SET checksum = repeat('0', 64), sql_checksum = '' WHERE name = '002_b'",
            "modified",
            "project.002_b",
        ),
        ("UPDATE schema_migrations SET name = '002_z' WHERE name = '002_b'", "renamed", "project.002_b"),
        ("UPDATE schema_migrations SET state = 'partial' WHERE name = '002_b'", "partial", "project.002_b"),
        ("DELETE FROM schema_migrations WHERE name = '002_b'", "late", "project.002_b"),
        (
            "INSERT INTO schema_migrations (label, key, version, name, kind, mode, checksum, sql_checksum, "
            "checksum_algorithm, state, run_id, statements_total, tool_version) SELECT label, '0', 0, '000_x', kind, "
            "mode, checksum, '', checksum_algorithm, state, run_id, 1, tool_version FROM schema_migrations "
            "WHERE name = '001_a'",
            "missing",
            "project.000_x",
        ),
    ],
)
def test_f65_a_row_edited_deleted_or_added_by_hand_is_named(
    three: FaultySite, tampering: str, rule: str, id: str
) -> None:
    three.query(tampering)

    ended = three.run("sqlmigrate_status", "--check")

    assert ended.returncode == (7 if rule == "partial" else 4)
    assert "; integrity broken.\n" in ended.stdout
    place = f"migrations_sql/{id.partition('.')[2]}.sql" if rule in ("modified", "renamed", "late") else id
    assert f"\n  {place}  [{rule}]\n" in ended.stdout
    assert refused(three, ended.returncode)


MARKUP = "<script>alert(1)</script>"


def test_f70_markup_in_sql_errors_and_names_is_shown_as_text(office: Office) -> None:
    office.site.write("001_a.sql", f"SELECT '{MARKUP}'::int;\n")
    office.site.run("sqlmigrate_apply")
    office.site.write("001_a.sql", f"SELECT '{MARKUP}';\n")
    office.site.run("sqlmigrate_apply", check=True)
    office.site.query(
        "UPDATE schema_migrations SET name = %s, applied_by = %s, metadata = jsonb_build_object('note', %s)"
        " WHERE name = '001_a'",
        *[MARKUP] * 3,
    )
    office.site.query("UPDATE schema_migration_events SET os_user = %s, event = %s", MARKUP, MARKUP)
    client = office.superuser()

    for table, kind in (("schema_migrations", "schemamigration"), ("schema_migration_events", "schemamigrationevent")):
        folder = f"/admin/sqlmigrations/{kind}/"
        ids = office.site.query(f"SELECT id FROM {table} ORDER BY id DESC LIMIT 3")
        for path in (folder, *(f"{folder}{id}/change/" for (id,) in ids)):
            html = page(client.get(path))

            assert MARKUP not in html
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html or path.endswith("/change/")
    assert office.site.query("SELECT count(*) FROM schema_migration_events WHERE detail::text LIKE '%<script>%'") == [
        (1,)
    ]


@pytest.mark.parametrize("who", ["superuser", "viewer", "staff without permission", "visitor"])
@pytest.mark.parametrize("kind", ["schemamigration", "schemamigrationevent"])
def test_f71_nobody_changes_a_row_through_the_admin(office: Office, who: str, kind: str) -> None:
    office.site.write("001_a.sql", "CREATE TABLE a ();\n")
    office.site.run("sqlmigrate_apply", check=True)
    client = {
        "superuser": office.superuser,
        "viewer": lambda: office.staff(f"view_{kind}"),
        "staff without permission": office.staff,
        "visitor": office.visitor,
    }[who]()
    rows = (
        "SELECT to_jsonb(m)::text FROM schema_migrations AS m "
        "UNION ALL SELECT to_jsonb(e)::text FROM schema_migration_events AS e"
    )
    before = office.site.query(rows)
    folder = f"/admin/sqlmigrations/{kind}/"
    id = office.site.query("SELECT min(id) FROM schema_migrations")[0][0]
    data = {"label": "x", "name": "x", "_save": "Save", "action": "delete_selected", "_selected_action": str(id)}

    answers = {
        path: client.post(folder + path, {**data, "post": "yes"}).status_code
        for path in ("add/", f"{id}/change/", f"{id}/delete/")
    }
    client.post(folder, data)
    looked = client.get(folder).status_code

    refusal = 302 if who == "visitor" else 403
    assert set(answers.values()) == {refusal}
    assert looked == {"superuser": 200, "viewer": 200, "visitor": 302}.get(who, 403)
    assert office.site.query(rows) == before
