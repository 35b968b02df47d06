"""What Django's loader knows and has recorded, as a value."""

from __future__ import annotations

from collections.abc import Iterator

import django
import pytest
from django.core.management import call_command
from django.db import connection, connections
from django.test import override_settings

from sqlmigrations import django_graph
from sqlmigrations.exceptions import ConfigurationError, DatabaseUnavailable
from sqlmigrations.types import DjangoHistory, DjangoMigration, DjangoNode
from tests.django_apps import DjangoApp
from tests.inprocess import LocalSite


@pytest.fixture
def shop(local_site: LocalSite) -> Iterator[DjangoApp]:
    """An app with three migrations, none of them applied."""
    app = DjangoApp(local_site.folder, "shop")
    app.chain("0001_initial", "0002_prices", "0003_taxes")
    with app.installed(), override_settings(MIGRATION_MODULES={}):
        yield app


def migrate(*words: str) -> None:
    call_command("migrate", *words, verbosity=0, skip_checks=True)


def read() -> DjangoHistory:
    return django_graph.read("default")


def find(history: DjangoHistory, name: str, app: str = "shop") -> DjangoNode | None:
    return history.find(DjangoMigration(app, name, 1))


def applied(history: DjangoHistory) -> set[str]:
    return {name for (app, name), node in history.nodes.items() if app == "shop" and node.is_applied}


def test_before_django_has_its_table_nothing_is_applied_and_none_is_made(
    shop: DjangoApp, local_site: LocalSite
) -> None:
    history = read()

    assert applied(history) == set()
    assert find(history, "0002_prices") == DjangoNode("shop", "0002", is_applied=False)
    assert local_site.query("SELECT to_regclass('django_migrations')") == [(None,)]


def test_what_migrate_has_applied_is_applied(shop: DjangoApp) -> None:
    migrate("shop", "0002")

    history = read()

    assert applied(history) == {"0001_initial", "0002_prices", "__first__"}
    assert find(history, "0003_taxes") == DjangoNode("shop", "0003", is_applied=False)
    assert find(history, "0004_none") is None
    assert find(history, "0001_initial", app="shoppe") is None


def test_the_latest_are_all_leaves_of_the_app(shop: DjangoApp) -> None:
    migrate("shop")
    before = find(read(), "__latest__")
    shop.write("0003_other", after=[("shop", "0002_prices")])

    assert before == DjangoNode("shop", "", is_applied=True)
    assert find(read(), "__latest__") == DjangoNode("shop", "", is_applied=False)


def test_a_number_that_two_migrations_share_is_no_name(shop: DjangoApp) -> None:
    shop.write("0003_other", after=[("shop", "0003_taxes")])

    assert find(read(), "0003_taxes") == DjangoNode("shop", "0003_taxes", is_applied=False)


def test_a_session_that_may_not_write_can_ask(shop: DjangoApp) -> None:
    migrate("shop", "0001")
    with connection.cursor() as cursor:
        cursor.execute("SET default_transaction_read_only = on")

    assert applied(read()) == {"0001_initial", "__first__"}


def test_a_role_that_may_not_read_the_table_is_told_what_it_lacks(shop: DjangoApp) -> None:
    migrate("shop")
    with connection.cursor() as cursor:
        cursor.execute("SET ROLE pg_monitor")

    with pytest.raises(ConfigurationError) as refused:
        read()

    assert refused.value.message == (
        "The role of this alias may not read what Django has applied: permission denied for table django_migrations."
    )


def test_a_server_that_is_gone_is_told_as_everywhere(shop: DjangoApp, local_site: LocalSite) -> None:
    migrate("shop")
    connection.ensure_connection()
    local_site.query(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
        " AND datname = current_database()"
    )

    with pytest.raises(DatabaseUnavailable):
        read()


SQUASHED = "0001_squashed_0002_prices"


@pytest.fixture
def squashed(shop: DjangoApp) -> DjangoApp:
    shop.write(SQUASHED, replaces=["0001_initial", "0002_prices"])
    return shop


def test_a_replaced_migration_is_reached_through_its_squash(squashed: DjangoApp) -> None:
    before = find(read(), "0002_prices")
    migrate("shop", SQUASHED)

    after = read()

    assert before == DjangoNode("shop", SQUASHED, is_applied=False)
    assert applied(after) == {"0001_initial", "0002_prices", SQUASHED, "__first__"}


