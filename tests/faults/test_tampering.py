"""Rows of the ledger that somebody wrote to by hand: which, what is wrong in them, and what brings them back."""

from __future__ import annotations

import re
import shlex
from subprocess import CompletedProcess

import pytest
from django.db import connections
from django.test.utils import CaptureQueriesContext

from sqlmigrations.parser import sql_checksum
from sqlmigrations.text import checksum
from tests.inprocess import LocalSite
from tests.samples import sql_file
from tests.site import ROOT

WHEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")
CHECKSUM = re.compile(r"\b[0-9a-f]{64}\b|\b(?!0000)[0-9a-f]{16}(?=\.\.\.)")


@pytest.fixture
def three(local_site: LocalSite) -> LocalSite:
    """Three migrations, applied."""
    for number, name in enumerate("abc", start=1):
        local_site.write(f"00{number}_{name}.sql", f"CREATE TABLE {name} (v text DEFAULT '{name}  {name}');\n")
    local_site.run("sqlmigrate_apply", check=True)
    return local_site


def check(site: LocalSite) -> CompletedProcess[str]:
    return site.run("sqlmigrate_status", "--check")


def told(ended: CompletedProcess[str]) -> str:
    """What is said below the totals, with times and checksums alike."""
    findings = ended.stdout.partition("integrity broken.\n")[2]
    return CHECKSUM.sub("SUM", WHEN.sub("WHEN", findings))


def type_in(site: LocalSite, command: str) -> None:
    """What the message says to type; of dbshell the statement alone."""
    words = shlex.split(command.replace('"..."', '"looked into"'))
    assert words[:2] == ["python", "manage.py"]
    if words[2] == "dbshell":
        assert words[3:5] == ["--", "-c"]
        site.query(words[5])
    else:
        site.run(*words[2:], *(["--noinput"] if words[2] == "sqlmigrate_repair" else []), check=True)


EDITED = """\
  project.002_b  [row-edited]
    Its row was edited by hand: {0}.
    Next: Find out who did it, and why. To put it back: \
python manage.py dbshell -- -c "UPDATE public.schema_migrations SET {1} WHERE label = 'project' AND key = '2'"
"""


@pytest.mark.parametrize(
    ("change", "listed", "values", "exit_code"),
    [
        (
            "checksum = repeat('0', 64)",
            "checksum 0000000000000000... (recorded: SUM...)",
            "checksum = 'SUM'",
            4,
        ),
        (
            "sql_checksum = '', checksum = repeat('0', 64), name = '002_z'",
            "name 002_z (recorded: 002_b), checksum 0000000000000000... (recorded: SUM...), "
            "sql_checksum empty (recorded: SUM...)",
            "name = '002_b', checksum = 'SUM', sql_checksum = 'SUM'",
            4,
        ),
        ("state = 'partial'", "state partial (recorded: applied)", "state = 'applied'", 7),
    ],
)
def test_f65_an_edited_row_is_named_with_what_it_should_say_and_put_back(
    three: LocalSite, change: str, listed: str, values: str, exit_code: int
) -> None:
    before = three.ledger()
    three.query(f"UPDATE schema_migrations SET {change} WHERE name = '002_b'")

    ended = check(three)

    assert (ended.returncode, told(ended)) == (exit_code, EDITED.format(listed, values))
    type_in(three, ended.stdout.partition("put it back: ")[2].rstrip())
    assert check(three).returncode == 0
    assert three.ledger() == before


def test_f65_a_row_edited_to_agree_with_an_edited_file_does_not_hide_the_edit(three: LocalSite) -> None:
    file = sql_file("002_b.sql", "CREATE TABLE b (v bigint);\n")
    three.write("002_b.sql", file.text)
    sums = "UPDATE schema_migrations SET checksum = %s, sql_checksum = %s WHERE name = '002_b'"
    three.query(sums, file.checksum, sql_checksum(file))

    plain, ended = three.run("sqlmigrate_status"), check(three)

    assert "integrity valid" in plain.stdout
    assert (ended.returncode, "project.002_b  [row-edited]\n" in ended.stdout) == (4, True)
    type_in(three, ended.stdout.partition("put it back: ")[2].rstrip())
    assert "  migrations_sql/002_b.sql  [modified]\n" in check(three).stdout


