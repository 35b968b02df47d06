"""Faults that come from what happened to files and rows after they were applied."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata

import pytest

from sqlmigrations.text import checksum
from tests.faults.refusals import refused
from tests.faults.scene import FaultySite

ONE_NAME = "the file system holds only one of the two names"


@pytest.fixture
def three(site: FaultySite) -> FaultySite:
    """Three migrations, applied."""
    for number, name in enumerate("abc", start=1):
        site.write(f"00{number}_{name}.sql", f"CREATE TABLE {name} (v text DEFAULT '{name}  {name}');\n")
    site.run("sqlmigrate_apply", check=True)
    return site


BEFORE = "CREATE TABLE b (v text DEFAULT 'b  b');\n"


def recovers(site: FaultySite, *names: str) -> None:
    """The next run succeeds, and exactly these are recorded."""
    ended = site.apply()
    assert (ended.returncode, site.names()) == (0, list(names)), ended


def moved(site: FaultySite, said: str) -> None:
    """Types in the ``mv`` of a message."""
    _, old, new = shlex.split(re.findall(r"mv \S+ \S+", said)[0])
    (site.folder / old).rename(site.folder / new)


def test_f59_a_space_changed_in_a_literal_of_an_applied_file_stops_the_run(three: FaultySite) -> None:
    applied = three.ledger()[2]["checksum"]
    path = three.write("002_b.sql", "CREATE TABLE b (v text DEFAULT 'b b');\n")
    three.write("004_d.sql", "CREATE TABLE d ();\n")

    said = refused(three, 4)

    now = checksum(path.read_text())
    assert (
        said
        == f"""\
The migration files do not agree with what is recorded; nothing has run.

  migrations_sql/002_b.sql  [modified]
    Changed since it was applied on WHEN: recorded checksum {applied[:16]}..., file {now[:16]}...
    Next: See the change: python manage.py sqlmigrate_status -v 2   Restore the file as it was applied \
(git log -p -- migrations_sql/002_b.sql), and put the change into a new one: \
python manage.py sqlmigrate_new project your_change
    Or, when what it says now is true of every database: \
python manage.py sqlmigrate_repair accept project 002 --reason "..."
"""
    )
    assert not three.has("d")
    path.write_text(BEFORE)
    recovers(three, "001_a", "002_b", "003_c", "004_d")


def test_f60_a_file_deleted_from_between_stops_the_run(three: FaultySite) -> None:
    three.remove("002_b.sql")

    said = refused(three, 4)

    assert (
        said
        == """\
The migration files do not agree with what is recorded; nothing has run.

  project.002_b  [missing]
    Applied on WHEN, but 002_b.sql is gone.
    Next: Restore it: git checkout HEAD -- migrations_sql/002_b.sql   or, when its deletion is committed: \
git checkout "$(git rev-list -n 1 HEAD -- migrations_sql/002_b.sql)^" -- migrations_sql/002_b.sql   \
(It may also be on another branch.)
    When it is gone for good: python manage.py sqlmigrate_repair forget project 002 --reason "..."
"""
    )
    forgotten = three.run("sqlmigrate_repair", "forget", "project", "002", "--reason", "given up", "--noinput")
    assert forgotten.returncode == 0
    recovers(three, "001_a", "003_c")


def test_f60_a_renamed_file_stops_the_run(three: FaultySite) -> None:
    (three.migrations / "002_b.sql").rename(three.migrations / "002_better.sql")

    said = refused(three, 4)

    assert (
        said
        == """\
The migration files do not agree with what is recorded; nothing has run.

  migrations_sql/002_better.sql  [renamed]
    Number 2 was applied on WHEN as 002_b; the file is now 002_better, with the same content.
    Next: Give it its name back: mv migrations_sql/002_better.sql migrations_sql/002_b.sql
    Or record its new one: python manage.py sqlmigrate_repair accept project 002 --reason "..."
"""
    )
    moved(three, said)
    recovers(three, "001_a", "002_b", "003_c")


def test_f60_a_renumbered_file_stops_the_run(three: FaultySite) -> None:
    (three.migrations / "002_b.sql").rename(three.migrations / "004_b.sql")

    said = refused(three, 4)

    assert (
        said
        == """\
The migration files do not agree with what is recorded; nothing has run.

  project.002_b  [missing]
    Applied on WHEN, but 002_b.sql is gone. 004_b.sql has the same content: it was renumbered.
    Next: Give it its number back: mv migrations_sql/004_b.sql migrations_sql/002_b.sql
"""
    )
    moved(three, said)
    recovers(three, "001_a", "002_b", "003_c")


def test_f60_a_duplicate_version_stops_the_run(three: FaultySite) -> None:
    three.write("3_other.sql", "CREATE TABLE other ();\n")

    said = refused(three, 4)

    assert (
        said
        == """\
The migration files are not in order; nothing has run.

  migrations_sql/3_other.sql  [duplicate-version]
    The number 3 is taken by 003_c.sql as well.
    Next: 003_c is applied, keep it; rename the other: mv migrations_sql/3_other.sql migrations_sql/4_other.sql
"""
    )
    moved(three, said)
    recovers(three, "001_a", "002_b", "003_c", "4_other")


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

    said = refused(three, 4)

    assert f"migrations_sql/{other}  [twin-name]\n    Differs from {one} {words}." in said
    (three.migrations / one).unlink()
    recovers(three, "001_a", "002_b", "003_c", other.removesuffix(".sql"))


def test_f61_a_lower_number_merged_late_stops_the_run_and_names_what_overtook_it(three: FaultySite) -> None:
    three.write("004_d.sql", "CREATE TABLE d ();\n")
    three.write("006_f.sql", "CREATE TABLE f ();\n")
    three.run("sqlmigrate_apply", check=True)
    three.write("005_e.sql", "CREATE TABLE e ();\n")

    assert (
        refused(three, 4)
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
