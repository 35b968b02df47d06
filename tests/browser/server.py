"""A site as its visitors meet it: files, databases, and a server of Django's own that answers on a port."""

from __future__ import annotations

import json
import re
import signal
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from django.conf import settings
from django.contrib.auth.models import Permission, User
from django.test import Client

from tests.inprocess import LocalSite
from tests.servers import Database
from tests.site import Site

_ADDRESS = re.compile(r"http://127\.0\.0\.1:\d+/")


@dataclass(frozen=True)
class ServedSite(LocalSite):
    """A site whose commands run in this process, and whose pages are served by another one.

    Attributes:
        others: Further databases by alias, as URLs.
    """

    others: Mapping[str, str] = field(default_factory=dict)

    def environment(self, env: Mapping[str, str] | None = None) -> dict[str, str]:
        return super().environment(env) | {
            "DJANGO_SETTINGS_MODULE": "tests.browser.site_settings",
            "OTHER_DATABASES": json.dumps(dict(self.others)),
            "PYTHONUNBUFFERED": "1",
            "SECRET_KEY": settings.SECRET_KEY,  # who is let in by this process is known to the other one
            **(env or {}),
        }

    def run_elsewhere(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a management command as a process of its own: it knows the further databases."""
        return Site.run(self, *arguments)

    @contextmanager
    def served(self) -> Iterator[str]:
        """The address at which its pages are, as long as the block lasts."""
        log = self.folder / "server.log"
        with log.open("w") as errors:
            server = self.start("runserver", "127.0.0.1:0", "--noreload", "--skip-checks", stderr=errors)
            try:
                yield _address(server, log)
            finally:
                server.send_signal(signal.SIGINT)
                try:
                    server.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    server.kill()
                    server.communicate()


def served_site(folder: Path, database: Database, others: Mapping[str, str] | None = None) -> ServedSite:
    """A site in a folder with Django's own tables in its database; this process has to be pointed at it."""
    site = ServedSite(folder, database, others=others or {})
    site.migrations.mkdir()
    site.run("migrate", "--verbosity", "0", "--skip-checks", check=True)
    return site


def let_in(name: str, *permissions: str) -> str:
    """The cookie of a person who has these permissions, or every right where none is named."""
    if permissions:
        user = User.objects.create_user(name, is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
    else:
        user = User.objects.create_superuser(name)
    client = Client()
    client.force_login(user)
    return str(client.cookies[settings.SESSION_COOKIE_NAME].value)


def _address(server: subprocess.Popen[str], log: Path) -> str:
    assert server.stdout is not None
    for line in server.stdout:
        if found := _ADDRESS.search(line):
            return found.group().rstrip("/")
    raise AssertionError(f"The server did not start: {log.read_text()}")
