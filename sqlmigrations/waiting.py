"""Files and Django's migrations: what is left to ``migrate``, what is held back with it, what has to come before."""

from __future__ import annotations

import difflib
import shlex
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from sqlmigrations import graph
from sqlmigrations.directives import LATEST
from sqlmigrations.guidance import APPLY, migrate, on, operation
from sqlmigrations.types import (
    UNAPPLIED,
    DjangoHistory,
    DjangoMigration,
    DjangoNode,
    Finding,
    Hold,
    Mode,
    Severity,
)

if TYPE_CHECKING:
    from sqlmigrations.parser import Script


def holds(
    ordered: Sequence[Script],
    edges: Mapping[str, tuple[str, ...]],
    begun: Collection[str],
    django: DjangoHistory,
    database: str,
) -> dict[str, Hold]:
    """The files that a run leaves alone: those that ``migrate`` applies, and those that come after one of them.

    Args:
        ordered: The pending migrations in the order in which they could run.
        edges: What each waits for.
        begun: The ids of those that are half done: whoever comes first goes on with them.
        django: What Django knows.
        database: The alias.
    """
    held: dict[str, Hold] = {}
    for script in ordered:
        id, named = script.migration.id, script.directives.runs_in
        if named is not None and named.app not in django.unmigrated and id not in begun:
            node = _place(script, named, django)
            held[id] = Hold(id, named, migrate(named.app, node.name if node else named.name, database))
        elif behind := [held[before] for before in edges[id] if before in held]:
            held[id] = behind[0]
    return held


def faults(scripts: Sequence[Script], begun: Collection[str], django: DjangoHistory, database: str) -> list[Finding]:
    """What is wrong with what the files say of Django's migrations, whether their turn has come or not."""
    found: list[Finding] = []
    for script in scripts:
        settled = script.directives
        named = [*settled.django_depends, *([settled.runs_in] if settled.runs_in else [])]
        if named and django.fault:
            message = f"Django's migrations cannot be looked at: {django.fault}"
            remedy = f"See it whole: {migrate('', '', database)} --plan"
            found.append(_finding(script, "django-graph", message, remedy, named[0].line))
            continue
        found += [_unknown(script, each, django) for each in settled.django_depends if django.find(each) is None]
        if settled.runs_in is not None and script.migration.id not in begun:
            found += _wrapped_wrongly(script, settled.runs_in, django, database)
    return found


def cycles(ordered: Sequence[Script], edges: Mapping[str, tuple[str, ...]], django: DjangoHistory) -> list[Finding]:
    """Files that ``migrate`` is to apply, and that have to wait for what Django has only behind them.

    Args:
        ordered: The pending migrations in the order in which they could run.
        edges: What each waits for.
        django: What Django knows.
    """
    by_id = {script.migration.id: script for script in ordered}
    found: list[Finding] = []
    for script in ordered:
        runs_in = script.directives.runs_in
        place = _place(script, runs_in, django) if runs_in else None
        if runs_in is None or place is None or runs_in.app in django.unmigrated:
            continue
        for before in sorted(graph.ancestors([script.migration.id], edges)):
            named = [each for each in by_id[before].directives.django_depends if place in django.behind(each)]
            other = by_id[before].directives.runs_in
            # One migration may apply several files, each after the one before.
            if other is not None and place in django.behind(other) and django.find(other) != place:
                named.append(other)
            found += [_cycle(script, runs_in, before, each) for each in named]
    return found


def unmet(scripts: Sequence[Script], django: DjangoHistory, database: str) -> list[Finding]:
    """What of Django's has to be applied before files that are about to run."""
    found: list[Finding] = []
    for script in scripts:
        for named in script.directives.django_depends:
            if (node := _unapplied(named, django)) is not None:
                message = f"Depends on {named.id}, which is not applied on {database!r}."
                remedy = migrate(node.app, node.name, database)
                found.append(_finding(script, UNAPPLIED, message, remedy, named.line))
    return found


