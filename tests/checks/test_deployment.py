"""What the deploy checks say of settings, and of a pooler that is really there."""

from __future__ import annotations

import copy
from typing import Any

import pytest
from django.core import checks
from django.core.checks import CheckMessage, Warning
from django.db import connections

from sqlmigrations.checks import check_deployment
from tests.inprocess import LocalSite


def deployment(site: LocalSite) -> list[CheckMessage]:
    with site.configured():
        return check_deployment()


def lead(monkeypatch: pytest.MonkeyPatch, alias: str = "default", **changes: Any) -> None:
    """Changes where an alias leads, without connecting."""
    settings = copy.deepcopy(connections["default"].settings_dict)
    monkeypatch.setitem(connections.settings, alias, connections.settings["default"])
    monkeypatch.setattr(connections[alias], "settings_dict", {**settings, **changes})


def test_a_database_on_this_machine_with_the_default_settings_is_in_order(local_site: LocalSite) -> None:
    assert deployment(local_site) == []


def test_a_lock_timeout_of_zero_is_a_warning(local_site: LocalSite) -> None:
    local_site.settings["LOCK_TIMEOUT"] = 0

    assert deployment(local_site) == [
        Warning(
            'SQLMIGRATIONS["LOCK_TIMEOUT"] is 0: a statement that waits for a lock makes all others wait behind it.',
            hint="Remove it: the default is the server's deadlock_timeout and one second. Or write a duration, as "
            '"3s".',
            id="sqlmigrations.W021",
        )
    ]


def test_a_server_elsewhere_that_is_not_verified_is_a_warning(
    local_site: LocalSite, monkeypatch: pytest.MonkeyPatch
) -> None:
    lead(monkeypatch, HOST="db.example.org", OPTIONS={"sslmode": "require"})

    found = deployment(local_site)
    lead(monkeypatch, HOST="db.example.org", OPTIONS={"sslmode": "verify-full"})

    assert found == [
        Warning(
            "The connection to db.example.org has sslmode require: who answers there is not verified.",
            hint='Write DATABASES["default"]["OPTIONS"] = '
            '{"sslmode": "verify-full", "sslrootcert": "/path/to/the/ca.pem", ...}',
            id="sqlmigrations.W022",
            obj="default",
        )
    ]
    assert deployment(local_site) == []


def test_the_way_past_a_pooler_is_looked_at_as_well(local_site: LocalSite, monkeypatch: pytest.MonkeyPatch) -> None:
    lead(monkeypatch, "past", HOST="10.0.0.5")
    local_site.settings["DIRECT"] = {"default": "past"}

    (found,) = deployment(local_site)
    del connections["past"]

    assert (found.id, found.obj) == ("sqlmigrations.W022", "past")
    assert found.msg == "The connection to 10.0.0.5 has sslmode prefer: who answers there is not verified."


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({"DISABLE_SERVER_SIDE_CURSORS": True}, "DISABLE_SERVER_SIDE_CURSORS is set"),
        ({"PORT": 6432, "HOST": "localhost"}, "port 6432"),
        ({"HOST": "pgbouncer", "OPTIONS": {"sslmode": "verify-full"}}, "host pgbouncer"),
    ],
)
def test_what_looks_like_a_pooler_is_a_warning_until_a_way_past_it_is_named(
    local_site: LocalSite, monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], sign: str
) -> None:
    lead(monkeypatch, **changes)

    found = deployment(local_site)
    local_site.settings["SESSION_POOLED"] = ["default"]

    assert found == [
        Warning(
            f"The database seems to be behind a pooler ({sign}), and no DIRECT leads past it. Files that cannot run "
            "in one transaction are refused there.",
            hint='SQLMIGRATIONS["DIRECT"] = {"default": "default_direct"}   or, with pool_mode = session: '
            'SQLMIGRATIONS["SESSION_POOLED"] = ["default"]',
            id="sqlmigrations.W023",
            obj="default",
        )
    ]
    assert deployment(local_site) == []


@pytest.mark.parametrize(("value", "ids"), [("tests", []), ("never", []), ("always", ["sqlmigrations.W024"])])
def test_files_that_every_migrate_applies_are_for_tests(local_site: LocalSite, value: str, ids: list[str]) -> None:
    local_site.settings["APPLY_ON_MIGRATE"] = value

    assert [message.id for message in deployment(local_site)] == ids


def test_settings_that_are_not_in_order_are_left_to_the_other_check(local_site: LocalSite) -> None:
    local_site.settings.update({"LOCK_TIMEOUT": 0, "LOCK_WIAT": "3s"})

    assert deployment(local_site) == []


def test_they_are_run_for_a_deploy_only(local_site: LocalSite) -> None:
    local_site.settings["LOCK_TIMEOUT"] = 0

    with local_site.configured():
        ordinary = checks.run_checks()
        deploy = checks.run_checks(include_deployment_checks=True)

    assert "sqlmigrations.W021" not in {message.id for message in ordinary}
    assert "sqlmigrations.W021" in {message.id for message in deploy}
