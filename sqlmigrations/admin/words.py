"""The words for states and events, as visitors read them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from django.utils.timezone import is_aware, localtime
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from sqlmigrations.glimpses import taken

# What is recorded -> what is shown. A word that is not here, of a newer version, is shown as it is recorded.
STATES = {"applied": _("applied"), "running": _("running"), "partial": _("half done")}
EVENTS = {
    "run_started": _("run started"),
    "applied": _("applied"),
    "faked": _("recorded without running"),
    "failed": _("failed"),
    "rolled_back": _("rolled back by its down SQL"),
    "run_finished": _("run finished"),
    "begun": _("begun"),
    "undoing": _("way back begun"),
    "resumed": _("resumed"),
    "statement_started": _("statement started"),
    "statement_finished": _("statement finished"),
    "statement_failed": _("statement failed"),
    "statement_rebuilt": _("remains of a statement removed"),
    "statement_resolved": _("statement decided about"),
    "accepted": _("change accepted"),
    "forgotten": _("record forgotten"),
    "resolved": _("resolved by decision"),
}
FAILURES = ("failed", "statement_failed")
# One for every statement of a file: a page about the file itself leaves them out.
SINGLE_STATEMENTS = ("statement_started", "statement_finished")


def state(recorded: str) -> str:
    """The state of a record."""
    return str(STATES.get(recorded, recorded))


def remarks(metadata: Mapping[str, Any], *, is_late: bool) -> Iterator[str]:
    """What is out of the ordinary about a record."""
    if is_late:
        yield gettext("applied although a higher number was")
    if metadata.get("django"):
        yield gettext("by the Django migration %(name)s") % {"name": metadata["django"]}
    if metadata.get("faked"):
        yield gettext("recorded without running")
    if metadata.get("empty"):
        yield gettext("no statement in it")
    if metadata.get("irreversible"):
        yield gettext("cannot be undone: %(why)s") % {"why": metadata["irreversible"]}
    if isinstance(back := metadata.get("undoing"), dict):
        far = {"done": back.get("statements_done", "?"), "total": back.get("statements_total", "?")}
        yield gettext("half undone, %(done)s of %(total)s statements of its way back") % far
        metadata = back
    if isinstance(stopped := metadata.get("stopped"), dict):
        if stopped.get("number"):
            yield gettext("stopped at statement %(number)s, line %(line)s") % {"line": "?", **stopped}
        yield str(stopped.get("why") or gettext("stopped"))


def event(recorded: str) -> str:
    """What happened."""
    return str(EVENTS.get(recorded, recorded))


def duration(milliseconds: float | None) -> str:
    """How long it took, in the unit that fits."""
    return str(_("not run")) if milliseconds is None else taken(milliseconds)


def moment(when: datetime) -> str:
    """A time to the second, in the zone of the visitor; with USE_TZ off there is only one."""
    return f"{_local(when):%Y-%m-%d %H:%M:%S}"


def exactly(when: datetime) -> str:
    """The same with its zone."""
    return f"{_local(when):%Y-%m-%d %H:%M:%S %Z}".strip()


def _local(when: datetime) -> datetime:
    return localtime(when) if is_aware(when) else when
