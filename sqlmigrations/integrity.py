"""Files and ledger side by side: the state of every migration, and what is wrong between the two."""

from __future__ import annotations

import shlex
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC
from itertools import count
from pathlib import Path

from sqlmigrations.guidance import repair
from sqlmigrations.loader import Loaded, shown
from sqlmigrations.text import CHECKSUM_ALGORITHM
from sqlmigrations.types import Applied, Finding, MigrationStatus, Severity, SqlMigration, State

# Findings that come from the ledger, not from the files alone.
LEDGER_RULES = frozenset({"modified", "renamed", "missing", "late", "faked"})
# So many rows of a label without a file are told of one by one.
TOLD = 20


@dataclass(frozen=True, slots=True)
class Comparison:
    """The states of all migrations, by source and number, and the findings between files and ledger."""

    entries: tuple[MigrationStatus, ...]
    findings: tuple[Finding, ...]
    newest: Mapping[str, Applied] = field(default_factory=dict)

    def overtaken_by(self, migration: SqlMigration) -> Applied | None:
        """The applied migration of the same label with the highest number, when it is above this one's."""
        row = self.newest.get(migration.label)
        return row if row and (row.version or 0) > migration.version else None


def compare(loaded: Loaded, ledger: Sequence[Applied]) -> Comparison:
    """Lays files and ledger side by side. Pure: reads neither disk nor database."""
    newest = _newest(ledger)
    highest = {label: row.version or 0 for label, row in newest.items()}
    twins = _by_number(loaded.migrations)
    local = _highest_local(loaded)
    rows: dict[tuple[str, str], Applied] = {}
    by_label: dict[str, list[MigrationStatus]] = defaultdict(list)
    wanted = {(label, str(version)) for label, version in twins}
    for row in ledger:
        # Of most rows there may be no file, and of all others the key is kept.
        if (row.label, row.key) in wanted:
            rows[row.label, row.key] = row
        else:
            by_label[row.label].append(_without_file(row, local))
    for (label, version), group in twins.items():
        row_of_it = rows.get((label, str(version)))
        for migration in group:
            mine = row_of_it if row_of_it and _recorded(group, row_of_it) is migration else None
            by_label[label].append(_entry(migration, mine, highest.get(label, -1)))
    rank = {source.label: position for position, source in enumerate(loaded.sources)}
    entries: list[MigrationStatus] = []
    for label in sorted(by_label, key=lambda label: (rank.get(label, len(rank)), label)):
        entries += sorted(by_label[label], key=_number_and_name)
    free = _free_numbers(twins, highest)
    folders = {source.label: source.folder for source in loaded.sources}
    findings = [*_duplicates(twins, rows, free), *_between(entries, free, folders)]
    return Comparison(tuple(entries), tuple(findings), newest)


def _number_and_name(entry: MigrationStatus) -> tuple[int, str]:
    known = entry.migration or entry.applied
    assert known is not None
    return known.version or 0, known.name


def _newest(ledger: Iterable[Applied]) -> dict[str, Applied]:
    newest: dict[str, Applied] = {}
    for row in ledger:
        if row.label not in newest or (newest[row.label].version or 0) < (row.version or 0):
            newest[row.label] = row
    return newest


def _by_number(migrations: Iterable[SqlMigration]) -> dict[tuple[str, int], list[SqlMigration]]:
    groups: dict[tuple[str, int], list[SqlMigration]] = defaultdict(list)
    for migration in migrations:
        groups[migration.label, migration.version].append(migration)
    return groups


def _recorded(group: Sequence[SqlMigration], row: Applied) -> SqlMigration:
    """The one the row is about: its name says so, or where no file has that name, the content."""
    named = (migration for migration in group if migration.name == row.name)
    same = (migration for migration in group if migration.file.checksum == row.checksum)
    return next(named, None) or next(same, None) or group[0]


def _free_numbers(taken: Iterable[tuple[str, int]], applied: Mapping[str, int]) -> dict[str, Iterator[int]]:
    """The numbers of each label above all of its files and rows: one is proposed to one file only."""
    highest = dict(applied)
    for label, version in taken:
        highest[label] = max(version, highest.get(label, -1))
    return {label: count(number + 1) for label, number in highest.items()}


