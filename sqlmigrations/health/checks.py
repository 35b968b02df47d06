"""The check for django-health-check 4, the only module that imports it: the extra ``health``."""

from __future__ import annotations

import dataclasses
from datetime import timedelta

from django.db import DEFAULT_DB_ALIAS
from health_check.base import HealthCheck
from health_check.exceptions import ServiceUnavailable

from sqlmigrations.health.probe import Health, Verdict, look

_WORDS = {
    Verdict.PENDING: "SQL migrations are pending",
    Verdict.PARTIAL: "an SQL migration is half done",
    Verdict.BROKEN: "SQL migrations do not agree with their records",
    Verdict.UNREACHABLE: "the database did not answer",
    Verdict.MISCONFIGURED: "the SQL migrations could not be looked at",
}


@dataclasses.dataclass
class SqlMigrations(HealthCheck):  # type: ignore[misc]  # it has no types
    """Whether the SQL migrations of a database are in order.

    Args:
        alias: The database.
        fail_on_pending: Whether a pending migration is a fault.
        timeout: How long to wait for the database.
    """

    alias: str = DEFAULT_DB_ALIAS
    fail_on_pending: bool = dataclasses.field(default=False, repr=False)
    timeout: timedelta = dataclasses.field(default=timedelta(seconds=3), repr=False)

    def run(self) -> None:
        """Looks; what it raises names no migration.

        Raises:
            ServiceUnavailable: A person has to look.
        """
        (health,) = look([self.alias], self.timeout.total_seconds())
        if not health.is_healthy(fail_on_pending=self.fail_on_pending):
            raise ServiceUnavailable(_sentence(health))


def _sentence(health: Health) -> str:
    counts = {"pending": health.pending, "waiting for migrate": health.waiting, "half done": health.partial}
    told = ", ".join(f"{count} {what}" for what, count in counts.items() if count)
    return f"{_WORDS[health.verdict]} ({told})" if told else _WORDS[health.verdict]
