"""The one page tree of the example: the admin, at the root's /admin/."""

from __future__ import annotations

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
