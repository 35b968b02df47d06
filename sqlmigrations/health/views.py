"""``HealthView``: the health of the SQL migrations as JSON, 200 or 503, for probes and monitors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.http import HttpRequest, HttpResponseBase, JsonResponse
from django.utils.decorators import method_decorator
from django.views.decorators.cache import never_cache
from django.views.generic import View

from sqlmigrations.health.probe import Health, look

JSON_FORMAT = 1


@method_decorator(never_cache, name="dispatch")
class HealthView(View):
    """Answers 200, or 503 when a person has to look; counts only, no names.

    Args, to ``as_view``:
        databases: The aliases to look at.
        fail_on_pending: Whether a pending migration is answered by 503 too.
        timeout_s: How long to wait for a database, seconds; when it is over, it is unreachable.
    """

    http_method_names = ["get", "head"]  # noqa: RUF012 - Django's own way to say it

    databases: Sequence[str] = (DEFAULT_DB_ALIAS,)
    fail_on_pending: bool = False
    timeout_s: float = 3

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:
        """The view; ``ATOMIC_REQUESTS`` would connect before it is asked, and fail where nothing answers."""
        view = super().as_view(**initkwargs)
        for alias in connections:
            view = transaction.non_atomic_requests(alias)(view)
        return view

    def get(self, request: HttpRequest) -> JsonResponse:
        """Looks, and tells."""
        seen = look(self.databases, self.timeout_s)
        healthy = all(health.is_healthy(fail_on_pending=self.fail_on_pending) for health in seen)
        databases = {health.database: _described(health) for health in seen}
        document = {"schema": JSON_FORMAT, "healthy": healthy, "databases": databases}
        return JsonResponse(document, status=200 if healthy else 503)


def _described(health: Health) -> dict[str, object]:
    return {
        "result": health.verdict.value,
        "integrity": health.integrity,
        "pending": health.pending,
        "waiting": health.waiting,
        "partial": health.partial,
    }