def test_a_squash_is_applied_when_all_that_it_replaces_is(shop: DjangoApp) -> None:
    migrate("shop", "0002")
    shop.write(SQUASHED, replaces=["0001_initial", "0002_prices"])

    assert find(read(), SQUASHED) == DjangoNode("shop", SQUASHED, is_applied=True)


def test_a_squash_that_is_applied_in_part_is_reached_through_its_parts(shop: DjangoApp) -> None:
    migrate("shop", "0001")
    shop.write(SQUASHED, replaces=["0001_initial", "0002_prices"])

    history = read()

    assert find(history, "0001_initial") == DjangoNode("shop", "0001_initial", is_applied=True)
    assert find(history, SQUASHED) == DjangoNode("shop", "0002", is_applied=False)


@pytest.mark.skipif(django.VERSION < (6, 0), reason="Django 5.2 does not squash what is squashed")
def test_a_squash_of_a_squash_stands_for_all_that_it_replaces(squashed: DjangoApp) -> None:
    squashed.write("0001_all", replaces=[SQUASHED, "0003_taxes"])
    before = find(read(), "0002_prices")
    migrate("shop")

    assert before == DjangoNode("shop", "0001_all", is_applied=False)
    assert {"0002_prices", "0003_taxes", SQUASHED, "0001_all"} <= applied(read())


def test_what_was_cleaned_up_after_a_squash_is_known_where_it_is_recorded(squashed: DjangoApp) -> None:
    migrate("shop")
    squashed.write(SQUASHED)
    squashed.remove("0001_initial")
    squashed.remove("0002_prices")
    squashed.write("0003_taxes", after=[("shop", SQUASHED)])

    recorded = find(read(), "0002_prices")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE name = '0002_prices'")

    assert recorded == DjangoNode("shop", "0002_prices", is_applied=True)
    assert find(read(), "0002_prices") is None
    assert find(read(), SQUASHED) == DjangoNode("shop", "0001", is_applied=True)


@pytest.mark.parametrize("modules", [{"shop": None}, {"shop": "shop.nowhere"}])
def test_an_app_without_migrations_has_none_left(shop: DjangoApp, modules: dict[str, str | None]) -> None:
    with override_settings(MIGRATION_MODULES=modules):
        history = read()

    if modules["shop"] is None:
        assert find(history, "0002_prices") == DjangoNode("shop", "", is_applied=True)
        assert find(history, "__latest__") == DjangoNode("shop", "", is_applied=True)
    else:
        assert history.fault == "ModuleNotFoundError: No module named 'shop.nowhere'"


def test_the_wrappers_of_a_file_are_known_wherever_they_stand(shop: DjangoApp) -> None:
    shop.write("0002_prices", 'ApplySQL("project", "003_x")', after=[("shop", "0001_initial")])
    inner = 'migrations.SeparateDatabaseAndState(database_operations=[ApplySQL("project", "004_y")])'
    shop.write("0003_taxes", inner, after=[("shop", "0002_prices")])

    assert read().wrappers == {"project.003_x": (("shop", "0002_prices"),), "project.004_y": (("shop", "0003_taxes"),)}


@pytest.mark.parametrize("content", ["import nowhere", "raise RuntimeError('no')", "nothing = 1"])
def test_a_migration_that_cannot_be_loaded_is_told(shop: DjangoApp, content: str) -> None:
    (shop.migrations / "0004_broken.py").write_text(content)
    shop.forget()

    assert read().fault


def test_the_order_of_django_goes_through_squashes(squashed: DjangoApp) -> None:
    taxes, squash = DjangoNode("shop", "0003", is_applied=False), DjangoNode("shop", SQUASHED, is_applied=False)
    squashed.write("0003_taxes", after=[("shop", "0002_prices")])

    behind = read().behind(DjangoMigration("shop", "__latest__", 1))

    assert {taxes, squash} <= behind
    assert read().behind(DjangoMigration("shop", "0002_prices", 1)) == {squash}


def test_a_connection_that_was_not_open_is_closed_again(shop: DjangoApp) -> None:
    connections["default"].close()

    read()
    was_closed = connections["default"].connection is None
    connections["default"].ensure_connection()
    read()

    assert was_closed
    assert connections["default"].connection is not None
