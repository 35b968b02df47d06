"""The admin of a site as its users see it, in this process."""

from __future__ import annotations

import re
from dataclasses import dataclass

from django.contrib.auth.models import Permission, User
from django.http import HttpResponseBase
from django.test import Client

from tests.inprocess import LocalSite

LEDGER = "/admin/sqlmigrations/schemamigration/"
EVENTS = "/admin/sqlmigrations/schemamigrationevent/"


@dataclass(frozen=True)
class Office:
    """A site with Django's own tables in its database."""

    site: LocalSite

    def superuser(self) -> Client:
        """Somebody who may do everything."""
        return _entered(User.objects.create_superuser("root"))

    def staff(self, *permissions: str) -> Client:
        """Somebody who may enter the admin and has the permissions named."""
        user = User.objects.create_user("staff", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        assert user.user_permissions.count() == len(permissions)
        return _entered(user)

    def id_of(self, name: str) -> int:
        """The id of a migration in the history."""
        ((found,),) = self.site.query("SELECT id FROM schema_migrations WHERE name = %s", name)
        assert isinstance(found, int)
        return found

    def open(self, client: Client, name: str, query: str = "") -> str:
        """The page of a migration."""
        return page(client.get(f"{LEDGER}{self.id_of(name)}/change/{query}"))

    def visitor(self) -> Client:
        """Somebody who did not log in."""
        return Client()


def page(response: HttpResponseBase) -> str:
    """The text of a page that was shown."""
    assert response.status_code == 200
    content: bytes = getattr(response, "content", b"")
    return content.decode()


def words(html: str) -> str:
    """What can be read of a page."""
    return " ".join(re.sub(r"<script.*?</script>|<[^>]+>", " ", html, flags=re.DOTALL).split())


def cells(html: str, column: str) -> list[str]:
    """What a column of a list shows."""
    return [words(cell) for cell in re.findall(rf'<t[dh] class="field-{column}[^"]*">(.*?)</t[dh]>', html, re.DOTALL)]


def table(html: str, caption: str) -> list[list[str]]:
    """The rows of a table by the beginning of its caption."""
    found = re.search(rf"<caption>{caption}.*?<tbody>(.*?)</tbody>", html, re.DOTALL)
    rows = re.findall(r"<tr[^>]*>(.*?)</tr>", found[1], re.DOTALL) if found else []
    return [[words(cell) for cell in re.findall(r"<t[dh][^>]*>(.*?)</t[dh]>", row, re.DOTALL)] for row in rows]


def section(html: str, heading: str) -> str:
    """What can be read in the section with a heading of this id."""
    found = re.search(rf'<section[^>]*aria-labelledby="{heading}">(.*?)</section>', html, re.DOTALL)
    return words(found[1]) if found else ""


def _entered(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
