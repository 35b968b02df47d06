"""Settings of a throw-away site; its folder is the working directory."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.management.utils import get_random_secret_key

SECRET_KEY = get_random_secret_key()
ALLOWED_HOSTS = ["localhost"]
INSTALLED_APPS = ["sqlmigrations"]
DATABASES: dict[str, Any] = {"default": dj_database_url.parse(os.environ["DATABASE_URL"])}
SQLMIGRATIONS: dict[str, Any] = {
    "DIRS": {"project": Path.cwd() / "migrations_sql"},
    **json.loads(os.environ.get("SQLMIGRATIONS_JSON", "{}")),
}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
