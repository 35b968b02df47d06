"""For tests of Django's that flush: a mixin by which tables of SQL files do not stand in their way."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management import call_command
from django.db import connections
from django.test import TestCase

from sqlmigrations import conf, rights
from sqlmigrations.backends.base import Reader
from sqlmigrations.exceptions import ConfigurationError, SqlMigrationsError
from sqlmigrations.ledger import Ledger
from sqlmigrations.loader import load
from sqlmigrations.replay import replay
from sqlmigrations.settings import Settings
from sqlmigrations.types import SqlMigration


class CascadingFlushMixin:
    """Lets a ``TransactionTestCase`` empty tables that a table of an SQL file refers to.

    Put it before the test case: ``class OrderTests(CascadingFlushMixin, TransactionTestCase)``.

    Attributes:
        sql_seeds: Files to be run once more after each flush, such as ``project.002_seed_data``; what they insert has
            to be guarded (``ON CONFLICT DO NOTHING``), as not all of it need be gone.
    """

    sql_seeds: ClassVar[tuple[str, ...]] = ()

    def _fixture_teardown(self) -> None:
        case: Any = self  # Django's methods here have no types.
        if isinstance(self, TestCase):
            # It rolls back instead.
            super()._fixture_teardown()  # type: ignore[misc]
            return
        settings = conf.load()
        seeds = [_migration(seed, settings) for seed in self.sql_seeds]
        for alias in case._databases_names(include_mirrors=False):
            # As Django's own does it, which allows CASCADE only beside its private ``available_apps``.
            is_restored = case.serialized_rollback and hasattr(connections[alias], "_test_serialized_contents")
            call_command(
                "flush",
                verbosity=0,
                interactive=False,
                database=alias,
                reset_sequences=False,
                allow_cascade=True,
                inhibit_post_migrate=case.available_apps is not None or is_restored,
            )
            for seed in seeds:
                _sow(alias, seed, Ledger(settings.schema))


def _sow(alias: str, migration: SqlMigration, ledger: Ledger) -> None:
    """Runs a file once more where it was applied."""
    if connections[alias].vendor != "postgresql":
        return
    _, rows = rights.read(Reader(alias), ledger)
    if (migration.label, migration.key) not in {(row.label, row.key) for row in rows if not row.is_half_done}:
        return
    try:
        replay(alias, migration)
    except SqlMigrationsError as error:
        error.message = f"{migration.id}, which sql_seeds names, was run once more after a flush. {error.message}"
        raise


def _migration(seed: str, settings: Settings) -> SqlMigration:
    label, _, name = seed.partition(".")
    sources = [source for source in conf.sources(settings) if source.label == label]
    migration = load(sources, settings.ignore).find(label, name)
    if migration is None:
        raise ConfigurationError(f"sql_seeds names {seed}, and there is no such file.")
    return migration
