"""What a pooler between the runner and the server means for a plan: a note, or a refusal of what could not hold."""

from __future__ import annotations

from dataclasses import replace

from sqlmigrations.exceptions import ConfigurationError, UnsafePlan
from sqlmigrations.plan import Plan, Step
from sqlmigrations.types import Finding, Mode, Pooling, Severity

_SEEN = (
    "Proxied: a pooler stands between, which lends a server process for each transaction. Files that run in one "
    "transaction are safe behind it."
)


def behind(plan: Plan, pooling: Pooling, database: str) -> Plan:
    """The plan as it stands behind what was met on the way to the server.

    Args:
        plan: Made of files and ledger.
        pooling: What was met.
        database: The alias, for the settings that help.
    """
    plan = replace(plan, pooling=pooling)
    if pooling is not Pooling.TRANSACTION or not plan.steps:
        return plan
    note = Finding("proxied", Severity.NOTE, _SEEN)
    refused = (_refusal(step, database) for step in plan.steps if step.script.mode is Mode.STATEMENTS)
    return replace(plan, warnings=(*plan.warnings, note), dangers=(*plan.dangers, *refused))


def session_lost(database: str, step: Step, before: int, now: int) -> UnsafePlan:
    """The error for a pooler that passes on the server's process id, or is declared to keep sessions and does not."""
    return UnsafePlan(
        f"The server process of this connection was {before} and is {now}: a pooler stands between that was not "
        f"recognised, or that SESSION_POOLED is wrong about. {step.migration.id} was not begun; those before it are "
        "recorded.",
        remedy=f"Let the runner connect past the pooler, by an alias that leads to the server itself:  "
        f"{direct_setting(database)}",
    )


def statements_pooled(database: str) -> ConfigurationError:
    """The error for a pooler that takes the server process away after every statement."""
    return ConfigurationError(
        f"The pooler before {database!r} ends every connection that opens a transaction: it pools statements "
        "(pool_mode = statement), and no lock can be held there. Nothing was changed.",
        remedy=f"Let the runner connect past the pooler, by an alias that leads to the server itself:  "
        f"{direct_setting(database)}\nOr set pool_mode = transaction in the pooler.",
    )


def direct_setting(database: str) -> str:
    """The setting that leads the runner past a pooler, with the user's own alias in it."""
    return f'SQLMIGRATIONS["DIRECT"] = {{"{database}": "{database}_direct"}}'


def _refusal(step: Step, database: str) -> Finding:
    message = (
        "It runs statement by statement, outside a transaction, and a pooler that lends a server process for each "
        "transaction stands between: what guards such a file would be lost on the way."
    )
    remedy = (
        f"Let the runner connect past the pooler, by an alias that leads to the server itself:  "
        f"{direct_setting(database)}\n"
        f"If the pooler leaves its clients one server connection each (pool_mode = session), say so:  "
        f'SQLMIGRATIONS["SESSION_POOLED"] = ["{database}"]'
    )
    migration = step.migration
    return Finding("transaction-pooler", Severity.ERROR, message, remedy, migration.id, migration.file.location)
