"""IF NOT EXISTS in files that run in a transaction: it passes over whatever has the name, and the runner does not."""

from __future__ import annotations

import psycopg2
import pytest

from tests.faults.scene import FaultySite
from tests.site import ROOT

GUARDED = "CREATE TABLE u ();\nCREATE INDEX IF NOT EXISTS i ON t (a);\n"
REFUSED = """\
project.001_i failed and was rolled back: The index public.i was there before and is invalid, so IF NOT EXISTS has \
built nothing.

  migrations_sql/001_i.sql:2:1
    1 | CREATE TABLE u ();
  > 2 | CREATE INDEX IF NOT EXISTS i ON t (a);
      | ^

  Nothing of this file was kept; 1 migration was applied in this run before it.
  Next: Do this, then run  python manage.py sqlmigrate_apply
  - Drop the index; the next apply builds it anew:
      DROP INDEX CONCURRENTLY public.i;
"""


@pytest.fixture
def spoilt(site: FaultySite) -> FaultySite:
    """A site with an index that a failed build left."""
    site.query("CREATE TABLE t (a int)")
    site.query("INSERT INTO t VALUES (1), (1)")
    with pytest.raises(psycopg2.errors.UniqueViolation):
        site.query("CREATE UNIQUE INDEX CONCURRENTLY i ON t (a)")
    return site


def test_f43_an_invalid_index_is_not_passed_over_in_a_transaction_either(spoilt: FaultySite) -> None:
    spoilt.write("001_i.sql", GUARDED)

    refused = spoilt.apply()

    assert (refused.returncode, refused.stderr) == (1, REFUSED)
    assert (spoilt.recorded(), spoilt.has("u")) == ([], False)
    spoilt.query("DROP INDEX CONCURRENTLY i")
    assert spoilt.apply().returncode == 0
    assert spoilt.query("SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('i')") == [(True,)]


def test_f43_nor_is_it_where_each_statement_is_a_transaction_of_its_own(spoilt: FaultySite) -> None:
    spoilt.write("001_i.sql", f"-- transaction: off\n{GUARDED}")

    refused = spoilt.apply()

    assert refused.returncode == 7
    assert "project.001_i stopped at statement 2 of 2, in line 3." in refused.stderr
    assert "is invalid, so IF NOT EXISTS has built nothing." in refused.stderr
    assert "      DROP INDEX CONCURRENTLY public.i;\n" in refused.stderr
    assert (spoilt.recorded(), spoilt.has("u")) == ([("001_i", "partial")], True)
    spoilt.query("DROP INDEX CONCURRENTLY i")
    assert spoilt.apply().returncode == 0


def test_an_index_of_another_table_is_not_passed_over(site: FaultySite) -> None:
    site.query("CREATE TABLE t (a int)")
    site.query("CREATE TABLE other (a int)")
    site.query("CREATE INDEX i ON other (a)")
    site.write("001_i.sql", GUARDED)

    refused = site.apply()

    assert refused.returncode == 1
    assert "IF NOT EXISTS, but the index public.i is on public.other." in refused.stderr
    assert site.recorded() == []


def test_what_is_sound_is_passed_over(site: FaultySite) -> None:
    site.query("CREATE TABLE t (a int)")
    site.query("CREATE INDEX i ON t (a)")
    site.query("CREATE TABLE p (a int) PARTITION BY RANGE (a)")
    site.query("CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (10)")
    site.query("CREATE INDEX p_a ON ONLY p (a)")
    site.write("001_i.sql", f"{GUARDED}CREATE INDEX IF NOT EXISTS p_a ON ONLY p (a);\n")

    applied = site.apply()

    assert (applied.returncode, applied.stderr) == (0, "")


def test_the_recipe_for_partitioned_tables_ends_with_a_valid_index(site: FaultySite) -> None:
    page = (ROOT / "docs" / "concurrent-indexes.md").read_text()
    recipe = page.partition("## Partitioned tables")[2].partition("```sql\n")[2].partition("```")[0]
    site.query("CREATE TABLE measures (taken date) PARTITION BY RANGE (taken)")
    for year in (2025, 2026):
        bounds = f"FROM ('{year}-01-01') TO ('{year + 1}-01-01')"
        site.query(f"CREATE TABLE measures_{year} PARTITION OF measures FOR VALUES {bounds}")
    site.write("001_i.sql", recipe)

    applied = site.apply()

    assert applied.returncode == 0, applied
    assert site.query(
        "SELECT bool_and(indisvalid), count(*) FROM pg_index WHERE indrelid::regclass::text ~ '^meas'"
    ) == [(True, 3)]
