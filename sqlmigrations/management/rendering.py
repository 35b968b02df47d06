"""How values look to people and in JSON: errors, findings, plans, durations."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

from sqlmigrations.exceptions import MigrationFailed, SqlMigrationsError
from sqlmigrations.glimpses import portrait, taken
from sqlmigrations.guidance import APPLY, on
from sqlmigrations.plan import Plan, Step
from sqlmigrations.types import Finding, Hold, MigrationStatus, Mode, Outcome, Progress, Severity

_SHOWN = 5
_BRIEF = "1 s above deadlock_timeout"
# In any language. The other lines of a context quote statements and rows, with anybody's values in them.
_FUNCTION = re.compile(r"[^\"'«»„]*\bPL/\w+|SQL function ")


def error_text(error: SqlMigrationsError) -> str:
    """An error as a person reads it: what, where, the state of the database, what next."""
    parts = [error.message]
    if isinstance(error, MigrationFailed):
        parts.append(_indented(_place_and_words(error)))
    parts += [_indented(finding_lines(finding)) for finding in error.findings]
    closing = [error.kept] if error.kept else []
    if error.remedy:
        closing += f"Next: {error.remedy}".split("\n")
    if closing:
        parts.append(_indented(closing))
    return _printable("\n\n".join(parts))


def finding_lines(finding: Finding) -> list[str]:
    """A finding in a few lines: place and rule, excerpt, message, remedy."""
    where = finding.place or finding.migration
    head = f"{where}  [{finding.rule}]" if where else f"[{finding.rule}]"
    shown = [f"  {line}" for line in finding.excerpt.split("\n")] if finding.excerpt else []
    lines = [head, *shown, f"  {finding.message}"]
    if finding.remedy:
        word = "Next" if finding.severity is Severity.ERROR else "Safer"
        lines += [f"  {word}: {finding.remedy}".replace("\n", "\n    ")]
    return lines


def findings_text(title: str, findings: Sequence[Finding]) -> str:
    """A titled list of findings."""
    told = "\n".join([title, *(line for finding in findings for line in _prefixed(finding_lines(finding)))])
    return _printable(told)


def _printable(text: str) -> str:
    """Files and servers may say what a terminal obeys; as many characters, so that a caret stays where it points."""
    return text if text.isprintable() else "".join(c if c.isprintable() or c in "\n\t" else "?" for c in text)


def plan_lines(plan: Plan) -> Iterator[str]:
    """What ``--plan`` prints: order, mode, statements, timeouts, rollback."""
    if not plan.steps:
        yield "  No planned migrations."
    for step in plan.steps:
        count = len(step.script.statements)
        facts = [
            "in one transaction" if step.script.mode is Mode.TRANSACTION else "statement by statement",
            f"{count} statement{'' if count == 1 else 's'}",
            f"lock timeout {_lock_timeout(step)}",
            f"statement timeout {_timeout(step.statement_timeout_ms, 'as the role has')}",
            "rollback ready" if _rollback_ready(step) else "no rollback",
        ]
        if step.late:
            facts.insert(0, "late")
        if step.progress is not None:
            facts.insert(0, f"resumes at statement {step.progress.done + 1}{_line(step.progress)}")
        yield f"  {step.migration.id}"
        yield f"      {', '.join(facts)}"


def held_lines(held: Sequence[MigrationStatus], database: str) -> Iterator[str]:
    """What a run leaves alone: which files ``migrate`` applies, what comes after each, and what to type."""
    held_back: dict[Hold, list[str]] = {}
    for entry in held:
        if entry.hold is not None:
            held_back.setdefault(entry.hold, []).extend([entry.id] if entry.hold.by != entry.id else [])
    for hold, others in held_back.items():
        behind = f"; {_listed(others)} {'wait' if len(others) > 1 else 'waits'} for it" if others else ""
        yield f"{hold.by} is applied by migrate ({hold.django.id}){behind}."
    for first in list(held_back)[:1]:
        again = f"   and then  {APPLY}{on(database)}" if any(held_back.values()) else ""
        yield f"Next: {first.command}{again}"


def held_document(entry: MigrationStatus) -> dict[str, object]:
    """A file that a run leaves alone, as JSON carries it."""
    next_command = entry.hold.command if entry.hold else ""
    return {"id": entry.id, "state": entry.state.value, "waits_for": waits_for(entry), "next": next_command}


def waits_for(entry: MigrationStatus) -> str | None:
    """The migration of Django's that applies it, or the file before it that waits for one."""
    if entry.hold is None:
        return None
    return entry.hold.django.id if entry.hold.by == entry.id else entry.hold.by


def _listed(names: Sequence[str]) -> str:
    *first, last = names if len(names) <= _SHOWN else [*names[:_SHOWN], f"{len(names) - _SHOWN} more"]
    return f"{', '.join(first)} and {last}" if first else last


