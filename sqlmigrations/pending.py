"""The pending migrations of one database, in the order in which they could run, or what stands against it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from sqlmigrations import graph, halves, waiting
from sqlmigrations.integrity import Comparison, compare
from sqlmigrations.loader import Loaded
from sqlmigrations.masking import mask_finding
from sqlmigrations.parser import Script, outline, parse
from sqlmigrations.types import (
    TRACKING_LABEL,
    Applied,
    DjangoHistory,
    Finding,
    Hold,
    MigrationStatus,
    Severity,
    SqlMigration,
    State,
)


@dataclass(frozen=True, slots=True)
class Terms:
    """What the caller and the settings allow, and what Django knows.

    Attributes:
        database: The alias the plan is for.
        databases: All aliases there are, for ``database:`` lines.
        allow: Rules silenced for all files.
        allow_late: Whether a number below an applied one may run without a ``late:`` line.
        lock_timeout_ms: ``None`` means the server's deadlock_timeout plus one second.
        statement_timeout_ms: ``None`` leaves what the role has.
        credentials: Secrets of the alias itself.
        routed_away: Ids of migrations that the routers keep out of this database.
        closed_apps: Labels of the apps whose migrations they keep out of it.
        django: What Django knows of its own migrations here. ``None`` where it does not matter: then none is waited
            for, and what runs in one of them is a file like any other.
    """

    database: str
    databases: tuple[str, ...]
    allow: frozenset[str] = frozenset()
    allow_late: bool = False
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    credentials: frozenset[str] = field(default=frozenset(), repr=False)
    routed_away: frozenset[str] = frozenset()
    closed_apps: frozenset[str] = frozenset()
    django: DjangoHistory | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """The pending migrations of a database in the order in which they could run, before anything is chosen of them.

    Attributes:
        edges: What each waits for.
        holds: Those that are left to ``migrate`` or held back behind them, by id.
        is_sound: Whether their directives and dependencies let them be looked at one after the other.
    """

    comparison: Comparison
    scripts: Sequence[Script]
    edges: Mapping[str, tuple[str, ...]]
    holds: Mapping[str, Hold]
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
    known = {entry.id for entry in comparison.entries} - elsewhere
    edges, unknown = graph.resolve(scripts, known, elsewhere)
    unknown += halves.dependents(scripts, comparison.entries)
    ordered, cycles = graph.order(scripts, edges)
    holds: Mapping[str, Hold] = {}
    if terms.django is not None:
        begun = {entry.id for entry in comparison.entries if entry.progress is not None}
        faults += waiting.faults(scripts, begun, terms.django, terms.database)
        cycles += waiting.cycles(ordered, edges, terms.django)
        holds = waiting.holds(ordered, edges, begun, terms.django, terms.database)
    broken = (f for f in comparison.findings if f.severity is Severity.ERROR)
    found = (*loaded.findings, *broken, *faults, *unknown, *cycles)
    disagreements = tuple(mask_finding(finding, terms.credentials) for finding in found)
    final = {script.migration.id for script in scripts if script.directives.irreversible}
    if final or holds or elsewhere:
        entries = (_seen(entry, final, holds) for entry in comparison.entries if entry.id not in elsewhere)
        comparison = replace(comparison, entries=tuple(entries))
    return Order(comparison, ordered, edges, holds, disagreements, is_sound=not cycles and not faults)


def _seen(entry: MigrationStatus, final: set[str], holds: Mapping[str, Hold]) -> MigrationStatus:
    """An entry with what only its text says."""
    if entry.id in final:
        entry = replace(entry, rollback_ready=False)
    if (hold := holds.get(entry.id)) is None:
        return entry
    return replace(entry, hold=hold, state=State.WAITING if hold.by == entry.id else entry.state)


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
            script = script.gone_on_with()
        astray = unknown_alias(script, terms)
        faults += _without_passwords((*script.faults, *astray), script)
        if astray:
            continue
        if belongs(script, terms):
            scripts.append(script)
        else:
            elsewhere.add(entry.id)
    if elsewhere and _is_nothing_to_record(comparison, scripts):
        elsewhere |= {script.migration.id for script in scripts}
        scripts = []
    return scripts, faults, elsewhere


def _without_passwords(faults: Sequence[Finding], script: Script) -> Sequence[Finding]:
    """Faults of directives, which quote what stands in them."""
    if not faults:
        return faults
    # For start-up: the search knows all about SQL, and files are mostly in order.
    from sqlmigrations.lint import secrets

    written = secrets((), script.migration.file.text)
    return [mask_finding(fault, written) for fault in faults]


def belongs(script: Script, terms: Terms) -> bool:
    """Whether a file is for this database: its own word counts, or else that of the routers."""
    named = script.directives
    if named.database is not None:
        return named.database == terms.database
    if named.runs_in is not None:
        # Applied or passed over with its migration, for which the routers are asked by the app.
        return named.runs_in.app not in terms.closed_apps
    return script.migration.id not in terms.routed_away


def _is_nothing_to_record(comparison: Comparison, scripts: Sequence[Script]) -> bool:
    """Whether all there is to apply are the tables for the records, where none is kept and none is to be."""
    recorded = any(entry.applied for entry in comparison.entries)
    return not recorded and all(script.migration.label == TRACKING_LABEL for script in scripts)


def unknown_alias(script: Script, terms: Terms) -> tuple[Finding, ...]:
    """What is wrong with a ``database:`` line that names none of this project: nobody would ever apply the file."""
    alias = script.directives.database
    if alias is None or alias in terms.databases:
        return ()
    message = f"database: {alias} is no database of this project."
    remedy = f"Write one of: {', '.join(terms.databases)}."
    migration = script.migration
    return (Finding("directive", Severity.ERROR, message, remedy, migration.id, migration.file.location),)
