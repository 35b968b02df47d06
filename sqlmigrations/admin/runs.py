"""The last runs as rows of a table: what the timeline shows, in words and with ways on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from sqlmigrations.admin import words
from sqlmigrations.admin.links import Links
from sqlmigrations.annals import Ending, Failure, PastRun
from sqlmigrations.models import SchemaMigrationEvent

ENDINGS: dict[Ending, Promise] = {
    Ending.DONE: gettext_lazy("done"),
    Ending.STOPPED: gettext_lazy("stopped"),
    Ending.UNTOLD: gettext_lazy("no end told"),
}


@dataclass(frozen=True, slots=True)
class Row:
    """One run.

    Attributes:
        link: Its events; ``None`` where this visitor may not see them, as of the other one.
        failure_link: The event that tells why it stopped.
    """

    began: str
    ending: str | Promise
    kind: str
    done: str
    duration: str
    by: str
    failure: str
    link: str | None
    failure_link: str | None


def rows(runs: Sequence[PastRun], links: Links | None) -> tuple[Row, ...]:
    """The newest first; without ``links``, and what an error said, for those who may not see the events."""
    return tuple(_row(run, links) for run in runs)


def _row(run: PastRun, links: Links | None) -> Row:
    return Row(
        began=words.moment(run.started_at),
        ending=ENDINGS[run.ending],
        kind=run.ending.value,
        done=_("%(done)s of %(steps)s") % {"done": "?" if run.done is None else run.done, "steps": run.steps},
        duration="" if run.duration_ms is None else words.duration(run.duration_ms),
        by=f"{run.by} ({run.db_user})",
        failure=_failure(run.failure) if run.failure and links else "",
        link=links.listing(SchemaMigrationEvent, run=str(run.id)) if links else None,
        failure_link=links.page(SchemaMigrationEvent, run.failure.event_id) if run.failure and links else None,
    )


def _failure(failure: Failure) -> str:
    return ": ".join(part for part in (failure.migration, failure.message) if part)
