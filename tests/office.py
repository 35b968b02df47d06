"""The admin of a site as its users see it, in this process."""

from __future__ import annotations

from dataclasses import dataclass

from django.contrib.auth.models import Permission, User
from django.http import HttpResponseBase
from django.test import Client

from tests.inprocess import LocalSite


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

    def visitor(self) -> Client:
        """Somebody who did not log in."""
        return Client()


def page(response: HttpResponseBase) -> str:
    """The text of a page that was shown."""
    assert response.status_code == 200
    content: bytes = getattr(response, "content", b"")
    return content.decode()


def _entered(user: User) -> Client:
    client = Client()
    client.force_login(user)
    return client
