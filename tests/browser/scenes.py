"""Sites with a history made by real runs, for the tests in a browser and for the pictures in the documents."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
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


def history(folder: Path, database: Database) -> Scene:
    """Two files were applied, the second at the second try; one was recorded without running; one is pending."""
    site = served_site(folder, database)
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


def _run(site: ServedSite, *arguments: str) -> None:
    """As people do it, in the folder of the site: files are shown relative to it."""
    before = Path.cwd()
    os.chdir(site.folder)
    try:
        site.run(*arguments)
    finally:
        os.chdir(before)
