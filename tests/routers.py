"""Database routers."""

from __future__ import annotations


class ByName:
    """Lets files with ``report`` in their name into ``reporting`` only, and all others into ``default`` only."""

    def allow_migrate(self, db: str, app_label: str, **hints: str) -> bool | None:
        if app_label != "project":
            return None
        return ("report" in hints["sql_migration"]) == (db == "reporting")


class NothingThere:
    """Keeps everything out of ``reporting``."""

    def allow_migrate(self, db: str, app_label: str, **hints: str) -> bool:
        return db != "reporting"
