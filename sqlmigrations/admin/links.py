"""Where the pages are, in whichever admin site they were registered."""

from __future__ import annotations

from urllib.parse import urlencode

from django.contrib.admin import AdminSite
from django.db import models
from django.urls import reverse

from sqlmigrations.admin.sight import DATABASE, databases


class Links:
    """The addresses of pages about one database.

    Args:
        site: Where they are registered.
        database: The alias; addresses name it where it is not the one that is shown without being asked for.
    """

    def __init__(self, site: AdminSite, database: str) -> None:
        self._site = site
        self._database = {} if database == databases()[0] else {DATABASE: database}

    def listing(self, model: type[models.Model], **filters: str) -> str | None:
        """The list of a model's rows, narrowed; ``None`` where this site does not show them."""
        return self._to(model, "changelist", (), filters)

    def page(self, model: type[models.Model], id: int | None) -> str | None:
        """The page of one row; ``None`` where there is no such row, or this site does not show it."""
        return None if id is None else self._to(model, "change", (id,), {})

    def _to(self, model: type[models.Model], view: str, args: tuple[int, ...], filters: dict[str, str]) -> str | None:
        if not self._site.is_registered(model):
            return None
        meta = model._meta
        name = f"admin:{meta.app_label}_{meta.model_name}_{view}"
        query = urlencode({**filters, **self._database})
        url = reverse(name, args=args, current_app=self._site.name)
        return f"{url}?{query}" if query else url
