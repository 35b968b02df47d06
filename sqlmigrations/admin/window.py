"""How far a list looks into a table that only grows: to the newest of what its filters leave."""

from __future__ import annotations

from typing import Any, cast

from django.core.paginator import Page, Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils.functional import cached_property
from django.utils.translation import gettext

from sqlmigrations import conf
from sqlmigrations.admin.hierarchy import hierarchy
from sqlmigrations.admin.readonly import Listing
from sqlmigrations.admin.sight import sight
from sqlmigrations.backends.base import Reader
from sqlmigrations.ledger import EVENTS, Ledger

# Whoever looks for something further back narrows the list: nobody turns over a hundred pages.
LISTED = 10_000
# For a part of a name no index helps: rows are read one after the other, some hundred thousand in a second.
SEARCHED = 200_000
_SEARCHED = "_sqlmigrations_searched"


class Newest(Paginator):  # type: ignore[type-arg]
    """The pages of the newest rows of a query.

    Their ids come out of an index, all of them at once; rows are read for the page that is shown. A count would read
    them all, and rows that are looked for with a LIMIT may all be near the other end of the table.
    """

    @cached_property
    def ids(self) -> list[int]:
        """Of the newest, and of one more where there is more."""
        return list(self._query.values_list("pk", flat=True)[: LISTED + 1])

    @cached_property
    def count(self) -> int:
        """How many can be listed."""
        return min(len(self.ids), LISTED)

    @property
    def has_more(self) -> bool:
        """Whether there are more than can be listed."""
        return len(self.ids) > LISTED

    def page(self, number: int | str) -> Page[Any]:
        """The rows of one page."""
        checked = self.validate_number(number)
        begin = (checked - 1) * self.per_page
        return Page(self.rows(begin, begin + self.per_page), checked, self)

    def rows(self, begin: int, end: int) -> list[Any]:
        """Those at these places."""
        wanted = self.ids[begin : min(end, LISTED)]
        found = self._query.model._default_manager.using(self._query.db).in_bulk(wanted) if wanted else {}
        return [found[id] for id in wanted if id in found]

    @property
    def _query(self) -> QuerySet[Any]:
        return cast("QuerySet[Any]", self.object_list)


class LongListing(Listing):
    """A list that shows the newest, and says what it does not show."""

    paginator: Newest

    @cached_property
    def hierarchy(self) -> dict[str, Any] | None:
        """What the template of the date hierarchy shows; nothing where the table cannot be read."""
        seen = sight(self._request)
        if not seen.sees(EVENTS):
            return None
        return hierarchy(self, Reader(seen.alias), Ledger(conf.load().schema).names["events"])

    @property
    def limits(self) -> list[str]:
        """What has to be known about what is not listed, in sentences."""
        told = []
        if self.paginator.has_more:
            told.append(gettext("There are more: the first %d are listed. A date or a filter shows others.") % LISTED)
        if getattr(self._request, _SEARCHED, False):
            told.append(gettext("Searched were the newest %d of those that date and filters leave.") % SEARCHED)
        return told

    def rows(self) -> list[Any]:
        """Those of the page; all of them where they fit into one."""
        fits = not self.multi_page or (self.show_all and self.can_show_all)
        return self.paginator.rows(0, self.result_count) if fits else super().rows()

    def get_results(self, request: HttpRequest) -> None:
        """As of every list."""
        self._request = request
        super().get_results(request)


def newest(request: HttpRequest, queryset: QuerySet[Any], moment: str) -> QuerySet[Any]:
    """As many rows as a search can read one after the other, the newest; notes on the request where there are more.

    Args:
        request: Of the page.
        queryset: What the filters leave.
        moment: The column of the time, which the indexes of the filters have in them.
    """
    in_order = queryset.order_by(f"-{moment}", "-pk")
    last = list(in_order.values_list(moment, "pk")[SEARCHED - 1 : SEARCHED + 1])
    setattr(request, _SEARCHED, len(last) > 1)
    if len(last) <= 1:
        return queryset
    at, id = last[0]
    # The first condition is one for the index.
    return queryset.filter(**{f"{moment}__gte": at}).filter(Q(**{f"{moment}__gt": at}) | Q(pk__gte=id))
