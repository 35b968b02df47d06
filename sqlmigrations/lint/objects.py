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
    # Kept, so that a chain of renames is gone back once and not from each of its links.
    _is_new: dict[Creation, bool] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __or__(self, other: Created) -> Created:
        joined = Created(dict(self.places))
        joined |= other
        return joined

    def __ior__(self, other: Created) -> Self:
        # In place: a plan of many files is as many times as long, not as many times squared.
        for key, places in other.places.items():
            self.places[key] = self.places.get(key, frozenset()) | places
        self._is_new.clear()
        return self

    def before(self, kind: Kind, name: Name, statement: Statement) -> bool:
        """Whether it was created earlier: in another of the files, or further up in the statement's own."""
        reached: dict[Creation, Creation | None] = {}
        ahead: list[tuple[Name, int, int, Creation | None]] = [
            (name, hash(statement.source), statement.start, None),
        ]
        while ahead:
            name, origin, start, later = ahead.pop()
            for place in self.places.get((kind.namespace, name), frozenset()):
                if place in reached or (place.origin == origin and place.start >= start):
                    continue
                reached[place] = later
                former = place.renamed_from
                if former is None or self._is_new.get(place):
                    self._settle(reached, place)
                    return True
                if place not in self._is_new:
                    ahead.append((former, place.origin, place.start, place))
        self._is_new.update(dict.fromkeys(reached, False))
        return False

    def _settle(self, reached: dict[Creation, Creation | None], place: Creation | None) -> None:
        """All names on the way there are of something new; of those beside it nothing is known yet."""
        while place is not None:
            self._is_new[place] = True
            place = reached[place]
