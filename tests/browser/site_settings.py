"""Settings of a throw-away site with an admin under a strict policy; its folder is the working directory."""

from __future__ import annotations

import json
import os

import dj_database_url

from project.settings import *  # noqa: F403
from project.settings import DATABASES, MIDDLEWARE
from tests.site_settings import SQLMIGRATIONS as SQLMIGRATIONS

MIDDLEWARE = ["tests.browser.policy.StrictPolicy", *MIDDLEWARE]
ROOT_URLCONF = "tests.browser.urls"
DATABASES |= {
    alias: dj_database_url.parse(url) for alias, url in json.loads(os.environ.get("OTHER_DATABASES", "{}")).items()
}
