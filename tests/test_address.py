"""Where an alias leads, by its settings, its service and the environment."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
from django.db import connections

from sqlmigrations.backends.address import Address

VARIABLES = ("PGHOST", "PGHOSTADDR", "PGPORT", "PGSERVICE", "PGSSLMODE", "PGSSLROOTCERT", "PGGSSENCMODE")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing but what the test says."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PGSERVICEFILE", str(tmp_path / "service.conf"))
    monkeypatch.setenv("PGSYSCONFDIR", str(tmp_path / "system"))


def address(monkeypatch: pytest.MonkeyPatch, options: dict[str, Any] | None = None, **changes: Any) -> Address:
    settings = copy.deepcopy(connections["default"].settings_dict)
    settings |= {"HOST": "", "PORT": "", "OPTIONS": options or {}, **changes}
    monkeypatch.setattr(connections["default"], "settings_dict", settings)
    return Address.of("default")


@pytest.mark.parametrize(
    ("host", "remote"),
    [
        ("", ""),
        ("/var/run/postgresql", ""),
        ("@abstract", ""),
        ("localhost", ""),
        ("LOCALHOST.", ""),
        ("127.0.0.2", ""),
        ("::1", ""),
        ("10.0.0.5", "10.0.0.5"),
        ("fe80::1%eth0", "fe80::1%eth0"),
        ("localhost.example.org", "localhost.example.org"),
        ("/tmp,db.example.org", "db.example.org"),
    ],
)
def test_a_host_that_is_not_this_machine_is_remote(monkeypatch: pytest.MonkeyPatch, host: str, remote: str) -> None:
    assert address(monkeypatch, HOST=host).remote_host == remote


def test_where_a_host_is_counts_more_than_its_name(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address(monkeypatch, {"hostaddr": "127.0.0.1"}, HOST="db.example.org").remote_host == ""
    assert address(monkeypatch, {"hostaddr": "10.0.0.5"}, HOST="localhost").remote_host == "localhost"
    assert address(monkeypatch, {"hostaddr": "10.0.0.5"}).remote_host == "10.0.0.5"


def test_settings_come_before_the_service_and_that_before_the_environment(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "service.conf").write_text("# ours\n[shop]\nhost=service.example.org\nsslmode=verify-full\n")
    monkeypatch.setenv("PGHOST", "variable.example.org")
    monkeypatch.setenv("PGSSLMODE", "require")
    monkeypatch.setenv("PGPORT", "6432")

    alone = address(monkeypatch)
    by_service = address(monkeypatch, {"service": "shop"})
    by_settings = address(monkeypatch, {"service": "shop", "sslmode": "disable"}, HOST="own.example.org")
    monkeypatch.setenv("PGSERVICE", "shop")
    by_variable = address(monkeypatch)

    assert [(each.remote_host, each.sslmode, each.port) for each in (alone, by_service, by_settings, by_variable)] == [
        ("variable.example.org", "require", "6432"),
        ("service.example.org", "verify-full", "6432"),
        ("own.example.org", "disable", "6432"),
        ("service.example.org", "verify-full", "6432"),
    ]


def test_the_file_of_the_system_knows_services_that_the_users_does_not(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "system").mkdir()
    (tmp_path / "system" / "pg_service.conf").write_text("[shop]\nhost=db.example.org\n")

    assert address(monkeypatch, {"service": "shop"}).remote_host == "db.example.org"
    assert address(monkeypatch, {"service": "other"}).remote_host == ""


def test_a_service_file_that_cannot_be_read_says_nothing(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "service.conf").write_bytes(b"host=\xff before any section\n")

    assert address(monkeypatch, {"service": "shop"}) == address(monkeypatch)


def test_without_a_word_of_it_a_connection_is_encrypted_at_best(monkeypatch: pytest.MonkeyPatch) -> None:
    assert address(monkeypatch, HOST="db.example.org").sslmode == "prefer"
    assert address(monkeypatch, {"sslrootcert": "system"}).sslmode == "verify-full"
    assert address(monkeypatch, {"gssencmode": "require"}).is_encrypted_by_gss


@pytest.mark.parametrize(
    ("changes", "sign"),
    [
        ({"PORT": "5432"}, ""),
        ({"PORT": "5432,6432"}, "port 6432"),
        ({"PORT": 6543}, "port 6543"),
        ({"HOST": "pgbouncer.internal"}, "host pgbouncer.internal"),
        ({"HOST": "eu-west-1.pooler.example.com"}, "host eu-west-1.pooler.example.com"),
        ({"HOST": "ep-cool-1-pooler.example.com"}, "host ep-cool-1-pooler.example.com"),
        ({"HOST": "whirlpool.example.com"}, ""),
        ({"HOST": "/run/pgbouncer"}, ""),
    ],
)
def test_poolers_have_names_and_ports_of_their_own(
    monkeypatch: pytest.MonkeyPatch, changes: dict[str, Any], sign: str
) -> None:
    assert address(monkeypatch, **changes).sign_of_pooler == sign
