"""The static checks: settings and files, as they are on disk, without touching a database."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from django.core import checks

from sqlmigrations import conf, routes
from sqlmigrations.backends.aliases import credentials
from sqlmigrations.checks.identifiers import message
from sqlmigrations.exceptions import ConfigurationError

_OF_OPERATIONS = {"applied-file": "E003", "runs-in": "E004", "non-transactional": "E005"}


def check_files(**_: Any) -> list[checks.CheckMessage]:
    """Settings and files; of a file only what stands before its first statement, however many there are."""
    # For start-up: reading SQL takes longer to import than the rest of the app.
    from sqlmigrations.checks import operations
    from sqlmigrations.loader import load
    from sqlmigrations.pending import Terms, validate

    if problems := conf.problems():
        return [message(checks.Error, "E001", finding) for finding in problems]
    settings = conf.load()
    if settings.allow and (unknown := _unknown_rule(settings.allow)):
        return [unknown]
    loaded = load(conf.sources(settings), settings.ignore)
    aliases = conf.databases(settings)
    wrapping = operations.wrapping(loaded)
    terms = (
        Terms(
            alias,
            aliases,
            credentials=_credentials(alias),
            routed_away=routes.kept_out(alias, loaded.migrations),
            closed_apps=routes.closed(alias),
            django=wrapping.history,
        )
        for alias in aliases
    )
    faults = dict.fromkeys(finding for each in terms for finding in validate(loaded, each))
    faults |= dict.fromkeys(operations.validate(loaded, wrapping))
    return [
        *(message(checks.Error, _OF_OPERATIONS.get(finding.rule, "E002"), finding) for finding in faults),
        *(message(checks.Warning, "W005", finding) for finding in routes.unmirrored(settings.direct)),
    ]


def _credentials(alias: str) -> frozenset[str]:
    try:
        return credentials(alias)
    except ConfigurationError:
        # Django's own checks tell of it.
        return frozenset()


def _unknown_rule(allowed: Collection[str]) -> checks.CheckMessage | None:
    # For start-up: few sites silence a rule everywhere, and the rules know all about SQL.
    from sqlmigrations import lint

    try:
        lint.check_allowed(allowed)
    except ConfigurationError as error:
        text = f"SQLMIGRATIONS['ALLOW']: {error.message}"
        return checks.Error(text, hint=error.remedy, id="sqlmigrations.E001")
    return None
