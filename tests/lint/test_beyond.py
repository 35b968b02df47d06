"""What of a statement is about the whole server."""

from __future__ import annotations

import pytest

from sqlmigrations.lint.beyond import beyond
from sqlmigrations.sql.scanner import split


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("CREATE ROLE app;", ("CREATE ROLE app",)),
        ('create user "App" LOGIN; drop group if exists old', ('CREATE USER "App"', "DROP GROUP old")),
        ("CREATE ROLE app; CREATE ROLE app;", ("CREATE ROLE app",)),
        ("ALTER SYSTEM SET work_mem = '1GB';", ("ALTER SYSTEM",)),
        ("CREATE TABLESPACE fast LOCATION '/x'; CREATE DATABASE d;", ("CREATE TABLESPACE fast", "CREATE DATABASE d")),
        (
            "DO $$ BEGIN IF to_regrole('app') IS NULL THEN CREATE ROLE app; END IF; END $$",
            ("CREATE ROLE app",),
        ),
        ("DO $$ BEGIN EXECUTE 'CREATE ROLE ' || quote_ident(name); END $$", ("CREATE ROLE",)),
        ("DO $$ BEGIN EXECUTE format('CREATE ROLE %I', name); END $$", ("CREATE ROLE",)),
        ('CREATE TABLE t (role text, "user" text); ALTER TABLE t DROP role;', ()),
        ("DO $$ BEGIN ALTER TABLE t DROP role; END $$", ()),
        ("CREATE USER MAPPING FOR app SERVER s; GRANT app TO web;", ()),
        ("-- CREATE ROLE app\nCOMMENT ON TABLE t IS 'create role app';", ()),
    ],
)
def test_what_is_about_the_whole_server_is_found(sql: str, expected: tuple[str, ...]) -> None:
    assert beyond(split(sql).statements) == expected
