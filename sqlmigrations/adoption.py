"""A database made by hand: what of the pending files is there before anything is recorded, and how to adopt it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlmigrations import graph, lint
from sqlmigrations.backends import postgresql
from sqlmigrations.backends.base import Queries
from sqlmigrations.exceptions import UnsafePlan
from sqlmigrations.plan import Plan, Step
from sqlmigrations.quoting import quote
from sqlmigrations.types import Finding, Severity, SqlMigration

_SCHEMA_AND_NAME = 2
_SHOWN = 5
_SHOWN_MISSING = 10


def refusal(queries: Queries, plan: Plan) -> UnsafePlan | None:
    """Why a plan must not run into a database of which nothing is recorded, or ``None`` when it may.

    Recording is offered only where everything the files in question create is there.
    """
    # With a database before its schema it is not looked up: the server stops at a name that is none.
    asked = {name: _full(name) for name in plan.creates if len(name.parts) <= _SCHEMA_AND_NAME}
    found = postgresql.existing_relations(queries, sorted(asked.values())) if asked else frozenset()
    existing = {name for name, full in asked.items() if full in found}
    if not existing:
        return None
    newest = _newest([plan.creates[name] for name in existing])
    findings, whole = _compared(_covered(plan, newest), existing, plan)
    if not whole:
        return UnsafePlan(
            "Nothing is recorded yet, but the database already has a part of what pending files create. "
            "Nothing has run.",
            remedy="Guard in those files what is there (CREATE TABLE IF NOT EXISTS ...), so that they can run; or "
            "bring the database to their state by hand: the same command then says how to record them.",
            findings=findings,
        )
    listed = _listed(sorted(asked[name] for name in existing), _SHOWN)
    return UnsafePlan(
        f"Nothing is recorded yet, but the database already has what pending files create: {listed}. Nothing has run.",
        remedy=f"If those files were run by hand, record them:{_commands(newest)}",
    )


def _full(name: lint.Name) -> str:
    """As asked for: an index, which is written without a schema, lies in that of its table."""
    return f"{quote(name.schema)}.{name}" if name.schema and len(name.parts) == 1 else str(name)


def _newest(migrations: Collection[SqlMigration]) -> list[SqlMigration]:
    """The one with the highest number of each label."""
    ordered = sorted(migrations, key=lambda migration: (migration.label, migration.version))
    return list({migration.label: migration for migration in ordered}.values())


def _covered(plan: Plan, newest: Sequence[SqlMigration]) -> list[Step]:
    """What recording these would record: with them all that they wait for."""
    scripts = [step.script for step in plan.steps]
    edges, _ = graph.resolve(scripts, ())
    reached = graph.ancestors([migration.id for migration in newest], edges)
    return [step for step in plan.steps if step.migration.id in reached]


def _compared(covered: Sequence[Step], existing: Collection[lint.Name], plan: Plan) -> tuple[list[Finding], bool]:
    """What of each file is there, and whether that is everything."""
    gone = lint.Removed.by([step.script.statements for step in plan.steps])
    findings, whole = [], True
    for step in covered:
        own = {c.name: c for c in lint.unguarded(step.script.statements) if c.name in plan.creates}
        own = {name: c for name, c in own.items() if len(name.parts) <= _SCHEMA_AND_NAME}
        missing = [str(name) for name, c in own.items() if name not in existing and not gone.may_have(c)]
        there = sum(name in existing for name in own)
        if missing or there:
            whole = whole and not missing
            message = _tally(there, missing)
            migration = step.migration
            findings.append(Finding("hand-made", Severity.ERROR, message, "", migration.id, migration.file.location))
    return findings, whole


def _tally(there: int, missing: Sequence[str]) -> str:
    listed = _listed(missing, _SHOWN_MISSING)
    if not missing:
        return "What it creates is there."
    if not there:
        return f"Nothing of what it creates is there: {listed}."
    return f"{there} of {there + len(missing)} objects are there; not there: {listed}."


def _listed(names: Sequence[str], limit: int) -> str:
    return ", ".join(names[:limit]) + (", ..." if len(names) > limit else "")


def _commands(newest: Sequence[SqlMigration]) -> str:
    commands = [
        f"python manage.py sqlmigrate_apply --fake {migration.label} {migration.digits}" for migration in newest
    ]
    return f" {commands[0]}" if len(commands) == 1 else "".join(f"\n  {command}" for command in commands)