DELETED = """\
  project.{0}  [row-deleted]
    Its row was deleted by hand: recorded on WHEN, and no event tells that it was undone or forgotten. \
The next run would run its file a second time.
    Next: When what it did is there, record it again: python manage.py sqlmigrate_apply --fake {1}
    When that was undone, have it run again: python manage.py sqlmigrate_apply {1}
"""


WITHOUT_FILE = """\
  project.002_b  [row-deleted]
    Its row was deleted by hand: recorded on WHEN, and no event tells that it was undone or forgotten. \
Its file is gone as well.
    Next: Bring 002_b.sql back, and when what it did is there, record it again: \
python manage.py sqlmigrate_apply --fake project 002
    When it is to be gone, take it away then: {0}
"""


@pytest.mark.parametrize(
    ("name", "target"), [("002_b", "project 002 --allow-late"), ("003_c", "project 003")], ids=["amid", "newest"]
)
@pytest.mark.parametrize("is_undone", [False, True], ids=["there", "undone"])
def test_f65_a_deleted_row_is_named_and_recorded_again(
    three: LocalSite, name: str, target: str, is_undone: bool
) -> None:
    three.query(f"DELETE FROM schema_migrations WHERE name = '{name}'")
    if is_undone:
        three.query(f"DROP TABLE {name[-1]}")

    ended = check(three)

    assert (ended.returncode, told(ended)) == (4, DELETED.format(name, target))
    again = re.findall(r": (python manage.py sqlmigrate_apply .*)\n", ended.stdout)
    type_in(three, again[is_undone])
    assert (check(three).returncode, len(three.ledger())) == (0, 4)


def test_f65_a_row_deleted_with_its_file_is_named_and_forgotten(three: LocalSite) -> None:
    file = three.migrations / "002_b.sql"
    text = file.read_text()
    file.unlink()
    three.query("DELETE FROM schema_migrations WHERE name = '002_b'")

    ended = check(three)

    forget = 'python manage.py sqlmigrate_repair forget project 002 --reason "..."'
    assert (ended.returncode, told(ended)) == (4, WITHOUT_FILE.format(forget))
    file.write_text(text)
    type_in(three, "python manage.py sqlmigrate_apply --fake project 002 --allow-late")
    file.unlink()
    type_in(three, forget)
    assert check(three).returncode == 0


def test_f65_a_row_that_a_run_took_back_itself_is_not_missed(three: LocalSite) -> None:
    three.write("004_d.sql", "-- transaction: off\nSET maintenance_work_mem = '16MB';\nSELECT 1 / 0;\nVACUUM a;\n")
    failed = three.run("sqlmigrate_apply")

    ended = check(three)

    assert (failed.returncode, ended.returncode) == (1, 3)
    assert [row["name"] for row in three.ledger()][-1] == "003_c"


ADDED = """\
  project.{0}  [row-added]
    Its row was added by hand: no event tells that it was applied, or recorded without running.
    Next: Find out who did it, and why. To remove it: {1}
"""
ADD = (
    "INSERT INTO schema_migrations (label, key, version, name, kind, mode, checksum, sql_checksum, "
    "checksum_algorithm, state, run_id, statements_total, tool_version) SELECT label, %s, %s, %s, kind, mode, "
    "%s, '', checksum_algorithm, state, run_id, 1, tool_version FROM schema_migrations WHERE name = '001_a'"
)


def test_f65_an_added_row_without_a_file_is_named_and_forgotten(three: LocalSite) -> None:
    three.query(ADD, "0", 0, "000_x", "0" * 64)

    ended = check(three)

    forget = 'python manage.py sqlmigrate_repair forget project 000 --reason "..."'
    assert (ended.returncode, told(ended)) == (4, ADDED.format("000_x", forget))
    type_in(three, forget)
    assert check(three).returncode == 0


def test_f65_an_added_row_of_a_file_is_named_and_removed(three: LocalSite) -> None:
    text = "CREATE TABLE d ();\n"
    three.write("004_d.sql", text)
    three.query(ADD, "4", 4, "004_d", checksum(text))

    ended = check(three)

    delete = "DELETE FROM public.schema_migrations WHERE label = 'project' AND key = '4'"
    remove = f'python manage.py dbshell -- -c "{delete}"'
    then = "\n    Then, when what the file does is there already, record it: python manage.py sqlmigrate_apply --fake "
    assert (ended.returncode, told(ended)) == (4, ADDED.format("004_d", f"{remove}{then}project 004"))
    type_in(three, remove)
    assert check(three).returncode == 3
    three.run("sqlmigrate_apply", check=True)
    assert (check(three).returncode, three.query("SELECT FROM d")) == (0, [])


