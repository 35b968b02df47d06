"""Files that wait for Django's migrations, and files that run in them, as the commands show them."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connection
from django.test import override_settings
from django.test.utils import CaptureQueriesContext

from tests.django_apps import DjangoApp
from tests.inprocess import LocalSite

HELD = "project.002_search is applied by migrate (django:shop.0004_search); project.003_ranking waits for it."
NEXT = "Next: python manage.py migrate shop 0004   and then  python manage.py sqlmigrate_apply"


@pytest.fixture
def shop(local_site: LocalSite) -> Iterator[DjangoApp]:
    """An app with four migrations, the last of which applies the second of three files."""
    app = DjangoApp(local_site.folder, "shop")
    app.chain("0001_initial", "0002_taxes", "0003_prices")
    app.write("0004_search", 'ApplySQL("project", "002_search")', after=[("shop", "0003_prices")])
    local_site.write("001_initial.sql", "CREATE TABLE a ();\n")
    local_site.write("002_search.sql", "-- runs-in: django:shop.0004_search\nCREATE TABLE b ();\n")
    local_site.write("003_ranking.sql", "CREATE TABLE c ();\n")
    with app.installed():
        yield app


def names(site: LocalSite) -> list[str]:
    return [row["name"] for row in site.ledger() if row["label"] == "project"]


def migrate(site: LocalSite, *words: str) -> None:
    site.run("migrate", *words, "--verbosity", "0", "--skip-checks", check=True)


def test_a_run_applies_what_it_may_and_says_what_is_left_to_migrate(shop: DjangoApp, local_site: LocalSite) -> None:
    first = local_site.run("sqlmigrate_apply", check=True)
    second = local_site.run("sqlmigrate_apply", check=True)

    assert names(local_site) == ["001_initial"]
    assert first.stdout.splitlines()[-2:] == [HELD, NEXT]
    assert second.stdout == f"Nothing to apply now.\n{HELD}\n{NEXT}\n"


def test_a_target_that_waits_names_the_command_of_django(shop: DjangoApp, local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_apply", "project", "002", check=True)

    assert names(local_site) == ["001_initial"]
    assert ended.stdout.splitlines()[-2:] == [
        "project.002_search is applied by migrate (django:shop.0004_search).",
        "Next: python manage.py migrate shop 0004",
    ]


def test_plan_and_check_tell_it_before(shop: DjangoApp, local_site: LocalSite) -> None:
    before = local_site.run("sqlmigrate_apply", "--check")
    local_site.run("sqlmigrate_apply", check=True)

    after = local_site.run("sqlmigrate_apply", "--check")
    in_json = local_site.run("sqlmigrate_apply", "--plan", "--format", "json")

    assert (before.returncode, after.returncode, in_json.returncode) == (3, 3, 0)
    assert before.stdout.endswith(f"\n  {HELD}\n  {NEXT}\n")
    assert after.stdout == f"Planned SQL migrations:\n  No planned migrations.\n  {HELD}\n  {NEXT}\n"
    document = json.loads(in_json.stdout)
    command = "python manage.py migrate shop 0004"
    assert (document["result"], document["steps"]) == ("pending", [])
    assert document["held"] == [
        {"id": "project.002_search", "state": "waiting", "waits_for": "django:shop.0004_search", "next": command},
        {"id": "project.003_ranking", "state": "pending", "waits_for": "project.002_search", "next": command},
    ]


def test_status_tells_it_and_integrity_is_valid(shop: DjangoApp, local_site: LocalSite) -> None:
    before = local_site.run("sqlmigrate_status")
    local_site.run("sqlmigrate_apply", check=True)

    after = local_site.run("sqlmigrate_status", "--check")
    document = json.loads(local_site.run("sqlmigrate_status", "--format", "json").stdout)

    assert before.stdout.endswith("integrity valid.\nNext: python manage.py sqlmigrate_apply\n")
    assert after.returncode == 3
    assert after.stdout.splitlines()[-4:] == [
        " [ ] 002_search  (waiting, applied by migrate in django:shop.0004_search, no rollback)",
        " [ ] 003_ranking  (pending, waits for project.002_search, no rollback)",
        "4 in all, 2 applied, 1 pending, 1 waiting; integrity valid.",
        NEXT,
    ]
    assert (document["summary"]["waiting"], document["summary"]["pending"]) == (1, 1)
    assert [entry["waits_for"] for entry in document["migrations"][2:]] == [
        "django:shop.0004_search",
        "project.002_search",
    ]


def test_a_dependency_that_is_not_applied_stops_the_run_until_it_is(shop: DjangoApp, local_site: LocalSite) -> None:
    local_site.write("001_initial.sql", "-- depends: django:shop.0003_prices\nCREATE TABLE a ();\n")

    refused = local_site.run("sqlmigrate_apply")
    in_json = local_site.run("sqlmigrate_apply", "--check", "--format", "json")
    nothing = local_site.ledger()
    migrate(local_site, "shop", "0003")
    allowed = local_site.run("sqlmigrate_apply")

    assert refused.returncode == in_json.returncode == 4
    assert refused.stderr == (
        "Migrations of Django's have to be applied first; nothing has run.\n\n"
        "  migrations_sql/001_initial.sql:1:1  [unapplied-dependency]\n"
        "    Depends on django:shop.0003_prices, which is not applied on 'default'.\n"
        "    Next: python manage.py migrate shop 0003\n"
    )
    assert json.loads(in_json.stdout)["error"]["findings"][0]["remedy"] == "python manage.py migrate shop 0003"
    assert nothing == []
    assert (allowed.returncode, names(local_site)) == (0, ["001_initial"])


def test_a_faked_migration_stops_the_run_and_recording_the_file_lets_it_go_on(
    shop: DjangoApp, local_site: LocalSite
) -> None:
    migrate(local_site, "--fake", "shop")
    local_site.run("sqlmigrate_apply", "project", "001")

    refused, planned = local_site.run("sqlmigrate_apply"), local_site.run("sqlmigrate_apply", "--plan")
    recorded = local_site.run("sqlmigrate_apply", "--fake", "project", "002", check=True)
    allowed = local_site.run("sqlmigrate_apply")

    assert refused.returncode == 4
    assert "applied by migrate" not in planned.stdout
    assert "which is recorded as applied on 'default'; this file is not: it was faked." in refused.stderr
    assert "Applying project.002_search... FAKED" in recorded.stdout
    assert (allowed.returncode, names(local_site)) == (0, ["001_initial", "002_search", "003_ranking"])


def test_a_waiting_file_may_be_recorded_before_django_has_come_to_it(shop: DjangoApp, local_site: LocalSite) -> None:
    local_site.run("sqlmigrate_apply", "--fake", "project", "002", check=True)

    ended = local_site.run("sqlmigrate_apply", check=True)

    assert names(local_site) == ["001_initial", "002_search", "003_ranking"]
    assert "applied by migrate" not in ended.stdout


def test_an_app_without_migrations_makes_it_a_file_like_any_other(shop: DjangoApp, local_site: LocalSite) -> None:
    local_site.write("003_ranking.sql", "-- depends: django:shop.__latest__\nCREATE TABLE c ();\n")

    with override_settings(MIGRATION_MODULES={"shop": None}):
        local_site.run("sqlmigrate_apply", check=True)

    assert names(local_site) == ["001_initial", "002_search", "003_ranking"]


def test_a_repair_of_a_waiting_file_names_the_command_of_django(shop: DjangoApp, local_site: LocalSite) -> None:
    ended = local_site.run("sqlmigrate_repair", "accept", "project", "002", "--reason", "x")

    assert ended.returncode == 2
    assert "Apply it: python manage.py migrate shop 0004_search " in ended.stderr


def test_django_is_not_asked_when_no_file_at_hand_names_it(shop: DjangoApp, local_site: LocalSite) -> None:
    local_site.run("sqlmigrate_apply", "--fake", check=True)

    with CaptureQueriesContext(connection) as context:
        local_site.run("sqlmigrate_status", check=True)

    assert not any("django_migrations" in query["sql"] for query in context)
    assert len(context) == 2


def test_a_deploy_applies_both_kinds_in_their_order(shop: DjangoApp, local_site: LocalSite) -> None:
    local_site.write("003_ranking.sql", "-- depends: django:shop.__latest__\nCREATE TABLE c AS TABLE b;\n")

    for command in ("sqlmigrate_apply", "migrate", "sqlmigrate_apply"):
        local_site.run(command, *(["--skip-checks"] if command == "migrate" else []), check=True)
    after = local_site.run("sqlmigrate_status", "--check")

    assert names(local_site) == ["001_initial", "002_search", "003_ranking"]
    assert after.stdout.endswith("4 in all, 4 applied, 0 pending; integrity valid.\n")


def test_a_wrapped_file_waits_for_what_it_depends_on_among_djangos_migrations(
    shop: DjangoApp, local_site: LocalSite
) -> None:
    local_site.write(
        "002_search.sql", "-- runs-in: django:shop.0004_search\n-- depends: django:blog.0001_initial\nSELECT 1;\n"
    )
    blog = DjangoApp(local_site.folder, "blog")
    blog.chain("0001_initial")

    with blog.installed():
        local_site.run("sqlmigrate_apply", check=True)
        with local_site.configured(), pytest.raises(CommandError) as refused:
            call_command("migrate", "shop", verbosity=0, skip_checks=True)
        migrate(local_site, "blog")
        migrate(local_site, "shop")

    assert str(refused.value) == (
        "project.002_search waits for migrations of Django's that are not applied. Nothing was changed.\n\n"
        "  migrations_sql/002_search.sql:2:1  [unapplied-dependency]\n"
        "    Depends on django:blog.0001_initial, which is not applied on 'default'.\n"
        "    Next: python manage.py migrate blog 0001\n\n"
        "  Next: So that migrate keeps to the order, write into the dependencies of shop.0004_search: "
        '("blog", "0001_initial")'
    )
    assert names(local_site) == ["001_initial", "002_search"]


def test_a_wrapped_file_that_broke_off_is_gone_on_with_by_whichever_command_comes_first(
    shop: DjangoApp, local_site: LocalSite
) -> None:
    shop.write("0004_search", 'ApplySQL("project", "002_search")', after=[("shop", "0003_prices")], atomic=False)
    head = "-- runs-in: django:shop.0004_search\n-- transaction: off\nCREATE TABLE b ();\n"
    local_site.write("002_search.sql", f"{head}SELECT nothing;\n")
    local_site.run("sqlmigrate_apply", check=True)
    with local_site.configured(), pytest.raises(CommandError):
        call_command("migrate", "shop", verbosity=0, skip_checks=True)
    local_site.write("002_search.sql", f"{head}SELECT 1;\n")

    ended = local_site.run("sqlmigrate_apply", check=True)
    migrate(local_site, "shop")
    after = local_site.run("sqlmigrate_status", "--check")

    assert "      resumed at statement 2\n" in ended.stdout
    assert names(local_site) == ["001_initial", "002_search", "003_ranking"]
    assert after.returncode == 0
