"""ApplySQL among Django's other operations: written, squashed, optimised, routed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from django.conf import settings
from django.core.management.base import CommandError
from django.db import DEFAULT_DB_ALIAS, connections, migrations, models
from django.db.migrations.operations.base import OperationCategory
from django.db.migrations.optimizer import MigrationOptimizer
from django.db.migrations.state import ProjectState
from django.db.migrations.writer import MigrationWriter, OperationWriter
from django.db.utils import ConnectionHandler
from django.test import override_settings

from sqlmigrations.operations import ApplySQL
from tests.shop import Shop, forget

KEY = [("id", models.BigAutoField(primary_key=True))]


def test_it_is_written_into_a_migration_and_read_back() -> None:
    adds = migrations.AddField("thing", "search", models.TextField(null=True))
    operation = ApplySQL("project", "003_x", state_operations=[adds], hints={"tier": 1})
    migration = type("Migration", (migrations.Migration,), {"operations": [operation]})("0004_x", "shop")

    written: dict[str, Any] = {}
    exec(MigrationWriter(migration).as_string(), written)

    (read,) = written["Migration"].operations
    assert (read.label, read.name, read.hints) == ("project", "003_x", {"tier": 1})
    assert read.state_operations[0].deconstruct()[2]["name"] == "search"
    text, imports = OperationWriter(ApplySQL("project", "003_x"), indentation=0).serialize()
    assert text == "sqlmigrations.operations.ApplySQL(\n    label='project',\n    name='003_x',\n),"
    assert imports == {"import sqlmigrations.operations"}


def test_what_it_is_called() -> None:
    operation = ApplySQL("project", "003_x-y")

    assert operation.describe() == "SQL file project.003_x-y"
    assert operation.formatted_description() == "s SQL file project.003_x-y"
    assert (operation.category, operation.migration_name_fragment) == (OperationCategory.SQL, "project_003_x_y")


def test_the_models_get_what_the_state_operations_say() -> None:
    state = ProjectState()
    migrations.CreateModel("Thing", KEY).state_forwards("shop", state)
    adds = migrations.AddField("thing", "search", models.TextField(null=True))

    ApplySQL("project", "003_x", state_operations=[adds]).state_forwards("shop", state)

    assert "search" in state.models["shop", "thing"].fields


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (migrations.CreateModel("Thing", KEY), migrations.AddField("thing", "name", models.TextField())),
        (migrations.AddField("thing", "name", models.TextField()), migrations.RemoveField("thing", "name")),
        (migrations.CreateModel("Thing", KEY), migrations.DeleteModel("Thing")),
    ],
)
def test_nothing_is_moved_across_it(before: Any, after: Any) -> None:
    operations = [before, ApplySQL("project", "003_x"), after]

    assert len(MigrationOptimizer().optimize([before, after], "shop")) < 2
    assert MigrationOptimizer().optimize(operations, "shop") == operations


@pytest.fixture
def squashed(shop: Shop) -> Shop:
    """Two migrations, of which the second applies a file, and their squash."""
    shop.migration("0001_a", "migrations.CreateModel('Thing', [('id', models.BigAutoField(primary_key=True))])")
    shop.write("001_a.sql", "-- runs-in: django:shop.0002_b\nALTER TABLE shop_thing ADD COLUMN search text;\n")
    shop.write("001_a.down.sql", "ALTER TABLE shop_thing DROP COLUMN search;\n")
    adds = "migrations.AddField('thing', 'search', models.TextField(null=True))"
    shop.migration("0002_b", f"ApplySQL('project', '001_a', state_operations=[{adds}])")
    with shop.configured():
        assert shop.run("squashmigrations", "shop", "0002", "--noinput").returncode == 0
    forget()
    return shop


def test_a_squash_applies_the_file_of_what_it_replaces(squashed: Shop) -> None:
    squashed.migrate(check=True)

    assert squashed.names() == ["001_a"]
    assert squashed.ledger()[-1]["metadata"]["django"] == "shop.0001_squashed_0002_b"
    assert "0001_squashed_0002_b" in squashed.django()


def test_a_squash_that_was_cleaned_up_applies_it_too(squashed: Shop) -> None:
    folder = squashed.folder / "shop" / "migrations"
    for name in ("0001_a.py", "0002_b.py"):
        (folder / name).unlink()
    squash = folder / "0001_squashed_0002_b.py"
    squash.write_text(squash.read_text().replace("replaces = ", "replaced = "))

    squashed.migrate(check=True)

    assert squashed.names() == ["001_a"]
    squashed.migrate("zero", check=True)
    assert squashed.names() == []


def test_it_may_stand_where_database_and_state_are_separated(shop: Shop) -> None:
    shop.write("001_a.sql", "-- runs-in: django:shop.0001_x\nCREATE TABLE a (id int);\n")
    shop.migration("0001_x", "migrations.SeparateDatabaseAndState([ApplySQL('project', '001_a')], [])")

    shop.migrate(check=True)

    assert shop.names() == ["001_a"]


class AwayFromHere:
    """A router that keeps what has the hint out of every database."""

    def allow_migrate(self, db: str, app_label: str, **hints: Any) -> bool | None:
        return False if hints.get("tier") == 1 else None


def test_a_router_keeps_it_out_by_its_hints(shop: Shop) -> None:
    shop.write("001_a.sql", "-- runs-in: django:shop.0001_x\nCREATE TABLE a (id int);\n")
    shop.migration("0001_x", "ApplySQL('project', '001_a', hints={'tier': 1})")

    with override_settings(DATABASE_ROUTERS=["tests.test_operations_in_the_graph.AwayFromHere"]):
        shop.migrate(check=True)

    assert (shop.has("a"), shop.django(), shop.names()) == (False, ["0001_x"], [])


@pytest.fixture
def sqlite_editor() -> Iterator[Any]:
    handler = ConnectionHandler({DEFAULT_DB_ALIAS: {"ENGINE": "django.db.backends.sqlite3", "NAME": ":memory:"}})
    with closing(handler[DEFAULT_DB_ALIAS]) as connection:
        connection.inc_thread_sharing()
        yield connection.schema_editor(atomic=False)


def test_another_database_than_postgresql_is_refused(shop: Shop, sqlite_editor: Any) -> None:
    state = ProjectState()
    with shop.configured(), pytest.raises(CommandError) as raised:
        ApplySQL("project", "001_a").database_forwards("shop", sqlite_editor, state, state)

    assert str(raised.value) == (
        "SQL file project.001_a is for PostgreSQL, and 'default' is SQLite. Nothing was changed.\n\n"
        "  Next: Keep shop away from 'default' by a router (allow_migrate), or let the alias lead to PostgreSQL."
    )
    assert raised.value.returncode == 2


def test_a_file_for_another_database_is_passed_over(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(settings.DATABASES, "other", connections.settings["default"])
    shop.write("001_a.sql", "-- database: other\n-- runs-in: django:shop.0001_x\nCREATE TABLE a (id int);\n")
    shop.migration("0001_x", "ApplySQL('project', '001_a')")

    shop.migrate(check=True)

    assert (shop.has("a"), shop.names()) == (False, [])


def test_a_file_for_a_database_that_does_not_exist_is_refused_as_the_command_refuses_it(shop: Shop) -> None:
    shop.wrap("0001", "001_a", "-- database: repotring\nCREATE TABLE a (id int);\n")
    shop.wrap("0002", "002_b", "CREATE TABLE b (id int);\n")

    refused = shop.migrate()

    told = (
        "  migrations_sql/001_a.sql  [directive]\n"
        "    database: repotring is no database of this project.\n"
        "    Next: Write one of: default.\n"
    )
    assert refused.returncode == 4
    assert told in f"{refused.error}\n"
    assert (told in shop.run("sqlmigrate_apply").stderr, shop.django()) == (True, [])
    shop.wrap("0001", "001_a", "CREATE TABLE a (id int);\n")
    shop.migrate(check=True)
    assert shop.names() == ["001_a", "002_b"]


def test_a_lower_number_for_a_database_that_does_not_exist_is_waited_for(shop: Shop) -> None:
    shop.write("001_a.sql", "-- database: repotring\nCREATE TABLE a (id int);\n")
    shop.wrap("0001", "002_b", "CREATE TABLE b (id int);\n")

    refused = shop.migrate()

    assert (refused.returncode, shop.django()) == (4, [])
    assert "project.002_b waits for project.001_a, which is not applied. Nothing was changed." in refused.error
