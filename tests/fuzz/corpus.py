"""The seeds: our own sample files, from which a fuzzer starts, and what it has found before."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from tests.fuzz.promises import NAME_END, NEXT_FILE, TARGETS

FOUND = Path(__file__).parent / "found"
_ROOT = Path(__file__).parent.parent.parent
_SAMPLES = ("migrations_sql", "sqlmigrations/migrations_sql", "tests/cases/scanner", "tests/cases/messages")


def seeds(target: str) -> Iterator[bytes]:
    """Whole folders for the loader, single files for the others."""
    files = sorted(path for sample in _SAMPLES for path in (_ROOT / sample).rglob("*.sql"))
    if target != "loader":
        yield from (path.read_bytes() for path in files)
        return
    for folder in sorted({path.parent for path in files}):
        inside = sorted(folder.glob("*.sql"))
        yield NEXT_FILE.join(path.name.encode() + NAME_END + path.read_bytes() for path in inside)


def found(target: str) -> list[Path]:
    """Inputs that broke a promise once: one file each, beginning with the name of the target."""
    assert target in TARGETS
    return sorted(FOUND.glob(f"{target}-*"))
