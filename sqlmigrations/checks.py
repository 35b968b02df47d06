"""System checks: files and settings without a database, pending and changed migrations with one.

Every process of a site registers them and few run them, so the engine is imported where it is used: it takes longer
to import than all the rest of the app.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from django.core import checks
from django.db import connections

from sqlmigrations import conf, routes
from sqlmigrations.exceptions import SqlMigrationsError
from sqlmigrations.types import Finding

TAG = "sqlmigrations"

IDS = {
    "sqlmigrations.E001": "The setting SQLMIGRATIONS is not in order.",
    "sqlmigrations.E002": "A migration file is not in order.",
    "sqlmigrations.W001": "Migrations are pending.",
    "sqlmigrations.W002": "Files and ledger do not agree: a file was modified, renamed, removed or came late.",
    "sqlmigrations.W003": "The database could not be looked into.",
    "sqlmigrations.W004": "A pending migration holds what sqlmigrate_apply will not run.",
    "sqlmigrations.W005": "A database that `DIRECT` names is no mirror in tests.",
}


def register() -> None:
    """Registers both checks; called when the app is ready."""
    checks.register(check_files, TAG)
    checks.register(check_databases, TAG, checks.Tags.database)


def check_files(**_: Any) -> list[checks.CheckMessage]:
    """Settings and files, without touching a database."""
    from sqlmigrations.loader import load
    from sqlmigrations.pending import Terms
    from sqlmigrations.plan import validate

    if problems := conf.problems():
        return [_message(checks.Error, "sqlmigrations.E001", finding) for finding in problems]
    settings = conf.load()
    loaded = load(conf.sources(settings), settings.ignore)
    aliases = conf.databases(settings)
    faults = _once(validate(loaded, Terms(alias, aliases)) for alias in aliases)
    return [
        *(_message(checks.Error, "sqlmigrations.E002", finding) for finding in faults),
        *(_message(checks.Warning, "sqlmigrations.W005", finding) for finding in routes.unmirrored(settings.direct)),
    ]


def check_databases(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Pending and changed migrations of the databases asked for; never raises when one is away."""
    if conf.problems():
        return []
    known = conf.databases(conf.load())
    ours = [alias for alias in databases or () if alias in known and connections[alias].vendor == "postgresql"]
    return [message for alias in ours for message in _check_database(alias)]


def _check_database(alias: str) -> list[checks.CheckMessage]:
    from sqlmigrations.executor import Executor

    option = "" if alias == "default" else f" --database {alias}"
    try:
        status = Executor(alias).status()
    except SqlMigrationsError as error:
        return [checks.Warning(error.message, hint=error.remedy or None, id="sqlmigrations.W003", obj=alias)]
    messages: list[checks.CheckMessage] = []
    if status.integrity != "valid":
        hint = f"See what differs: python manage.py sqlmigrate_status -v 2{option}"
        broken = [finding for finding in status.findings if finding.severity.value == "error"]
        text = f"SQL migrations that do not agree with their records: {_names(broken)}."
        messages.append(checks.Warning(text, hint=hint, id="sqlmigrations.W002", obj=alias))
    if status.pending:
        hint = f"Apply them: python manage.py sqlmigrate_apply{option}"
        text = f"SQL migrations that are pending: {status.pending}."
        messages.append(checks.Warning(text, hint=hint, id="sqlmigrations.W001", obj=alias))
    if halves := [entry.id for entry in status.migrations if entry.progress is not None]:
        hint = f"See how far they came: python manage.py sqlmigrate_status{option}"
        text = f"SQL migrations that are half done: {', '.join(halves)}."
        messages.append(checks.Warning(text, hint=hint, id="sqlmigrations.W001", obj=alias))
    # Only of what is pending: a file that was run by hand and recorded is in order.
    messages += [_message(checks.Warning, "sqlmigrations.W004", danger, alias) for danger in status.dangers]
    return messages


def _names(findings: Sequence[Finding]) -> str:
    return ", ".join(dict.fromkeys(finding.migration or finding.location for finding in findings))


def _once(of_each_database: Iterable[tuple[Finding, ...]]) -> dict[Finding, None]:
    return dict.fromkeys(finding for findings in of_each_database for finding in findings)


def _message(
    kind: Callable[..., checks.CheckMessage], check_id: str, finding: Finding, alias: str | None = None
) -> checks.CheckMessage:
    where = f"{finding.place}: " if finding.place else ""
    return kind(f"{where}{finding.message}", hint=finding.remedy or None, id=check_id, obj=alias)
