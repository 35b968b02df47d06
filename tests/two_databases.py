"""Settings of a site with a second database, ``reporting``; the environment may add apps, routers and a mirror."""

from __future__ import annotations

import os

import dj_database_url

from tests.site_settings import *  # noqa: F403
from tests.site_settings import DATABASES, INSTALLED_APPS

DATABASES["reporting"] = dj_database_url.parse(os.environ["REPORTING_URL"])

if os.environ.get("MIRROR"):
    DATABASES["mirror"] = dj_database_url.parse(os.environ["DATABASE_URL"]) | {"TEST": {"MIRROR": "default"}}
DATABASE_ROUTERS = os.environ["ROUTERS"].split() if os.environ.get("ROUTERS") else []
INSTALLED_APPS += os.environ.get("APPS", "").split()
