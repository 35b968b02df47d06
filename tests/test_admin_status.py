"""The status page as a visitor gets it: every state of a database, every permission, nothing that can be changed."""

from __future__ import annotations

import re
import socket
import time
from dataclasses import replace

import pytest
from django.contrib import admin
from django.db import connection, connections
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from sqlmigrations import executor
from sqlmigrations.admin.links import Links
from sqlmigrations.admin.panels import _NEEDS, SHOWN, STATES, panel
from sqlmigrations.admin.timeline import timeline
from sqlmigrations.annals import Ending, last_runs
from sqlmigrations.backends.base import Reader
from sqlmigrations.backends.reachability import PATIENCE_S, refusals
from sqlmigrations.ledger import Ledger
from sqlmigrations.outlook import Need, Outlook, outlook
from sqlmigrations.survey import Survey, survey
from sqlmigrations.types import DjangoMigration, Hold, MigrationStatus, SqlFile, SqlMigration, State, Status
from tests.office import Office, page
from tests.test_admin import words

LEDGER = "/admin/sqlmigrations/schemamigration/"
STATUS = f"{LEDGER}status/"


@pytest.fixture
def history(office: Office) -> Office:
    """A run that failed at its second file, one that made up for it; one file is pending."""
    office.site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    office.site.write("002_b.sql", "SELECT '<script>alert(1)</script>'::int;\n")
    office.site.run("sqlmigrate_apply")
    office.site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    office.site.run("sqlmigrate_apply", check=True)
    office.site.write("003_c.sql", "CREATE INDEX c ON a (id);\n")
    return office


def shown(office: Office, *permissions: str, path: str = STATUS) -> str:
    """The page as a superuser gets it, or as somebody with these permissions."""
    client = office.staff(*permissions) if permissions else office.superuser()
    with office.site.configured():
        return page(client.get(path))


def commands(html: str) -> list[str]:
    return re.findall(r'<p class="sqlm-next">[^<]*<code>([^<]*)</code>', html)


def test_it_tells_counts_findings_what_is_pending_the_last_runs_and_what_to_type(history: Office) -> None:
    html = shown(history)

    told = words(html)
    assert html.count('<ul class="object-tools">') == 1
    assert commands(html) == ["python manage.py sqlmigrate_apply"]
    assert "applied 3 pending 1 in all 4 integrity valid" in told
    assert "create-index CREATE INDEX on a reads the whole table" in told
    assert "project.003_c" in told
    assert [" ".join(row.split()) for row in re.findall(r"(\d of \d)</td>", html)] == ["1 of 1", "2 of 3"]
    assert "project.002_b: 22P02: invalid input syntax for type integer" in told


def test_what_an_error_said_is_harmless_in_a_page(history: Office) -> None:
    html = shown(history)

    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
    assert "<script>alert" not in html


def test_the_way_back_up_is_written_as_the_style_sheet_of_django_knows_it(history: Office) -> None:
    client = history.superuser()
    with history.site.configured():
        django, ours = (re.findall(r'<(\w+) class="breadcrumbs"', page(client.get(path))) for path in (LEDGER, STATUS))

    assert ours == django != []


def test_nothing_is_pending_any_more(history: Office) -> None:
    history.site.run("sqlmigrate_apply", check=True)

    html = shown(history)

    assert commands(html) == []
    assert "All migrations are applied." in words(html)


def test_before_the_tables_exist_everything_is_pending(office: Office) -> None:
    office.site.write("001_a.sql", "CREATE TABLE a ();\n")

    html = shown(office)

    assert commands(html) == ["python manage.py sqlmigrate_apply"]
    assert "applied 0 pending 2" in words(html)
    assert "Last runs" not in html
    assert office.site.query("SELECT to_regclass('schema_migrations')") == [(None,)]


def test_a_table_of_somebody_else_is_told_with_what_to_set(office: Office) -> None:
    office.site.query("CREATE TABLE schema_migrations (version text)")

    html = shown(office)

    assert "It looks like the one of Rails or dbmate" in words(html)
    assert commands(html) == ["python manage.py sqlmigrate_status"]


@pytest.mark.parametrize("in_a_transaction", [False, True])
def test_where_a_right_is_missing_it_says_which_and_shows_the_rest(history: Office, in_a_transaction: bool) -> None:
    history.site.query("ALTER TABLE schema_migration_events RENAME TO put_aside")
    connection = connections["default"]
    before = connection.settings_dict["ATOMIC_REQUESTS"]
    connection.settings_dict["ATOMIC_REQUESTS"] = in_a_transaction
    try:
        html = shown(history)
    finally:
        connection.settings_dict["ATOMIC_REQUESTS"] = before

    assert "The tracking tables are not complete" in words(html)
    assert "applied 3 pending 1" in words(html)


