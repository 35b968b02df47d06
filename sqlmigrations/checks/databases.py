"""The database checks: what the ledger of a database says beside the files; a server that is away is a warning."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from django.core import checks
from django.db import connections

from sqlmigrations import conf
from sqlmigrations.checks.identifiers import message, warning
from sqlmigrations.exceptions import ForeignTable, SqlMigrationsError
from sqlmigrations.guidance import APPLY, STATUS, on
from sqlmigrations.types import Severity, State, Status

# Rules of what is told together; of what is told one by one; what is wrong with files alone the static checks tell.
_TOGETHER = {"modified": "W002", "renamed": "W002", "late": "W008"}
_ONE_BY_ONE = {"django-graph": "W003", "faked": "W010", "unapplied-dependency": "W012"}
_TEXTS = {
    "W002": "SQL migrations that were changed since they were applied",
    "W007": "SQL migrations that are applied, and whose files are gone",
    "W008": "SQL migrations that are pending, below a number that is applied",
}
# So many are named, of however many there are.
_NAMED = 20
_TRY_AGAIN = "python manage.py check --tag sqlmigrations"
_HINTS = {
    "W002": "See what was changed, and what to do: python manage.py sqlmigrate_status -v 2{option}",
    "W007": "See how to get them back: python manage.py sqlmigrate_status{option}",
    "W008": "See how they may run: python manage.py sqlmigrate_apply --plan{option}",
}


def check_databases(databases: Sequence[str] | None = None, **_: Any) -> list[checks.CheckMessage]:
    """Pending, changed, gone and half-done migrations of the databases asked for; never raises when one is away."""
    return [found for alias in ours(databases) for found in _check_database(alias)]


def ours(databases: Sequence[str] | None) -> list[str]:
    """Which of the databases asked for can have a ledger; none while the settings are not in order."""
    if not databases or conf.problems():
        return []
    known = conf.databases(conf.load())
    return [alias for alias in databases if alias in known and connections[alias].vendor == "postgresql"]


def _check_database(alias: str) -> list[checks.CheckMessage]:
    # For start-up: it is needed only where a database is asked for.
    from sqlmigrations.executor import Executor

    try:
        status = Executor(alias).status()
    except ForeignTable as error:
        return [warning("W009", error.message, error.remedy, alias)]
    except SqlMigrationsError as error:
        # What the command line has for those who wait is no option of a check.
        hint = f"{error.remedy.partition(' To wait for it:')[0]} Try again: {_TRY_AGAIN} --database {alias}".strip()
        return [warning("W003", error.message, hint, alias)]
    return [
        *_disagreeing(status, alias),
        *_to_be_run(status, alias),
        # Only of what is pending: a file that was run by hand and recorded is in order.
        *(message(checks.Warning, "W004", danger, alias) for danger in status.dangers),
    ]


def _disagreeing(status: Status, alias: str) -> Iterator[checks.CheckMessage]:
    named: dict[str, list[str]] = {}
    for finding in status.findings:
        if finding.severity is Severity.ERROR and finding.rule in _TOGETHER:
            named.setdefault(_TOGETHER[finding.rule], []).append(finding.migration)
    if gone := [entry.id for entry in status.migrations if entry.state is State.MISSING]:
        named["W007"] = gone
    for check_id, names in sorted(named.items()):
        hint = _HINTS[check_id].format(option=on(alias))
        yield warning(check_id, f"{_TEXTS[check_id]}: {_listed(names)}.", hint, alias)
    for finding in status.findings:
        if finding.rule in _ONE_BY_ONE:
            yield message(checks.Warning, _ONE_BY_ONE[finding.rule], finding, alias)


def _to_be_run(status: Status, alias: str) -> Iterator[checks.CheckMessage]:
    faked = {finding.migration for finding in status.findings if finding.rule == "faked"}
    unmet = [finding.remedy for finding in status.findings if finding.rule == "unapplied-dependency"]
    commands = _in_turn(status, faked, f"{APPLY}{on(alias)}")
    if pending := [entry for entry in status.migrations if entry.state in (State.PENDING, State.LATE)]:
        hint = " && ".join(dict.fromkeys(unmet)) + (" && " if unmet else "") + " && ".join(commands[State.PENDING])
        yield warning("W001", f"SQL migrations that are pending: {len(pending)}.", f"Apply them: {hint}", alias)
    if halves := [entry.id for entry in status.migrations if entry.state is State.PARTIAL]:
        hint = f"See how far they came: {STATUS}{on(alias)}"
        yield warning("W006", f"SQL migrations that are half done: {_listed(halves)}.", hint, alias)
    if waiting := [entry for entry in status.migrations if entry.state is State.WAITING and entry.id not in faked]:
        hint = f"Apply them: {' && '.join(commands[State.WAITING])}"
        names = _listed([entry.id for entry in waiting])
        yield warning("W011", f"SQL migrations that migrations of Django's are to apply: {names}.", hint, alias)


def _listed(names: Sequence[str]) -> str:
    """The first of them: who has to read a thousand names turns to the command in the hint."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def _in_turn(status: Status, faked: Collection[str], apply: str) -> dict[State, list[str]]:
    """What to type one after the other until nothing is pending, and until nothing is waiting.

    What comes after a file that Django applies is held back until then, and Django's next file may come after that.
    """
    turn: list[str] = []
    until: dict[State, list[str]] = {State.PENDING: [], State.WAITING: []}
    for entry in status.migrations:
        if entry.state is State.WAITING and entry.hold and entry.id not in faked:
            command, what = entry.hold.command, State.WAITING
        elif entry.state in (State.PENDING, State.LATE):
            command, what = apply, State.PENDING
        else:
            continue
        turn += [command] if turn[-1:] != [command] else []
        until[what] = list(turn)
    return until
