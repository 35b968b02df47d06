"""What the catalog said of an object at one moment, as values and as the JSON kept in the journal."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import Enum
from typing import Any

# What REINDEX CONCURRENTLY calls the index that it makes, and the one it replaces, until it is through.
_LEFTOVER = re.compile(r'_cc(?:new|old)\d*"?$')


class Partition(Enum):
    """Where a table stands towards the partitioned table that it is, or was, a partition of."""

    ATTACHED = "attached"
    PENDING = "detach pending"
    DETACHED = "detached"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Index:
    """An index as the catalog has it.

    Attributes:
        oid: REINDEX CONCURRENTLY gives an index another one, everything else keeps it.
        name: With its schema, as SQL wants it.
        table: The same of its table.
        valid: Queries may use it.
        ready: Writes keep it up to date; that of a unique index makes them fail, valid or not.
        live: It is not being dropped.
        partitioned: An index on a partitioned table, which is valid once every partition has its part.
        droppable: Whether the role may drop it; that of a TOAST table only a superuser may.
    """

    oid: int
    name: str
    table: str
    table_oid: int
    valid: bool
    ready: bool
    live: bool
    unique: bool
    partitioned: bool
    droppable: bool

    @property
    def is_leftover(self) -> bool:
        """Whether it looks like what an interrupted REINDEX CONCURRENTLY leaves behind."""
        return not self.valid and _LEFTOVER.search(self.name) is not None


@dataclass(frozen=True, slots=True)
class Observation:
    """What there is of the object of one statement.

    Attributes:
        indexes: CREATE and DROP INDEX: those of the statement's names; an unnamed CREATE INDEX: all of the table.
            REINDEX of an index or a table: all it is about. Other REINDEX: invalid ones only.
        other: Kind of a relation that has the index's name and is none, such as ``table``.
        table: The table, as SQL wants it; empty when there is none of that name.
        table_oid: Its OID.
        object: The partition, or the relation that is no index, as SQL wants it; the name of the database, tablespace
            or subscription; empty when there is none.
        oid: Of the partition, database, tablespace or subscription.
        partition: Where the partition stands.
        builders: Other sessions' server processes that, at this moment, build an index on the table of an invalid one.
    """

    indexes: tuple[Index, ...] = ()
    other: str = ""
    table: str = ""
    table_oid: int | None = None
    object: str = ""
    oid: int | None = None
    partition: Partition | None = None
    builders: tuple[int, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """As it is kept in the journal."""
        return {**asdict(self), "partition": self.partition and self.partition.value}

    @classmethod
    def from_json(cls, kept: Mapping[str, Any]) -> Observation:
        """What was kept; keys of later versions are passed over, missing ones have their defaults."""
        known = {name: kept[name] for name in cls.__slots__ if name in kept}
        known["indexes"] = tuple(Index(**{n: index[n] for n in Index.__slots__}) for index in known.get("indexes", ()))
        known["builders"] = tuple(known.get("builders", ()))
        if known.get("partition"):
            known["partition"] = Partition(known["partition"])
        return cls(**known)
