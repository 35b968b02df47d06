"""Asks of a statement that has reported success whether the catalog agrees."""

from __future__ import annotations

from collections.abc import Callable

from sqlmigrations.resume.effects import Effect, EffectKind, Scope
from sqlmigrations.resume.indexes import drops, new_indexes, oids, warning_of, ways_with, written
from sqlmigrations.resume.observation import Index, Observation, Partition
from sqlmigrations.resume.verdicts import Problem, Way


def confirm(effect: Effect, before: Observation | None, after: Observation) -> Problem | None:
    """Why a statement that has just reported success has not done what it says; ``None`` when all is well.

    Args:
        effect: What it was to do.
        before: What the catalog said before it began; ``None`` when that was not kept.
        after: What the catalog says now.
    """
    look = _LOOKS.get(effect.kind)
    return look(effect, before or Observation(), after) if look else None


def _created(effect: Effect, before: Observation, after: Observation) -> Problem | None:
    if after.other:
        return _not_it(f"{after.object} is a {after.other}", ())
    found = after.indexes if effect.names else new_indexes(effect, before, after)
    for index in found:
        if index.table_oid != after.table_oid:
            return _not_it(f"the index {index.name} is on {index.table}", drops([index]))
        if effect.unique and not index.unique:
            return _not_it(f"the index {index.name} is not unique", drops([index]))
        if not _is_sound(effect, index, before):
            return _invalid(effect, index, before)
    if found:
        return None
    name = f" {written(effect.names[0])}" if effect.names else ""
    return Problem(f"The server reported success, but there is no new index{name} on {written(effect.table)}.")


def _is_sound(effect: Effect, index: Index, before: Observation) -> bool:
    """On a partitioned table ONLY makes it invalid, and it stays so until all partitions have their part."""
    return index.valid or (index.partitioned and (effect.only or index.oid not in oids(before)))


def _not_it(fact: str, sql: tuple[str, ...]) -> Problem:
    other = "Drop it" if sql else "Rename it"
    return Problem(
        f"The server passed over the statement because of IF NOT EXISTS, but {fact}.",
        (Way(f"{other}, or give the index another name in the file", sql),),
    )


def _invalid(effect: Effect, index: Index, before: Observation) -> Problem:
    if index.partitioned:
        return Problem(
            f"The index {index.name} was there before and is invalid: a partition of {index.table} has no part of it.",
            (Way("Create the missing ones and attach each by ALTER INDEX ... ATTACH PARTITION"),),
        )
    if index.oid in oids(before) or not effect.concurrently:
        reason = f"The index {index.name} was there before and is invalid, so IF NOT EXISTS has built nothing."
    else:
        reason = f"The server reported success, but the index {index.name} is invalid."
    return Problem(reason, ways_with(index, effect), warning_of(index))


def _dropped(effect: Effect, before: Observation, after: Observation) -> Problem | None:
    left = [index.name for index in after.indexes if index.oid in oids(before)]
    return Problem(f"The server reported success, but {', '.join(left)} is still there.") if left else None


def _reindexed(effect: Effect, before: Observation, after: Observation) -> Problem | None:
    if effect.scope is not Scope.INDEX:
        return None
    for index in after.indexes:
        if not index.valid and not index.is_leftover and not index.partitioned:
            return Problem(
                f"The server reported success, but the index {index.name} is invalid.",
                ways_with(index, effect),
                warning_of(index),
            )
    return None


def _detached(effect: Effect, before: Observation, after: Observation) -> Problem | None:
    if after.partition not in (Partition.ATTACHED, Partition.PENDING):
        return None
    return Problem(f"The server reported success, but {after.object} is still a partition of {after.table}.")


def _made(effect: Effect, before: Observation, after: Observation) -> Problem | None:
    if after.oid is not None:
        return None
    return Problem(f"The server reported success, but there is no {written(effect.names[0])}.")


def _removed(effect: Effect, before: Observation, after: Observation) -> Problem | None:
    if after.oid is None or after.oid != before.oid:
        return None
    return Problem(f"The server reported success, but {after.object} is still there.")


_Look = Callable[[Effect, Observation, Observation], Problem | None]
_LOOKS: dict[EffectKind, _Look] = {
    EffectKind.CREATE_INDEX: _created,
    EffectKind.DROP_INDEX: _dropped,
    EffectKind.REINDEX: _reindexed,
    EffectKind.DETACH: _detached,
    EffectKind.CREATE_DATABASE: _made,
    EffectKind.DROP_DATABASE: _removed,
    EffectKind.CREATE_TABLESPACE: _made,
    EffectKind.DROP_TABLESPACE: _removed,
    EffectKind.CREATE_SUBSCRIPTION: _made,
    EffectKind.DROP_SUBSCRIPTION: _removed,
}
