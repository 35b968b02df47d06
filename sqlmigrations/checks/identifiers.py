"""The ids of the system checks, which never change, and how a finding is shown under one."""

from __future__ import annotations

from collections.abc import Callable

from django.core import checks

from sqlmigrations.types import Finding

IDS = {
    "sqlmigrations.E001": "The setting `SQLMIGRATIONS` is not in order.",
    "sqlmigrations.E002": "A migration file is not in order.",
    "sqlmigrations.E003": "A migration of Django's applies an SQL file that there is none of.",
    "sqlmigrations.E004": "A migration of Django's and the SQL file that it applies do not agree.",
    "sqlmigrations.E005": "A file that cannot run in a transaction is applied by a migration of Django's that is one.",
    "sqlmigrations.W001": "Migrations are pending.",
    "sqlmigrations.W002": "A file was changed or renamed since it was applied.",
    "sqlmigrations.W003": "The database could not be looked into.",
    "sqlmigrations.W004": "A pending migration holds what `sqlmigrate_apply` will not run.",
    "sqlmigrations.W005": "A database that `DIRECT` names is no mirror in tests.",
    "sqlmigrations.W006": "A migration is half done.",
    "sqlmigrations.W007": "The file of an applied migration is gone.",
    "sqlmigrations.W008": "A pending migration comes late: a higher number is applied.",
    "sqlmigrations.W009": "A table of another tool stands in the place of the ledger.",
    "sqlmigrations.W010": "A migration of Django's was faked, and what it applies is not in the ledger.",
    "sqlmigrations.W011": "Files that migrations of Django's apply are not applied yet.",
    "sqlmigrations.W012": "A pending migration depends on a migration of Django's that is not applied.",
    "sqlmigrations.W021": "No lock timeout: a statement of a migration may wait for a lock for ever.",
    "sqlmigrations.W022": "The server of a database is not verified on the way to it.",
    "sqlmigrations.W023": "A transaction pooler stands before a database, and `DIRECT` leads past none.",
    "sqlmigrations.W024": "`APPLY_ON_MIGRATE` is on outside of tests.",
}


def message(
    kind: Callable[..., checks.CheckMessage], check_id: str, finding: Finding, alias: str | None = None
) -> checks.CheckMessage:
    """A finding as Django shows it."""
    where = f"{finding.place}: " if finding.place else ""
    # A hint is one line, as Django sets it.
    hint = "   ".join(finding.remedy.splitlines()) or None
    return kind(f"{where}{finding.message}", hint=hint, id=f"sqlmigrations.{check_id}", obj=alias)


def warning(check_id: str, text: str, hint: str, alias: str) -> checks.CheckMessage:
    """What was noticed about a database."""
    return checks.Warning(text, hint=hint or None, id=f"sqlmigrations.{check_id}", obj=alias)
