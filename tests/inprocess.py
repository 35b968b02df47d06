"""A throw-away site whose commands run in this process: for what needs a database, but no process of its own."""

from __future__ import annotations

import io
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import dj_database_url
from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import connections
from django.db.utils import ConnectionHandler
from django.test import override_settings

from tests.servers import Database
from tests.site import Site


@dataclass(frozen=True)
class LocalSite(Site):
    """As ``Site``; ``settings`` are further keys of SQLMIGRATIONS, to be changed at will."""

    settings: dict[str, Any] = field(default_factory=dict)

    def configured(self) -> override_settings:
        """A block in which this process has the settings of the site."""
        # The environment of this process is one of tests, the database of the site is none.
        base = {"DIRS": {"project": self.migrations}, "APPLY_ON_MIGRATE": "never"}
        return override_settings(SQLMIGRATIONS=base | self.settings)

    def run(
        self, *arguments: str, env: Mapping[str, str] | None = None, check: bool = False, timeout: float = 180
    ) -> subprocess.CompletedProcess[str]:
        """Run a management command; the shell's exit code is the one its CommandError carries."""
        stdout, stderr, code = io.StringIO(), io.StringIO(), 0
        with self.configured():
            try:
                call_command(*arguments, stdout=stdout, stderr=stderr)
            except CommandError as error:
                code = error.returncode
        ended = subprocess.CompletedProcess(arguments, code, stdout.getvalue(), stderr.getvalue())
        assert not check or code == 0, ended
        return ended


@contextmanager
def pointed_at(database: Database) -> Iterator[None]:
    """Django's default connection of this process leads to another database meanwhile."""
    connection = connections["default"]
    connection.close()
    before = connection.settings_dict["NAME"]
    connection.settings_dict["NAME"] = database.name
    try:
        yield
    finally:
        connection.close()
        connection.settings_dict["NAME"] = before


@contextmanager
def leading_to(url: str) -> Iterator[None]:
    """The default connection of this process leads there meanwhile, in every thread."""
    before, settings = connections["default"], connections.settings["default"]
    connections.settings["default"] = ConnectionHandler({"default": dj_database_url.parse(url)}).settings["default"]
    del connections["default"]
    try:
        yield
    finally:
        connections["default"].close()
        connections.settings["default"], connections["default"] = settings, before
