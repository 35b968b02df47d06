"""What the status page tells of each database, in the words and the measure of a page."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from sqlmigrations.admin.links import Links
from sqlmigrations.admin.runs import Row, rows
from sqlmigrations.admin.timeline import Timeline, timeline
from sqlmigrations.exceptions import SqlMigrationsError
from sqlmigrations.guidance import APPLY, STATUS, addressed, on
from sqlmigrations.models import SchemaMigration
from sqlmigrations.outlook import Need, outlook
from sqlmigrations.survey import Survey
from sqlmigrations.types import Finding, MigrationStatus, Severity, State, Status

# A page is for reading: of ten thousand pending files it shows the first.
SHOWN = 50

STATES: dict[State, Promise] = {
    State.APPLIED: _("applied"),
    State.PENDING: _("pending"),
    State.LATE: _("late"),
    State.MODIFIED: _("modified"),
    State.REFORMATTED: _("reformatted"),
    State.MISSING: _("missing"),
    State.AHEAD: _("ahead"),
    State.PARTIAL: _("half done"),
    State.WAITING: _("waiting"),
}
# What is worth a line of its own on this page; what is in order is in the history.
_IN_ORDER = (State.APPLIED, State.REFORMATTED, State.AHEAD)
_BROKEN = (State.MODIFIED, State.MISSING, State.PARTIAL)
SEVERITIES: dict[Severity, Promise] = {
    Severity.ERROR: _("error"),
    Severity.WARNING: _("warning"),
    Severity.NOTE: _("note"),
}
_WEIGHT = {Severity.ERROR: 0, Severity.WARNING: 1, Severity.NOTE: 2}

# How a need is coloured, in a word, and in a sentence.
_NEEDS: dict[Need, tuple[str, Promise, Promise]] = {
    Need.DECISION: ("bad", _("stopped"), _("A migration is half done, and waits for a decision.")),
    Need.AGREEMENT: ("bad", _("broken"), _("Files and records do not agree: the next apply would refuse to start.")),
    Need.CORRECTION: ("bad", _("refused"), _("The next apply would refuse to start: see the findings.")),
    Need.APPLYING: ("open", _("pending"), _("Migrations are to be applied.")),
    Need.MIGRATING: ("open", _("waiting"), _("What is left is applied by Django's migrate, or waits for it.")),
    Need.GOING_ON: ("open", _("half done"), _("The next apply goes on with what is half done.")),
    Need.NOTHING: ("good", _("up to date"), _("All migrations are applied.")),
}
_ADVICE: dict[Need, Promise] = {
    Need.DECISION: _("See what is half done, and what can be decided about it"),
    Need.AGREEMENT: _("See what differs"),
    Need.CORRECTION: _("See the plan, and why it is refused"),
    Need.APPLYING: _("Apply what is pending"),
    Need.MIGRATING: _("Let Django's migrations run"),
    Need.GOING_ON: _("Go on with it"),
}


@dataclass(frozen=True, slots=True)
class Count:
    """How many migrations are in a state."""

    state: str
    title: Promise
    number: int


@dataclass(frozen=True, slots=True)
class Note:
    """A finding as the page shows it."""

    severity: str
    title: Promise
    where: str
    rule: str
    message: str
    remedy: str


@dataclass(frozen=True, slots=True)
class Entry:
    """A migration that is not plainly applied.

    Attributes:
        waits_for: The migration of Django's that applies it, or the file before it that waits for one; empty for none.
    """

    name: str
    state: str
    title: str | Promise
    location: str
    waits_for: str


@dataclass(frozen=True, slots=True)
class Group:
    """Migrations of a kind; ``more`` of them are not shown."""

    title: Promise
    entries: tuple[Entry, ...]
    more: int


@dataclass(frozen=True, slots=True)
class Panel:
    """One database.

    Attributes:
        tone: ``good``, ``open`` or ``bad``.
        short: How it stands, in a word.
        hint: What can be done about it where no command can.
        advice: What the command is good for.
        command: What to type next; empty when there is nothing to do.
        more_notes: How many findings are not shown.
        unread: How many pending files were not looked into, and ``tells_all``: what does that.
        silence: Why there are no runs.
        history: Where its migrations are listed; ``None`` where this site does not show them.
    """

    alias: str
    tone: str
    short: str | Promise
    headline: str | Promise
    advice: str | Promise
    command: str
    hint: str = ""
    history: str | None = None
    total: int = 0
    integrity: str = ""
    counts: tuple[Count, ...] = ()
    notes: tuple[Note, ...] = ()
    more_notes: int = 0
    unread: int = 0
    tells_all: str = ""
    groups: tuple[Group, ...] = ()
    runs: tuple[Row, ...] = ()
    timeline: Timeline | None = None
    silence: str = ""


def panel(survey: Survey, links: Links, *, with_events: bool) -> Panel:
    """What is shown of one database.

    Args:
        survey: What was read.
        links: The ways to what belongs to it.
        with_events: Whether this visitor may see them.
    """
    if survey.status is None:
        assert survey.problem is not None
        return _closed(survey.database, survey.problem)
    status = survey.status
    next_ = outlook(status)
    tone, short, headline = _NEEDS[next_.need]
    notes = sorted(_findings(status), key=lambda finding: _WEIGHT[finding.severity])
    return Panel(
        alias=status.database,
        tone=tone,
        short=short,
        headline=headline,
        advice=_ADVICE.get(next_.need, ""),
        command=next_.command,
        history=links.listing(SchemaMigration),
        total=status.total,
        integrity=status.integrity,
        counts=tuple(_counts(status)),
        notes=tuple(_note(finding, status.database) for finding in notes[:SHOWN]),
        more_notes=max(0, len(notes) - SHOWN),
        unread=status.unread,
        tells_all=f"{APPLY} --plan{on(status.database)}",
        groups=tuple(_groups(status)),
        runs=rows(survey.runs, links if with_events else None),
        timeline=timeline(survey.runs),
        silence=_whole(survey.silence, status.database) if survey.silence else "",
    )


def _closed(alias: str, problem: SqlMigrationsError) -> Panel:
    notes = tuple(_note(finding, alias) for finding in problem.findings[:SHOWN])
    hint = addressed(problem.remedy, alias)
    again = f"{STATUS}{on(alias)}"
    return Panel(alias, "bad", _("not readable"), problem.message, _("Look again"), again, hint=hint, notes=notes)


def _findings(status: Status) -> Iterator[Finding]:
    yield from status.findings
    yield from status.dangers
    yield from status.warnings


def _counts(status: Status) -> Iterator[Count]:
    for state, title in STATES.items():
        number = status.count(state)
        if number or state in (State.APPLIED, State.PENDING):
            yield Count(state.value, title, number)


def _note(finding: Finding, alias: str) -> Note:
    return Note(
        severity=finding.severity.value,
        title=SEVERITIES[finding.severity],
        where=finding.place or finding.migration,
        rule=finding.rule,
        message=finding.message,
        remedy=addressed(finding.remedy, alias),
    )


def _groups(status: Status) -> Iterator[Group]:
    others = [entry for entry in status.migrations if entry.state not in _IN_ORDER]
    for title, is_broken in ((_("Not in order"), True), (_("To be applied"), False)):
        found = [entry for entry in others if (entry.state in _BROKEN) is is_broken]
        if found:
            yield Group(title, tuple(map(_entry, found[:SHOWN])), max(0, len(found) - SHOWN))


def _entry(entry: MigrationStatus) -> Entry:
    hold = entry.hold
    return Entry(
        name=entry.id,
        state=entry.state.value,
        title=STATES.get(entry.state, entry.state.value),
        location=entry.migration.file.location if entry.migration else "",
        waits_for="" if hold is None else hold.django.id if hold.by == entry.id else hold.by,
    )


def _whole(error: SqlMigrationsError, alias: str) -> str:
    return addressed(" ".join(part for part in (error.message, error.remedy) if part), alias)
