"""The objects that files create, and whether one was there before them."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Self

from sqlmigrations.sql.reading import Name
from sqlmigrations.sql.scanner import Statement


class Kind(Enum):
    """What kind of object a statement creates."""

    TABLE = "table"
    VIEW = "view"
    MATERIALIZED_VIEW = "materialized view"
    SEQUENCE = "sequence"
    INDEX = "index"
    TYPE = "type"
    DOMAIN = "domain"
    FUNCTION = "function"
    PROCEDURE = "procedure"
    AGGREGATE = "aggregate"
    SCHEMA = "schema"
    EXTENSION = "extension"
    COLUMN = "column"

    @property
    def is_relation(self) -> bool:
        """Whether it shares one namespace with tables."""
        return self in _RELATIONS

    @property
    def namespace(self) -> str:
        """Kinds with the same one cannot share a name."""
        return _NAMESPACES.get(self, self.value)


_RELATIONS = frozenset({Kind.TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW, Kind.SEQUENCE, Kind.INDEX})
_NAMESPACES = {
    **dict.fromkeys(_RELATIONS, "relation"),
    **dict.fromkeys((Kind.TYPE, Kind.DOMAIN), "type"),
    **dict.fromkeys((Kind.FUNCTION, Kind.PROCEDURE, Kind.AGGREGATE), "routine"),
}


@dataclass(frozen=True, slots=True)
class Creation:
    """One object a statement creates.

    Attributes:
        line: Of the statement's object name, from 1.
        guarded: IF NOT EXISTS, OR REPLACE, inside a DO block, or temporary: no harm where it exists already.
        start: Offset of the name in the file.
        origin: Tells creations of different files apart.
        renamed_from: The name it had before; then it is new only if that one was.
    """

    kind: Kind
    name: Name
    line: int
    guarded: bool
    start: int
    origin: int
    renamed_from: Name | None = None


@dataclass(slots=True)
class Created:
    """Everything some files create; ``|`` joins those of several files, ``|=`` takes over those of one more."""

    places: dict[tuple[str, Name], frozenset[Creation]] = field(default_factory=dict)

    def __or__(self, other: Created) -> Created:
        joined = Created(dict(self.places))
        joined |= other
        return joined

    def __ior__(self, other: Created) -> Self:
        # In place: a plan of many files is as many times as long, not as many times squared.
        for key, places in other.places.items():
            self.places[key] = self.places.get(key, frozenset()) | places
        return self

    def before(self, kind: Kind, name: Name, statement: Statement) -> bool:
        """Whether it was created earlier: in another of the files, or further up in the statement's own."""
        return self._before(kind, name, hash(statement.source), statement.start, set())

    def _before(self, kind: Kind, name: Name, origin: int, start: int, seen: set[Creation]) -> bool:
        for place in self.places.get((kind.namespace, name), frozenset()) - seen:
            if place.origin == origin and place.start >= start:
                continue
            seen.add(place)
            former = place.renamed_from
            if former is None or self._before(kind, former, place.origin, place.start, seen):
                return True
        return False
