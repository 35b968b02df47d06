"""What a person may decide about the record of one migration, and what the decision means; writes nothing."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence

from sqlmigrations.decision import Action, Decision, Proposal
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.guidance import APPLY, migrate, repair
from sqlmigrations.integrity import compare
from sqlmigrations.loader import Loaded
from sqlmigrations.parser import parse
from sqlmigrations.resolving import Ask, resolve
from sqlmigrations.retreat import ROW_DELETED, retreat
from sqlmigrations.target import Target, unknown_label
from sqlmigrations.types import TRACKING_LABEL, Applied, MigrationStatus, Mode, State


def propose(decision: Decision, loaded: Loaded, ledger: Sequence[Applied], ask: Ask) -> Proposal:
    """Finds the migration and says what the decision would mean for it.

    Args:
        decision: What is asked for.
        loaded: The files.
        ledger: The rows, with the texts of files that differ.
        ask: Asked about the statement in doubt, where that matters.

    Raises:
        ConfigurationError: There is no such migration, or its state does not allow this; says what is possible.
        UnsafePlan: What the catalog says forbids it.
    """
    entries = compare(loaded, ledger).entries
    entry = _find(decision.target, entries, [source.label for source in loaded.sources])
    if decision.action is Action.ACCEPT:
        return _accept(decision, entry)
    if decision.action is Action.RESOLVE:
        return resolve(decision, entry, ask)
    return _forget(decision, entry, entries)


def _find(target: Target, entries: Sequence[MigrationStatus], sources: Iterable[str]) -> MigrationStatus:
    labels = list(dict.fromkeys([*sources, *(entry.label for entry in entries)]))
    if target.label == TRACKING_LABEL:
        raise ConfigurationError(
            f"{TRACKING_LABEL} is the label of the tool's own files: they are as they were released.",
            remedy="Install the package again, in the version that made the tables or a newer one.",
        )
    if target.label not in labels:
        others = () if target.version else (entry for entry in entries if entry.label != TRACKING_LABEL)
        alone = [entry.id for entry in others if target.label in _names(entry)]
        raise _without_label(target, alone) if alone else unknown_label(target.label, labels)
    mine = [entry for entry in entries if entry.label == target.label]
    # Of two files with one number the one with the record is meant.
    for entry in sorted(mine, key=lambda entry: entry.applied is None):
        if target.version in _names(entry):
            return entry
    raise _unknown(target, mine)


def _names(entry: MigrationStatus) -> set[str]:
    """What it can be called: its name, the one it was applied under, its number in any width."""
    names = {known.name for known in (entry.migration, entry.applied) if known}
    version = entry.migration.version if entry.migration else entry.applied and entry.applied.version
    return names | {f"{version:0{width}d}" for width in range(1, 19)}


def _without_label(target: Target, meant: Sequence[str]) -> ConfigurationError:
    message = f"{target.label!r} is a migration without its label."
    return ConfigurationError(message, remedy=f"Name it whole: {' or '.join(meant)}.")


def _unknown(target: Target, mine: Sequence[MigrationStatus]) -> ConfigurationError:
    if not target.version:
        message = f"Which migration of {target.label}? A repair is about one."
    else:
        message = f"{target.label} has no migration {target.version!r}."
    names = [entry.name for entry in mine]
    near = difflib.get_close_matches(target.version, names, n=1)
    remedy = f"Did you mean {near[0]}? " if near else ""
    remedy += f"Its newest are: {', '.join(names[-5:])}." if names else "It has none."
    return ConfigurationError(message, remedy=remedy)


def _accept(decision: Decision, entry: MigrationStatus) -> Proposal:
    row, migration = entry.applied, entry.migration
    if row is None or migration is None or entry.state not in (State.MODIFIED, State.REFORMATTED):
        raise _cannot_accept(entry)
    change = f"Its record gets the checksum of the file as it is now ({migration.file.checksum[:16]}...)"
    if row.name != migration.name:
        change += f" and its name ({migration.name})"
    return Proposal(
        decision,
        entry,
        (
            f"{change}, in place of {row.checksum[:16]}... of the one that was applied. Nothing is run.",
            "So what it says has to be true here already; a database made from it anew gets the file as it is now.",
        ),
    )


def _cannot_accept(entry: MigrationStatus) -> ConfigurationError:
    target = f"{entry.label} {entry.name.partition('_')[0]}"
    if entry.state is State.APPLIED:
        message = f"{entry.id} is applied, and its file is the one that was applied: there is nothing to accept."
        return ConfigurationError(message, remedy="Look at all of them: python manage.py sqlmigrate_status")
    if entry.applied is None:
        message = f"{entry.id} is {entry.state.value}: nothing is recorded of it, so there is nothing to accept."
        remedy = f"Apply it: {_applying(entry, target)}   or, when it was run by hand, record it: "
        return ConfigurationError(message, remedy=f"{remedy}python manage.py sqlmigrate_apply --fake {target}")
    if entry.state is State.PARTIAL and (back := retreat(entry.applied)) is not None:
        message = f"{entry.id} is half undone: only a whole one is accepted."
        raise ConfigurationError(message, remedy=f"Go on with its way back: {back.command}")
    if entry.state is State.PARTIAL:
        message = f"{entry.id} was begun and not finished (state {entry.applied.state}): only a whole one is accepted."
        if entry.applied.mode == Mode.STATEMENTS.value:
            raise ConfigurationError(message, remedy=f"Finish it first: {APPLY}   goes on, or tells the ways out.")
        remedy = f"When all of it is in the database: {repair('resolve', entry.id, '--done')}\n"
        remedy += f"When nothing of it is, or you have undone it: {repair('resolve', entry.id, '--redo')}"
        return ConfigurationError(message, remedy=remedy)
    message = f"{entry.id} is {entry.state.value}: its file is not here, so there is nothing to accept."
    remedy = f"Bring the file back; or, when it is gone for good: {repair('forget', entry.id)}"
    return ConfigurationError(message, remedy=remedy)


def _applying(entry: MigrationStatus, target: str) -> str:
    named = parse(entry.migration).directives.runs_in if entry.migration else None
    return migrate(named.app, named.name) if named else f"{APPLY} {target}"


def _forget(decision: Decision, entry: MigrationStatus, entries: Sequence[MigrationStatus]) -> Proposal:
    row = entry.applied
    if row is None or entry.state not in (State.MISSING, State.AHEAD, State.PARTIAL):
        raise _cannot_forget(entry)
    meaning = ["Its row is deleted; an event keeps it whole. What the migration did to the database stays as it is."]
    back = retreat(row)
    if back is not None:
        seen = f"It was being undone: {back.done} of {back.total} statements of its way back are done."
        return Proposal(decision, entry, (seen, ROW_DELETED, back.rest), is_grave=entry.state is State.AHEAD)
    if row.is_half_done:
        meaning = [f"It was begun and not finished (state {row.state}). Its row is deleted; an event keeps it whole."]
        meaning.append("What took effect of it stays, and has to be undone by hand.")
    if entry.migration:
        meaning.append("It counts as never begun then: the next apply runs it from its first statement.")
    if entry.state is State.AHEAD:
        meaning.append(
            "It lies above the files here: it is of a newer checkout, which would run it again when it is forgotten."
        )
    twin = next((e.migration for e in entries if _is_pending_twin(e, row)), None)
    if twin:
        meaning.append(
            f"{twin.name}.sql holds the same SQL and is pending: it was renumbered, and the next apply would run it."
        )
    return Proposal(decision, entry, tuple(meaning), is_grave=entry.state is State.AHEAD)


def _is_pending_twin(entry: MigrationStatus, row: Applied) -> bool:
    migration = entry.migration
    return migration is not None and entry.applied is None and migration.file.checksum == row.checksum


def _cannot_forget(entry: MigrationStatus) -> ConfigurationError:
    if entry.applied is None:
        message = f"{entry.id} is {entry.state.value}: nothing is recorded of it, so there is nothing to forget."
        return ConfigurationError(message, remedy="Look at all of them: python manage.py sqlmigrate_status")
    message = f"{entry.id} is {entry.state.value} and its file is here: forgotten, it would be run again."
    remedy = "Look at all of them: python manage.py sqlmigrate_status"
    if entry.state is State.MODIFIED:
        remedy = f"Restore the file, or record it as it is: {repair('accept', entry.id)}"
    return ConfigurationError(message, remedy=remedy)