def test_f65_what_was_recorded_before_events_told_checksums_is_not_suspected(three: LocalSite) -> None:
    three.query("UPDATE schema_migration_events SET detail = detail - 'checksum' - 'sql_checksum'")
    known = check(three)
    three.query("UPDATE schema_migrations SET name = '002_z', checksum = repeat('0', 64) WHERE name = '002_b'")

    renamed = check(three)

    assert (known.returncode, known.stdout.splitlines()[-1]) == (0, "4 in all, 4 applied, 0 pending; integrity valid.")
    assert "by hand: name 002_z (recorded: 002_b)." in renamed.stdout


def test_f65_who_may_not_read_the_events_is_told_so(three: LocalSite) -> None:
    role = f"reader_{three.database.name}"
    three.query(f"CREATE ROLE {role}; GRANT SELECT ON schema_migrations TO {role}")
    with connections["default"].cursor() as cursor:
        cursor.execute(f"SET ROLE {role}")

    ended = check(three)

    connections["default"].close()
    three.query(f"DROP OWNED BY {role}; DROP ROLE {role}")
    assert ended.returncode == 0
    assert ended.stdout.partition("valid.\n")[2] == (
        "  [events-unread]\n"
        "    The rows were not compared with their events. The role 'ROLE' may not read the tracking tables: "
        "permission denied for table schema_migration_events. "
        'As the owner:  GRANT SELECT ON "public".schema_migration_events TO "ROLE";\n'
    ).replace("ROLE", role)


def test_f65_the_events_are_read_in_one_query_and_only_for_a_check(three: LocalSite) -> None:
    connections["default"].ensure_connection()

    with CaptureQueriesContext(connections["default"]) as checking:
        check(three)
    with CaptureQueriesContext(connections["default"]) as looking:
        three.run("sqlmigrate_status")

    assert (len(checking), len(looking)) == (3, 2)


def test_f65_going_back_by_hand_as_documented_is_no_tampering(three: LocalSite) -> None:
    usage = (ROOT / "docs/usage.md").read_text().partition("## Going back")[2]
    typed = re.search(r'-c "(.*?)"\n', usage, re.DOTALL)
    assert typed is not None

    three.query(f"DROP TABLE c; {typed[1].replace('4', '3')}")

    ended = check(three)
    assert (ended.returncode, ended.stdout.splitlines()[-1]) == (3, "Next: python manage.py sqlmigrate_apply")
    three.run("sqlmigrate_apply", check=True)
    assert check(three).returncode == 0


def test_f65_where_the_events_are_gone_no_row_is_suspected(three: LocalSite) -> None:
    three.query("CREATE TABLE copied AS SELECT * FROM schema_migration_events; TRUNCATE schema_migration_events")
    without = check(three)
    insert = "INSERT INTO schema_migration_events OVERRIDING SYSTEM VALUE SELECT * FROM copied"
    three.query(f"{insert} WHERE name = '003_c'")
    three.query(ADD, "4", 4, "004_d", "0" * 64)

    pruned = check(three)

    told = "{} not compared with events: those of that time are gone, or were left out of a copy."
    note = f"  [events-unread]\n    {told}\n"
    assert (without.returncode, without.stdout.partition("valid.\n")[2]) == (0, note.format("4 rows were"))
    assert pruned.returncode == 4
    assert "  project.004_d  [row-added]\n" in pruned.stdout
    assert pruned.stdout.endswith(note.format("3 rows were"))


def test_f65_the_row_of_the_tracking_tables_is_recorded_again_by_a_run(three: LocalSite) -> None:
    three.query("DELETE FROM schema_migrations WHERE label = 'sqlmigrations'")

    ended = check(three)

    type_in(three, re.findall(r"Record it again: (.*)   whose", ended.stdout)[0])
    assert "sqlmigrations.000_migration_tracking  [row-deleted]" in ended.stdout
    assert (check(three).returncode, len(three.ledger())) == (0, 4)
