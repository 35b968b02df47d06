"""Sites with a history made by real runs, for the tests in a browser and for the pictures in the documents."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.browser.server import ServedSite, let_in, served_site
from tests.servers import Database

CUSTOMERS = """\
CREATE TABLE customers (
    id   bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL
);
"""
INVOICES = """\
CREATE TABLE invoices (
    id       bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    customer bigint NOT NULL REFERENCES customers (id),
    total    numeric(12, 2) NOT NULL
);
"""


@dataclass(frozen=True)
class Scene:
    """A site, the cookies of those who may visit it, and where it is served."""

    site: ServedSite
    cookies: Mapping[str, str]
    url: str = ""

    def row_id(self, name: str) -> int:
        """The row of a migration."""
        ((found,),) = self.site.query("SELECT id FROM public.schema_migrations WHERE name = %s", name)
        assert isinstance(found, int)
        return found

    @contextmanager
    def served(self) -> Iterator[Scene]:
        """The same with an address, as long as the block lasts."""
        with self.site.served() as url:
            yield replace(self, url=url)


def history(folder: Path, database: Database) -> Scene:
    """Two files were applied, the second at the second try; one was recorded without running; one is pending.

    Another database is away.
    """
    site = served_site(folder, database, {"archive": f"postgresql://nobody@127.0.0.1:{_unused_port()}/archive"})
    site.write("001_customers.sql", CUSTOMERS)
    site.write("001_customers.down.sql", "DROP TABLE customers;\n")
    site.write("002_invoices.sql", INVOICES.replace("customers (id)", "clients (id)"))
    _run(site, "sqlmigrate_apply")
    site.write("002_invoices.sql", INVOICES)
    _run(site, "sqlmigrate_apply")
    site.write("003_audit.sql", "CREATE TABLE audit (entry text);\n")
    _run(site, "sqlmigrate_apply", "--fake")
    site.write("004_totals.sql", "CREATE INDEX invoices_total ON invoices (total);\n")
    return Scene(site, {"root": let_in("root"), "clerk": let_in("clerk", "view_schemamigration")})


def office(folder: Path, database: Database, reporting: Database) -> Scene:
    """A team's year in short: many runs, one that failed, one that was killed; other databases are behind or away."""
    away = f"postgresql://nobody@127.0.0.1:{_unused_port()}/archive"
    site = served_site(folder, database, {"reporting": reporting.url, "archive": away})
    _run(site, "sqlmigrate_apply")
    for number, (name, sql) in enumerate(_YEAR, 1):
        site.write(f"{number:03}_{name}.sql", sql)
        if name == "totals":
            site.write(f"{number:03}_{name}.sql", sql.replace("total)", "totals)"))
            _run(site, "sqlmigrate_apply")
            site.write(f"{number:03}_{name}.sql", sql)
        _run(site, "sqlmigrate_apply")
    site.query(
        "DELETE FROM public.schema_migration_events WHERE event = 'run_finished' AND id = (SELECT max(id) FROM "
        "public.schema_migration_events)"
    )
    site.run_elsewhere("sqlmigrate_apply", "project", "3", "--database", "reporting")
    site.write("009_paid.sql", "ALTER TABLE invoices ADD COLUMN paid_on date;\n")
    site.write("010_paid_index.sql", "CREATE INDEX invoices_paid_on ON invoices (paid_on);\n")
    return Scene(site, {"root": let_in("root"), "clerk": let_in("clerk", "view_schemamigration")})


def trouble(folder: Path, database: Database) -> Scene:
    """What was applied was changed, or is gone; what is pending would not be run."""
    made = history(folder, database)
    made.site.write("001_customers.sql", CUSTOMERS.replace("text", "varchar(80)"))
    made.site.remove("003_audit.sql")
    made.site.write("005_vacuum.sql", "CREATE TABLE t ();\nVACUUM t;\n")
    return made


def _forget_the_end(site: ServedSite) -> None:
    """As if the last run had been killed."""
    site.query("DELETE FROM public.schema_migration_events WHERE id = (SELECT max(id) FROM schema_migration_events)")


_YEAR = (
    ("customers", CUSTOMERS),
    ("invoices", INVOICES),
    ("seed", "INSERT INTO customers (name) SELECT 'customer ' || n FROM generate_series(1, 40000) AS n;\n"),
    ("orders", "INSERT INTO invoices (customer, total) SELECT id, id % 97 FROM customers;\n"),
    ("totals", "CREATE INDEX invoices_by_total ON invoices (total);\n"),
    ("names", "CREATE INDEX customers_by_name ON customers (name);\n"),
    ("notes", "ALTER TABLE invoices ADD COLUMN note text;\n"),
    ("clean", "DELETE FROM invoices WHERE total = 13; SELECT pg_sleep(1.2);\n"),
)


def _unused_port() -> int:
    with socket.socket() as lent:
        lent.bind(("127.0.0.1", 0))
        return int(lent.getsockname()[1])


def _run(site: ServedSite, *arguments: str) -> None:
    """As people do it, in the folder of the site: files are shown relative to it."""
    before = Path.cwd()
    os.chdir(site.folder)
    try:
        site.run(*arguments)
    finally:
        os.chdir(before)
