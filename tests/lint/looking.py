"""Shows SQL to the lint as the plan does, for the tests of the rules."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmigrations import lint
from sqlmigrations.sql.scanner import Statement, split
from sqlmigrations.types import Allowance, Finding, Mode, Severity


def statements(sql: str) -> tuple[Statement, ...]:
    return split(sql).statements


def look(
    sql: str, *, pending: str = "", mode: Mode = Mode.TRANSACTION, allow: Sequence[Allowance] = ()
) -> list[Finding]:
    """The findings about one file; ``pending`` is an earlier one of the same run."""
    found = statements(sql)
    subject = lint.Subject("shop.004_x", "shop/004_x.sql", found, allow, mode)
    return lint.inspect(subject, lint.created(statements(pending)) | lint.created(found))


def rules(sql: str, *, pending: str = "", mode: Mode = Mode.TRANSACTION) -> list[str]:
    return [finding.rule for finding in look(sql, pending=pending, mode=mode)]


def warning(rule: str, place: tuple[int, int], message: str, remedy: str) -> Finding:
    return _finding(rule, Severity.WARNING, place, message, remedy)


def note(rule: str, place: tuple[int, int], message: str, remedy: str) -> Finding:
    return _finding(rule, Severity.NOTE, place, message, remedy)


def error(rule: str, place: tuple[int, int], message: str, remedy: str) -> Finding:
    return _finding(rule, Severity.ERROR, place, message, remedy)


def _finding(rule: str, severity: Severity, place: tuple[int, int], message: str, remedy: str) -> Finding:
    return Finding(rule, severity, message, remedy, "shop.004_x", "shop/004_x.sql", *place)
