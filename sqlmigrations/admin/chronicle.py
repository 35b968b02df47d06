"""Events as the rows of a table: each with its words, and with where its page and its run are."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db.models import QuerySet

from sqlmigrations.admin import story, words
from sqlmigrations.admin.links import Links
from sqlmigrations.models import SchemaMigrationEvent

SHOWN_EVENTS = 50


@dataclass(frozen=True, slots=True)
class Entry:
    """One event.

    Attributes:
        what: What happened.
        told: What is worth knowing of it.
        url: Its page.
        run_url: All events of its run.
    """

    event: SchemaMigrationEvent
    what: str
    told: str
    url: str | None
    run_url: str | None

    @property
    def is_failure(self) -> bool:
        """Whether something went wrong."""
        return self.event.event in words.FAILURES

    @property
    def when(self) -> str:
        """To the second."""
        return words.exactly(self.event.happened_at)

    @property
    def migration(self) -> str:
        """To what; empty where it is about the whole run."""
        return f"{self.event.label}.{self.event.name}" if self.event.label else ""

    @property
    def run(self) -> str:
        """The run as far as people read it."""
        return str(self.event.run_id)[:8]


def excerpt(events: QuerySet[SchemaMigrationEvent], links: Links) -> tuple[list[Entry], bool]:
    """The first of them without single statements, in their order, and whether there are more."""
    found = list(events.exclude(event__in=words.SINGLE_STATEMENTS)[: SHOWN_EVENTS + 1])
    return entries(found[:SHOWN_EVENTS], links), len(found) > SHOWN_EVENTS


def entries(events: Iterable[SchemaMigrationEvent], links: Links) -> list[Entry]:
    """The rows, in the order of the events."""
    return [
        Entry(
            event,
            words.event(event.event),
            story.line(event.detail),
            links.page(SchemaMigrationEvent, event.pk),
            links.listing(SchemaMigrationEvent, run=str(event.run_id)),
        )
        for event in events
    ]
