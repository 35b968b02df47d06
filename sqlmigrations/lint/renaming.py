"""Rules about names that running code still uses when they go."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmigrations.lint.objects import Kind
from sqlmigrations.lint.rulebook import Sighting, rule
from sqlmigrations.lint.scene import Scene
from sqlmigrations.sql.reading import Name, Reader, phrase
from sqlmigrations.types import Severity

_KINDS = {
    ("materialized", "view"): Kind.MATERIALIZED_VIEW,
    ("foreign", "table"): Kind.TABLE,
    ("table",): Kind.TABLE,
    ("view",): Kind.VIEW,
    ("type",): Kind.TYPE,
    ("domain",): Kind.DOMAIN,
    ("schema",): Kind.SCHEMA,
}
_RELATIONS = frozenset({Kind.TABLE, Kind.VIEW, Kind.MATERIALIZED_VIEW})


@rule(
    "rename",
    "C01",
    Severity.WARNING,
    "RENAME: code still deployed uses the old name and fails.",
    opens="alter",
)
def rename(scene: Scene) -> Iterator[Sighting]:
    """Columns, tables, views, types, domains, schemas; no application names indexes and constraints."""
    reader = scene.reader()
    reader.take("alter")
    kind = next((kind for words, kind in _KINDS.items() if reader.take(*words)), None)
    reader.guard()
    reader.take("only")
    name = reader.name()
    reader.mark("*")
    if kind is None or name is None or scene.is_new(name, kind):
        return
    start = reader.token.start if reader.token else scene.statement.start
    if reader.take("rename", "to"):
        new = reader.name()
        yield from [_whole(scene, kind, name, new.beside(name), start)] if new else []
    elif reader.take("set", "schema"):
        yield _whole(scene, kind, name, f"{reader.name()}.{name.parts[-1]}", start)
    elif reader.take("rename") and (reader.take("attribute") if kind is Kind.TYPE else kind in _RELATIONS):
        yield from _column(scene, reader, name, start)


def _whole(scene: Scene, kind: Kind, old: Name, new: str, start: int) -> Sighting:
    message = f"Renaming {kind.value} {old} to {new} breaks code still deployed that says {old}, at once."
    remedy = f"Create {new} beside {old}, deploy code that uses {new}, then drop {old} in a later migration."
    if kind is Kind.TABLE:
        remedy = (
            f"Keep the old name working in the same file: {phrase(scene.tokens)}; CREATE VIEW {old} AS "
            f"SELECT * FROM {new}; drop the view when no deployed code uses it."
        )
    return Sighting(start, message, remedy)


def _column(scene: Scene, reader: Reader, table: Name, start: int) -> Iterator[Sighting]:
    reader.take("column")
    old = None if reader.sees("constraint") else reader.name()
    new = reader.name() if reader.take("to") else None
    if old is None or new is None or scene.is_new_column(table, old):
        return
    yield Sighting(
        start,
        f"Renaming {table}.{old} to {new} breaks code still deployed that says {old}, at once.",
        f"Add {new} beside {old}, have the application write both, fill {new} in batches by key, read from "
        f"it, then drop {old} in a later migration. In Django, db_column='{old.name}' gives the field a new "
        "name with no migration at all.",
    )


@rule(
    "rename-enum-value",
    "C02",
    Severity.WARNING,
    "ALTER TYPE RENAME VALUE: code still deployed uses the old value and fails.",
    opens="alter",
)
def rename_enum_value(scene: Scene) -> Iterator[Sighting]:
    """The rows change with it, the code does not."""
    reader = scene.reader()
    if not reader.take("alter", "type"):
        return
    name = reader.name()
    start = reader.token.start if reader.token else 0
    if name is None or not reader.take("rename", "value") or scene.is_new(name, Kind.TYPE) or len(reader.rest) < 3:
        return
    old, new = reader.rest[0].text, reader.rest[2].text
    yield Sighting(
        start,
        f"Renaming value {old} of {name} to {new} breaks code still deployed that says {old}, at once.",
        f"ALTER TYPE {name} ADD VALUE {new}; deploy code that writes {new}; then update the rows in batches by key.",
    )
