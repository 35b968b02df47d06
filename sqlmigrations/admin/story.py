"""What an event tells, in words: the detail it was recorded with, as a line and as facts."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from sqlmigrations.admin import words
from sqlmigrations.glimpses import holders, portrait
from sqlmigrations.types import Blocker

Detail = Mapping[str, Any]

_TITLES = {
    "reason": gettext_lazy("reason"),
    "message": gettext_lazy("message"),
    "number": gettext_lazy("statement"),
    "exit_code": gettext_lazy("exit code"),
    "attempts": gettext_lazy("attempts"),
    "statements": gettext_lazy("statements"),
    "steps": gettext_lazy("migrations to be run"),
    "done": gettext_lazy("migrations done"),
    "django": gettext_lazy("Django migration"),
    "mode": gettext_lazy("kind of run"),
    "pooling": gettext_lazy("pooler on the way"),
    "role": gettext_lazy("acting as"),
    "how": gettext_lazy("decided as"),
    "found": gettext_lazy("found done"),
    "checksum": gettext_lazy("checksum"),
    "checksum_before": gettext_lazy("checksum before"),
    "name": gettext_lazy("name"),
    "name_before": gettext_lazy("name before"),
    "state_before": gettext_lazy("state before"),
}


def line(detail: Detail) -> str:
    """What is worth knowing at a glance; without the text of any statement."""
    return ", ".join(part for part in _parts(detail) if part)


def facts(detail: Detail) -> Iterator[tuple[str, str]]:
    """Each fact with its title; without the text of any statement."""
    if error := _said(detail):
        yield _("error"), error
    if where := place(detail):
        yield _("place"), where
    for name, title in _TITLES.items():
        if detail.get(name) is not None:
            yield str(title), str(detail[name])
    if detail.get("execution_ms") is not None:
        yield _("duration"), words.duration(detail["execution_ms"])
    for blocker in blockers(detail):
        yield _("blocked by"), portrait(blocker)


def whole(detail: Detail) -> str:
    """All that was recorded, statements too."""
    return json.dumps(detail, indent=2, ensure_ascii=False, sort_keys=True)


def place(detail: Detail) -> str:
    """Where in which file, ``migrations_sql/003_x.sql:14``."""
    if detail.get("file"):
        return ":".join(str(part) for part in (detail["file"], detail.get("line")) if part)
    return _("line %(line)s") % {"line": detail["line"]} if detail.get("line") else ""


def blockers(detail: Detail) -> list[Blocker]:
    """Who stood in the way."""
    found = detail.get("blockers")
    return [_blocker(each) for each in found if isinstance(each, dict)] if isinstance(found, list) else []


def _blocker(told: Detail) -> Blocker:
    # What a session ran is the text of a statement.
    return Blocker(
        pid=told.get("pid") or 0,
        user=told.get("user") or "",
        application=told.get("application") or "",
        state=told.get("state") or "",
        age_s=told.get("age_s"),
        relation=told.get("relation") or "",
    )


def _parts(detail: Detail) -> Iterator[str]:
    yield str(detail.get("reason") or "")
    if detail.get("number") is not None:
        yield _("statement %(number)s") % {"number": detail["number"]}
    yield _said(detail) or str(detail.get("message") or "")
    yield place(detail)
    if (detail.get("attempts") or 1) > 1:
        yield _("%(attempts)s attempts") % {"attempts": detail["attempts"]}
    if met := blockers(detail):
        yield _("blocked by %(holders)s") % {"holders": holders(met)}
    yield from _counts(detail)
    if detail.get("execution_ms") is not None:
        yield words.duration(detail["execution_ms"])
    if detail.get("django"):
        yield _("by the Django migration %(name)s") % {"name": detail["django"]}
    if detail.get("name_before"):
        yield _("before: %(name)s") % {"name": detail["name_before"]}


def _counts(detail: Detail) -> Iterator[str]:
    if isinstance(steps := detail.get("steps"), int):
        yield ngettext("%(count)s migration to run", "%(count)s migrations to run", steps) % {"count": steps}
    if isinstance(done := detail.get("done"), int):
        yield ngettext("%(count)s migration done", "%(count)s migrations done", done) % {"count": done}
    if isinstance(statements := detail.get("statements"), int):
        yield ngettext("%(count)s statement", "%(count)s statements", statements) % {"count": statements}


def _said(detail: Detail) -> str:
    """``22012: division by zero``; of a run the kind of error it ended with."""
    if detail.get("error") and "done" in detail:
        return _("ended with %(error)s") % {"error": detail["error"]}
    return ": ".join(str(detail[name]) for name in ("sqlstate", "error") if detail.get(name))
