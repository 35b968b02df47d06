"""Test databases of those who use the app: every way to run tests has the objects, and leaves nothing behind."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers import Database
from tests.workshop import SEED, Workshop

REFUSED = re.compile(
    r"""(django\.core\.management\.base\.)?CommandError: The migration files do not agree with what is recorded; nothing has run\.

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

    assert ended.stderr.endswith("OK\nDestroying test database for alias 'default'...\n") or options, ended.stderr
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
