"""Where everything is recorded: says so, and what records and files have against each other, without parsing any."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlmigrations.integrity import compare
from sqlmigrations.loader import Loaded
from sqlmigrations.masking import mask_finding
from sqlmigrations.plan import Plan
from sqlmigrations.types import Applied, Severity, SqlMigration


def unrecorded(loaded: Loaded, ledger: Sequence[Applied]) -> list[SqlMigration]:
    """The migrations whose number is not in the ledger."""
    found = {(migration.label, migration.key) for migration in loaded.migrations}
    # From these, of which there may be ten times fewer than rows.
    found.difference_update((row.label, row.key) for row in ledger)
    return [m for m in loaded.migrations if (m.label, m.key) in found] if found else []


def asks_django(loaded: Loaded, ledger: Sequence[Applied]) -> bool:
    """Whether any file that is not recorded can name a migration of Django's: a glance, for asking has a price."""
    return any("django:" in migration.file.text for migration in unrecorded(loaded, ledger))


def is_settled(loaded: Loaded, ledger: Sequence[Applied]) -> bool:
    """Whether there is no file left to run, to go on with or to choose from; it may have been changed."""
    if any(row.is_half_done for row in ledger) or unrecorded(loaded, ledger):
        return False
    # Of two files with one number no more than one was applied.
    return len({(m.label, m.version) for m in loaded.migrations}) == len(loaded.migrations)


def plan(loaded: Loaded, ledger: Sequence[Applied], credentials: Collection[str]) -> Plan:
    """What is planned of files and rows that are settled: nothing, or why they do not agree.

    The same as ``planning.build`` makes of them, which needs all that knows SQL.

    Args:
        loaded: The files.
        ledger: The rows.
        credentials: Secrets of the database.
    """
    comparison = compare(loaded, ledger)
    against = [finding for finding in comparison.findings if finding.severity is Severity.ERROR]
    return Plan(
        steps=(),
        comparison=comparison,
        disagreements=tuple(mask_finding(finding, credentials) for finding in (*loaded.findings, *against)),
        dangers=(),
        warnings=tuple(finding for finding in comparison.findings if finding.severity is not Severity.ERROR),
    )
