"""An admin for reading only, of tables that may not be there, in any of the databases."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, cast
from urllib.parse import urlencode

from django.contrib import admin
from django.contrib.admin.utils import unquote
from django.contrib.admin.views.main import ChangeList
from django.contrib.auth import get_permission_codename
from django.core.exceptions import BadRequest, PermissionDenied
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import QuerySet
from django.db.models.constants import LOOKUP_SEP
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed, HttpResponseRedirect

from sqlmigrations.admin.links import Links
from sqlmigrations.admin.sight import DATABASE, sight
from sqlmigrations.ledger import EVENTS, LEDGER
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent, SchemaMigrationText

# ``label.NNN_slug``, with or without .sql.
_NAMED = re.compile(r"(?P<label>\w+)\.(?P<number>[0-9]{1,18})(?P<slug>(_\S*?)?)(\.sql)?")


class Listing(ChangeList):
    """A list whose links lead to pages about the same database."""

    def __init__(self, request: HttpRequest, *args: Any, **kwargs: Any) -> None:
        self._database = request.GET.get(DATABASE)
        super().__init__(request, *args, **kwargs)

    def get_results(self, request: HttpRequest) -> None:
        """The rows of one page; what belongs to them in other tables is looked up for these rows alone."""
        super().get_results(request)
        rows = self.rows()
        cast(ReadOnlyAdmin, self.model_admin).complete(request, rows)
        self.result_list = rows

    def rows(self) -> list[Any]:
        """Those of the page."""
        return list(self.result_list)

    def url_for_result(self, result: models.Model) -> str:
        """The page of a row."""
        url: str = super().url_for_result(result)
        return f"{url}?{urlencode({DATABASE: self._database})}" if self._database else url


class ReadOnlyAdmin(admin.ModelAdmin):  # type: ignore[type-arg]
    """An admin in which nothing can be added, changed or deleted.

    Attributes:
        table: The tracking table its rows are in.
    """

    table: ClassVar[str]
    actions = None
    # A second COUNT(*) of everything beside the one of what was asked for, and one for each choice of each filter.
    show_full_result_count = False
    show_facets = admin.ShowFacets.NEVER

    class Media:
        """Colours are Django's own variables, so that they follow its light and dark modes."""

        css: ClassVar[dict[str, tuple[str, ...]]] = {"all": ("sqlmigrations/admin.css",)}

    def has_add_permission(self, request: HttpRequest) -> bool:
        """Never."""
        return False

    def has_change_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never."""
        return False

    def has_delete_permission(self, request: HttpRequest, obj: models.Model | None = None) -> bool:
        """Never."""
        return False

    def get_queryset(self, request: HttpRequest) -> QuerySet[Any]:
        """The rows of the database that the page is about; none, instead of an error, where they cannot be read."""
        found: QuerySet[Any] = super().get_queryset(request)
        seen = sight(request)
        return found.using(seen.alias) if seen.sees(self.table) else found.none()

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """The row of a page, complete."""
        found = super().get_object(request, object_id, from_field)
        if found is not None:
            self.complete(request, [found])
        return found

    def complete(self, request: HttpRequest, rows: Sequence[Any]) -> None:
        """Gives rows what belongs to them in other tables, as far as that may be seen."""
        raise NotImplementedError

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[ChangeList]:
        """Links of the list keep its database."""
        return Listing

    def changelist_view(self, request: HttpRequest, extra_context: dict[str, Any] | None = None) -> HttpResponse:
        """The list, and why it is empty where the table cannot be read."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        if "%00" in request.GET.urlencode():
            raise BadRequest("A NUL, which is in no text of a database.")
        notice = sight(request).hidden.get(self.table) if self.has_view_permission(request) else None
        return super().changelist_view(request, {**(extra_context or {}), "notice": notice})

    def changeform_view(
        self,
        request: HttpRequest,
        object_id: str | None = None,
        form_url: str = "",
        extra_context: dict[str, Any] | None = None,
    ) -> HttpResponse:
        """Django shows the page whatever the method, and refuses a POST for want of a permission."""
        if request.method not in ("GET", "HEAD", "POST"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        return super().changeform_view(request, object_id, form_url, extra_context)

    def lookup_allowed(self, lookup: str, value: str, request: HttpRequest) -> bool:
        """Not into what is kept as JSON: answers would tell, letter by letter, the SQL that the pages keep back."""
        name = lookup.partition(LOOKUP_SEP)[0]
        columns = {field.name: field for field in self.model._meta.get_fields()}
        return not isinstance(columns.get(name), models.JSONField) and super().lookup_allowed(lookup, value, request)

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[Any], search_term: str
    ) -> tuple[QuerySet[Any], bool]:
        """Finds ``label.NNN_slug``, too, the way commands and messages name a migration: by the index on its key."""
        if named := _NAMED.fullmatch(search_term.strip()):
            known = {"label": named["label"], "key": str(int(named["number"]))}
            return queryset.filter(**known, name__startswith=f"{named['number']}{named['slug']}"), False
        searched = self.searched(request, queryset) if search_term.strip() else queryset
        return super().get_search_results(request, searched, search_term)

    def searched(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Where parts of words are looked for: everywhere."""
        return queryset

    def history_view(
        self, request: HttpRequest, object_id: str, extra_context: dict[str, Any] | None = None
    ) -> HttpResponse:
        """What happened is among the events: Django's own log knows of changes through the admin only."""
        if request.method not in ("GET", "HEAD"):
            return HttpResponseNotAllowed(["GET", "HEAD"])
        found = self.get_object(request, unquote(object_id))
        if not self.has_view_permission(request, found):
            raise PermissionDenied
        url = self.log_url(found) if found else None
        return HttpResponseRedirect(url) if url else super().history_view(request, object_id, extra_context)

    def log_url(self, row: Any) -> str | None:
        """The events that are the history of a row."""
        raise NotImplementedError

    def links(self, row: models.Model) -> Links:
        """Where the other pages about the database of a row are."""
        return Links(self.admin_site, row._state.db or DEFAULT_DB_ALIAS)

    def views(self, request: HttpRequest) -> Views:
        """What else of this database there is to be seen, by this visitor."""
        seen = sight(request)
        return Views(
            history=seen.sees(LEDGER) and may_view(request, SchemaMigration),
            events=seen.sees(EVENTS) and may_view(request, SchemaMigrationEvent),
            sql=may_view(request, SchemaMigrationText),
        )


@dataclass(frozen=True, slots=True)
class Views:
    """What there is to be seen beside the row of a page.

    Attributes:
        history: The migrations in force.
        events: What happened.
        sql: The text of statements, as far as the visitor is concerned.
    """

    history: bool
    events: bool
    sql: bool


def may_view(request: HttpRequest, model: type[models.Model]) -> bool:
    """Whether this visitor may see the rows of a model."""
    return request.user.has_perm(f"{model._meta.app_label}.{get_permission_codename('view', model._meta)}")