def _unapplied(named: DjangoMigration, django: DjangoHistory) -> DjangoNode | None:
    node = django.find(named)
    return None if node is None or node.is_applied else node


def _place(script: Script, named: DjangoMigration, django: DjangoHistory) -> DjangoNode | None:
    """Where a file is applied: in the migration that it names, or where that is gone, in the one that wraps it."""
    wrappers = [django.nodes[key] for key in django.wrappers.get(script.migration.id, ()) if key[0] == named.app]
    return django.find(named) or next(iter(wrappers), None)


def _wrapped_wrongly(script: Script, named: DjangoMigration, django: DjangoHistory, database: str) -> list[Finding]:
    migration = script.migration
    node = _place(script, named, django)
    if node is None:
        return [_unknown(script, named, django)]
    if named.app in django.unmigrated:
        return []
    wrappers = django.wrappers.get(migration.id, ())
    if not wrappers:
        message = f"Runs in {named.id}, but no migration of {named.app} has the operation {operation(migration.id)}."
        return [_finding(script, "runs-in", message, f"Add it to {named.app}.{named.name}.", named.line)]
    if node not in [django.nodes[key] for key in wrappers]:
        actual = ".".join(wrappers[-1])
        message = f"Runs in {named.id}, but it is {actual} that has the operation {operation(migration.id)}."
        return [_finding(script, "runs-in", message, f"Write -- runs-in: django:{actual}", named.line)]
    return [_faked(script, named, database)] if node.is_applied else []


def _faked(script: Script, named: DjangoMigration, database: str) -> Finding:
    migration = script.migration
    message = f"Runs in {named.id}, which is recorded as applied on {database!r}; this file is not: it was faked."
    record = f"{APPLY}{on(database)} --fake {migration.label} {migration.digits}"
    whole = "-1 " if script.mode is Mode.TRANSACTION else ""
    run = f"python manage.py dbshell{on(database)} -- {whole}-f {shlex.quote(migration.file.location)}"
    remedy = f"When what the file does is in the database: {record}\nWhen it is not, run it before: {run}"
    return _finding(script, "faked", message, remedy, named.line)


def _cycle(script: Script, runs_in: DjangoMigration, before: str, named: DjangoMigration) -> Finding:
    what = "" if before == script.migration.id else f"{before}, and "
    message = f"Runs in {runs_in.id}, and has to come after {what}{named.id}, which Django has only after that."
    remedy = f"Let it run in a migration that comes after {named.id}, or take that out of its line."
    if named.name == LATEST:
        remedy = f"Name in {before} the migration of {named.app} that it needs: {LATEST} means every later one too."
    return _finding(script, "cycle", message, remedy, runs_in.line)


def _unknown(script: Script, named: DjangoMigration, django: DjangoHistory) -> Finding:
    apps = django.migrated | django.unmigrated
    verb = "Runs in" if named is script.directives.runs_in else "Depends on"
    if named.app not in apps:
        near = difflib.get_close_matches(named.app, sorted(apps), n=1)
        message = f"{verb} {named.id}, but no app with the label {named.app!r} is installed."
        remedy = f"Did you mean django:{near[0]}.{named.name}?" if near else "Write the label of an installed app."
        return _finding(script, "unknown-dependency", message, remedy, named.line)
    names = sorted(name for app, name in django.nodes if app == named.app)
    # A name cut short or with another slug is meant more often than one that merely looks alike.
    alike = [name for name in names if name.partition("_")[0] == named.name.partition("_")[0]]
    near = alike or difflib.get_close_matches(named.name, names, n=1)
    message = f"{verb} {named.id}, but {named.app} has no migration of that name."
    remedy = f"See which there are: python manage.py showmigrations {named.app}"
    if near:
        remedy = f"Did you mean django:{named.app}.{near[0]}?"
    return _finding(script, "unknown-dependency", message, remedy, named.line)


def _finding(script: Script, rule: str, message: str, remedy: str, line: int) -> Finding:
    migration = script.migration
    return Finding(rule, Severity.ERROR, message, remedy, migration.id, migration.file.location, line, 1)
