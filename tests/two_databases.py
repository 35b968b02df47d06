"""Settings of a site with a second database, ``reporting``."""

from __future__ import annotations

import os

import dj_database_url

from tests.site_settings import *  # noqa: F403
from tests.site_settings import DATABASES

DATABASES["reporting"] = dj_database_url.parse(os.environ["REPORTING_URL"])
