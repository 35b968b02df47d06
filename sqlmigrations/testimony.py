"""What the events testify of the rows: which of them somebody edited, deleted or added by hand."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import Enum

from sqlmigrations.guidance import APPLY, dbshell, repair
from sqlmigrations.quoting import literal
from sqlmigrations.types import TRACKING_LABEL, Finding, MigrationStatus, Severity, State

Key = tuple[str, str]

ROW = "row"
UNREAD = "events-unread"
TELLING = ("applied", "faked", "accepted", "begun", "undoing", "resolved", "forgotten", "rolled_back")

# What files and rows say of each other once a row was changed: all of it is the row's fault, and so is the remedy.
_MISLEADING = frozenset({"modified", "renamed", "reformatted", "partial", "late", "missing"})


@dataclass(frozen=True, slots=True)
class Trace:
    """A row of the ledger, or an event about one.

    Attributes:
        word: ``row``, or the event.
        told: The state of a row; how it was resolved, of an event of that kind.
        checksum: ``None`` where an event of an earlier version does not tell.
        sql_checksum: As ``checksum``.
    """

    word: str
    label: str
    key: str
    name: str
    told: str | None
    checksum: str | None
    sql_checksum: str | None
    at: datetime


class Standing(Enum):
    """Where a migration stands by its events."""

    NONE = "none"
    BEGUN = "begun"
    IN_FORCE = "in force"
    UNDOING = "undoing"


_STANDING = {
    "applied": Standing.IN_FORCE,
    "faked": Standing.IN_FORCE,
    "accepted": Standing.IN_FORCE,
    "begun": Standing.BEGUN,
    "undoing": Standing.UNDOING,
    "forgotten": Standing.NONE,
    "rolled_back": Standing.NONE,
}
# The states that a row may be in; a run that kept nothing leaves the one before without a word.
_STATES = {
    Standing.BEGUN: ("running", "partial"),
    Standing.IN_FORCE: ("applied",),
    Standing.UNDOING: ("partial", "applied"),
}


def contradicted(
    traces: Sequence[Trace], entries: Iterable[MigrationStatus], findings: Sequence[Finding], ledger: str
) -> tuple[Finding, ...]:
    """The findings about files and rows, those about rows that the events contradict in place of what they led to.

    Args:
        traces: Rows and events as they were at one moment, events in their order.
        entries: The migrations.
        findings: What is known already.
        ledger: The table as it is written in SQL.
    """
    known = {(row.label, row.key): row for row in traces if row.word == ROW}
    events = [trace for trace in traces if trace.word != ROW]
    told, since = _told(events), _since(events)
    unknown = [key for key, row in known.items() if key not in told and since is not None and row.at < since]
    for key in unknown:
        del known[key]
    files = {_key(entry): entry for entry in entries}
    found: list[Finding] = []
    blamed: set[str] = set()
    for key in sorted(known.keys() | told.keys(), key=lambda key: (key[0], len(key[1]), key[1])):
        entry = files.get(key)
        if new := list(_contradiction(known.get(key), told.get(key), entry, ledger)):
            found += new
            blamed |= {entry.id} if entry else set()
            blamed |= {entry.applied.id} if entry and entry.applied else set()
    others = (f for f in findings if f.rule not in _MISLEADING or f.migration not in blamed)
    return (*found, *others, *([_unknown(len(unknown))] if unknown else []))


def _since(events: Sequence[Trace]) -> datetime | None:
    """From when on the events tell; ``None`` where they begin with the tables themselves."""
    if events and events[0].label == TRACKING_LABEL:
        return None
    return events[0].at if events else datetime.max.replace(tzinfo=UTC)


def _key(entry: MigrationStatus) -> Key:
    known = entry.migration or entry.applied
    assert known is not None
    return (known.label, known.key)


def _told(events: Iterable[Trace]) -> Mapping[Key, tuple[Standing, Trace]]:
    """Where each migration stands by its events, and what its row should say."""
    told: dict[Key, tuple[Standing, Trace]] = {}
    for event in events:
        key = (event.label, event.key)
        before = told.get(key)
        standing = _STANDING.get(event.word)
        if standing is None:
            standing = Standing.IN_FORCE if event.told == "done" else Standing.NONE
        if before and before[0] is Standing.UNDOING and event.word == "resolved":
            # It is in force as it was before.
            event = replace(event, checksum=before[1].checksum, sql_checksum=before[1].sql_checksum)
        elif before and event.word == "undoing":
            event = replace(event, checksum=before[1].checksum, sql_checksum=before[1].sql_checksum, at=before[1].at)
        told[key] = standing, event
    return told


def _contradiction(
    row: Trace | None, told: tuple[Standing, Trace] | None, entry: MigrationStatus | None, ledger: str
) -> Iterator[Finding]:
    standing, event = told or (Standing.NONE, None)
    if row is None:
        if event and standing in (Standing.IN_FORCE, Standing.UNDOING):
            yield _deleted(event, entry)
    elif event is None or standing is Standing.NONE:
        # A row that is running is told as half done.
        if row.told != "running":
            yield _added(row, entry, ledger)
    elif differing := _differing(row, standing, event):
        yield _edited(row, event, differing, ledger)


def _differing(row: Trace, standing: Standing, event: Trace) -> dict[str, tuple[str, str]]:
    """The columns that say something else than the events, with what they say and what they should."""
    found = {}
    states = _STATES[standing]
    if row.told not in states:
        found["state"] = (row.told or "", states[0])
    if standing is Standing.BEGUN:
        return found
    for column in ("name", "checksum", "sql_checksum"):
        says, should = getattr(row, column), getattr(event, column)
        if should is not None and says != should:
            found[column] = (says, should)
    return found


def _edited(row: Trace, event: Trace, differing: Mapping[str, tuple[str, str]], ledger: str) -> Finding:
    listed = ", ".join(
        f"{column} {_short(says)} (recorded: {_short(should)})" for column, (says, should) in differing.items()
    )
    values = ", ".join(f"{column} = {literal(should)}" for column, (_, should) in differing.items())
    remedy = f"Find out who did it, and why. To put it back: {_dbshell(f'UPDATE {ledger} SET {values}', row)}"
    return _finding("row-edited", f"Its row was edited by hand: {listed}.", remedy, event)


def _deleted(event: Trace, entry: MigrationStatus | None) -> Finding:
    target = f"{event.label} {event.name.partition('_')[0]}"
    again = f"{APPLY} --fake {target}"
    message = (
        f"Its row was deleted by hand: recorded on {_when(event)}, and no event tells that it was undone or forgotten."
    )
    if event.label == TRACKING_LABEL:
        remedy = f"Record it again: {APPLY}   whose file leaves the tables that are there as they are."
    elif entry is None or entry.migration is None:
        message += " Its file is gone as well."
        remedy = f"Bring {event.name}.sql back, and when what it did is there, record it again: {again}\n"
        remedy += f"When it is to be gone, take it away then: {repair('forget', f'{event.label}.{event.name}')}"
    else:
        message += " The next run would run its file a second time."
        option = " --allow-late" if entry.state is State.LATE else ""
        remedy = f"When what it did is there, record it again: {again}{option}"
        if entry.hold is None:
            remedy += f"\nWhen that was undone, have it run again: {APPLY} {target}{option}"
    return _finding("row-deleted", message, remedy, event)


def _added(row: Trace, entry: MigrationStatus | None, ledger: str) -> Finding:
    message = "Its row was added by hand: no event tells that it was applied, or recorded without running."
    target = f"{row.label} {row.name.partition('_')[0]}"
    if entry is None or entry.migration is None:
        remedy = f"Find out who did it, and why. To remove it: {repair('forget', f'{row.label}.{row.name}')}"
    else:
        remedy = f"Find out who did it, and why. To remove it: {_dbshell(f'DELETE FROM {ledger}', row)}\n"
        remedy += f"Then, when what the file does is there already, record it: {APPLY} --fake {target}"
    return _finding("row-added", message, remedy, row)


def _unknown(count: int) -> Finding:
    many = "1 row was" if count == 1 else f"{count} rows were"
    message = f"{many} not compared with events: those of that time are gone, or were left out of a copy."
    return Finding(UNREAD, Severity.NOTE, message)


def _finding(rule: str, message: str, remedy: str, about: Trace) -> Finding:
    return Finding(rule, Severity.ERROR, message, remedy, f"{about.label}.{about.name}")


def _dbshell(change: str, row: Trace) -> str:
    sql = f"{change} WHERE label = {literal(row.label)} AND key = {literal(row.key)}"
    return dbshell(sql)


def _short(text: str) -> str:
    return f"{text[:16]}..." if len(text) == 64 else text or "empty"


def _when(event: Trace) -> str:
    return event.at.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")
