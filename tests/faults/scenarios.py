"""What is cut off: commands that write the ledger, with what is there before and what they are to leave."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from sqlmigrations.backends.base import Queries
from tests.inprocess import LocalSite
from tests.shop import Shop


@dataclass(frozen=True)
class Scenario:
    """What is disturbed.

    Attributes:
        prepare: Writes the files, and makes what is there before.
        command: What is typed.
        data: Queries whose rows are compared.
        traces: For each migration, by its name, SQL that is true when anything of it is there.
        choose: Which of the commands is typed that a message offers, after a look into the database.
        ends: With which exit code it ends undisturbed.
        repeated: And when it finds that all is done.
        lost: And where what became of its COMMIT is not asked.
    """

    prepare: Callable[[LocalSite], None]
    command: tuple[str, ...]
    data: tuple[str, ...]
    traces: Mapping[str, str] = field(default_factory=dict)
    choose: Callable[[Queries, Sequence[str]], str] = lambda queries, offered: offered[0]
    ends: int = 0
    repeated: int | None = None
    lost: frozenset[int] = frozenset()


# After a savepoint of its own each statement of a file travels by itself; without one they travel together.
FILES = {
    "001_tables.sql": """\
SAVEPOINT singly;
CREATE TABLE accounts (id int PRIMARY KEY, name text NOT NULL);
INSERT INTO accounts SELECT n, 'account ' || n FROM generate_series(1, 20) AS n;
COPY accounts FROM stdin;
21	account 21
22	account 22
\\.
CREATE TABLE log (what text);
""",
    "002_procedure.sql": """\
ALTER TABLE accounts ADD COLUMN active boolean NOT NULL DEFAULT true;
INSERT INTO log VALUES ('002');
CREATE PROCEDURE note(what text) LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (what); COMMIT; END $$;
COPY log FROM stdin;
002 copied
\\.
INSERT INTO log VALUES ('002 once more');
UPDATE log SET what = what || ', and more' WHERE what = '002 once more';
""",
    "003_apart.sql": """\
-- transaction: off
CREATE INDEX CONCURRENTLY accounts_name ON accounts (name);
INSERT INTO log VALUES ('003');
CALL note('003 called');
BEGIN;
INSERT INTO log VALUES ('003 together');
INSERT INTO log VALUES ('003 as well');
COMMIT;
VACUUM accounts;
""",
    "004_fails.sql": "INSERT INTO log VALUES ('004');\nDO 'BEGIN PERFORM 1 / 0; END';\n",
}
TRACES = {
    "000_migration_tracking": "to_regclass('schema_migrations') IS NOT NULL",
    "001_tables": "coalesce(to_regclass('accounts'), to_regclass('log')) IS NOT NULL",
    "002_procedure": "to_regproc('note') IS NOT NULL OR EXISTS (SELECT FROM log WHERE what LIKE '002%')",
    "003_apart": "to_regclass('accounts_name') IS NOT NULL OR EXISTS (SELECT FROM log WHERE what LIKE '003%')",
    "004_fails": "EXISTS (SELECT FROM log WHERE what = '004')",
}


def decide(queries: Queries, offered: Sequence[str]) -> str:
    """What a person types who has looked whether the procedure has run, which no catalog tells."""
    ways = {command.rpartition(" ")[2]: command for command in offered}
    has_run = queries.query("SELECT 1 FROM log WHERE what = '003 called'")
    return ways.get("--done" if has_run else "--redo", offered[0])


def write(files: dict[str, str]) -> Callable[[LocalSite], None]:
    def prepare(site: LocalSite) -> None:
        for name, text in files.items():
            site.write(name, text)

    return prepare


LOG = "SELECT * FROM log"
APPLY = Scenario(
    write(FILES), ("sqlmigrate_apply",), ("SELECT * FROM accounts ORDER BY id", LOG), TRACES, decide, ends=1
)


def half_done(site: LocalSite) -> None:
    """Three statements of which the second failed after it had committed: a person has to decide."""
    site.write("001_log.sql", "CREATE TABLE log (what text);\n")
    note = "BEGIN INSERT INTO log VALUES (what); COMMIT; PERFORM 1 / 0; END"
    site.write("002_note.sql", f"CREATE PROCEDURE note(what text) LANGUAGE plpgsql AS $$ {note} $$;\n")
    site.write("003_apart.sql", "-- transaction: off\nVACUUM log;\nCALL note('003');\nVACUUM log;\n")
    assert site.run("sqlmigrate_apply").returncode == 7


def changed(site: LocalSite) -> None:
    """Two files that are applied, one of them changed since."""
    site.write("001_log.sql", "CREATE TABLE log (what text);\n")
    site.write("002_more.sql", "INSERT INTO log VALUES ('002');\n")
    site.run("sqlmigrate_apply", check=True)
    site.write("002_more.sql", "INSERT INTO log VALUES ('002 and more');\n")


def wrapped(site: LocalSite) -> None:
    """Two files in migrations of Django's: in its transaction, and outside of any."""
    assert isinstance(site, Shop)
    site.migration("0001_x", "migrations.RunSQL('CREATE TABLE log (what text)', 'DROP TABLE log')")
    more = "INSERT INTO log VALUES ('002');\nINSERT INTO log VALUES ('002 and more');\n"
    site.wrap("0002", "002_more", more, down="DELETE FROM log WHERE what LIKE '002%';\n")
    site.wrap(
        *("0003", "003_apart", "CREATE INDEX CONCURRENTLY log_what ON log (what);\n"),
        atomic=False,
        down="-- transaction: off\nDROP INDEX CONCURRENTLY log_what;\nINSERT INTO log VALUES ('back');\n",
    )


def migrated(site: LocalSite) -> None:
    wrapped(site)
    site.run("migrate", "shop", "--verbosity", "0", "--skip-checks", check=True)


DJANGO = "SELECT name FROM django_migrations WHERE app = 'shop' ORDER BY id"
TRACES_IN_DJANGO = {
    "0001_x": "to_regclass('log') IS NOT NULL",
    "0002_x": "EXISTS (SELECT FROM log WHERE what LIKE '002%')",
    "0003_x": "to_regclass('log_what') IS NOT NULL",
}
# A repair does not ask what became of its COMMIT: it can be looked up, and typed again.
UNKNOWN = frozenset({8})
REPAIR = ("sqlmigrate_repair", "--reason", "swept", "--noinput")
OTHERS = {
    "fake": Scenario(write(FILES), ("sqlmigrate_apply", "--fake"), (), dict.fromkeys(TRACES, "false")),
    "accept": Scenario(changed, (*REPAIR, "accept", "project", "2"), (LOG,), repeated=2, lost=UNKNOWN),
    "resolve": Scenario(half_done, (*REPAIR, "resolve", "project", "3", "--done"), (LOG,), repeated=2, lost=UNKNOWN),
    "migrate": Scenario(wrapped, ("migrate", "shop", "--skip-checks"), (DJANGO, LOG), TRACES_IN_DJANGO),
    "back": Scenario(migrated, ("migrate", "shop", "0001", "--skip-checks"), (DJANGO, LOG), TRACES_IN_DJANGO),
}
