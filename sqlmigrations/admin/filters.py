"""What the lists can be narrowed to, without reading every row for the choices."""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Sequence
from typing import Any

from django.contrib import admin
from django.contrib.admin.options import IncorrectLookupParameters
from django.contrib.admin.views.main import ChangeList
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from sqlmigrations import conf
from sqlmigrations.admin import words
from sqlmigrations.admin.sight import DATABASE, databases, sight
from sqlmigrations.backends.base import Reader
from sqlmigrations.ledger import Ledger

Choices = Sequence[tuple[str, Any]]


class DatabaseFilter(admin.SimpleListFilter):
    """Which database the page is about; shown where there are several. The admin itself turns to it."""

    title = _("database")
    parameter_name = DATABASE

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        """The aliases, where there is more than one."""
        aliases = databases()
        return [(alias, alias) for alias in aliases] if len(aliases) > 1 else []

    def choices(self, changelist: ChangeList) -> Iterator[Any]:
        """One of them always is chosen."""
        current = self.value() or self.lookup_choices[0][0]
        for alias, title in self.lookup_choices:
            # What else was chosen may not exist in another database.
            link = changelist.get_query_string({DATABASE: alias}, list(changelist.get_filters_params()))
            yield {"selected": alias == current, "query_string": link, "display": title}

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """It is that of this database already."""
        return queryset


class LabelFilter(admin.SimpleListFilter):
    """By label."""

    title = _("label")
    parameter_name = "label"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        """Those that occur."""
        seen = sight(request)
        if not seen.sees(model_admin.table):
            return []
        labels = Ledger(conf.load().schema).labels(Reader(seen.alias), model_admin.table)
        return [(label, label) for label in labels]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only this one."""
        return queryset.filter(label=self.value()) if self.value() else queryset


class StateFilter(admin.SimpleListFilter):
    """By state of the record."""

    title = _("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        """All there are."""
        return list(words.STATES.items())

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only this one."""
        return queryset.filter(state=self.value()) if self.value() else queryset


class EventFilter(admin.SimpleListFilter):
    """By what happened."""

    title = _("event")
    parameter_name = "event"
    _FAILURES = "failures"

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        """What went wrong in one choice, then everything that can happen."""
        return [(self._FAILURES, _("every failure")), *words.EVENTS.items()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only this."""
        if self.value() == self._FAILURES:
            return queryset.filter(event__in=words.FAILURES)
        return queryset.filter(event=self.value()) if self.value() else queryset


class _Given(admin.SimpleListFilter):
    """What a link of another page asked for: shown so that it can be taken away."""

    def lookups(self, request: HttpRequest, model_admin: Any) -> Choices:
        """Nothing but that."""
        value = request.GET.get(str(self.parameter_name))
        return [(value, value)] if value else []

    def queryset(self, request: HttpRequest, queryset: QuerySet[Any]) -> QuerySet[Any]:
        """Only that."""
        value = self.value()
        try:
            return queryset.filter(self.condition(value)) if value else queryset
        except ValueError as error:
            raise IncorrectLookupParameters(error) from error

    def condition(self, value: str) -> Q:
        """What rows have to satisfy."""
        raise NotImplementedError


class RunFilter(_Given):
    """By the run in which it happened."""

    title = _("run")
    parameter_name = "run"

    def condition(self, value: str) -> Q:
        """The run."""
        return Q(run_id=uuid.UUID(value))


class MigrationFilter(_Given):
    """By the migration it happened to, as ``label.key``: a new name does not change these."""

    title = _("migration")
    parameter_name = "migration"

    def condition(self, value: str) -> Q:
        """The migration."""
        label, separator, key = value.partition(".")
        if not separator:
            raise ValueError(value)
        return Q(label=label, key=key)
