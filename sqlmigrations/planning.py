"""How a plan is made: what is pending is parsed, put in order, chosen from, and checked before anything runs."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace

from sqlmigrations import hazards, lint, waiting
from sqlmigrations.integrity import Comparison
from sqlmigrations.loader import Loaded
from sqlmigrations.masking import mask_finding
from sqlmigrations.parser import Script, outline, parse
from sqlmigrations.pending import Order, Terms, arrange
from sqlmigrations.plan import Plan, Step
from sqlmigrations.settled import unrecorded
from sqlmigrations.sql.scanner import ScanError, split
from sqlmigrations.target import Target, choose
from sqlmigrations.types import Applied, Finding, Progress, Severity


def build(
    loaded: Loaded, ledger: Sequence[Applied], terms: Terms, target: Target, *, at_most: int | None = None
) -> Plan:
    """Makes the plan. Pure: reads neither disk nor database.

    Args:
        loaded: The files.
        ledger: The rows.
        terms: What the caller and the settings allow.
        target: How far it goes.
        at_most: Look into the statements of so many files, for who does not run it; only those have steps then, and of
            all others the directives are read.

    Raises:
        ConfigurationError: The target or an allowed rule does not exist.
    """
    lint.check_allowed(terms.allow)
    if at_most is not None and len(unrecorded(loaded, ledger)) > at_most:
        order = _looked_into(arrange(loaded, ledger, terms, read=outline), at_most)
    else:
        order, at_most = arrange(loaded, ledger, terms), None
    comparison = order.comparison
    chosen = choose(order.scripts, order.edges, target, loaded)
    running = [script for script in chosen if script.migration.id not in order.holds]
    held = {script.migration.id for script in chosen} & order.holds.keys()
    unmet = waiting.unmet(running, terms.django, terms.database) if terms.django else []
    disagreements = (*order.disagreements, *late(chosen, comparison, terms), *unmet)
    plan = compose(running[:at_most], comparison, terms, disagreements, is_sound=order.is_sound)
    # No migrate comes back to those.
    faked = {finding.migration for finding in order.disagreements if finding.rule == "faked"}
    held = {id for id in held if order.holds[id].by not in faked}
    return replace(
        plan,
        held=tuple(entry for entry in comparison.entries if entry.id in held),
        ahead=(
            _ahead(chosen[:at_most], {id for id in held if order.holds[id].by == id}, terms) if order.is_sound else ()
        ),
        unread=0 if at_most is None else max(0, len(order.scripts) - at_most),
    )


def _looked_into(order: Order, at_most: int) -> Order:
    """The same, its first scripts with their statements."""
    begun = {entry.id for entry in order.comparison.entries if entry.progress is not None}
    read = [parse(script.migration) for script in order.scripts[:at_most]]
    first = [script.gone_on_with() if script.migration.id in begun else script for script in read]
    return replace(order, scripts=[*first, *order.scripts[at_most:]])


def _ahead(chosen: Sequence[Script], waiting_ids: Collection[str], terms: Terms) -> tuple[Finding, ...]:
    """What is found in the files that ``migrate`` applies, for nobody else looks at them before."""
    if not waiting_ids:
        return ()
    found = [danger for script in chosen for danger in script.dangers]
    found += hazards.find(chosen, terms.allow)[0]
    return tuple(mask_finding(f, terms.credentials) for f in found if f.migration in waiting_ids)


def compose(
    scripts: Sequence[Script],
    comparison: Comparison,
    terms: Terms,
    disagreements: Sequence[Finding],
    *,
    is_sound: bool = True,
) -> Plan:
    """The plan of scripts that were chosen, with what their statements give reason to say.

    Args:
        scripts: In their order.
        comparison: Files and ledger side by side.
        terms: What is allowed.
        disagreements: What was found against them before.
        is_sound: Whether the scripts can be looked at one after the other.
    """
    begun = {entry.id: entry.progress for entry in comparison.entries if entry.progress is not None}
    steps = tuple(_step(script, comparison, terms, begun.get(script.migration.id)) for script in scripts)
    notes = [f for f in comparison.findings if f.severity is not Severity.ERROR]
    linted, creates = hazards.find((s.script for s in steps), terms.allow) if is_sound else ([], {})
    secrets = terms.credentials.union(*(step.passwords for step in steps))
    linted = [mask_finding(f, secrets) for f in linted]
    return Plan(
        steps=steps,
        comparison=comparison,
        disagreements=tuple(mask_finding(f, secrets) for f in disagreements),
        dangers=(
            *(mask_finding(f, secrets) for step in steps for f in step.script.dangers),
            *(f for f in linted if f.severity is Severity.ERROR),
        ),
        warnings=(*notes, *(f for f in linted if f.severity is not Severity.ERROR)),
        creates=creates,
    )


def for_recording(plan: Plan) -> Plan:
    """The plan of a run that only records: contents do no harm, but what is half done is no file run by hand."""
    halves = [step.migration for step in plan.steps if step.progress is not None]
    message = "Half done by an earlier run, so it cannot be recorded without running."
    remedy = "Let it be completed first:  python manage.py sqlmigrate_apply"
    found = [Finding("partial", Severity.ERROR, message, remedy, m.id, m.file.location) for m in halves]
    return replace(plan, disagreements=(*plan.disagreements, *found), dangers=(), warnings=())


def _step(script: Script, comparison: Comparison, terms: Terms, progress: Progress | None) -> Step:
    own = script.directives
    own_passwords = passwords(script)
    return Step(
        script=script,
        late=progress is None and comparison.overtaken_by(script.migration) is not None,
        lock_timeout_ms=terms.lock_timeout_ms if own.lock_timeout_ms is None else own.lock_timeout_ms,
        statement_timeout_ms=(
            terms.statement_timeout_ms if own.statement_timeout_ms is None else own.statement_timeout_ms
        ),
        passwords=own_passwords,
        secrets=own_passwords | terms.credentials,
        progress=progress,
    )


def passwords(script: Script) -> frozenset[str]:
    """The password literals in a file and in the one that undoes it."""
    found = lint.secrets(script.statements, script.migration.file.text)
    down = script.migration.down
    if down is None:
        return found
    try:
        return found | lint.secrets(split(down.text).statements, down.text)
    except ScanError:
        # It is looked at when it is asked for; an up never fails for its down.
        return found


def late(chosen: Sequence[Script], comparison: Comparison, terms: Terms) -> list[Finding]:
    """What stands against scripts whose number is below one that is applied."""
    findings = []
    # One of two files with a number gets a higher one: that it is late as well would be noise.
    excused = {finding.migration for finding in comparison.findings if finding.rule == "duplicate-version"}
    excused |= {entry.id for entry in comparison.entries if entry.progress is not None}
    for script in chosen:
        migration = script.migration
        newer = comparison.overtaken_by(migration)
        if newer is None or migration.id in excused or terms.allow_late or script.directives.late:
            continue
        message = f"Late: {newer.name}, a higher number, is applied already."
        remedy = (
            f"Give it a number above {newer.name}; or, when it may run after it, add the line "
            f"-- late: why   to the file, or run once with --allow-late."
        )
        findings.append(Finding("late", Severity.ERROR, message, remedy, migration.id, migration.file.location))
    return findings
