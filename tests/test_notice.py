"""What runserver says of pending SQL files when it starts, and that nothing else says it."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

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
        process.communicate(timeout=30)


@pytest.mark.parametrize("arguments", [(), ("--noreload",), ("--noreload", "--skip-checks")])
def test_a_server_that_starts_tells_once_before_django_tells_of_its_own(
    site: Site, arguments: tuple[str, ...]
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    with served(site, *arguments) as lines:
        assert [line for line in lines if "SQL migration" in line or "sqlmigrate" in line] == NOTICE
        assert [line for line in lines if "unapplied migration(s)" in line] == [lines[lines.index(NOTICE[1]) + 2]]
