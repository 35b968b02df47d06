"""What runserver says of pending SQL files when it starts, and that nothing else says it."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db.backends.signals import connection_created

from sqlmigrations.management import notice
from tests.inprocess import LocalSite
from tests.site import Site

NOTICE = [
    "You have 2 unapplied SQL migration(s). Your project may not work properly until you apply the migrations for "
    "label(s): sqlmigrations, project.",
    "Run 'python manage.py sqlmigrate_apply' to apply them.",
]
NOWHERE = "postgresql://nobody@127.0.0.1:1/nothing"


@contextmanager
def served(site: Site, *arguments: str, **env: str) -> Iterator[list[str]]:
    """What runserver printed until it served, or told that it cannot; it is stopped afterwards."""
    process = site.start("runserver", "localhost:0", *arguments, env={"PYTHONUNBUFFERED": "1", **env})
    assert process.stdout is not None
    try:
        lines: list[str] = []
        for line in process.stdout:
            lines.append(line.rstrip("\n"))
            if line.startswith("Quit the server"):
                break
        yield lines
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)


@pytest.mark.parametrize("arguments", [(), ("--noreload",), ("--noreload", "--skip-checks")])
def test_a_server_that_starts_tells_once_before_django_tells_of_its_own(
    site: Site, arguments: tuple[str, ...]
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    with served(site, *arguments) as lines:
        assert [line for line in lines if "SQL migration" in line or "sqlmigrate" in line] == NOTICE
        assert [line for line in lines if "unapplied migration(s)" in line] == [lines[lines.index(NOTICE[1]) + 2]]


def test_a_server_has_nothing_to_tell_where_all_is_applied_or_cannot_be_looked_at(site: Site) -> None:
    site.run("sqlmigrate_apply", check=True)
    with served(site, "--noreload") as applied:
        pass
    site.query("DROP TABLE schema_migrations; CREATE TABLE schema_migrations (version text)")
    with served(site, "--noreload") as foreign:
        pass

    assert [line for line in (*applied, *foreign) if "SQL migration" in line] == []
    assert applied[-1] == foreign[-1] == "Quit the server with CONTROL-C."


def test_a_server_that_is_away_fails_as_it_does_without_us(site: Site) -> None:
    with served(site, "--noreload", DATABASE_URL=NOWHERE) as lines:
        assert [line for line in lines if "SQL migration" in line] == []
    assert lines[-1] == "System check identified no issues (0 silenced)."


def test_what_is_half_done_is_unapplied_and_what_django_applies_is_not_told(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "-- transaction: off\nSELECT 1;\nSELECT 1 / 0;\n")
    local_site.run("sqlmigrate_apply")

    with local_site.configured():
        assert notice.pending() == ["project"]


@pytest.mark.parametrize(
    ("command", "serves"),
    [
        (["manage.py", "runserver"], False),  # the process that watches for changes
        (["manage.py", "runserver", "8080", "--noreload"], True),
        (["manage.py", "migrate"], False),
        (["manage.py", "shell", "runserver", "--noreload"], False),
        (["gunicorn"], False),
    ],
)
def test_only_a_process_that_serves_listens(monkeypatch: pytest.MonkeyPatch, command: list[str], serves: bool) -> None:
    monkeypatch.setattr(sys, "argv", command)
    before = len(connection_created.receivers)

    notice.connect()

    assert (len(connection_created.receivers) > before) is serves
    assert connection_created.disconnect(dispatch_uid="sqlmigrations.notice") is serves
