"""What a role needs on the tracking tables, and whether the grants that a message names are enough."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from tests.site import Site


@pytest.fixture
def role(site: Site) -> Iterator[str]:
    """A role without rights on a site whose tables exist; ``site.environment`` still names the owner."""
    name = f"app_{uuid.uuid4().hex[:8]}"
    site.query(f"CREATE ROLE {name} LOGIN")
    site.write("001_invoices.sql", "CREATE TABLE invoices (number text);\n")
    site.run("sqlmigrate_apply", check=True)
    yield name
    site.query(f"DROP OWNED BY {name}")
    site.query(f"DROP ROLE {name}")


def _url(site: Site, role: str) -> dict[str, str]:
    owner, _, rest = site.database.url.partition("@")
    return {"DATABASE_URL": f"{owner.rpartition('/')[0]}/{role}@{rest}"}


def test_the_grants_named_to_a_role_without_rights_let_it_apply(site: Site, role: str) -> None:
    site.query(f"GRANT USAGE, CREATE ON SCHEMA public TO {role}")
    site.write("002_vendors.sql", "CREATE TABLE vendors (name text);\n")
    refused = site.run("sqlmigrate_apply", env=_url(site, role))

    site.query(refused.stderr.partition("As the owner:  ")[2].strip())

    assert refused.returncode == 2
    assert f"The role '{role}' lacks rights on the tracking tables" in refused.stderr
    ended = site.run("sqlmigrate_apply", env=_url(site, role))
    assert (ended.returncode, ended.stderr) == (0, "")


def test_status_without_select_rights_says_so(site: Site, role: str) -> None:
    ended = site.run("sqlmigrate_status", env=_url(site, role))

    assert ended.returncode == 2
    assert "may not read the tracking tables: permission denied for table schema_migrations." in ended.stderr
    assert f'GRANT SELECT ON "public".schema_migrations TO "{role}";' in ended.stderr
