"""The order of migrations: their own numbers within a label, ``depends:`` lines between them, sources in between."""

from __future__ import annotations

import difflib
import heapq
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from typing import TYPE_CHECKING

from sqlmigrations.types import TRACKING_LABEL, Dependency, Finding, Severity

if TYPE_CHECKING:
    from sqlmigrations.parser import Script


def resolve(
    scripts: Sequence[Script], known: Collection[str], elsewhere: Collection[str] = ()
) -> tuple[Mapping[str, tuple[str, ...]], list[Finding]]:
    """Turns ``depends:`` lines into edges, beside the order of numbers and the tracking tables before all else.

    Args:
        scripts: The pending migrations, in the order of sources and numbers.
        known: Ids of all migrations of this database, applied ones too.
        elsewhere: Ids of those of other databases, which cannot be waited for.

    Returns:
        What each pending migration waits for among the pending ones, and a finding for every dependency on
        something that does not exist here.
    """
    pending = {script.migration.id for script in scripts}
    edges: dict[str, tuple[str, ...]] = {}
    findings: list[Finding] = []
    previous: dict[str, str] = {}
    for script in scripts:
        migration = script.migration
        before = migration.label if migration.label in previous else TRACKING_LABEL
        wanted = {previous[before]} if before in previous else set()
        for dependency in script.directives.depends:
            target = f"{dependency.label or migration.label}.{dependency.name}"
            if target in pending:
                wanted.add(target)
            elif target in elsewhere:
                findings.append(_elsewhere(script, dependency, target))
            elif target not in known:
                findings.append(_unknown(script, dependency, target, known))
        edges[migration.id] = tuple(sorted(wanted))
        previous[migration.label] = migration.id
    return edges, findings


def order(scripts: Sequence[Script], edges: Mapping[str, Iterable[str]]) -> tuple[list[Script], list[Finding]]:
    """Sorts so that nothing runs before what it waits for; ties keep the order given.

    Returns:
        The sorted scripts, or none and a finding that names the members of a cycle.
    """
    by_id = {script.migration.id: script for script in scripts}
    rank = {script.migration.id: position for position, script in enumerate(scripts)}
    sorter = TopologicalSorter(edges)
    try:
        sorter.prepare()
    except CycleError as error:
        return [], [_cycle(by_id, list(error.args[1]))]
    ready: list[tuple[int, str]] = []
    done: list[Script] = []
    while sorter.is_active():
        for node in sorter.get_ready():
            heapq.heappush(ready, (rank[node], node))
        _, node = heapq.heappop(ready)
        done.append(by_id[node])
        sorter.done(node)
    return done, []


def ancestors(wanted: Iterable[str], edges: Mapping[str, Iterable[str]]) -> set[str]:
    """The wanted ids and everything they wait for."""
    found: set[str] = set()
    queue = list(wanted)
    while queue:
        node = queue.pop()
        if node not in found:
            found.add(node)
            queue.extend(edges.get(node, ()))
    return found


def _unknown(script: Script, dependency: Dependency, target: str, known: Collection[str]) -> Finding:
    # A name cut short or with another slug is meant more often than one that merely looks alike.
    alike = [name for name in sorted(known) if name.startswith(target.partition("_")[0] + "_")]
    near = alike or difflib.get_close_matches(target, known, n=1, cutoff=0.6)
    remedy = f"Did you mean {near[0]}?" if near else "Write label.NNN_slug of a migration that exists."
    message = f"Depends on {target}, which does not exist."
    return _finding(script, "unknown-dependency", message, remedy, dependency.line)


def _elsewhere(script: Script, dependency: Dependency, target: str) -> Finding:
    message = f"Depends on {target}, which belongs to another database."
    remedy = "Take it out of the line, and run sqlmigrate_apply for the other database first."
    return _finding(script, "unknown-dependency", message, remedy, dependency.line)


def _cycle(by_id: Mapping[str, Script], path: list[str]) -> Finding:
    lines: dict[str, int] = defaultdict(lambda: 1)
    for script in by_id.values():
        if script.directives.depends:
            lines[script.migration.id] = script.directives.depends[0].line
    # graphlib names a cycle from what is waited for to what waits.
    arrows = " -> ".join(reversed(path))
    member = next((node for node in path if node in lines), path[0])
    remedy = "Remove one of the depends: lines; a file always waits for the lower numbers of its own label."
    return _finding(by_id[member], "cycle", f"Migrations wait for each other: {arrows}.", remedy, lines[member])


def _finding(script: Script, rule: str, message: str, remedy: str, line: int) -> Finding:
    migration = script.migration
    return Finding(rule, Severity.ERROR, message, remedy, migration.id, migration.file.location, line, 1)
