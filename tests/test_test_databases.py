"""Test databases of those who use the app: every way to run tests has the objects, and leaves nothing behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Database
from tests.workshop import SEED, Workshop

REFUSED = re.compile(
    r"""NotApplied: The migration files do not agree with what is recorded; nothing has run\.

  shop/migrations_sql/003_seed\.sql  \[modified\]
    Changed since it was applied on [-\d: ]+ UTC: recorded checksum [0-9a-f]{16}\.\.\., file [0-9a-f]{16}\.\.\.

  Next: The test database was kept from an earlier run\. Make it anew once:  python manage\.py test  without --keepdb, or  pytest --create-db
"""  # noqa: E501
)


@pytest.fixture
def workshop(tmp_path: Path, fresh_database: Database) -> Iterator[Workshop]:
    made = Workshop.written(tmp_path, fresh_database)
    yield made
    made.drop()


@pytest.mark.parametrize("options", [(), ("--parallel", "2")], ids=" ".join)
def test_manage_py_test_has_the_objects_and_leaves_nothing(workshop: Workshop, options: tuple[str, ...]) -> None:
    ended = workshop.manage("test", *options)

    assert "\nRan 3 tests in " in ended.stderr
    assert ended.returncode == 0, ended.stderr
    assert (workshop.test_databases(), workshop.connections()) == ([], 0)


@pytest.mark.parametrize("options", [(), ("-n", "2"), ("--nomigrations",)], ids=" ".join)
def test_pytest_has_the_objects_and_leaves_nothing(workshop: Workshop, options: tuple[str, ...]) -> None:
    ended = workshop.pytest(*options)

    assert "3 passed" in ended.stdout, ended.stdout + ended.stderr
    assert (workshop.test_databases(), workshop.connections()) == ([], 0)


def test_a_database_kept_by_django_is_used_again_and_refused_when_a_file_changed(workshop: Workshop) -> None:
    first, second = (workshop.manage("test", "--keepdb") for _ in range(2))
    kept = workshop.test_databases(), workshop.connections()
    workshop.write("shop/migrations_sql/003_seed.sql", f"{SEED}INSERT INTO shop_kind VALUES ('other');\n")
    changed = workshop.manage("test", "--keepdb")

    assert [(ended.returncode, "\nRan 3 tests in " in ended.stderr) for ended in (first, second)] == [(0, True)] * 2
    assert kept == ([f"test_{workshop.database.name}"], 0)
    assert changed.returncode == 4
    assert REFUSED.fullmatch(changed.stderr.partition("default'...\n")[2]), changed.stderr


def test_a_database_kept_by_pytest_is_used_again_and_made_anew_when_a_file_changed(workshop: Workshop) -> None:
    first, second = (workshop.pytest("--reuse-db") for _ in range(2))
    kept = workshop.test_databases(), workshop.connections()
    workshop.write("shop/migrations_sql/003_seed.sql", f"{SEED}INSERT INTO shop_kind VALUES ('other');\n")
    changed = workshop.pytest("--reuse-db")
    anew = workshop.pytest("--reuse-db", "--create-db", "-k", "index")

    assert ["3 passed" in ended.stdout for ended in (first, second)] == [True, True]
    assert kept == ([f"test_{workshop.database.name}"], 0)
    assert "3 errors" in changed.stdout
    assert REFUSED.search(re.sub("(?m)^E( {11}|$)", "", changed.stdout)), changed.stdout
    assert "1 passed" in anew.stdout


FLUSHING = """
import pytest
from django.apps import apps
from django.test import TransactionTestCase

from shop.models import Customer, Note
from sqlmigrations.models import SchemaMigration
from sqlmigrations.test import CascadingFlushMixin


class PlainTests(TransactionTestCase):
    def test_nothing(self):
        pass


class CuredTests(CascadingFlushMixin, TransactionTestCase):
    sql_seeds = ("shop.004_customers",)

    def test_once(self):
        ada = Customer.objects.get()
        assert ada.name == "Ada"
        assert Note.objects.count() == 0
        assert SchemaMigration.objects.count() == 8
        Note.objects.create(customer=ada, body="gone after the test")

    test_again = test_once


@pytest.mark.django_db(transaction=True, available_apps=[config.name for config in apps.get_app_configs()])
@pytest.mark.parametrize("time", ["once", "again"])
def test_by_marker(time):
    assert Note.objects.count() == 0
    Note.objects.create(customer=Customer.objects.create(name="Eve"), body="gone after the test")
"""


def test_a_flush_that_a_raw_table_stands_in_the_way_of_is_cured_by_the_mixin(workshop: Workshop) -> None:
    workshop.write("shop/tests_flush.py", FLUSHING)

    plain, cured = (workshop.manage("test", f"shop.tests_flush.{name}Tests") for name in ("Plain", "Cured"))

    assert 'cannot truncate a table referenced in a foreign key constraint\nDETAIL:  Table "shop_note"' in plain.stderr
    assert plain.stderr.endswith("FAILED (errors=1)\nDestroying test database for alias 'default'...\n")
    assert cured.stderr.endswith("OK\nDestroying test database for alias 'default'...\n"), cured.stderr
    assert "\nRan 2 tests in " in cured.stderr


def test_with_pytest_the_mixin_and_the_apps_of_the_marker_cure_it(workshop: Workshop) -> None:
    workshop.write("shop/tests_flush.py", FLUSHING)

    ended = workshop.pytest("shop/tests_flush.py", "-k", "not Plain")

    assert "4 passed, 1 deselected" in ended.stdout, ended.stdout


SEVERAL = """
from django.db import connections
from django.test import TestCase, TransactionTestCase

from shop.models import Customer
from sqlmigrations.test import CascadingFlushMixin


class SeveralTests(TestCase):
    databases = "__all__"

    def test_each_has_what_is_its_own(self):
        have = {alias: connections[alias].introspection.table_names() for alias in connections}
        assert {alias for alias in have if "words" in have[alias]} == {"default", "past", "reporting", "replica"}
        assert {alias for alias in have if "reports" in have[alias]} == {"reporting", "replica"}


class FlushTests(CascadingFlushMixin, TransactionTestCase):
    databases = "__all__"
    sql_seeds = ("shop.004_customers",)

    def test_a_first_one(self):
        pass

    def test_rows_are_there_again(self):
        for alias in ("default", "reporting"):
            assert Customer.objects.using(alias).get().name == "Ada"
"""


def test_each_database_gets_its_own_files_a_mirror_leads_there_and_sqlite_is_passed_over(workshop: Workshop) -> None:
    workshop.write("shop/tests.py", SEVERAL)
    workshop.write("base_sql/004_reports.sql", "-- database: reporting\nCREATE TABLE reports (id int);\n")
    past = '{"DIRECT": {"default": "past"}}'

    ended = workshop.manage("test", env={"REPORTING_URL": f"{workshop.database.url}_r", "SQLMIGRATIONS_JSON": past})

    assert "\nOK\n" in ended.stderr, ended.stderr
    assert (workshop.test_databases(), workshop.connections()) == ([], 0)
