"""Faults at the admin: markup in what it shows, and hands that want to change it."""

from __future__ import annotations

import re

import pytest

from tests.office import Office, page

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
