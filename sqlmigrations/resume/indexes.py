"""Judges statements about indexes that began outside a transaction and did not end."""

from __future__ import annotations

from collections.abc import Sequence

from sqlmigrations.resume.effects import Effect, EffectKind, Scope
from sqlmigrations.resume.observation import Index, Observation
from sqlmigrations.resume.verdicts import KEEP, Case, Judgement, Resolution, Verdict, Way, decide, done, run

_DUPLICATES, _DISK_FULL = "23505", "53100"
_FIRST = {
    _DUPLICATES: "Remove the rows with the same key, and drop the index",
    _DISK_FULL: "Free space on the server, and drop the index",
}


def created(case: Case) -> Judgement:
    """CREATE INDEX, by name or without one."""
    now, effect = case.now, case.effect
    if not now.table:
        return run(f"There is no table {written(effect.table)}.")
    if now.other:
        return _taken(f"{now.object} is a {now.other}, not an index")
    made = new_indexes(effect, case.before, now)
    if not effect.names and len(made) > 1:
        names = _names(made)
        return decide(
            f"Several indexes on {now.table} are new, perhaps the statement's own is among them: {names}.", KEEP
        )
    index = (made if not effect.names else now.indexes)[:1]
    return _created(case, index[0]) if index else run(f"{_an_index(case)} was left behind on {now.table}.")


def _created(case: Case, index: Index) -> Judgement:
    if index.table_oid != case.now.table_oid:
        return _taken(f"The index {index.name} is on {index.table}, not on {case.now.table}", index)
    if not index.valid and case.now.builders:
        return _busy(case, f"The index {index.name} is not valid yet")
    if case.before.indexes and case.effect.names:
        return _stood(case, index)
    if case.cause.name_was_taken:
        return _taken(f"The index {index.name} was made by somebody else meanwhile", index)
    if index.valid:
        return done(f"The index {index.name} is there and valid, and was not there before.")
    if index.partitioned:
        return done(f"The index {index.name} is there, and was not there before.")
    left = f"The index {index.name} was left invalid {case.why}."
    if case.may_clean_up:
        return Judgement(Verdict.REBUILD, left, drops([index]), warning=warning_of(index))
    return decide(left, *ways_with(index, case.effect, case.cause.sqlstate), warning=warning_of(index))


def _stood(case: Case, index: Index) -> Judgement:
    """Something of that name had been there before the statement began."""
    if case.effect.guarded and (index.valid or index.partitioned):
        return run(f"The index {index.name} was there before: IF NOT EXISTS passes over it.")
    if case.effect.guarded:
        left = f"The index {index.name} was there before, and is invalid."
        return decide(left, *ways_with(index, case.effect), warning=warning_of(index))
    which = "was there before" if index.oid in oids(case.before) else "has replaced one that was there before"
    return _taken(f"The index {index.name} {which}", index)


def _taken(fact: str, index: Index | None = None) -> Judgement:
    """Something has the name, and is not the statement's work; what is invalid is of no use to anybody."""
    reason = f"{fact}, so the statement did not make it."
    if index is None:
        return decide(reason, KEEP, Way("If it is in the way, rename it, or give the index another name in the file"))
    if not index.valid and not index.partitioned:
        drop = Way("Drop the index; the next apply builds it anew", drops([index]))
        return decide(f"{reason} It is invalid.", drop, warning=warning_of(index))
    drop = Way("If it is in the way, drop it, or give the index another name in the file", drops([index]))
    return decide(reason, KEEP, drop)


def _busy(case: Case, fact: str) -> Judgement:
    pids = ", ".join(map(str, case.now.builders))
    return decide(
        f"{fact}, and another session (pid {pids}) is building an index on its table.",
        Way("Wait until it has ended"),
    )


def dropped(case: Case) -> Judgement:
    """DROP INDEX, which may be repeated as often as it is interrupted."""
    name = written(case.effect.names[0])
    if len(case.effect.names) > 1:
        return run("The server drops one index at a time concurrently, so nothing was dropped.")
    there = case.now.indexes[:1]
    if not there:
        if case.before.indexes and not case.now.other:
            return done(f"The index {name} was there before, and is gone.")
        return run(f"There was no index {name} before, and there is none now.")
    index = there[0]
    if index.oid in oids(case.before):
        return run(f"The index {index.name} is still there{'' if index.valid else ', marked invalid'}.")
    return decide(
        f"The index {index.name} was made after the statement began, so it is not the one to drop.",
        Way("If it is to be dropped too, let the statement be run again", resolve=Resolution.REDO),
        Way("If it is to stay, record the statement as done", resolve=Resolution.DONE),
        warning=warning_of(index),
    )


