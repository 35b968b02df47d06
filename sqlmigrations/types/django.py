"""Django's own migrations, as far as SQL files speak of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from sqlmigrations.types.files import DjangoMigration

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class DjangoNode:
    """What a name in a directive stands for, once squashes are resolved.

    Attributes:
        app: The label of its app.
        name: What ``migrate`` reaches it by; empty for all of the app.
        is_applied: Whether Django has recorded it, or all that it replaces.
    """

    app: str
    name: str
    is_applied: bool

    @property
    def id(self) -> str:
        """The app, and the name behind a dot."""
        return f"{self.app}.{self.name}" if self.name else self.app


@dataclass(frozen=True, slots=True)
class DjangoHistory:
    """What Django's loader knows, and what is recorded in one database.

    Attributes:
        nodes: By app and name; replaced names, ``__first__`` and ``__latest__`` too.
        migrated: The labels of the apps that have migrations.
        unmigrated: Those of the apps that have none here, or whose migrations are switched off: nothing of theirs is
            left to be applied.
        parents: What each comes after directly; a name that stands for others comes after these.
        wrappers: The id of an SQL file, and the migrations that hold an ``ApplySQL`` of it.
        fault: Why Django's migrations could not be looked at; empty where they could.
    """

    nodes: Mapping[Key, DjangoNode] = field(default_factory=dict)
    migrated: frozenset[str] = frozenset()
    unmigrated: frozenset[str] = frozenset()
    parents: Mapping[Key, tuple[Key, ...]] = field(default_factory=dict)
    wrappers: Mapping[str, tuple[Key, ...]] = field(default_factory=dict)
    fault: str = ""

    def behind(self, named: DjangoMigration) -> set[DjangoNode]:
        """What it is, and everything that it comes after."""
        found: set[Key] = set()
        queue = [(named.app, named.name)]
        while queue:
            key = queue.pop()
            if key not in found:
                found.add(key)
                queue.extend(self.parents.get(key, ()))
        return {self.nodes[key] for key in found if key in self.nodes}

    def find(self, named: DjangoMigration) -> DjangoNode | None:
        """What it stands for; ``None`` where Django knows of nothing by that name."""
        if named.app in self.unmigrated:
            return DjangoNode(named.app, "", is_applied=True)
        return self.nodes.get((named.app, named.name))


@dataclass(frozen=True, slots=True)
class Hold:
    """Why a run leaves a file alone that is not recorded.

    Attributes:
        by: The id of the file that waits for Django: itself, or one that it comes after.
        django: What that one runs in.
        command: What applies that one.
    """

    by: str
    django: DjangoMigration
    command: str
