"""What is dangerous in scripts that run one after the other, and which relations they create."""

from __future__ import annotations

from collections.abc import Collection, Iterable

from sqlmigrations import lint
from sqlmigrations.parser import Script
from sqlmigrations.types import TRACKING_LABEL, Finding, Severity, SqlMigration


def find(scripts: Iterable[Script], allow: Collection[str]) -> tuple[list[Finding], dict[lint.Name, SqlMigration]]:
    """Both are read off the same statements, one after the other while their tokens are at hand.

    Args:
        scripts: In the order in which they run: what one has created holds no data yet for the next.
        allow: Rules silenced for all of them.

    Returns:
        The hazards, and the relations whose creation fails where they exist already.
    """
    findings: list[Finding] = []
    creates: dict[lint.Name, SqlMigration] = {}
    created = lint.Created()
    for script in scripts:
        if script.dangers and not script.statements:
            continue  # It could not be taken apart.
        created |= lint.created(script.statements)
        subject = lint.Subject(
            migration=script.migration.id,
            location=script.migration.file.location,
            statements=script.statements,
            allow=script.directives.allow,
            mode=script.mode,
        )
        findings += lint.inspect(subject, created)
        if script.migration.label != TRACKING_LABEL:
            creates |= {relation.name: script.migration for relation in lint.unguarded(script.statements)}
    return [f for f in findings if f.severity is Severity.ERROR or f.rule not in allow], creates