def reindexed(case: Case) -> Judgement:
    """REINDEX, which may be repeated, but leaves copies behind when it is interrupted while working concurrently."""
    known = {(index.oid, index.name) for index in case.before.indexes}
    left = [index for index in case.now.indexes if index.is_leftover and (index.oid, index.name) not in known]
    ours = [index for index in left if index.droppable]
    stays = _staying([index for index in left if not index.droppable])
    complete = _is_rebuilt(case)
    if not ours and complete:
        return done(f"Every index of it was built anew.{stays}")
    if not ours:
        return run(f"To run a REINDEX again does no harm.{stays}")
    names = _names(ours)
    if case.now.builders:
        return _busy(case, f"{names} {'is' if len(ours) == 1 else 'are'} not valid")
    fact = f"The REINDEX left {names} behind {case.why}.{stays}"
    warning = " ".join(filter(None, map(warning_of, ours)))
    if case.may_clean_up:
        return Judgement(Verdict.FINISH if complete else Verdict.REBUILD, fact, drops(ours), warning=warning)
    way = Way("Drop what was left behind; the next apply runs the statement again", drops(ours))
    return decide(fact, way, warning=warning)


def _staying(left: Sequence[Index]) -> str:
    return f" Only a superuser may drop {_names(left)}, which stays behind." if left else ""


def _names(indexes: Sequence[Index]) -> str:
    return ", ".join(index.name for index in indexes)


def _is_rebuilt(case: Case) -> bool:
    """REINDEX CONCURRENTLY gives every index another OID; in a schema or a database they are too many to be kept."""
    if not case.effect.concurrently or case.effect.scope not in (Scope.INDEX, Scope.TABLE):
        return False
    now = {index.name: index for index in case.now.indexes}
    # Those that were invalid are passed over when a whole table is rebuilt.
    old = [i for i in case.before.indexes if not i.partitioned and (i.valid or case.effect.scope is Scope.INDEX)]
    new = [now.get(index.name) for index in old]
    return bool(old) and all(a and a.valid and a.oid != b.oid for a, b in zip(new, old, strict=True))


def new_indexes(effect: Effect, before: Observation, now: Observation) -> tuple[Index, ...]:
    """Those that an unnamed CREATE INDEX may have made."""
    known = oids(before)
    return tuple(
        index
        for index in now.indexes
        if index.oid not in known and index.unique == effect.unique and not index.is_leftover
    )


def ways_with(index: Index, effect: Effect, sqlstate: str = "") -> tuple[Way, ...]:
    """How an invalid index is got rid of, or made valid where it is what was asked for."""
    first = _FIRST.get(sqlstate, "Drop the index")
    drop = Way(f"{first}; the next apply builds it anew", drops([index]))
    if sqlstate == _DUPLICATES or (effect.kind is EffectKind.CREATE_INDEX and index.unique != effect.unique):
        return (drop,)
    return drop, Way("Make it valid where it stands", (f"REINDEX INDEX CONCURRENTLY {index.name}",))


def warning_of(index: Index) -> str:
    """What an invalid index on an ordinary table does while it stands there."""
    if not index.ready:
        return ""
    if index.unique:
        return f"Meanwhile {index.name}, though invalid, still rejects writes to {index.table} that repeat a key."
    return f"Meanwhile every write to {index.table} keeps {index.name} up to date, and no query uses it."


def drops(indexes: Sequence[Index]) -> tuple[str, ...]:
    """The SQL that drops them, without keeping anybody out where the server can do that."""
    return tuple(f"DROP INDEX {'' if index.partitioned else 'CONCURRENTLY '}{index.name}" for index in indexes)


def oids(seen: Observation) -> frozenset[int]:
    """Of the indexes seen."""
    return frozenset(index.oid for index in seen.indexes)


def written(path: Sequence[str] | None) -> str:
    """A name for people to read."""
    return ".".join(path or ())


def _an_index(case: Case) -> str:
    return f"No index {written(case.effect.names[0])}" if case.effect.names else "No new index"