def _entry(migration: SqlMigration, row: Applied | None, highest: int) -> MigrationStatus:
    ready = migration.down is not None or (row is not None and row.has_down)
    if row is not None and "irreversible" in row.metadata:
        ready = False
    if row is None:
        state = State.LATE if migration.version < highest else State.PENDING
    elif row.is_half_done:
        from sqlmigrations import halves

        return MigrationStatus(State.PARTIAL, migration, row, ready, halves.progress(migration, row))
    elif migration.file.checksum == row.checksum and migration.name == row.name:
        state = State.APPLIED
    else:
        state = _changed(migration, row)
    return MigrationStatus(state, migration, row, ready)


def _changed(migration: SqlMigration, row: Applied) -> State:
    return State.REFORMATTED if migration.name == row.name and _same_statements(migration, row) else State.MODIFIED


def _same_statements(migration: SqlMigration, row: Applied) -> bool:
    # For start-up, as all the others here: only of what is half done or was changed are statements looked at.
    from sqlmigrations.parser import sql_checksum

    comparable = row.checksum_algorithm == CHECKSUM_ALGORITHM and row.sql_checksum
    return bool(comparable) and sql_checksum(migration.file) == row.sql_checksum


def _highest_local(loaded: Loaded) -> dict[str, int]:
    """The highest number on disk by label; a source that lost all its files has a number above every other."""
    highest = {source.label: sys.maxsize for source in loaded.sources}
    for migration in loaded.migrations:
        # Migrations come sorted by number within their source.
        highest[migration.label] = migration.version
    return highest


def _without_file(row: Applied, local: Mapping[str, int]) -> MigrationStatus:
    # A label without a source belongs to an app that is not installed here.
    if (row.version or 0) > local.get(row.label, -1):
        state = State.AHEAD
    else:
        state = State.PARTIAL if row.is_half_done else State.MISSING
    return MigrationStatus(state, None, row, row.has_down)


def _duplicates(
    twins: Mapping[tuple[str, int], Sequence[SqlMigration]],
    rows: Mapping[tuple[str, str], Applied],
    free: Mapping[str, Iterator[int]],
) -> Iterator[Finding]:
    for (label, version), group in twins.items():
        if len(group) == 1:
            continue
        row = rows.get((label, str(version)))
        keep = _recorded(group, row) if row else group[0]
        for other in group:
            if other is not keep:
                yield _duplicate(other, keep, row, next(free[label]))


def _duplicate(other: SqlMigration, keep: SqlMigration, row: Applied | None, free: int) -> Finding:
    applied = row is not None and row.name == keep.name
    which = f"{keep.name} is applied, keep it" if applied else f"Keep {keep.name}, or the one that came first"
    remedy = f"{which}; rename the other: {_renumbering(other, free)}"
    message = f"The number {other.digits} is taken by {keep.name}.sql as well."
    return Finding("duplicate-version", Severity.ERROR, message, remedy, other.id, other.file.location)


def _renumbering(migration: SqlMigration, number: int) -> str:
    digits, _, slug = migration.name.partition("_")
    return _renaming(migration, f"{number:0{len(digits)}d}_{slug}")


def _renaming(migration: SqlMigration, name: str) -> str:
    old = migration.file.location
    new = str(Path(old).parent / f"{name}.sql")
    return f"mv {shlex.quote(old)} {shlex.quote(new)}"


def _between(
    entries: Sequence[MigrationStatus], free: Mapping[str, Iterator[int]], folders: Mapping[str, Path]
) -> Iterator[Finding]:
    pending = {e.migration.file.checksum: e.migration for e in entries if e.migration and not e.applied}
    alike: dict[tuple[State, str], list[Applied]] = defaultdict(list)
    for entry in entries:
        row, migration = entry.applied, entry.migration
        if row is None or entry.state is State.APPLIED:
            continue
        if migration is None and not row.is_half_done:
            others = alike[entry.state, row.label]
            others.append(row)
            if len(others) > TOLD:
                continue
        if entry.state is State.MODIFIED and migration:
            yield _modified(migration, row) if migration.name == row.name else _renamed(migration, row, free)
        elif entry.state is State.REFORMATTED and migration:
            message = "Its layout or comments changed since it was applied; the statements are the same."
            yield _about(migration, "reformatted", Severity.NOTE, message)
        elif entry.state is State.MISSING:
            yield _missing(row, pending.get(row.checksum), folders[row.label])
        elif entry.state is State.AHEAD:
            yield Finding("ahead", Severity.NOTE, _ahead(row), migration=row.id)
        elif entry.state is State.PARTIAL:
            from sqlmigrations import halves

            yield halves.finding(entry, row)
    for (state, label), rows in alike.items():
        if len(rows) > TOLD:
            yield _others(state, label, rows[TOLD:])


