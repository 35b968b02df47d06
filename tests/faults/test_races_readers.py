"""Who only reads while files are applied: never waits, never is waited for, and tells what is or was a moment ago."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from django.db import connections

from tests.office import EVENTS, LEDGER, Office, page, words

STATUS = f"{LEDGER}status/"


@contextmanager
def atomic_requests() -> Iterator[None]:
    settings = connections["default"].settings_dict
    before, settings["ATOMIC_REQUESTS"] = settings["ATOMIC_REQUESTS"], True
    try:
        yield
    finally:
        settings["ATOMIC_REQUESTS"] = before


@pytest.fixture
def half_done(office: Office) -> Office:
    """A file that stopped at its second statement."""
    office.site.write("001_a.sql", "-- transaction: off\nCREATE TABLE a (id int);\nSELECT 1/0;\n")
    office.site.run("sqlmigrate_apply")
    return office


def test_who_cannot_look_at_locks_is_shown_the_status_in_a_transaction_of_django_too(half_done: Office) -> None:
    client = half_done.superuser()
    half_done.site.query("ALTER FUNCTION pg_blocking_pids(int) RENAME TO put_aside")

    with atomic_requests():
        html = page(client.get(STATUS))

    assert "A migration is half done, and waits for a decision." in words(html)
