"""Findings: what was noticed about files, settings and records."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum

# The rule of files that have to wait for a migration of Django's.
UNAPPLIED = "unapplied-dependency"


class Severity(Enum):
    """How much a finding weighs: an error stops the plan, the others are shown."""

    ERROR = "error"
    WARNING = "warning"
    NOTE = "note"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing noticed about a file, the settings or the ledger, with what to do about it.

    Attributes:
        rule: Stable identifier in kebab case, the word ``--allow`` and ``-- allow:`` take.
        severity: ``ERROR`` stops the plan before anything runs.
        message: What was met, one sentence without the place.
        remedy: What to do about it, with the user's own names in it.
        migration: ``label.NNN_slug``, empty when the finding is about no single migration.
        location: The file as people see it, relative to the working directory where it lies below it.
        line: Line in the file, from 1; ``None`` when the finding is about the whole file.
        column: Column in that line, from 1, in characters.
        excerpt: The lines around the place with a caret, where they say more than the message; secrets masked.
    """

    rule: str
    severity: Severity
    message: str
    remedy: str = ""
    migration: str = ""
    location: str = ""
    line: int | None = None
    column: int | None = None
    excerpt: str = field(default="", compare=False)

    @property
    def place(self) -> str:
        """``file:line:column`` as far as each is known."""
        return ":".join(str(part) for part in (self.location, self.line, self.column) if part)
