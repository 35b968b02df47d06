"""Settings of a site in which faults are injected: everything is told by the environment."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import dj_database_url

from tests.site_settings import *  # noqa: F403
from tests.site_settings import DATABASES, INSTALLED_APPS

if os.environ.get("DRIVER") == "psycopg2":
    sys.modules["psycopg"] = None  # type: ignore[assignment]  # Django then takes the other driver

INSTALLED_APPS += ["tests.faults.injected"]
DATABASES["default"] |= json.loads(os.environ.get("DATABASE_JSON", "{}"))
if "DIRECT_URL" in os.environ:
    DATABASES["default_direct"] = dj_database_url.parse(os.environ["DIRECT_URL"]) | {"TEST": {"MIRROR": "default"}}
if (Path.cwd() / "shop").is_dir():
    INSTALLED_APPS += ["shop"]
DEBUG = bool(os.environ.get("DEBUG"))
