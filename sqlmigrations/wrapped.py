"""A file that a Django migration applies: whether it may be applied there now, and with it what it needs at once."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from sqlmigrations import graph, halves, planning, waiting
from sqlmigrations.exceptions import ConfigurationError, IntegrityError, PartialMigration, SqlMigrationsError
from sqlmigrations.guidance import APPLY, migrate
from sqlmigrations.integrity import Comparison
from sqlmigrations.loader import Loaded
from sqlmigrations.masking import mask_finding
from sqlmigrations.parser import Script, outline, parse
from sqlmigrations.pending import Terms, belongs, unknown_alias
from sqlmigrations.plan import Plan
from sqlmigrations.target import unknown_label
from sqlmigrations.types import (
    TRACKING_LABEL,
    Direction,
    DjangoMigration,
    Finding,
    MigrationStatus,
    Mode,
    Severity,
    SqlMigration,
    State,
)

_NOT_THERE = frozenset((State.PENDING, State.LATE, State.PARTIAL))
_SETTLED = frozenset((State.APPLIED, State.REFORMATTED))


@dataclass(frozen=True, slots=True)
class Wrapper:
    """The Django migration that applies a file.

    Attributes:
        app: The label of its app.
        name: Empty where it cannot be told.
        replaces: What it stands for after squashing, as app and name.
        siblings: The names of all migrations of the app; empty where they cannot be told.
        in_transaction: Whether the file is to run within a transaction of Django's.
        is_atomic: Whether the migration itself has opened it; otherwise a caller of ``migrate`` has.
        before: The migration of the app that it follows; ``zero`` where it is the first.
    """

    app: str
    name: str = ""
    replaces: tuple[tuple[str, str], ...] = ()
    siblings: frozenset[str] = frozenset()
    in_transaction: bool = True
    is_atomic: bool = True
    before: str = "zero"

    @property
    def id(self) -> str:
        """As Django writes it: ``shop.0004_x``."""
        return f"{self.app}.{self.name or '?'}"

    @property
    def back_to(self) -> str:
        """What is left in force when it is taken back: ``shop.0003_y``, or ``shop.zero``."""
        return f"{self.app}.{self.before}"

    @property
    def remedy(self) -> str:
        """How it comes to be none in a transaction."""
        if self.is_atomic:
            return f"Write  atomic = False  into the class Migration of {self.id}."
        return "Call migrate outside of transaction.atomic(); in tests use a TransactionTestCase."

    def command(self, direction: Direction = Direction.FORWARD) -> str:
        """What is typed to try again."""
        return migrate(self.app, self.before if direction is Direction.BACKWARD else "")

    def is_meant(self, named: DjangoMigration) -> bool:
        """Whether a ``runs-in:`` line names it, or one it replaces, or one that went when a squash was cleaned up."""
        if named.app != self.app or not self.name:
            return named.app == self.app
        is_gone = bool(self.siblings) and named.name not in self.siblings
        return named.name == self.name or (named.app, named.name) in self.replaces or is_gone


def find(loaded: Loaded, label: str, name: str) -> SqlMigration:
    """The file an operation names.

    Raises:
        ConfigurationError: There is no such label or file.
    """
    labels = [source.label for source in loaded.sources]
    if label not in labels:
        raise unknown_label(label, labels)
    if (migration := loaded.find(label, name)) is not None:
        return migration
    names = [migration.name for migration in loaded.migrations if migration.label == label]
    near = difflib.get_close_matches(name, names, n=1)
    remedy = f"Did you mean {near[0]}?" if near else f"Its newest are: {', '.join(names[-5:]) or 'none'}."
    folder = next(source.folder for source in loaded.sources if source.label == label)
    message = f"ApplySQL names {label}.{name}, and there is no {name}.sql in {folder}. Nothing was changed."
    raise ConfigurationError(message, remedy=f"{remedy} Correct the name in the migration, or bring the file back.")


def build(
    loaded: Loaded, comparison: Comparison, migration: SqlMigration, terms: Terms, wrapper: Wrapper
) -> Plan | None:
    """The plan of one file, behind those that make the tracking tables where these are not there yet.

    Returns:
        ``None`` when it is recorded already, or for another database: there is nothing to do.

    Raises:
        SqlMigrationsError: It may not be applied; nothing was changed.
    """
    entry = next(entry for entry in comparison.entries if entry.migration is migration)
    script = parse(migration)
    if entry.state in _SETTLED or _is_for_another(script, terms):
        return None
    own = [e.migration for e in comparison.entries if e.label == TRACKING_LABEL and e.state in _NOT_THERE]
    _refuse_unsound(loaded, comparison, script, terms)
    _refuse_wrapper(script, wrapper)
    _refuse_half_done(entry, script, wrapper)
    _refuse_waiting(comparison, script, terms)
    _refuse_unmet(script, terms, wrapper)
    if entry.progress is not None:
        script = script.gone_on_with()
    scripts = [*(parse(each) for each in own if each), script]
    plan = planning.compose(scripts, comparison, terms, planning.late([script], comparison, terms))
    if (refusal := plan.refusal()) is not None:
        raise refusal
    refuse_mode(script, wrapper)
    return plan


def _is_for_another(script: Script, terms: Terms) -> bool:
    """Whether it is for another database, which there is."""
    return not belongs(script, terms) and not unknown_alias(script, terms)


def _refuse_unsound(loaded: Loaded, comparison: Comparison, script: Script, terms: Terms) -> None:
    """What is wrong with the files of its label, with its record, and with its directives."""
    migration = script.migration
    label = f"{migration.label}."
    found = [f for f in loaded.findings if not f.migration or f.migration.startswith(label)]
    found += [f for f in comparison.findings if f.severity is Severity.ERROR and f.migration.startswith(label)]
    known = {entry.id for entry in comparison.entries}
    found += [*script.faults, *unknown_alias(script, terms)]
    found += [*graph.resolve([script], known)[1], *halves.dependents([script], comparison.entries)]
    if terms.django is not None:
        # Where it runs is seen to by what runs it.
        found += waiting.faults([script], [migration.id], terms.django, terms.database)
    secrets = terms.credentials | planning.passwords(script) if found else frozenset()
    found = [mask_finding(finding, secrets) for finding in found]
    if any(f.rule == "partial" and f.migration == migration.id for f in found):
        raise PartialMigration("A migration is half done; nothing was changed.", findings=found)
    if found:
        what = f"The files of {migration.label} are not in order, or do not agree with what is recorded"
        raise IntegrityError(f"{what}; nothing was changed.", findings=found)


def _refuse_wrapper(script: Script, wrapper: Wrapper) -> None:
    """The file has to say that it is this migration's, or the command would apply it as well."""
    named, location = script.directives.runs_in, script.migration.file.location
    line = f"-- runs-in: django:{wrapper.app}.{wrapper.name or 'NAME'}"
    if named is None:
        message = f"{wrapper.id} applies it, but the file does not say so: sqlmigrate_apply would apply it as well."
        remedy = f"Write as the first line of {location}:  {line}"
        raise _refused(script, wrapper, "runs-in", message, remedy, None)
    if not wrapper.is_meant(named):
        message = f"It says that {named.app}.{named.name} applies it, and {wrapper.id} is about to."
        remedy = f"Correct the line to  {line}   or take ApplySQL out of {wrapper.id}."
        raise _refused(script, wrapper, "runs-in", message, remedy, named.line)


