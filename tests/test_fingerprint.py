"""Schemas in lines: every change shows, and undoing it brings the lines back."""

from __future__ import annotations

from sqlmigrations.backends.base import Reader
from sqlmigrations.fingerprint import fingerprint
from tests.inprocess import LocalSite

GROUND = """
CREATE TYPE mood AS ENUM ('good');
CREATE TABLE a (id int PRIMARY KEY, name text);
CREATE TABLE part (id int) PARTITION BY RANGE (id);
CREATE VIEW seen AS SELECT id FROM a;
CREATE SEQUENCE numbers;
CREATE FUNCTION touched() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
CREATE DOMAIN positive AS int;
"""
PAIRS = (
    ("CREATE SCHEMA other", "DROP SCHEMA other"),
    ("CREATE TABLE b (id int)", "DROP TABLE b"),
    ("CREATE UNLOGGED TABLE b (id int)", "DROP TABLE b"),
    ("ALTER TABLE a ADD COLUMN at date", "ALTER TABLE a DROP COLUMN at"),
    ("ALTER TABLE a ALTER name TYPE varchar(9)", "ALTER TABLE a ALTER name TYPE text"),
    ("ALTER TABLE a ALTER name SET NOT NULL", "ALTER TABLE a ALTER name DROP NOT NULL"),
    ("ALTER TABLE a ALTER name SET DEFAULT 'x'", "ALTER TABLE a ALTER name DROP DEFAULT"),
    ("ALTER TABLE a ADD CHECK (id > 0) NOT VALID", "ALTER TABLE a DROP CONSTRAINT a_id_check"),
    ("ALTER TABLE a ADD CONSTRAINT f FOREIGN KEY (id) REFERENCES a", "ALTER TABLE a DROP CONSTRAINT f"),
    ("ALTER TABLE a ENABLE ROW LEVEL SECURITY", "ALTER TABLE a DISABLE ROW LEVEL SECURITY"),
    ("ALTER TABLE a SET (fillfactor = 70)", "ALTER TABLE a RESET (fillfactor)"),
    ("CREATE POLICY p ON a USING (id > 1)", "DROP POLICY p ON a"),
    ("CREATE INDEX i ON a (name) WHERE id > 3", "DROP INDEX i"),
    ("CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (1) TO (2)", "DROP TABLE part_1"),
    ("CREATE TRIGGER t BEFORE UPDATE ON a FOR EACH ROW EXECUTE FUNCTION touched()", "DROP TRIGGER t ON a"),
    ("CREATE RULE r AS ON DELETE TO a DO INSTEAD NOTHING", "DROP RULE r ON a"),
    (
        "CREATE OR REPLACE VIEW seen AS SELECT id FROM a WHERE id > 1",
        "CREATE OR REPLACE VIEW seen AS SELECT id FROM a",
    ),
    ("CREATE MATERIALIZED VIEW kept AS SELECT 1 AS one", "DROP MATERIALIZED VIEW kept"),
    ("ALTER SEQUENCE numbers INCREMENT 5", "ALTER SEQUENCE numbers INCREMENT 1"),
    ("CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'", "DROP FUNCTION one"),
    ("CREATE AGGREGATE total (int) (SFUNC = int4pl, STYPE = int)", "DROP AGGREGATE total (int)"),
    ("CREATE TYPE pair AS (a int, b int)", "DROP TYPE pair"),
    ("CREATE TYPE size AS ENUM ('small')", "DROP TYPE size"),
    ("ALTER DOMAIN positive ADD CONSTRAINT c CHECK (VALUE > 0)", "ALTER DOMAIN positive DROP CONSTRAINT c"),
    ("COMMENT ON COLUMN a.name IS 'whose'", "COMMENT ON COLUMN a.name IS NULL"),
)


def test_every_change_shows_and_undoing_it_brings_the_lines_back(local_site: LocalSite) -> None:
    local_site.query(GROUND)
    reader = Reader("default")
    before = fingerprint(reader)
    unseen, left = [], []

    for change, undoing in PAIRS:
        local_site.query(change)
        if fingerprint(reader) == before:
            unseen.append(change)
        local_site.query(undoing)
        if fingerprint(reader) != before:
            left.append(undoing)

    assert (unseen, left) == ([], [])


def test_a_label_of_an_enum_and_a_right_show_and_rows_do_not(local_site: LocalSite) -> None:
    local_site.query(GROUND)
    reader = Reader("default")
    seen = [fingerprint(reader)]

    for change in (
        "ALTER TYPE mood ADD VALUE 'bad'",
        "GRANT SELECT ON a TO PUBLIC",
        "GRANT USAGE ON TYPE mood TO current_user",
        "INSERT INTO a VALUES (1, 'x')",
    ):
        local_site.query(change)
        seen.append(fingerprint(reader))

    assert len(set(seen[:-1])) == 4
    assert seen[-1] == seen[-2]
