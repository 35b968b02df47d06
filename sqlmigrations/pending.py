"""The pending migrations of one database, in the order in which they could run, or what stands against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlmigrations import graph
from sqlmigrations.integrity import Comparison, compare
from sqlmigrations.loader import Loaded
from sqlmigrations.parser import Script, outline, parse
from sqlmigrations.types import Applied, Finding, Mode, Severity, SqlMigration, State


@dataclass(frozen=True, slots=True)
class Terms:
    """What the caller and the settings allow.

    Attributes:
        database: The alias the plan is for.
        databases: All aliases there are, for ``database:`` lines.
        allow: Rules silenced for all files.
        allow_late: Whether a number below an applied one may run without a ``late:`` line.
        lock_timeout_ms: ``None`` means the server's deadlock_timeout plus one second.
        statement_timeout_ms: ``None`` leaves what the role has.
        credentials: Secrets of the alias itself.
    """

    database: str
    databases: tuple[str, ...]
    allow: frozenset[str] = frozenset()
    allow_late: bool = False
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    credentials: frozenset[str] = field(default=frozenset(), repr=False)


@dataclass(frozen=True, slots=True)
class Order:
    """The pending migrations of a database in the order in which they could run, before anything is chosen of them.

    Attributes:
        edges: What each waits for.
        is_sound: Whether their directives and dependencies let them be looked at one after the other.
    """

    comparison: Comparison
    scripts: Sequence[Script]
    edges: Mapping[str, tuple[str, ...]]
    disagreements: tuple[Finding, ...]
    is_sound: bool


def validate(loaded: Loaded, terms: Terms) -> tuple[Finding, ...]:
    """What is wrong with the files in themselves, whatever the ledger says and whatever their statements do."""
    return arrange(loaded, (), terms, read=outline).disagreements


def arrange(
    loaded: Loaded, ledger: Sequence[Applied], terms: Terms, *, read: Callable[[SqlMigration], Script] = parse
) -> Order:
    """Lays files and ledger side by side and sorts what is pending. Pure: reads neither disk nor database.

    Args:
        loaded: The files.
        ledger: The rows.
        terms: What the caller and the settings allow.
        read: How much of a pending file is read.
    """
    comparison = compare(loaded, ledger)
    scripts, faults, elsewhere = _pending(comparison, terms, read)
    final = {script.migration.id for script in scripts if script.directives.irreversible}
    entries = (entry for entry in comparison.entries if entry.id not in elsewhere)
    entries = (replace(entry, rollback_ready=False) if entry.id in final else entry for entry in entries)
    comparison = replace(comparison, entries=tuple(entries))
    edges, unknown = graph.resolve(scripts, {entry.id for entry in comparison.entries}, elsewhere)
    ordered, cycles = graph.order(scripts, edges)
    broken = (f for f in comparison.findings if f.severity is Severity.ERROR)
    disagreements = (*loaded.findings, *broken, *faults, *unknown, *cycles)
    return Order(comparison, ordered, edges, disagreements, is_sound=not cycles and not faults)


def _pending(
    comparison: Comparison, terms: Terms, read: Callable[[SqlMigration], Script]
) -> tuple[list[Script], list[Finding], set[str]]:
    """The pending migrations of this database, what is wrong in their directives, and the ids of other databases'."""
    scripts: list[Script] = []
    faults: list[Finding] = []
    elsewhere: set[str] = set()
    for entry in comparison.entries:
        begun = entry.progress is not None
        if (entry.state not in (State.PENDING, State.LATE) and not begun) or entry.migration is None:
            continue
        script = read(entry.migration)
        if begun:
            # What is left of it may all fit into one transaction; its record does not.
            script = replace(script, mode=Mode.STATEMENTS)
        alias = script.directives.database or terms.database
        faults += script.faults
        faults += _not_yet(script)
        if alias not in terms.databases:
            faults.append(_unknown_alias(script, alias, terms))
        elif alias != terms.database:
            elsewhere.add(entry.id)
        else:
            scripts.append(script)
    return scripts, faults, elsewhere


def _not_yet(script: Script) -> list[Finding]:
    migration, named = script.migration, script.directives
    words = [(d, f"depends: {d.id} - dependencies on Django migrations are") for d in named.django_depends]
    if named.runs_in is not None:
        words.append((named.runs_in, "runs-in: applying a file from a Django migration is"))
    remedy = "Take it out of the line; run manage.py migrate before or after manage.py sqlmigrate_apply."
    return [
        Finding(
            "not-supported",
            Severity.ERROR,
            f"{what} not supported by this version.",
            remedy,
            migration.id,
            migration.file.location,
            django.line,
            1,
        )
        for django, what in words
    ]


def _unknown_alias(script: Script, alias: str, terms: Terms) -> Finding:
    message = f"database: {alias} is no database of this project."
    remedy = f"Write one of: {', '.join(terms.databases)}."
    migration = script.migration
    return Finding("directive", Severity.ERROR, message, remedy, migration.id, migration.file.location)