def _refuse_half_done(entry: MigrationStatus, script: Script, wrapper: Wrapper) -> None:
    if entry.state is State.PARTIAL and wrapper.in_transaction:
        message = "An earlier run has left it half done; it cannot be gone on with in a transaction."
        remedy = f"Write  atomic = False  into {wrapper.id}, and run  {wrapper.command()}  again."
        raise _refused(script, wrapper, "partial", message, remedy, None)


def refuse_mode(script: Script, wrapper: Wrapper) -> None:
    """What cannot be done in a transaction that is Django's."""
    if not wrapper.in_transaction or (script.mode is Mode.TRANSACTION and script.isolation in ("", "READ WRITE")):
        return
    message = "It runs statement by statement, outside of a transaction; the migration is one."
    if script.mode is Mode.TRANSACTION:
        message = f"It asks for a transaction of its own ({script.isolation}); the migration's has begun already."
    raise _refused(script, wrapper, "non-transactional", message, wrapper.remedy, None)


def _refuse_waiting(comparison: Comparison, script: Script, terms: Terms) -> None:
    """What it waits for has to be applied: nothing else is pulled in."""
    waited_for = [outline(each) for each in _before(comparison, script)]
    here = [each for each in waited_for if not _is_for_another(each, terms)]
    if not here:
        return
    names = ", ".join(each.migration.id for each in here)
    verb = "is" if len(here) == 1 else "are"
    raise IntegrityError(
        f"{script.migration.id} waits for {names}, which {verb} not applied. Nothing was changed.",
        remedy="\n".join(_commands(here)),
    )


def _refuse_unmet(script: Script, terms: Terms, wrapper: Wrapper) -> None:
    """What it depends on among Django's own migrations."""
    found = waiting.unmet([script], terms.django, terms.database) if terms.django else []
    if not found:
        return
    what = f"{script.migration.id} waits for migrations of Django's that are not applied. Nothing was changed."
    named = " and ".join(f'("{d.app}", "{d.name}")' for d in script.directives.django_depends)
    remedy = f"So that migrate keeps to the order, write into the dependencies of {wrapper.id}: {named}"
    raise IntegrityError(what, remedy=remedy, findings=found)


def _before(comparison: Comparison, script: Script) -> Iterator[SqlMigration]:
    """The lower numbers of its label and what its ``depends:`` lines name, as far as they are not applied."""
    migration = script.migration
    named = {f"{d.label or migration.label}.{d.name}" for d in script.directives.depends}
    for entry in comparison.entries:
        each = entry.migration
        if each is None or entry.state not in _NOT_THERE:
            continue
        if entry.id in named or (each.label == migration.label and each.version < migration.version):
            yield each


def _commands(waited_for: Iterable[Script]) -> list[str]:
    """What to type so that they are applied: a later one of a label brings the earlier ones."""
    commands: dict[str, str] = {}
    for each in waited_for:
        migration, wrapper = each.migration, each.directives.runs_in
        key, command = migration.label, f"{APPLY} {migration.label} {migration.digits}"
        if wrapper is not None:
            key, command = wrapper.id, migrate(wrapper.app, wrapper.name)
        commands[key] = command
    return list(commands.values())


def _refused(
    script: Script, wrapper: Wrapper, rule: str, message: str, remedy: str, line: int | None
) -> SqlMigrationsError:
    migration = script.migration
    finding = Finding(rule, Severity.ERROR, message, remedy, migration.id, migration.file.location, line)
    return IntegrityError(f"{wrapper.id} cannot apply {migration.id}; nothing was changed.", findings=[finding])
