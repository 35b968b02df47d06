"""The years, months and days of a long table: each is looked up in an index, and no row is read for them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import date, datetime, timedelta
from itertools import takewhile
from typing import Any

from django.conf import settings
from django.contrib.admin.utils import label_for_field
from django.contrib.admin.views.main import ChangeList
from django.db.models import Max, Min
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.text import capfirst
from django.utils.translation import gettext

from sqlmigrations.backends.base import Queries

# All there is, a year, a month of it, a day of that.
Period = tuple[int, ...]

_UNITS = ("year", "month", "day")
# The tag of Django's own has the server take the month of every row.
_OCCURRING = """
SELECT p.number
  FROM ROWS FROM (pg_catalog.unnest(%s::timestamptz[]), pg_catalog.unnest(%s::timestamptz[])) WITH ORDINALITY
       AS p (since, until, number)
 WHERE (SELECT e.{column} FROM {table} AS e WHERE e.{column} >= p.since AND e.{column} < p.until
         ORDER BY e.{column} LIMIT 1) IS NOT NULL
 ORDER BY p.number
"""


def hierarchy(listing: ChangeList, queries: Queries, table: str) -> dict[str, Any] | None:
    """What Django's template ``admin/date_hierarchy.html`` shows: the periods in which there is anything.

    Other filters do not narrow them, as they do not narrow the choices of each other.

    Args:
        listing: With its date hierarchy; what in the address is no date it has refused.
        queries: Where to ask.
        table: As it is written in SQL.
    """
    column = str(listing.date_hierarchy)
    ends = _ends(listing, column)
    if ends is None:
        return None
    chosen = _chosen(listing, column) or _common(*ends)

    def link(period: Period) -> str:
        filters = {f"{column}__{unit}": number for unit, number in zip(_UNITS, period, strict=False)}
        return listing.get_query_string(filters, [f"{column}__"])

    if len(chosen) == len(_UNITS):
        choices = [{"title": _title(chosen)}]
    else:
        found = _occurring(list(_parts(chosen, *ends)), queries, _OCCURRING.format(column=column, table=table))
        choices = [{"title": _title(period), "link": link(period)} for period in found]
    return {
        "show": True,
        "field_name": label_for_field(column, listing.model),
        "back": {"title": _title(chosen[:-1]), "link": link(chosen[:-1])} if chosen else None,
        "choices": choices,
    }


def _ends(listing: ChangeList, column: str) -> tuple[date, date] | None:
    """The first and the last day; ``None`` where nothing has happened."""
    found = listing.root_queryset.order_by().aggregate(first=Min(column), last=Max(column))
    first, last = (found[end] and _local(found[end]).date() for end in ("first", "last"))
    return (first, last) if first and last else None


def _chosen(listing: ChangeList, column: str) -> Period:
    """As far as it is complete: a month without its year says nothing."""
    given = (listing.params.get(f"{column}__{unit}") for unit in _UNITS)
    return tuple(int(number) for number in takewhile(bool, given) if number)


def _common(first: date, last: date) -> Period:
    """The year and the month of everything, if it has happened within one."""
    if first.year != last.year:
        return ()
    return (first.year,) if first.month != last.month else (first.year, first.month)


def _parts(period: Period, first: date, last: date) -> Iterator[Period]:
    """The next smaller periods of one; of all there is the years between its ends."""
    if not period:
        numbers = range(first.year, last.year + 1)
    elif len(period) == 1:
        numbers = range(1, 13)
    else:
        numbers = range(1, 1 + (_end(period) - _begin(period)).days)
    return ((*period, number) for number in numbers)


def _occurring(periods: Sequence[Period], queries: Queries, sql: str) -> list[Period]:
    begins, ends = ([_midnight(day(period)) for period in periods] for day in (_begin, _end))
    return [periods[number - 1] for (number,) in queries.query(sql, [begins, ends])]


def _begin(period: Period) -> date:
    year, month, day, *_ = (*period, 1, 1)
    return date(year, month, day)


def _end(period: Period) -> date:
    """The day after it."""
    if len(period) == len(_UNITS):
        return _begin(period) + timedelta(days=1)
    year, month, *_ = (*period, 12)
    return date(year + month // 12, month % 12 + 1, 1)


def _midnight(day: date) -> datetime:
    begun = datetime(day.year, day.month, day.day)
    return timezone.make_aware(begun) if settings.USE_TZ else begun


def _local(moment: datetime) -> datetime:
    return timezone.localtime(moment) if timezone.is_aware(moment) else moment


def _title(period: Period) -> str:
    if not period:
        return gettext("All dates")
    if len(period) == 1:
        return str(period[0])
    return capfirst(
        date_format(_begin(period), "MONTH_DAY_FORMAT" if len(period) == len(_UNITS) else "YEAR_MONTH_FORMAT")
    )