def test_in_trouble_it_shows_the_errors_first_and_how_to_see_more(history: Office) -> None:
    history.site.write("001_a.sql", "CREATE TABLE a (id bigint);\n")
    history.site.remove("002_b.sql")

    html = shown(history)

    assert commands(html) == ["python manage.py sqlmigrate_status -v 2"]
    severities = re.findall(r'<li class="sqlm-note sqlm-(\w+)">', html)
    assert severities == ["error", "error", "warning"]
    groups = re.findall(r"<h3>([^<]+)</h3>", html)
    assert groups == ["Findings", "Not in order", "To be applied", "Last runs"]


def test_it_can_be_read_with_the_permission_to_view_migrations(history: Office) -> None:
    html = shown(history, "view_schemamigration")

    assert "stopped" in words(html)
    assert "22P02" not in html
    assert "schemamigrationevent" not in html


@pytest.mark.parametrize("permission", ["view_schemamigrationevent", "view_user"])
def test_without_it_there_is_no_page(history: Office, permission: str) -> None:
    assert history.staff(permission).get(STATUS).status_code == 403


def test_who_did_not_log_in_is_sent_to_do_so(history: Office) -> None:
    assert history.visitor().get(STATUS).headers["Location"].startswith("/admin/login/")


def test_nothing_can_be_sent_to_it(history: Office) -> None:
    assert history.superuser().post(STATUS).status_code == 405


def test_of_many_files_the_first_are_shown_and_the_others_counted(office: Office) -> None:
    for number in range(1, SHOWN + 11):
        office.site.write(f"{number:03}_t.sql", f"CREATE TABLE t{number} (id int); DROP TABLE t{number};\n")

    html = shown(office)

    assert html.count('<span class="sqlm-state sqlm-pending">') == SHOWN
    assert "And 11 more migrations." in words(html)
    assert html.count('<li class="sqlm-note') <= SHOWN


@override_settings(USE_TZ=False, USE_THOUSAND_SEPARATOR=True, LANGUAGE_CODE="de", TIME_ZONE="Asia/Tokyo")
def test_the_drawing_is_the_same_in_every_language_and_zone(history: Office) -> None:
    html = shown(history)

    numbers = re.findall(
        r' (?:x|y|x1|x2|y1|y2|width|height)="([^"]*)"', html.partition("<svg role")[2].partition("</svg>")[0]
    )
    assert len(numbers) > 20
    assert [each for each in numbers if not re.fullmatch(r"\d+(\.\d\d)?%|0|160", each)] == []


def test_a_run_that_did_not_tell_its_end_is_told_as_that(history: Office) -> None:
    history.site.query("DELETE FROM schema_migration_events WHERE id = (SELECT max(id) FROM schema_migration_events)")

    newest, oldest = last_runs(Ledger("public"), Reader("default"), 10)

    assert (newest.ending, newest.done, newest.duration_ms) == (Ending.UNTOLD, None, None)
    assert (oldest.ending, oldest.done, oldest.steps) == (Ending.STOPPED, 2, 3)
    assert oldest.failure is not None
    assert (oldest.failure.migration, oldest.failure.place) == ("project.002_b", "migrations_sql/002_b.sql:1")


