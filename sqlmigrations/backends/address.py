"""Where an alias leads and how it is protected on the way, as libpq would find it; nothing is connected."""

from __future__ import annotations

import configparser
import ipaddress
import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from django.db import connections

# https://www.postgresql.org/docs/current/libpq-envars.html
_VARIABLES = {
    "host": "PGHOST",
    "hostaddr": "PGHOSTADDR",
    "port": "PGPORT",
    "service": "PGSERVICE",
    "sslmode": "PGSSLMODE",
    "sslrootcert": "PGSSLROOTCERT",
    "gssencmode": "PGGSSENCMODE",
}
# PgBouncer's own port, and the one that hosters give to pools that lend a server for each transaction.
_POOLER_PORTS = frozenset(("6432", "6543"))
_POOLER_HOST = re.compile(r"pgbouncer|pgcat|pgpool|supavisor|odyssey|(?:^|[-.])pool(?:er)?(?:[-.]|$)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Address:
    """The parameters of a connection that say where it goes; empty where nothing says it.

    Attributes:
        hosts: As they are named, one or several.
        addresses: ``hostaddr``: where they are, one for each of ``hosts`` when there are any.
        port: One or several.
        sslmode: Never empty.
        is_encrypted_by_gss: Whether it is Kerberos that protects it, in place of SSL.
    """

    hosts: tuple[str, ...]
    addresses: tuple[str, ...]
    port: str
    sslmode: str
    is_encrypted_by_gss: bool

    @classmethod
    def of(cls, alias: str) -> Address:
        """The address of an alias: its own settings before its service, that before the environment."""
        settings = connections[alias].settings_dict
        own = {"host": settings.get("HOST"), "port": settings.get("PORT"), **(settings.get("OPTIONS") or {})}
        # What Django passes on wins over OPTIONS of the same name.
        own |= {key.lower(): settings[key] for key in ("HOST", "PORT") if settings.get(key)}
        surroundings = {name: os.environ.get(variable, "") for name, variable in _VARIABLES.items()}
        service = _service(str(own.get("service") or surroundings["service"]))
        found = {name: str(own.get(name) or service.get(name) or surroundings[name]) for name in _VARIABLES}
        # https://www.postgresql.org/docs/current/libpq-connect.html: system roots are worth nothing without the name.
        weakest = "verify-full" if found["sslrootcert"] == "system" else "prefer"
        return cls(
            hosts=_several(found["host"]),
            addresses=_several(found["hostaddr"]),
            port=found["port"],
            sslmode=found["sslmode"] or weakest,
            is_encrypted_by_gss=found["gssencmode"] == "require",
        )

    @property
    def remote_host(self) -> str:
        """The first host that is not this machine; empty when all are."""
        return next((host for host, at in self._places() if not _is_local(at)), "")

    @property
    def sign_of_pooler(self) -> str:
        """What about it is usual for a pooler; empty when nothing is."""
        if found := _POOLER_PORTS.intersection(_several(self.port)):
            return f"port {min(found)}"
        return next((f"host {host}" for host in self.hosts if _POOLER_HOST.search(host) and not _is_path(host)), "")

    def _places(self) -> Iterator[tuple[str, str]]:
        """Each host as it is named, and where it is looked for."""
        for position in range(max(len(self.hosts), len(self.addresses))):
            host = self.hosts[position] if position < len(self.hosts) else ""
            at = self.addresses[position] if position < len(self.addresses) else ""
            yield host or at, at or host


def _several(value: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in value.split(",")) if value else ()


def _is_path(host: str) -> bool:
    return host.startswith(("/", "@"))


def _is_local(host: str) -> bool:
    # No host at all is the socket of this machine; a name with @ is a socket without a file.
    if not host or _is_path(host) or host.lower().rstrip(".") == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _service(name: str) -> Mapping[str, str]:
    """The parameters of a service, from the user's file or else from the system's; empty when neither has it."""
    if not name:
        return {}
    users = os.environ.get("PGSERVICEFILE") or Path.home() / ".pg_service.conf"
    systems = Path(os.environ.get("PGSYSCONFDIR", "/etc/postgresql-common"), "pg_service.conf")
    for path in (users, systems):
        services = configparser.RawConfigParser(strict=False, delimiters=("=",), comment_prefixes=("#",))
        services.optionxform = str  # type: ignore[assignment, method-assign]  # names are read as libpq reads them
        try:
            services.read(path, encoding="utf-8")
        except (configparser.Error, UnicodeDecodeError):
            continue  # libpq will say what is wrong with it.
        if services.has_section(name):
            return dict(services[name])
    return {}
