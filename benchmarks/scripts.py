"""What the migrations of the contestants hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Script:
    """One migration: its number, and the SQL that every contestant is to run."""

    number: int
    sql: str

    @property
    def name(self) -> str:
        """Sorts by number up to a hundred thousand of them."""
        return f"{self.number:05d}_step"


def table(number: int) -> str:
    """A statement that makes one table."""
    return (
        f"CREATE TABLE bench_{number:05d} (\n"
        "    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,\n"
        "    name text NOT NULL,\n"
        "    created_at timestamptz NOT NULL DEFAULT now()\n"
        ");\n"
    )


def one_table_each(files: int) -> Sequence[Script]:
    """As many migrations, each with a table."""
    return [Script(number, table(number)) for number in range(1, files + 1)]


def all_in_one(tables: int) -> Sequence[Script]:
    """One migration with as many tables."""
    return [Script(1, "".join(table(number) for number in range(1, tables + 1)))]


COUNT_TABLES = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^bench_[0-9]+$'"
