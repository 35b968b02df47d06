"""Showing every statement of a file to the rules that want to see it, and silencing what the file allows."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import cache

from sqlmigrations.lint.creations import created
from sqlmigrations.lint.objects import Created
from sqlmigrations.lint.placement import misplaced
from sqlmigrations.lint.rulebook import (
    CHECKS,
    EMPTY_FILE,
    FIRM,
    MISPLACED_DIRECTIVE,
    RULES,
    UNKNOWN_RULE,
    UNUSED_ALLOW,
    Check,
    Rule,
    Sighting,
    nearest,
)
from sqlmigrations.lint.scene import Scene, Subject
from sqlmigrations.sql.mentions import mentioned
from sqlmigrations.sql.scanner import Statement, position
from sqlmigrations.sql.sequence import holding, lacking, telling
from sqlmigrations.types import Allowance, Finding, Severity

_FIRST_WORD = re.compile(r"\w*")


def inspect(subject: Subject, known: Created) -> list[Finding]:
    """The findings about one migration, in the order of the file.

    Args:
        subject: The migration.
        known: What the files pending in this run create, up to and including this one.
    """
    found = list(_findings(subject, known))
    silenced = {allowance.rule for allowance in subject.allow}
    shown = [f for f in found if f.rule not in silenced or f.severity is Severity.ERROR]
    shown += _allowances(subject, found)
    return sorted(shown, key=lambda finding: (finding.line or 0, finding.column or 0))


def _findings(subject: Subject, known: Created) -> Iterator[Finding]:
    if not subject.statements:
        yield _empty(subject)
    for statement in subject.statements[:1]:
        yield from (_misplaced(subject, statement.source, sighting) for sighting in misplaced(statement.source))
    for statement, checks in _shown(subject.statements):
        scene = Scene(statement, subject, known)
        for check in checks:
            for sighting in check.look(scene):
                yield _finding(subject, check.rule, statement, sighting)


def _empty(subject: Subject) -> Finding:
    message = "No statement in it; once applied, it can no longer be filled."
    remedy = "Write its SQL first; or, when it is meant to be empty, add the line -- allow: empty-file why"
    return Finding(EMPTY_FILE.id, EMPTY_FILE.severity, message, remedy, subject.migration, subject.location)


def _misplaced(subject: Subject, source: str, sighting: Sighting) -> Finding:
    about = (sighting.message, sighting.remedy, subject.migration, subject.location)
    return Finding(MISPLACED_DIRECTIVE.id, MISPLACED_DIRECTIVE.severity, *about, *position(source, sighting.start))


def _shown(statements: Sequence[Statement]) -> Iterator[tuple[Statement, list[Check]]]:
    """Which checks see which statement, told from its first word or a search, without taking it apart."""
    by_opening, by_mention = _openings(), [check for check in CHECKS if check.mentions]
    words = frozenset[str]().union(*(check.mentions for check in by_mention))
    for _, statement in telling(statements):
        opening = _FIRST_WORD.match(statement.source, statement.start)
        checks = by_opening.get(opening.group().lower() if opening else "", [])
        if there := mentioned(words, statement.source, statement.start, statement.end):
            checks = [*checks, *(check for check in by_mention if check.mentions & there)]
        if checks:
            yield statement, checks
    for check in CHECKS:
        if check.holds is not None and not lacking(statements, check.holds):
            yield from ((statement, [check]) for statement in holding(statements, check.holds))


@cache
def _openings() -> dict[str, list[Check]]:
    by_opening: dict[str, list[Check]] = {}
    for check in CHECKS:
        for word in check.opens:
            by_opening.setdefault(word, []).append(check)
    return by_opening


def _finding(subject: Subject, rule: Rule, statement: Statement, sighting: Sighting) -> Finding:
    source, start = statement.source, sighting.start
    return Finding(
        rule=rule.id,
        severity=sighting.severity or rule.severity,
        message=sighting.message,
        remedy=sighting.remedy,
        migration=subject.migration,
        location=subject.location,
        line=statement.line + source.count("\n", statement.start, start),
        column=start - source.rfind("\n", 0, start),
    )


def _allowances(subject: Subject, found: list[Finding]) -> Iterator[Finding]:
    """What is wrong with the ``allow:`` lines; those from the command line are for many files."""
    used = {finding.rule for finding in found if finding.severity is not Severity.ERROR}
    for allowance in subject.allow:
        if allowance.line < 1:
            continue
        if allowance.rule in FIRM:
            yield _about(subject, allowance, UNUSED_ALLOW, *_firm(allowance))
        elif allowance.rule not in RULES:
            yield _about(subject, allowance, UNKNOWN_RULE, *_unknown(allowance))
        elif allowance.rule not in used and not _is_needed_later(subject, allowance):
            yield _about(subject, allowance, UNUSED_ALLOW, *_unused(allowance, found))


def _is_needed_later(subject: Subject, allowance: Allowance) -> bool:
    """Whether it silences something once the files before this one have been applied."""
    alone = _findings(subject, created(subject.statements))
    return any(f.rule == allowance.rule and f.severity is not Severity.ERROR for f in alone)


def _unknown(allowance: Allowance) -> tuple[str, str]:
    near = nearest(allowance.rule)
    remedy = f"Write: -- allow: {near} {allowance.reason}".rstrip() if near else "Take the line out."
    return f"There is no rule {allowance.rule}, so this line allows nothing.", remedy


def _firm(allowance: Allowance) -> tuple[str, str]:
    instead = f"Write: -- late: {allowance.reason or 'why'}"
    remedy = instead if allowance.rule == "late" else "Take the line out, and follow what the error says."
    return f"{allowance.rule} is an error, which no line can allow.", remedy


def _unused(allowance: Allowance, found: list[Finding]) -> tuple[str, str]:
    if any(finding.rule == allowance.rule for finding in found):
        return f"{allowance.rule} is an error here, which no line can allow.", "Follow what the error says."
    return f"Nothing in this file needs {allowance.rule} to be allowed.", "Take the line out."


def _about(subject: Subject, allowance: Allowance, rule: Rule, message: str, remedy: str) -> Finding:
    place = (subject.migration, subject.location, allowance.line, 1)
    return Finding(rule.id, rule.severity, message, remedy, *place)
