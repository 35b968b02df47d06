"""A throw-away Django site whose commands run as processes of their own, on a database of its own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests import forkserver
from tests.servers import Database

ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Site:
    """A folder with ``migrations_sql/`` in it, and a database."""

    folder: Path
    database: Database

    @property
    def migrations(self) -> Path:
        return self.folder / "migrations_sql"

    def write(self, name: str, sql: str | bytes) -> Path:
        """Make or replace a file of ``migrations_sql/``; text goes in with its line ends as they are."""
        path = self.migrations / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(sql.encode() if isinstance(sql, str) else sql)
        return path

    def remove(self, name: str) -> None:
        (self.migrations / name).unlink()

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        return os.environ | {
            "DATABASE_URL": self.database.url,
            "DJANGO_SETTINGS_MODULE": "tests.site_settings",
            "PYTHONPATH": str(ROOT),
            **(env or {}),
        }

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, check: bool = False, timeout: float = 180
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command to its end."""
        words = ["-m", "django", *arguments]
        return forkserver.run(words, self.folder, self.environment(env), check=check, timeout=timeout)

    def start(self, *arguments: str, env: Mapping[str, str] | None = None, **options: Any) -> subprocess.Popen[str]:
        """Start a management command with pipes for both streams; the test waits for it, or kills it."""
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        words = ["-m", "django", *arguments]
        return forkserver.start(words, self.folder, self.environment(env), **streams | options)

    def query(self, sql: str, *parameters: object) -> list[tuple[Any, ...]]:
        return self.database.query(sql, *parameters)

    def ledger(self) -> list[dict[str, Any]]:
        """The rows of schema_migrations by id; empty, too, where there is no such table."""
        if self.query("SELECT to_regclass('public.schema_migrations')") == [(None,)]:
            return []
        rows = self.query("SELECT to_jsonb(m) FROM public.schema_migrations m ORDER BY id")
        return [row for (row,) in rows]
