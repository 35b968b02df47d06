"""The status page: where every database stands, what its last runs were, and what to type next; it changes nothing."""

from __future__ import annotations

import django
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseNotAllowed
from django.template.response import TemplateResponse
from django.utils.timezone import now
from django.utils.translation import gettext as _

from sqlmigrations.admin import words
from sqlmigrations.admin.links import Links
from sqlmigrations.admin.readonly import ReadOnlyAdmin, may_view
from sqlmigrations.admin.sight import databases
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent

NAME = "sqlmigrations_schemamigration_status"


def show(admin: ReadOnlyAdmin, request: HttpRequest) -> HttpResponse:
    """The page; ``admin`` is the one of the migrations, in whichever site it was registered."""
    # The engine takes longer to import than all the rest of the app, and few processes show this page.
    from sqlmigrations.admin.panels import panel
    from sqlmigrations.admin.timeline import RUNS
    from sqlmigrations.survey import survey

    if request.method not in ("GET", "HEAD"):
        return HttpResponseNotAllowed(["GET", "HEAD"])
    if not admin.has_view_permission(request):
        raise PermissionDenied
    with_events = may_view(request, SchemaMigrationEvent)
    aliases = databases()
    first = Links(admin.admin_site, aliases[0])
    context = {
        **admin.admin_site.each_context(request),
        "title": _("Status of SQL migrations"),
        # The style sheet of each version knows only its own kind.
        "crumbs_are_a_list": django.VERSION >= (6, 1),
        "opts": admin.model._meta,
        "media": admin.media,
        "read_at": words.moment(now()),
        "panels": [
            panel(each, Links(admin.admin_site, each.database), with_events=with_events)
            for each in survey(aliases, RUNS)
        ],
        "history": first.listing(SchemaMigration),
        "events": first.listing(SchemaMigrationEvent) if with_events else None,
    }
    return TemplateResponse(request, "sqlmigrations/status.html", context)
