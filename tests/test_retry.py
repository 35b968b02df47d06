"""Which failures are worth another attempt, and how long it is waited with."""

from __future__ import annotations

import pytest

from sqlmigrations import retry
from sqlmigrations.exceptions import MigrationFailed
from sqlmigrations.types import Finding, ServerError, Severity

FINDING = Finding("failed", Severity.ERROR, "It failed.")


@pytest.mark.parametrize(
    ("sqlstate", "helps"),
    [("55P03", True), ("40P01", True), ("40001", True), ("55P04", False), ("57014", False), ("42601", False)],
)
def test_only_what_others_did_is_tried_again(sqlstate: str, helps: bool) -> None:
    failure = MigrationFailed("It failed.", finding=FINDING, server=ServerError(sqlstate, "no"))

    assert retry.can_help(failure) is helps


def test_what_the_runner_itself_refused_is_not_tried_again() -> None:
    assert not retry.can_help(MigrationFailed("It failed.", finding=FINDING))


@pytest.mark.parametrize(("attempt", "longest"), [(1, 1), (2, 2), (3, 4), (4, 8), (5, 10), (6, 10), (5_000, 10)])
def test_delays_grow_up_to_ten_seconds_and_are_never_the_same(attempt: int, longest: float) -> None:
    delays = [retry.delay_s(attempt) for _ in range(200)]

    assert longest / 2 <= min(delays) < max(delays) <= longest
    assert len(set(delays)) > 100


def test_a_deploy_gives_up_after_one_to_two_minutes() -> None:
    waiting_for_locks_s = 2 * retry.ATTEMPTS
    shortest = sum(min(10, 2 ** (attempt - 1)) / 2 for attempt in range(1, retry.ATTEMPTS))

    assert 50 < shortest + waiting_for_locks_s < 2 * shortest + waiting_for_locks_s < 120
