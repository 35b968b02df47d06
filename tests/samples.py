"""Migrations and rows of the ledger made up in memory, for the tests of what thinks about them."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlmigrations.loader import Loaded
from sqlmigrations.parser import sql_checksum
from sqlmigrations.text import CHECKSUM_ALGORITHM, checksum
from sqlmigrations.types import Applied, Finding, Source, SqlFile, SqlMigration

WHEN = datetime(2026, 3, 4, 5, 6, 7, tzinfo=UTC)


def sql_file(name: str, text: str) -> SqlFile:
    path = Path("migrations_sql", name)
    return SqlFile(str(path), str(path), text, checksum(text), checksum(text))


def migration(id: str, text: str = "SELECT 1;\n", down: str | None = None) -> SqlMigration:
    """``label.NNN_slug`` with its text, and the text that undoes it."""
    label, _, name = id.partition(".")
    undo = None if down is None else sql_file(f"{name}.down.sql", down)
    return SqlMigration(label, int(name.partition("_")[0]), name, sql_file(f"{name}.sql", text), undo)


def row(of: SqlMigration, **changes: Any) -> Applied:
    """The row that applying the migration leaves behind."""
    applied = Applied(
        label=of.label,
        key=of.key,
        version=of.version,
        name=of.name,
        kind="versioned",
        mode="transaction",
        checksum=of.file.checksum,
        sql_checksum=sql_checksum(of.file),
        checksum_algorithm=CHECKSUM_ALGORITHM,
        state="applied",
        applied_at=WHEN,
        execution_ms=1.5,
        applied_by="deploy",
        run_id=uuid.UUID(int=1),
        late=False,
        has_down=of.down is not None,
    )
    return replace(applied, **changes)


def loaded(*migrations: SqlMigration, labels: Iterable[str] = (), findings: Iterable[Finding] = ()) -> Loaded:
    """As the loader hands them over: by source and number."""
    names = list(dict.fromkeys([*labels, *(m.label for m in migrations)]))
    ordered = sorted(migrations, key=lambda m: (names.index(m.label), m.version, m.name))
    sources = tuple(Source(name, Path("migrations_sql")) for name in names)
    return Loaded(sources, tuple(ordered), tuple(findings))
