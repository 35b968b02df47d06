"""The admin of Django, and beside it one of a site's own."""

from __future__ import annotations

from django.contrib import admin
from django.http import HttpRequest, HttpResponse
from django.urls import path

from sqlmigrations.admin import SchemaMigrationAdmin, SchemaMigrationEventAdmin
from sqlmigrations.models import SchemaMigration, SchemaMigrationEvent

office = admin.AdminSite(name="office")
office.site_header = "The office"
office.register(SchemaMigration, SchemaMigrationAdmin)
office.register(SchemaMigrationEvent, SchemaMigrationEventAdmin)


def favicon(request: HttpRequest) -> HttpResponse:
    """What every browser asks for, and would complain of."""
    return HttpResponse(status=204)


urlpatterns = [path("admin/", admin.site.urls), path("office/", office.urls), path("favicon.ico", favicon)]
