"""Faults at the admin: markup in what it shows, and hands that want to change it."""

from __future__ import annotations

import json
import re
from urllib.parse import urlencode

import pytest
from django.contrib import admin
from django.db.models import Model
from django.test import Client

from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent
from tests.office import EVENTS, LEDGER, Office, page

MARKUP = "<script>alert(1)</script>"


# Whatever can be in the tables: names of roles, hosts and applications are as free as SQL is.
INFECT = (
    "UPDATE schema_migrations SET name = %(x)s, applied_by = %(x)s, mode = %(x)s, tool_version = %(x)s,"
    " metadata = metadata || jsonb_build_object('irreversible', %(x)s, 'stopped', jsonb_build_object('why', %(x)s))"
    " WHERE name = '001_a'",
    "UPDATE schema_migration_events SET os_user = %(x)s, host = %(x)s, db_user = %(x)s, git_commit = %(x)s,"
    " name = %(x)s, detail = detail || jsonb_build_object('reason', %(x)s, 'error', %(x)s, 'file', %(x)s,"
    " 'sql', %(x)s, 'blockers', jsonb_build_array(jsonb_build_object('pid', 1, 'user', %(x)s, 'application', %(x)s,"
    " 'relation', %(x)s, 'query', %(x)s)))",
    "UPDATE schema_migration_events SET event = %(x)s WHERE event = 'applied'",
)
# What a Content-Security-Policy of default-src 'self' refuses.
INLINE = re.compile(r"<style|\sstyle=|\son[a-z]+=|<script(?![^>]*\ssrc=)[^>]*>|javascript:", re.IGNORECASE)


def test_f70_markup_in_sql_errors_and_names_is_shown_as_text(office: Office) -> None:
    office.site.write("001_a.sql", f"SELECT '{MARKUP}'::int;\n")
    office.site.write("001_a.down.sql", f"SELECT '{MARKUP}';\n")
    office.site.run("sqlmigrate_apply")
    office.site.write("001_a.sql", f"SELECT '{MARKUP}';\n")
    office.site.run("sqlmigrate_apply", check=True)
    office.site.write("001_a.sql", f"SELECT '{MARKUP}', 'changed {MARKUP}';\n")
    with office.site.database.connect() as connection, connection.cursor() as cursor:
        for statement in INFECT:
            cursor.execute(statement, {"x": MARKUP})
    client = office.superuser()

    for table, kind in (("schema_migrations", "schemamigration"), ("schema_migration_events", "schemamigrationevent")):
        folder = f"/admin/sqlmigrations/{kind}/"
        ids = office.site.query(f"SELECT id FROM {table} WHERE label = 'project' ORDER BY id DESC LIMIT 3")
        for path in (folder, f"{folder}?q={MARKUP}", *(f"{folder}{id}/change/" for (id,) in ids)):
            html = page(client.get(path))

            assert MARKUP not in html
            assert "&lt;script&gt;alert(1)&lt;/script&gt;" in html
            assert INLINE.findall(html) == []


def test_f70_markup_in_names_of_files_folders_and_databases_is_shown_as_text(office: Office) -> None:
    tag = "<script>alert(1)<b>"
    office.site.write("001_a.sql", "CREATE TABLE a ();\n")
    office.site.run("sqlmigrate_apply", check=True)
    office.site.write(f"{tag}.sql", "SELECT 1;\n")
    office.site.write("002_b.sql", f"-- depends: {tag}\n-- database: {tag}\nSELECT 1;\n")
    office.site.query("UPDATE schema_migrations SET label = %s WHERE name = '001_a'", tag)
    office.site.query("UPDATE schema_migration_events SET label = %s WHERE name = '001_a'", tag)
    client = office.superuser()

    for path in (LEDGER, EVENTS, f"{LEDGER}status/"):
        html = page(client.get(path))
        assert tag not in html
        assert "&lt;script&gt;alert" in html
        assert INLINE.findall(html) == []
    for question in ("label", "migration", "run", "q", "database"):
        answer = client.get(LEDGER, {question: tag}, follow=True)
        assert tag not in getattr(answer, "content", b"").decode()


WHO = ("superuser", "viewer", "viewer of SQL", "staff without permission", "visitor")
ROWS = " UNION ALL ".join(
    f"SELECT to_jsonb(t)::text FROM {table} AS t"
    for table in ("schema_migrations", "schema_migration_events", "schema_migration_texts", "django_admin_log")
)
METHODS = ("get", "post", "put", "delete")
MODELS = (SchemaMigration, SchemaMigrationEvent)


def enter(office: Office, who: str) -> Client:
    views = [f"view_{model._meta.model_name}" for model in MODELS]
    return {
        "superuser": office.superuser,
        "viewer": lambda: office.staff(*views),
        "viewer of SQL": lambda: office.staff(*views, "view_schemamigrationtext"),
        "staff without permission": office.staff,
        "visitor": office.visitor,
    }[who]()


def addresses(*ids: object) -> list[str]:
    """Every page that our classes have in the admin, whatever a later version adds."""
    found = []
    for model in MODELS:
        for pattern in admin.site.get_model_admin(model).urls:
            route = str(pattern.pattern).replace("<path:object_id>", "{}")
            found += [f"/admin/sqlmigrations/{model._meta.model_name}/{route}".format(id) for id in ids]
    return list(dict.fromkeys(found))