def test_of_very_many_pending_files_the_first_are_looked_into_and_the_page_says_so(
    history: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    history.site.write("004_d.sql", "-- depends: 003_c\nDROP TABLE a;\n")
    history.site.write("005_e.sql", "DROP TABLE b;\n")
    client = history.superuser()

    with history.site.configured():
        every = page(client.get(STATUS))
        monkeypatch.setattr(executor, "LOOKED_INTO", 2)
        some = page(client.get(STATUS))

    sentence = "1 more pending file was not looked into. All findings: python manage.py sqlmigrate_apply --plan"
    assert sentence in words(some)
    assert "not looked into" not in words(every)
    for file, is_told in (("003_c", True), ("004_d", True), ("005_e", False)):
        place = f"<code>migrations_sql/{file}.sql:"
        assert any(place in line for line in every.splitlines())
        assert any(place in line for line in some.splitlines()) is is_told
    assert "3 pending" in history.site.run("sqlmigrate_status").stdout
    assert "005_e.sql" in history.site.run("sqlmigrate_apply", "--plan").stdout


def test_the_last_runs_are_found_behind_whatever_happened_since(history: Office) -> None:
    before = last_runs(Ledger("public"), Reader("default"), 10)
    history.site.query(
        "INSERT INTO schema_migration_events (run_id, event, label, key, name, os_user, host, pid) SELECT e.run_id,"
        " 'statement_finished', 'project', '2', '002_b', 'u', 'h', 1 FROM generate_series(1, 30000),"
        " (SELECT run_id FROM schema_migration_events ORDER BY id DESC LIMIT 1) AS e"
    )

    with CaptureQueriesContext(connection) as captured:
        assert last_runs(Ledger("public"), Reader("default"), 10) == before

    (sql,) = (query["sql"] for query in captured.captured_queries)
    history.site.query("VACUUM ANALYZE schema_migration_events")
    plan = "\n".join(line for (line,) in history.site.query(f"EXPLAIN {sql}"))
    assert "Seq Scan" not in plan
    assert "schema_migration_events_event_idx" in plan


def test_bars_grow_with_the_duration_and_never_leave_the_drawing(history: Office) -> None:
    (run, *_) = last_runs(Ledger("public"), Reader("default"), 1)
    runs = [replace(run, duration_ms=ms) for ms in (10_000_000, 60_000, 900, 12, 0)]
    drawn = timeline(runs)

    assert drawn is not None
    heights = [float(bar.height.rstrip("%")) for bar in drawn.bars]
    assert heights == sorted(heights)
    assert 0 < min(heights) < max(heights) <= 100
    assert timeline([]) is None


def test_servers_that_take_a_connection_and_say_nothing_cost_one_wait_together(office: Office) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        mute = {
            "ENGINE": "django.db.backends.postgresql",
            "OPTIONS": {},
            "HOST": "127.0.0.1",
            "PORT": port,
            "USER": "nobody",
            "PASSWORD": "x",
            "NAME": "x",
        }
        names = [f"mute{number}" for number in range(4)]
        for name in names:
            connections.settings[name] = connections.settings["default"] | mute
        try:
            started = time.perf_counter()
            found = refusals(["default", *names])
            elapsed = time.perf_counter() - started
        finally:
            for name in names:
                del connections[name]
                del connections.settings[name]

    assert list(found) == names
    assert elapsed < 3 * PATIENCE_S


def test_a_database_that_is_not_postgresql_is_told_as_that(office: Office) -> None:
    connections.settings["lite"] = connections.settings["default"] | {"ENGINE": "django.db.backends.sqlite3"}
    try:
        (found,) = survey(["lite"], 1)
    finally:
        del connections["lite"]
        del connections.settings["lite"]

    assert found.status is None
    assert "is SQLite; sqlmigrations runs on PostgreSQL only" in str(found.problem)


def test_settings_that_are_not_in_order_are_told_one_by_one(office: Office) -> None:
    office.site.settings["LOCK_WAITT"] = "3s"

    html = shown(office)

    assert "The setting SQLMIGRATIONS is not in order." in words(html)
    assert "Did you mean &#x27;LOCK_WAIT&#x27;?" in html


def test_what_waits_for_django_is_left_to_migrate() -> None:
    hold = Hold("shop.002_b", DjangoMigration("shop", "0004_b", 1), "python manage.py migrate shop 0004_b")
    file = SqlFile("x", "x", "", "", "")
    entries = tuple(
        MigrationStatus(state, SqlMigration("shop", number, name, file), None, False, hold=hold)
        for state, number, name in ((State.WAITING, 2, "002_b"), (State.PENDING, 3, "003_c"))
    )
    status = Status("default", entries, (), True)

    assert outlook(status) == Outlook(Need.MIGRATING, "python manage.py migrate shop 0004_b")
    (group,) = panel(Survey("default", status), Links(admin.AdminSite(), "default"), with_events=False).groups
    assert [entry.waits_for for entry in group.entries] == ["django:shop.0004_b", "shop.002_b"]


def test_what_depends_on_a_migration_of_django_that_is_not_applied_is_left_to_migrate(office: Office) -> None:
    office.site.run("sqlmigrate_apply", check=True)
    office.site.query("DELETE FROM django_migrations WHERE app = 'auth' AND name > '0002'")
    office.site.write("001_a.sql", "-- depends: django:auth.0002_alter_permission_name_max_length\nSELECT 1;\n")

    html = shown(office)

    assert commands(html) == ["python manage.py migrate auth 0002"]
    assert "Let Django&#x27;s migrations run" in html
    assert "do not agree" not in html


def test_there_is_a_word_for_every_state_and_every_need() -> None:
    assert set(STATES) == set(State)
    assert set(_NEEDS) == set(Need)
