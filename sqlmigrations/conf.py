"""The only reader of settings: ``SQLMIGRATIONS``, the installed apps' folders, the database aliases."""

from __future__ import annotations

import os
import shlex
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings

from sqlmigrations import routes
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.quoting import quote
from sqlmigrations.settings import Settings, problem, read
from sqlmigrations.types import TRACKING_LABEL, Finding, OnMigrate, Route, Source

FOLDER = "migrations_sql"


def load() -> Settings:
    """Reads ``SQLMIGRATIONS``.

    Raises:
        ConfigurationError: An unknown key or a value of the wrong kind; all of them are in ``findings``.
    """
    values, findings = _read()
    settings = Settings() if findings else Settings(**values)
    findings += routes.problems(settings.direct, settings.session_pooled)
    if findings:
        raise ConfigurationError("The setting SQLMIGRATIONS is not in order.", findings=findings)
    return settings


def problems() -> tuple[Finding, ...]:
    """What ``load`` and ``sources`` would refuse, as findings."""
    values, findings = _read()
    if findings:
        return tuple(findings)
    settings = Settings(**values)
    return (*routes.problems(settings.direct, settings.session_pooled), *_source_problems(settings))


def sources(settings: Settings) -> tuple[Source, ...]:
    """The app's own source, then every app with a ``migrations_sql`` folder in their order, then ``DIRS``.

    Raises:
        ConfigurationError: A folder of ``DIRS`` is missing, or its label is an app's.
    """
    findings = tuple(_source_problems(settings))
    if findings:
        raise ConfigurationError("The setting SQLMIGRATIONS is not in order.", findings=findings)
    found = [Source(label, folder) for label, folder in _app_folders()]
    # The tracking tables come before everything that is tracked.
    found.sort(key=lambda source: source.label != TRACKING_LABEL)
    return (*found, *(Source(label, folder) for label, folder in settings.dirs.items()))


def table(name: str) -> str:
    """``db_table`` of a tracking table, schema and all: Django leaves a name that is quoted already as it is."""
    values, _ = _read()
    # Wrong settings are told by the checks and commands, not by a failing import of the models.
    schema: str = values.get("schema", Settings().schema)
    return f"{quote(schema)}.{quote(name)}"


def on_migrate() -> OnMigrate:
    """``APPLY_ON_MIGRATE`` alone: where nothing is to be applied, wrong settings are no reason to stop ``migrate``."""
    values, _ = _read()
    chosen: OnMigrate = values.get("apply_on_migrate", OnMigrate.TESTS)
    return chosen


def is_mere_way(alias: str) -> bool:
    """Whether an alias only leads to another one, for its runs (``DIRECT``)."""
    values, _ = _read()
    return alias in values.get("direct", {}).values()


def way_to(alias: str) -> str | None:
    """The alias by which the runs on another one connect (``DIRECT``), if there is one."""
    values, _ = _read()
    through: str | None = values.get("direct", {}).get(alias)
    return through


def databases(settings: Settings) -> tuple[str, ...]:
    """The aliases of ``DATABASES``, without those that are only a way to another one."""
    return tuple(alias for alias in django_settings.DATABASES if alias not in settings.direct.values())


def route(alias: str) -> Route:
    """How the runner's own connections reach a database.

    Raises:
        ConfigurationError: The settings are not in order.
    """
    settings = load()
    through = settings.direct.get(alias, alias)
    return Route(alias, through, through in settings.session_pooled)


def _app_folders() -> Iterator[tuple[str, Path]]:
    for config in apps.get_app_configs():
        folder = Path(config.path) / FOLDER
        if folder.is_dir():
            yield config.label, folder


def _read() -> tuple[dict[str, Any], list[Finding]]:
    return read(getattr(django_settings, "SQLMIGRATIONS", {}))


def _source_problems(settings: Settings) -> Iterator[Finding]:
    installed = dict(_app_folders())
    owners = {os.path.realpath(folder): label for label, folder in installed.items()}
    for label, folder in settings.dirs.items():
        place = f"SQLMIGRATIONS['DIRS'][{label!r}]"
        if (owner := owners.setdefault(os.path.realpath(folder), label)) != label:
            yield problem(f"{place}: {folder} is the folder of {owner!r}, too.", "Remove one of the two.")
        if label in installed or label == TRACKING_LABEL:
            yield problem(f"{place}: an installed app has this label.", "Choose another label.")
        if fault := _folder_problem(folder):
            yield problem(f"{place}: {fault[0]}", fault[1])


def _folder_problem(folder: Path) -> tuple[str, str] | None:
    """What is wrong with it, and what to do."""
    try:
        is_folder = stat.S_ISDIR(os.stat(folder).st_mode)
    except FileNotFoundError:
        return f"there is no folder {folder}.", f"mkdir -p {shlex.quote(str(folder))}"
    except OSError as error:
        return f"the folder {folder} cannot be read: {error.strerror}.", "Check the path and its rights."
    return None if is_folder else (f"{folder} is not a folder.", "Name the folder that the files are in.")
