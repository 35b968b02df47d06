"""Faults at the admin: markup in what it shows, and hands that want to change it."""

from __future__ import annotations

import pytest

from tests.office import Office, page

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