def error_document(error: SqlMigrationsError) -> dict[str, object]:
    """An error as JSON carries it."""
    described: dict[str, object] = {
        "type": type(error).__name__,
        "message": error.message,
        "kept": error.kept,
        "next": error.remedy,
        "findings": [finding_document(finding) for finding in error.findings],
    }
    if isinstance(error, MigrationFailed):
        described |= {"migration": error.finding.migration, "file": error.finding.location}
        described |= {"line": error.finding.line, "column": error.finding.column}
        described |= {"attempts": error.attempts, "blockers": [asdict(blocker) for blocker in error.blockers]}
        described |= {"sqlstate": error.server.sqlstate, "server": error.server.message} if error.server else {}
    return {"result": "error", "exit_code": int(error.exit_code), "error": described}


def finding_document(finding: Finding) -> dict[str, object]:
    """A finding as JSON carries it."""
    return {
        "rule": finding.rule,
        "severity": finding.severity.value,
        "migration": finding.migration,
        "file": finding.location,
        "line": finding.line,
        "column": finding.column,
        "message": finding.message,
        "remedy": finding.remedy,
    }


def outcome_document(outcome: Outcome) -> dict[str, object]:
    """An outcome as JSON carries it."""
    return {
        "id": outcome.id,
        "result": outcome.result.value,
        "duration_ms": round(outcome.duration_ms, 3),
        "statements": outcome.statements,
        "attempts": outcome.attempts,
    }


def step_document(step: Step) -> dict[str, object]:
    """A step of a plan as JSON carries it."""
    return {
        "id": step.migration.id,
        "mode": step.script.mode.value,
        "statements": len(step.script.statements),
        "lock_timeout_ms": step.lock_timeout_ms,
        "statement_timeout_ms": step.statement_timeout_ms,
        "late": step.late,
        "resumes_at": None if step.progress is None else step.progress.done + 1,
        "rollback_ready": _rollback_ready(step),
    }


def _place_and_words(error: MigrationFailed) -> list[str]:
    lines = [error.finding.place]
    if error.excerpt:
        lines += error.excerpt.split("\n")
    if error.server:
        state = f"PostgreSQL {error.server.sqlstate}" if error.server.sqlstate else "Connection"
        lines.append(f"{state}: {error.server.message}")
        lines += [f"Detail: {error.server.detail}"] if error.server.detail else []
        lines += [f"Hint: {error.server.hint}"] if error.server.hint else []
        lines += [f"Context: {line}" for line in error.server.context.split("\n") if _is_function(line)]
    for blocker in error.blockers:
        lines.append(f"Blocked by {portrait(blocker)}")
        lines += [f"  whose last statement is: {blocker.query}"] if blocker.query else []
    return lines


def _is_function(line: str) -> bool:
    """Whether a line of a context names a function; a block of the file is told by its place."""
    return _FUNCTION.match(line) is not None and "inline_code_block" not in line


def _rollback_ready(step: Step) -> bool:
    return step.migration.down is not None and step.script.directives.irreversible is None


def far(progress: Progress) -> str:
    """How far a half-done file came: ``2 of 5 statements, line 7``."""
    return f"{progress.done} of {progress.total} statements{_line(progress, ', line ', '')}"


def _line(progress: Progress, before: str = " (line ", after: str = ")") -> str:
    return "" if progress.line is None else f"{before}{progress.line}{after}"


def _timeout(milliseconds: int | None, otherwise: str) -> str:
    return otherwise if milliseconds is None else taken(milliseconds)


def _lock_timeout(step: Step) -> str:
    # For start-up: it knows statements, and mostly no step is shown.
    from sqlmigrations.sql import patience
    from sqlmigrations.sql.patience import PATIENT_MS, Waiting

    statements, chosen, patient = step.script.statements, step.lock_timeout_ms, f"{PATIENT_MS // 1000} s"
    if step.script.mode is Mode.STATEMENTS:
        texts = {Waiting.ENDLESS: "none", Waiting.HARMLESS: _timeout(chosen, patient)}
        waits = [waiting for waiting in map(patience.of, statements) if waiting is not Waiting.FREE]
        told = (texts.get(waiting, _timeout(chosen, _BRIEF)) for waiting in waits or [Waiting.HARMFUL])
        return " or ".join(dict.fromkeys(told))
    turn = patience.turning_point(statements) if chosen is None else 0
    if not turn:
        return _timeout(chosen, _BRIEF)
    return patient if turn == len(statements) else f"{patient} ({_BRIEF} from statement {turn + 1} on)"


def _indented(lines: Iterable[str]) -> str:
    return "\n".join(_prefixed(lines))


def _prefixed(lines: Iterable[str]) -> list[str]:
    return [f"  {line}".rstrip() for line in lines]
