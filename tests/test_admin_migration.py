"""The page of a migration: its file, its SQL, what changed, the way back, and what happened."""

from __future__ import annotations

import re
from html import unescape

import pytest

from tests.office import Office, page, section, table, words

UP = "-- The first one.\nCREATE TABLE a (\n    id int\n);\n"
DOWN = "DROP TABLE a;\n"


@pytest.fixture
def history(office: Office) -> Office:
    """One migration with a way back."""
    office.site.write("001_a.sql", UP)
    office.site.write("001_a.down.sql", DOWN)
    office.site.run("sqlmigrate_apply", check=True)
    return office


def numbered(html: str, anchor: str) -> list[str]:
    """The lines of SQL with the numbers they are shown with."""
    found = re.findall(rf'<span class="sqlm-line" id="{anchor}-(\d+)" data-line="(\d+)">([^<]*)\n</span>', html)
    assert all(id == number for id, number, _ in found)
    return [f"{number} {unescape(text)}".rstrip() for _, number, text in found]


def agreement(html: str) -> str:
    """The sentence that says whether the file is still what was applied."""
    ((found),) = re.findall(r'<p class="sqlm-agreement sqlm-\w+"><a href="#sqlm-file">([^<]*)</a></p>', html)
    return unescape(found)


def test_a_file_that_agrees_is_shown_with_its_sql_and_the_way_back(history: Office) -> None:
    html = history.open(history.superuser(), "001_a")

    assert agreement(html) == "The file agrees with the record: the checksums are the same."
    assert numbered(html, "sql") == ["1 -- The first one.", "2 CREATE TABLE a (", "3     id int", "4 );"]
    assert numbered(html, "down") == ["1 DROP TABLE a;"]
    assert "As it was kept with the record." in section(html, "sqlm-sql")
    assert "What changed" not in html
    (row,) = (row for row in history.site.ledger() if row["name"] == "001_a")
    for fact in (row["checksum"], row["sql_checksum"], row["run_id"], row["tool_version"], "1 of 1"):
        assert fact in words(html)


def test_a_file_that_was_changed_is_shown_as_applied_with_the_difference(history: Office) -> None:
    history.site.write("001_a.sql", UP.replace("id int", "id bigint"))

    html = history.open(history.superuser(), "001_a")

    assert agreement(html) == "The file no longer agrees with the record."
    assert numbered(html, "sql")[2] == "3     id int"
    shown = re.findall(r'<span class="sqlm-(removed|added)">(.*)\n</span>', html)
    assert shown == [("removed", "-    id int"), ("added", "+    id bigint")]
    assert "Next: See the change: python manage.py sqlmigrate_status -v 2" in section(html, "sqlm-file")


def test_other_ends_of_a_file_are_told_apart(history: Office) -> None:
    client = history.superuser()

    history.site.write("001_a.sql", f"-- And a comment.\n{UP}")
    reformatted = agreement(history.open(client, "001_a"))
    history.site.write("001_a.sql", b"\xff\xfe")
    refused = history.open(client, "001_a")
    history.site.write("002_b.sql", "SELECT 1;\n")
    history.site.remove("001_a.sql")
    history.site.remove("001_a.down.sql")
    missing = history.open(client, "001_a")
    history.site.remove("002_b.sql")

    assert reformatted == "Layout or comments of the file changed since; its statements are the same."
    assert "UTF-16" in section(refused, "sqlm-file")
    assert agreement(missing) == "The file is gone."
    assert (numbered(missing, "sql")[1], numbered(missing, "down")) == ("2 CREATE TABLE a (", ["1 DROP TABLE a;"])


def test_sql_that_was_not_kept_comes_from_the_file_with_its_passwords_masked(office: Office) -> None:
    office.site.write("001_a.sql", "CREATE ROLE x_reporting PASSWORD 'tops3cret';\nDROP ROLE x_reporting;\n")
    office.site.run("sqlmigrate_apply", check=True)
    client = office.superuser()
    agreeing = office.open(client, "001_a")
    office.site.write("001_a.sql", "CREATE ROLE x_reporting PASSWORD 'tops3cret2';\nDROP ROLE x_reporting;\n")
    changed = office.open(client, "001_a")
    office.site.write("001_a.sql", "CREATE ROLE x_reporting PASSWORD 'tops3cret2; DROP ROLE x_reporting;\n")
    torn = office.open(client, "001_a")

    assert numbered(agreeing, "sql")[0] == "1 CREATE ROLE x_reporting PASSWORD '********';"
    assert "From the file, whose checksum is that of the record." in section(agreeing, "sqlm-sql")
    assert "It was not kept" in section(changed, "sqlm-sql")
    assert "tops3cret" not in agreeing + changed + torn


def test_a_changed_file_that_cannot_be_taken_apart_is_not_compared(history: Office) -> None:
    history.site.write("001_a.sql", f"{UP}ALTER ROLE a PASSWORD 'tops3cret;\n")

    html = history.open(history.superuser(), "001_a")

    assert "(the file cannot be taken apart, so that a password in it would not be seen: not shown)" in html
    assert "tops3cret" not in html


def test_a_long_text_is_cut_and_says_so(office: Office) -> None:
    office.site.write("001_a.sql", "".join(f"SELECT {number};\n" for number in range(3_000)))
    office.site.write("002_b.sql", f"-- {'x' * 400_000}\nSELECT 1;\n")
    office.site.run("sqlmigrate_apply", check=True)
    client = office.superuser()

    many, wide = office.open(client, "001_a"), office.open(client, "002_b")

    assert numbered(many, "sql")[-1] == "2000 SELECT 1999;"
    checksum = next(row["checksum"] for row in office.site.ledger() if row["name"] == "001_a")
    assert (
        "Shown are the first 2000 of 3000 lines. All of it, where it was kept: "
        f"SELECT body FROM schema_migration_texts WHERE checksum = '{checksum}'"
    ) in unescape(section(many, "sqlm-sql"))
    assert len(wide) < 300_000
    assert "Shown are the first 1 of 2 lines." in section(wide, "sqlm-sql")