@pytest.mark.parametrize("who", WHO)
def test_f71_nobody_changes_a_row_through_the_admin(office: Office, who: str) -> None:
    office.site.write("001_a.sql", "CREATE TABLE a ();\n")
    office.site.run("sqlmigrate_apply", check=True)
    client, before = enter(office, who), office.site.query(ROWS)
    data = {
        "label": "x",
        "name": "x",
        "_save": "Save",
        "post": "yes",
        "action": "delete_selected",
        "_selected_action": "1",
    }
    answers: dict[str, dict[str, int]] = {}

    for path in addresses(1, 99, "_00"):
        for method in METHODS:
            body = {"data": data} if method == "post" else {"data": urlencode(data)}
            answers.setdefault(path, {})[method] = getattr(client, method)(
                path, **({} if method == "get" else body)
            ).status_code

    assert office.site.query(ROWS) == before
    told = {(method, code) for codes in answers.values() for method, code in codes.items()}
    if who == "visitor":
        assert {code for _, code in told} == {302}
    elif who == "staff without permission":
        # An address without /change/ is one that was moved.
        assert {code for _, code in told} <= {302, 403, 405}
        assert all(codes["get"] == 403 for path, codes in answers.items() if path.endswith(("change/", "event/")))
    else:
        assert {code for method, code in told if method != "get"} == {302, 403, 405}
        assert {code for method, code in told if method == "get"} == {200, 302, 403}
        for path, codes in answers.items():
            if path.endswith(("/add/", "/delete/")):
                assert set(codes.values()) <= {403, 405}
            if path.endswith("/1/change/"):
                assert {codes[method] for method in METHODS[1:]} == {403, 405}


SECRET = "zebra_7c1"


@pytest.fixture
def secretive(office: Office) -> Office:
    """A site whose SQL holds a word: in files, in what was kept of them, in a journal, and in what others ran."""
    office.site.write("001_a.sql", f"CREATE TABLE a (id int);\nSELECT '{SECRET}';\n")
    office.site.write("001_a.down.sql", f"DROP TABLE a;\nSELECT '{SECRET}';\n")
    office.site.run("sqlmigrate_apply", check=True)
    office.site.write("001_a.sql", f"CREATE TABLE a (id int);\nSELECT '{SECRET}', 1;\n")
    office.site.run("sqlmigrate_apply")
    office.site.write("001_a.sql", f"CREATE TABLE a (id int);\nSELECT '{SECRET}';\n")
    office.site.write(
        "002_b.sql", f"VACUUM a;\nCREATE TABLE b (id int);\nSELECT '{SECRET}', 1 / 0;\n-- transaction: off"
    )
    office.site.write("002_b.sql", f"-- transaction: off\nVACUUM a;\nSELECT '{SECRET}', 1 / 0;\n")
    office.site.run("sqlmigrate_apply")
    query = {"pid": 1, "query": SECRET}
    office.site.query(
        "UPDATE schema_migration_events SET detail = detail || %s::jsonb",
        json.dumps({"sql": SECRET, "blockers": [query]}),
    )
    return office


@pytest.mark.parametrize(("who", "sees"), [("viewer", False), ("viewer of SQL", True), ("superuser", True)])
def test_f71_sql_is_on_no_page_of_who_may_not_view_it(secretive: Office, who: str, *, sees: bool) -> None:
    client = enter(secretive, who)
    ids = [id for (id,) in secretive.site.query("SELECT id FROM schema_migration_events")]

    pages = {path: client.get(path) for path in addresses(*ids)}

    having = [path for path, answer in pages.items() if SECRET in getattr(answer, "content", b"").decode()]
    assert bool(having) is sees, having
    assert not sees or {path.split("/")[3] for path in having} == {"schemamigration", "schemamigrationevent"}


LOOKUPS = (
    "",
    "__icontains",
    "__startswith",
    "__regex",
    "__iregex",
    "__gte",
    "__sql__startswith",
    "__sql",
    "__has_key",
)
BEHIND = ("detail", "metadata", "text")
GUESS = SECRET[:4]


@pytest.mark.parametrize("model", MODELS)
def test_f71_no_question_in_an_address_finds_out_sql(secretive: Office, model: type[Model]) -> None:
    client = enter(secretive, "viewer")
    folder = f"/admin/sqlmigrations/{model._meta.model_name}/"
    names = [field.name for field in model._meta.get_fields()]
    questions = ["q", "o", *(f"{name}__icontains" for name in names)]
    questions += [f"{name}{each}" for name in (*BEHIND, "detail__blockers__0__query", "body") for each in LOOKUPS]

    for question in questions:
        answers = [client.get(f"{folder}?{question}={guess}") for guess in (GUESS, "quagga")]
        shown = {
            (a.status_code, len(re.findall('class="action-|<th class="field-', a.content.decode()))) for a in answers
        }
        assert len(shown) == 1, (question, shown)
        assert not question.startswith(BEHIND) or {code for code, _ in shown} <= {302, 400}


def test_f71_addresses_with_anything_in_them_are_answered(secretive: Office) -> None:
    client = enter(secretive, "superuser")
    names = ("q", "o", "p", "all", "label", "state", "event", "run", "migration", "database", "happened_at__gte", "e")
    values = ("%00", "%ff'", "a.%00", "-" + "9" * 40, "%F0%9F%92%A9%25s")

    for folder in (LEDGER, EVENTS):
        for name in names:
            for value in values:
                code = client.get(f"{folder}?{name}={value}").status_code
                assert code in (200, 302, 400, 404), (folder, name, value)
