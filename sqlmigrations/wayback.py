"""The way back of a file that a Django migration takes back: which text it is, and whether it may run now."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from sqlmigrations import planning
from sqlmigrations.exceptions import IntegrityError, Irreversible, PartialMigration
from sqlmigrations.guidance import on, repair
from sqlmigrations.integrity import Comparison, compare
from sqlmigrations.loader import Loaded
from sqlmigrations.masking import mask
from sqlmigrations.parser import Script, parse
from sqlmigrations.pending import Terms
from sqlmigrations.plan import Plan
from sqlmigrations.retreat import Retreat, retreat
from sqlmigrations.text import checksum
from sqlmigrations.types import Applied, Direction, Mode, Progress, SqlFile, SqlMigration
from sqlmigrations.wrapped import Wrapper, refuse_mode

_EMPTY = "holds no statement; where nothing has to be undone, write SELECT 1; into it"
_PLAIN = re.compile(r'"([a-z_][a-z0-9_]*)"')
# An event keeps the row: one that only vanished would be a fault to a check.
_UNRECORDED = (
    "WITH gone AS (DELETE FROM {ledger} WHERE label = '{label}' AND key = '{key}' RETURNING *) "
    "INSERT INTO {events} (run_id, event, label, key, name, os_user, host, pid, detail) "
    "SELECT gen_random_uuid(), 'rolled_back', label, key, name, session_user, 'psql', pg_backend_pid(), "
    "jsonb_build_object('row', to_jsonb(gone)) FROM gone"
)
_ALONE = "runs statement by statement, outside of a transaction"


def row_of(rows: Iterable[Applied], label: str, name: str) -> Applied | None:
    """The record of a file, whatever it is called by now; its number tells."""
    digits = name.partition("_")[0]
    key = str(int(digits)) if digits.isdecimal() else name
    return next((row for row in rows if (row.label, row.key) == (label, key)), None)


def obstacle(script: Script, wrapper: Wrapper | None = None) -> str:
    """Why a file cannot be undone, as far as the files tell; empty when it can.

    Args:
        script: The file.
        wrapper: The Django migration that takes it back, where that is known.
    """
    if script.directives.irreversible:
        return f"it says  -- irreversible: {mask(script.directives.irreversible, planning.passwords(script))}"
    migration = script.migration
    if migration.down is None:
        return f"there is no {migration.name}.down.sql beside it"
    way = parse(replace(migration, file=migration.down, down=None))
    if not way.statements:
        return f"{migration.name}.down.sql {_EMPTY}"
    if way.mode is not Mode.STATEMENTS or wrapper is None or not wrapper.in_transaction:
        return ""
    return f"{migration.name}.down.sql {_ALONE}, and {wrapper.id} is one; write  atomic = False  into its class"


def kept_file(body: str, row: Applied) -> SqlFile:
    """A way back whose file is gone, as it was kept beside the record."""
    total = checksum(body)
    return SqlFile(f"{row.name}.down.sql", f"{row.name}.down.sql (kept beside its record)", body, total, total)


def build(
    loaded: Loaded,
    names: Mapping[str, str],
    rows: Sequence[Applied],
    row: Applied,
    down: SqlFile | None,
    terms: Terms,
    wrapper: Wrapper,
) -> Plan:
    """The plan that undoes one file.

    Args:
        loaded: The files.
        names: The tracking tables in SQL, as of the ledger.
        rows: What is recorded.
        row: What is undone.
        down: Its way back, of the file or as it was kept.
        terms: What the settings allow.
        wrapper: The Django migration that takes it back.

    Raises:
        Irreversible: There is no way back, or none in a transaction.
        IntegrityError: Others came after it and are in force.
        PartialMigration: It is half done.
        SqlMigrationsError: Its way back is not fit to run. Nothing was changed, whichever it is.
    """
    begun = retreat(row)
    text = _required(row, begun, down)
    _refuse_overtaken(loaded, names, rows, row, terms)
    script = parse(SqlMigration(row.label, row.version or 0, row.name, text))
    plan = _sound(script, row, replace(compare(loaded, rows), newest={}), terms)
    if begun is not None:
        script = script.gone_on_with()
    _refuse_within(script, row, wrapper)
    (step,) = plan.steps
    progress = None if begun is None else _progress(script, begun)
    return replace(plan, steps=(replace(step, script=script, direction=Direction.BACKWARD, progress=progress),))


def _required(row: Applied, begun: Retreat | None, down: SqlFile | None) -> SqlFile:
    """The way back, where there is one and it is for somebody to go."""
    if row.is_half_done and begun is None:
        raise PartialMigration(
            f"{row.id} is half done, so it cannot be undone as a whole. Nothing was changed.",
            remedy=f"When nothing of it is there, or you have undone it: {repair('resolve', row.id, '--redo')}",
        )
    if reason := row.metadata.get("irreversible"):
        raise Irreversible(f"{row.id} cannot be undone: it says  -- irreversible: {reason} . Nothing was changed.")
    if down is None:
        raise Irreversible(
            f"{row.id} cannot be undone: there is no {row.name}.down.sql, and none was kept. Nothing was changed.",
            remedy=f"Write {row.name}.down.sql beside it.",
        )
    return down


def _sound(script: Script, row: Applied, comparison: Comparison, terms: Terms) -> Plan:
    """The plan, where the way back holds something and may be run."""
    if not script.statements and not script.faults:
        raise Irreversible(f"{row.id} cannot be undone: its way back {_EMPTY}. Nothing was changed.")
    plan = planning.compose([script], comparison, terms, script.faults)
    if (refusal := plan.refusal()) is not None:
        refusal.message = f"The way back of {row.id} is not fit to run; nothing was changed."
        raise refusal
    return plan


def _refuse_within(script: Script, row: Applied, wrapper: Wrapper) -> None:
    """What cannot be done in a transaction that is Django's."""
    if script.mode is Mode.STATEMENTS and wrapper.in_transaction:
        raise Irreversible(
            f"{row.id} cannot be undone in {wrapper.id}: its way back {_ALONE}, and the migration is one. "
            "Nothing was changed.",
            remedy=wrapper.remedy,
        )
    refuse_mode(script, wrapper)


