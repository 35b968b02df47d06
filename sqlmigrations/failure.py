"""The reports of failed migrations: place, excerpt with a caret, what the server said, what to do; secrets masked."""

from __future__ import annotations

import re
from dataclasses import replace

from sqlmigrations.exceptions import MigrationFailed, OutcomeUnknown
from sqlmigrations.excerpts import around
from sqlmigrations.guidance import APPLY, advice
from sqlmigrations.masking import mask
from sqlmigrations.plan import Step
from sqlmigrations.sql.scanner import Statement, TokenKind, position
from sqlmigrations.types import Blocker, Direction, Finding, ServerError, Severity

_INDENT = re.compile(r"[ \t]*")
# In details of class 23, whatever the language: "Key (email)=(ada@example.org) already exists", "Failing row contains
# (1, Ada, null)". A value can hold parentheses: the last one closes it.
_VALUES = re.compile(r"(?<=\)=)\(.*\)|(?<=\) = )\(.*\)|\((?![^()]*\) ?= ?\().*\)", re.DOTALL)
# Servers quote names as their language does.
_QUOTED = re.compile(r"[\"»«„“]\s?([^\"»«„“”]+?)\s?[\"»«“”]")
# Where in a context the server counts the lines of a DO block's code, or of COPY's data, in any language.
_IN_BLOCK = re.compile(r"inline_code_block\D+(\d+)")
_IN_DATA = re.compile(r"^COPY .*?, \D+(\d+)", re.MULTILINE)
# What ends a statement that waits for others, statement_timeout and a cancel among it.
_OF_WAITING = frozenset({"55P03", "40P01", "40001", "57014"})
# What a way back finds gone that was undone before: index, table, column, function, schema.
_ABSENT = frozenset({"42704", "42P01", "42703", "42883", "3F000"})
_GUARD = f"If it was undone before, write IF EXISTS, so that the way back can be repeated. Then run  {APPLY}"
# Class 23: integrity constraint violation.
_CONSTRAINTS = "23"


def report(
    step: Step, statement: Statement | None, server: ServerError, blockers: tuple[Blocker, ...] = ()
) -> MigrationFailed:
    """The error for a file that was rolled back.

    Args:
        step: What failed.
        statement: Where; ``None`` when it was a check at the end of the file.
        server: What the server said.
        blockers: Who has just been seen in the way of the statement.
    """
    migration, secrets = step.migration, step.secrets
    said = masked(server, secrets)
    line, column = _place(statement, server)
    message = f"{step.spoken} failed and was rolled back."
    if statement is None and server.sqlstate.startswith(_CONSTRAINTS):
        message = f"{step.spoken} broke a constraint that is checked at its end, and was rolled back."
    finding = Finding("failed", Severity.ERROR, said.message, "", migration.id, migration.file.location, line, column)
    shown = "" if line is None else around(migration.file.text, line, column or 1, secrets)
    blockers = blockers if server.sqlstate in _OF_WAITING else ()
    told = _GUARD if step.direction is Direction.BACKWARD and server.sqlstate in _ABSENT else advice(server, blockers)
    remedy = told.replace("LABEL NUMBER", f"{migration.label} {migration.digits}")
    failure = MigrationFailed(message, finding=finding, excerpt=shown, server=said, remedy=remedy)
    failure.blockers = blockers
    return failure


def masked(server: ServerError, secrets: frozenset[str]) -> ServerError:
    """What the server said, without the secrets of a file and without the values of anybody's rows."""
    detail = mask(server.detail, secrets)
    return replace(
        server,
        message=mask(server.message, secrets),
        detail=_VALUES.sub("(...)", detail, count=1) if server.sqlstate.startswith(_CONSTRAINTS) else detail,
        hint=mask(server.hint, secrets),
        context=mask(server.context, secrets),
    )


def _place(statement: Statement | None, server: ServerError) -> tuple[int | None, int | None]:
    if statement is None:
        return None, None
    if server.position is not None:
        return position(statement.source, statement.start + server.position - 1)
    inside = _inside(statement, server.context)
    return position(statement.source, _mentioned(statement, server.message) if inside is None else inside)


def _inside(statement: Statement, context: str) -> int | None:
    """The line within a DO block, or within the data of a COPY, which the server counts for itself."""
    if statement.data is not None:
        lines, start = _IN_DATA.findall(context), statement.data[0]
    else:
        body = (t.start for t in statement.tokens() if t.kind in (TokenKind.DOLLAR, TokenKind.STRING))
        lines, start = _IN_BLOCK.findall(context), next(body, statement.start)
    if not lines:
        return None
    for _ in range(int(lines[-1]) - 1):
        start = statement.source.find("\n", start) + 1
    indent = _INDENT.match(statement.source, start)
    return indent.end() if indent else start


def _mentioned(statement: Statement, message: str) -> int:
    """Where the statement names what the message is about: most errors of DDL come without a position."""
    names = _QUOTED.findall(message)
    for name in names[:1]:
        for token in statement.tokens():
            if token.value == name and token.kind in (TokenKind.WORD, TokenKind.IDENTIFIER):
                return token.start
    return statement.start


def excerpt(step: Step, statement: Statement) -> str:
    """The lines around the beginning of a statement."""
    return around(step.migration.file.text, statement.line, statement.column, step.secrets)


def outcome_unknown(step: Step) -> OutcomeUnknown:
    """The error for a file whose COMMIT was sent and never answered."""
    return OutcomeUnknown(
        f"The connection broke while {step.migration.id} was being committed, and the server did not answer again: "
        "it is applied wholly or not at all.",
        remedy="When the server is back, look:  python manage.py sqlmigrate_status",
    )


def transaction_ended(step: Step) -> MigrationFailed:
    """The error for a file that ended the transaction it was run in."""
    return MigrationFailed(
        f"{step.spoken} ended the transaction it ran in, by a COMMIT or ROLLBACK in it; it was not recorded.",
        finding=_about(step, "transaction-control", "The transaction ended inside the file."),
        kept="What stood before a ROLLBACK was undone, what stood before a COMMIT took effect; what came after either "
        "took effect as well, unless AND CHAIN stood there.",
        remedy="Remove the COMMIT or ROLLBACK from the file, undo what took effect, and run  "
        "python manage.py sqlmigrate_apply",
    )


def row_removed(step: Step) -> MigrationFailed:
    """The error for a file that took away the row in which it was being recorded."""
    return MigrationFailed(
        f"{step.spoken} removed its own row from schema_migrations, and was rolled back.",
        finding=_about(step, "failed", "It removed the row in which it was being recorded."),
        remedy="Leave the row in state 'running' where it is, then run  python manage.py sqlmigrate_apply",
    )


def _about(step: Step, rule: str, message: str) -> Finding:
    migration = step.migration
    return Finding(rule, Severity.ERROR, message, "", migration.id, migration.file.location)
