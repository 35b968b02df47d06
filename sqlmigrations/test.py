"""For tests of Django's that flush: a mixin by which tables of SQL files do not stand in their way."""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.management import call_command
from django.db import connections
from django.test import TestCase

from sqlmigrations import conf
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.loader import load
from sqlmigrations.models import SchemaMigration
from sqlmigrations.replay import replay
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
            for seed in self.sql_seeds:
                _sow(alias, seed)


def _sow(alias: str, seed: str) -> None:
    """Runs a file once more where it was applied."""
    label, _, name = seed.partition(".")
    if SchemaMigration.objects.using(alias).filter(label=label, name=name, state="applied").exists():
        replay(alias, _migration(label, name))


def _migration(label: str, name: str) -> SqlMigration:
    settings = conf.load()
    sources = [source for source in conf.sources(settings) if source.label == label]
    for migration in load(sources, settings.ignore).migrations:
        if migration.name == name:
            return migration
    raise ConfigurationError(f"sql_seeds names {label}.{name}, and there is no such file.")