def _progress(script: Script, begun: Retreat) -> Progress:
    done, statements = begun.done_of(script.statements), script.statements
    return Progress(done, len(statements), statements[done].line if done < len(statements) else None, has_stopped=True)


def _refuse_overtaken(
    loaded: Loaded, names: Mapping[str, str], rows: Sequence[Applied], row: Applied, terms: Terms
) -> None:
    """Going back is newest first: what came after it may be built on it."""
    above = [each for each in rows if each.label == row.label and (each.version or 0) > (row.version or 0)]
    if not above:
        return
    listed = ", ".join(each.id for each in above)
    newest = loaded.find(above[-1].label, above[-1].name)
    remedy = "Undo them first, the newest first."
    if newest is not None and newest.down is not None:
        remedy = f"{remedy} Of {newest.id}:\n{_by_hand(newest.down, newest, names, terms.database)}"
    raise IntegrityError(
        f"{listed} came after {row.id} and {'is' if len(above) == 1 else 'are'} applied. Nothing was changed.",
        remedy=remedy,
    )


def _by_hand(down: SqlFile, migration: SqlMigration, names: Mapping[str, str], database: str) -> str:
    """The command that undoes a file and its record in one transaction."""
    # It stands between double quotes of the shell: plain names go without any, others have them escaped.
    named = {word: _PLAIN.sub(r"\1", name).replace('"', r"\"") for word, name in names.items()}
    unrecord = _UNRECORDED.format(label=migration.label, key=migration.key, **named)
    file = shlex.quote(down.location)
    return f'python manage.py dbshell{on(database)} -- -v ON_ERROR_STOP=1 -1 -f {file} -c "{unrecord}"'