def test_a_long_difference_is_cut_and_one_of_a_large_text_is_not_made(office: Office) -> None:
    office.site.write("001_a.sql", "".join(f"SELECT {number};\n" for number in range(1_500)))
    office.site.write("002_b.sql", f"-- {'x' * 250_000}\nSELECT 1;\n")
    office.site.run("sqlmigrate_apply", check=True)
    office.site.write("001_a.sql", "".join(f"SELECT -{number};\n" for number in range(1_500)))
    office.site.write("002_b.sql", f"-- {'x' * 250_000}\nSELECT 2;\n")
    client = office.superuser()

    many, wide = office.open(client, "001_a"), office.open(client, "002_b")

    rest = "python manage.py sqlmigrate_status -v 2)"
    assert re.findall(r'<span class="sqlm-head">\((.*)\n', many) == [f"1003 more lines: {rest}"]
    assert re.findall(r'<span class="sqlm-head">\((.*)\n', wide) == [f"too large to be compared here: {rest}"]


def test_who_may_not_view_sql_sees_no_statement_anywhere(history: Office) -> None:
    history.site.write(
        "002_b.sql", "CREATE INDEX CONCURRENTLY a_id ON a (id);\nCREATE INDEX CONCURRENTLY b ON nowhere (id);\n"
    )
    history.site.run("sqlmigrate_apply")
    history.site.write("001_a.sql", UP.replace("id int", "id bigint"))
    client = history.staff("view_schemamigration", "view_schemamigrationevent")
    events = history.site.query("SELECT id FROM schema_migration_events")

    pages = [history.open(client, "001_a"), history.open(client, "002_b")]
    pages += [page(client.get(f"/admin/sqlmigrations/schemamigrationevent/{id}/change/")) for (id,) in events]

    for html in pages:
        assert "CREATE TABLE" not in html
        assert "CREATE INDEX" not in html
        assert "id bigint" not in html
        assert "DROP TABLE" not in html
    lacking = "You lack the permission to view SQL: sqlmigrations.view_schemamigrationtext."
    assert lacking in section(pages[0], "sqlm-sql")
    assert lacking in section(pages[0], "sqlm-down")
    assert agreement(pages[0]) == "The file no longer agrees with the record."
    seen = history.open(history.superuser(), "001_a")
    assert "id bigint" in seen


def test_who_may_not_view_events_sees_none_on_the_page(history: Office) -> None:
    html = history.open(history.staff("view_schemamigration", "view_schemamigrationtext"), "001_a")

    assert table(html, "Everything") == []
    assert "No event of it can be seen." in section(html, "sqlm-events")
    os_user = history.site.query("SELECT DISTINCT os_user || '@' FROM schema_migration_events")[0][0]
    assert os_user not in words(html)
    assert numbered(html, "down") == ["1 DROP TABLE a;"]


def test_what_is_out_of_the_ordinary_is_remarked(history: Office) -> None:
    history.site.query(
        "UPDATE schema_migrations SET late = true, metadata = %s",
        '{"faked": true, "empty": true, "django": "shop.0004_x", "irreversible": "it drops", '
        '"undoing": {"statements_done": 1, "statements_total": 2, "stopped": {"number": 2, "line": 3, "why": "w"}}}',
    )

    html = history.open(history.superuser(), "001_a")

    assert (
        "applied although a higher number was; by the Django migration shop.0004_x; recorded without running; "
        "no statement in it; cannot be undone: it drops; "
        "half undone, 1 of 2 statements of its way back; stopped at statement 2, line 3; w"
    ) in words(html)


def test_a_half_done_file_says_how_far_it_came(history: Office) -> None:
    history.site.write(
        "002_b.sql", "CREATE INDEX CONCURRENTLY a_id ON a (id);\nCREATE INDEX CONCURRENTLY b ON nowhere (id);\n"
    )
    history.site.run("sqlmigrate_apply")

    html = history.open(history.superuser(), "002_b")

    assert agreement(html) == "It is half done."
    assert "1 of 2" in words(html)
    assert "stopped at statement 2, line 2; Statement 1 is done and recorded." in words(html)
    assert 'Its first failure: statement 2, 42P01: relation "nowhere" does not exist, line 2 (' in unescape(
        words(html)
    )


def test_of_many_events_the_newest_and_the_first_failures_are_shown(history: Office) -> None:
    history.site.query(
        "INSERT INTO schema_migration_events (run_id, event, label, key, name, os_user, host, pid, detail)"
        " SELECT gen_random_uuid(), CASE WHEN n % 2 = 0 THEN 'failed' ELSE 'statement_started' END, 'project', '1',"
        " '001_a', 'ada', 'ci', 1, jsonb_build_object('sqlstate', n::text) FROM generate_series(1, 200) AS n"
    )

    html = history.open(history.superuser(), "001_a")

    assert [row[2] for row in table(html, "What went wrong")] == [str(n) for n in range(2, 21, 2)]
    assert [row[2] for row in table(html, "Everything")] == [str(n) for n in range(200, 100, -2)]
    assert '<a href="/admin/sqlmigrations/schemamigrationevent/?migration=project.1">There is more' in html
