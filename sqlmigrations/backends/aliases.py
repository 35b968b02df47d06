"""What Django knows of an alias: its connection, its secrets, and how to make a connection of our own from it."""

from __future__ import annotations

import copy
import os
import re
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from django.db import connections
from django.db.backends.base.base import BaseDatabaseWrapper
from django.db.utils import load_backend
from django.utils.connection import ConnectionDoesNotExist

from sqlmigrations.exceptions import ConfigurationError

# A dead peer is noticed within about a minute, where the system allows it to be said.
_KEEPALIVES = {"keepalives": 1, "keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
CONNECT_TIMEOUT_S = 10
# Options of Django's that are about its own use of a connection, not about reaching the server.
_NOT_OURS = ("pool", "server_side_binding")
_SECRET_OPTIONS = ("password", "sslpassword")
# Settings of a session that OPTIONS may give it for its functions and policies to read: -c app.api_token=...
_IN_OPTIONS = re.compile(r"(?:passw|secret|token|key)[\w.]*=(\S+)", re.IGNORECASE)
# libpq takes a whole connection string for the name of a database.
_IN_NAME = re.compile(r"://[^:@/\s]*:([^@/\s]+)@|\bpassword\s*=\s*'?([^\s']+)", re.IGNORECASE)


def wrapper(alias: str) -> BaseDatabaseWrapper:
    """Django's connection of the alias.

    Raises:
        ConfigurationError: The alias is unknown, not PostgreSQL, or its settings are not in order.
    """
    try:
        found = connections[alias]
    except ImproperlyConfigured as error:
        raise misconfigured(alias, error) from None
    except ConnectionDoesNotExist:
        known = ", ".join(connections)
        raise ConfigurationError(f"There is no database {alias!r}.", remedy=f"The aliases are: {known}.") from None
    if found.vendor != "postgresql":
        message = f"The database {alias!r} is {found.display_name}; sqlmigrations runs on PostgreSQL only."
        fitting = ", ".join(filter(_is_postgresql, connections))
        remedy = f"Set ENGINE of DATABASES[{alias!r}] to django.db.backends.postgresql."
        if fitting:
            remedy = f"Choose another one with --database: {fitting}."
        raise ConfigurationError(message, remedy=remedy)
    return found


def _is_postgresql(alias: str) -> bool:
    try:
        return bool(connections[alias].vendor == "postgresql")
    except ImproperlyConfigured:
        return False


def misconfigured(alias: str, error: ImproperlyConfigured) -> ConfigurationError:
    """The error for an entry of ``DATABASES`` that its backend refuses."""
    said = " ".join(str(error).split())
    return ConfigurationError(f"The database {alias!r}: {said}", remedy="Correct its entry in DATABASES.")


def credentials(alias: str) -> frozenset[str]:
    """The secrets in the settings of an alias, and the password that libpq finds in the environment: never shown."""
    settings = wrapper(alias).settings_dict
    options = settings.get("OPTIONS") or {}
    values = [settings.get("PASSWORD"), *(options.get(name) for name in _SECRET_OPTIONS), os.environ.get("PGPASSWORD")]
    values += _IN_OPTIONS.findall(str(options.get("options") or ""))
    name = str(settings.get("NAME") or "")
    values += [part for match in _IN_NAME.finditer(name) for part in match.groups()]
    # A password that is the name of its user or database hides nothing, and would blot out every mention of them.
    return frozenset(str(value) for value in values if value and value not in (settings.get("USER"), name))


def own_wrapper(alias: str, through: str, application_name: str) -> Any:
    """A wrapper that is nobody else's, not yet connected.

    Args:
        alias: The database.
        through: The alias whose address is used.
        application_name: Seen in ``pg_stat_activity``.
    """
    # From the live connection, not from the settings: a test run has pointed it at its own database.
    settings = copy.deepcopy(wrapper(through).settings_dict)
    # A mirror's name Django has set itself; it may differ from the one a pooler has for the database.
    if settings["TEST"]["MIRROR"] != alias or not settings["NAME"]:
        settings["NAME"] = wrapper(alias).settings_dict["NAME"]
    options = {key: value for key, value in settings.get("OPTIONS", {}).items() if key not in _NOT_OURS}
    options = {"connect_timeout": CONNECT_TIMEOUT_S, **_KEEPALIVES, **options}
    settings |= {"OPTIONS": {**options, "application_name": application_name}, "AUTOCOMMIT": True}
    backend: Any = load_backend(settings["ENGINE"])
    return backend.DatabaseWrapper(settings, alias)


def connect(own: Any) -> None:
    """Connects such a wrapper, so that backslashes in strings mean themselves."""
    own.ensure_connection()
    if own.connection.info.parameter_status("standard_conforming_strings") == "off":
        # psycopg2 settles when connecting how it quotes; a SET would come too late for it.
        own.close()
        options = own.settings_dict["OPTIONS"]
        options["options"] = f"{options.get('options', '')} -c standard_conforming_strings=on".strip()
        own.ensure_connection()
