"""The target of a run: how far into the pending migrations it goes."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlmigrations import graph
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.loader import Loaded
from sqlmigrations.types import TRACKING_LABEL

if TYPE_CHECKING:
    from sqlmigrations.parser import Script


@dataclass(frozen=True, slots=True)
class Target:
    """How far to go: a whole label, or up to and including one of its numbers. Empty means everything.

    ``label.NNN_slug``, as migrations are called in every output, may stand for the two.
    """

    label: str = ""
    version: str = ""

    def __post_init__(self) -> None:
        label, version = self.label, self.version.removesuffix(".sql")
        if not version:
            # No label has a dot in it.
            label, _, version = label.removesuffix(".sql").partition(".")
        object.__setattr__(self, "label", label)
        object.__setattr__(self, "version", version.removeprefix(f"{label}."))


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
        raise unknown_label(target.label, labels)
    limit = _limit(target, loaded)
    wanted = [
        script.migration.id
        for script in ordered
        if script.migration.label == target.label and (limit is None or script.migration.version <= limit)
    ]
    kept = graph.ancestors(wanted, edges)
    return [script for script in ordered if script.migration.id in kept]


def unknown_label(label: str, labels: Iterable[str]) -> ConfigurationError:
    """The error for a label without a source, with the labels there are; the tool's own is none to choose."""
    own = [known for known in labels if known != TRACKING_LABEL]
    near = difflib.get_close_matches(label, own, n=1)
    remedy = f"Did you mean {near[0]}? " if near else ""
    remedy += f"The labels are: {', '.join(own)}. " if own else "There are none yet. "
    remedy += "An app gets one by a folder migrations_sql, a site by SQLMIGRATIONS['DIRS']."
    return ConfigurationError(f"There is no source with the label {label!r}.", remedy=remedy)


def _limit(target: Target, loaded: Loaded) -> int | None:
    if not target.version:
        return None
    if target.version == "zero":
        message = "sqlmigrate_apply only goes forward; this version has no command that goes back."
        raise ConfigurationError(message, remedy="Run the .down.sql files by hand, newest first.")
    known = [m for m in loaded.migrations if m.label == target.label]
    for migration in known:
        number = str(migration.version)
        # Compared as text: Python makes no number of thousands of digits.
        if target.version == migration.name or (target.version.lstrip("0") or "0") == number:
            return migration.version
    names = ", ".join(m.name for m in known[-5:]) or "none"
    message = f"{target.label} has no migration {target.version!r}."
    raise ConfigurationError(message, remedy=f"Its newest are: {names}.")
