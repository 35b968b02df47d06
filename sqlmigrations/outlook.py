"""What there is to do next about a database, by its status: one need, and the command that meets it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum

from sqlmigrations.guidance import APPLY, STATUS, on
from sqlmigrations.types import UNAPPLIED, Severity, State, Status


class Need(Enum):
    """What a database is in need of, the more urgent first."""

    DECISION = "decision"
    AGREEMENT = "agreement"
    CORRECTION = "correction"
    APPLYING = "applying"
    MIGRATING = "migrating"
    GOING_ON = "going on"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class Outlook:
    """What comes next.

    Attributes:
        command: What to type; empty when there is nothing to do.
    """

    need: Need
    command: str


def outlook(status: Status) -> Outlook:
    """What there is to do next; what stops an apply comes before it."""
    here = on(status.database)
    if any(entry.has_stopped for entry in status.migrations):
        return Outlook(Need.DECISION, f"{STATUS} -v 2{here}")
    errors = [finding for finding in status.findings if finding.severity is Severity.ERROR]
    if errors and all(finding.rule == UNAPPLIED for finding in errors):
        # The files are in order; it is for Django's migrate to come first.
        return Outlook(Need.MIGRATING, errors[0].remedy)
    if errors:
        return Outlook(Need.AGREEMENT, f"{STATUS} -v 2{here}")
    if status.dangers:
        return Outlook(Need.CORRECTION, f"{APPLY} --plan{here}")
    if any(entry.state in (State.PENDING, State.LATE) and entry.hold is None for entry in status.migrations):
        return Outlook(Need.APPLYING, f"{APPLY}{here}")
    if status.count(State.PARTIAL):
        return Outlook(Need.GOING_ON, f"{APPLY}{here}")
    for entry in status.migrations:
        if entry.hold is not None:
            return Outlook(Need.MIGRATING, entry.hold.command)
    return Outlook(Need.NOTHING, "")
