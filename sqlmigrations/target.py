"""The target of a run: how far into the pending migrations it goes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlmigrations import graph
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.loader import Loaded
from sqlmigrations.parser import Script


@dataclass(frozen=True, slots=True)
class Target:
    """How far to go: a whole label, or up to and including one of its numbers. Empty means everything."""

    label: str = ""
    version: str = ""


EVERYTHING = Target()


def choose(
    ordered: Sequence[Script], edges: Mapping[str, tuple[str, ...]], target: Target, loaded: Loaded
) -> list[Script]:
    """The scripts a target asks for, with everything they wait for, in their order.

    Raises:
        ConfigurationError: There is no such label or number, or the target lies behind.
    """
    if not target.label:
        return list(ordered)
    labels = [source.label for source in loaded.sources]
    if target.label not in labels:
        message = f"There is no source with the label {target.label!r}."
        raise ConfigurationError(message, remedy=f"The labels are: {', '.join(labels)}.")
    limit = _limit(target, loaded)
    wanted = [
        script.migration.id
        for script in ordered
        if script.migration.label == target.label and (limit is None or script.migration.version <= limit)
    ]
    kept = graph.ancestors(wanted, edges)
    return [script for script in ordered if script.migration.id in kept]


def _limit(target: Target, loaded: Loaded) -> int | None:
    if not target.version:
        return None
    if target.version == "zero":
        message = "sqlmigrate_apply only goes forward; this version has no command that goes back."
        raise ConfigurationError(message, remedy="Run the .down.sql files by hand, newest first.")
    known = [m for m in loaded.migrations if m.label == target.label]
    for migration in known:
        if target.version == migration.name or (
            target.version.isdecimal() and int(target.version) == migration.version
        ):
            return migration.version
    names = ", ".join(m.name for m in known[-5:]) or "none"
    message = f"{target.label} has no migration {target.version!r}."
    raise ConfigurationError(message, remedy=f"Its newest are: {names}.")