def _modified(migration: SqlMigration, row: Applied) -> Finding:
    message = (
        f"Changed since it was applied on {_when(row)}: "
        f"recorded checksum {row.checksum[:16]}..., file {migration.file.checksum[:16]}..."
    )
    remedy = (
        "See the change: python manage.py sqlmigrate_status -v 2   "
        f"Restore the file as it was applied (git log -p -- {shlex.quote(migration.file.location)}), and put the "
        f"change into a new one: python manage.py sqlmigrate_new {migration.label} your_change\n"
        f"Or, when what it says now is true of every database: {repair('accept', migration.id)}"
    )
    return _about(migration, "modified", Severity.ERROR, message, remedy)


def _renamed(migration: SqlMigration, row: Applied, free: Mapping[str, Iterator[int]]) -> Finding:
    message = f"Number {row.key} was applied on {_when(row)} as {row.name}; "
    same = migration.file.checksum == row.checksum
    if same or _same_statements(migration, row):
        message += f"the file is now {migration.name}, with the same {'content' if same else 'statements'}."
        remedy = f"Give it its name back: {_renaming(migration, row.name)}\n"
        remedy += f"Or record its new one: {repair('accept', migration.id)}"
    else:
        message += f"{migration.name} is another file: its content differs, and it has not run."
        remedy = (
            f"Bring {row.name}.sql back (it may be on another branch), and give this one the next number: "
            f"{_renumbering(migration, next(free[migration.label]))}"
        )
    return _about(migration, "renamed", Severity.ERROR, message, remedy)


def _missing(row: Applied, twin: SqlMigration | None, folder: Path) -> Finding:
    message = f"Applied on {_when(row)}, but {row.name}.sql is gone."
    if twin:
        message += f" {twin.name}.sql has the same content: it was renumbered."
        remedy = f"Give it its number back: {_renaming(twin, row.name)}"
    else:
        file = shlex.quote(shown(folder / f"{row.name}.sql"))
        remedy = (
            f"Restore it: git checkout HEAD -- {file}   or, when its deletion is committed: "
            f'git checkout "$(git rev-list -n 1 HEAD -- {file})^" -- {file}   (It may also be on another branch.)\n'
            f"When it is gone for good: {repair('forget', row.id)}"
        )
    return Finding("missing", Severity.ERROR, message, remedy, row.id)


def _others(state: State, label: str, rows: Sequence[Applied]) -> Finding:
    """Of an app that is gone, or whose files are, there can be thousands."""
    many = "1 more migration" if len(rows) == 1 else f"{len(rows)} more migrations"
    which = f"{many} of {label}, up to {rows[-1].name} of {_when(rows[-1])}"
    if state is State.AHEAD:
        return Finding("ahead", Severity.NOTE, f"{which}, recorded above the files here.")
    listed = "python manage.py sqlmigrate_status"
    remedy = f"As of the others: restore the files, or forget those that are gone for good. All of them: {listed}"
    return Finding("missing", Severity.ERROR, f"{which}, applied, and their files are gone.", remedy)


def _ahead(row: Applied) -> str:
    older = "above the files here: this checkout is older than the database"
    if not row.is_half_done:
        return f"Recorded on {_when(row)}, {older}."
    from sqlmigrations import halves
    from sqlmigrations.retreat import retreat

    word = "Recorded" if retreat(row) else "Begun"
    return f"{word} on {_when(row)} and {halves.far(row)}; {older}, and the newer one goes on with it."


def _about(migration: SqlMigration, rule: str, severity: Severity, message: str, remedy: str = "") -> Finding:
    return Finding(rule, severity, message, remedy, migration.id, migration.file.location)


def _when(row: Applied) -> str:
    # strftime takes three times as long, and there may be as many as there are rows.
    return f"{row.applied_at.astimezone(UTC).isoformat(' ', 'minutes')[:16]} UTC"
