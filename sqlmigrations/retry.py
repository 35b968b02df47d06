"""Whether a failed file is tried again, whole, and how long that is waited with."""

from __future__ import annotations

import random

from sqlmigrations.exceptions import MigrationFailed

# About a minute and a half when every attempt waits two seconds for a lock.
ATTEMPTS = 10

# Not refused for what the file says, but for what others did at the same time: lock_not_available, deadlock_detected,
# serialization_failure.
_PASSING = frozenset({"55P03", "40P01", "40001"})
_FIRST_S = 1.0
_LONGEST_S = 10.0
_DOUBLINGS = 10


def can_help(failure: MigrationFailed) -> bool:
    """Whether the same file may succeed when it is run once more."""
    return failure.is_clean and failure.server is not None and failure.server.sqlstate in _PASSING


def delay_s(attempt: int) -> float:
    """How long to wait after an attempt, seconds: longer each time, and never in step with anybody else.

    Args:
        attempt: Which one failed, from 1.
    """
    longest = min(_LONGEST_S, _FIRST_S * 2 ** min(attempt - 1, _DOUBLINGS))
    return random.uniform(longest / 2, longest)
