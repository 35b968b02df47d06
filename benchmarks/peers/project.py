"""The smallest Django project that has an app to try."""

from __future__ import annotations

from pathlib import Path

_SETTINGS = """
import os

SECRET_KEY = os.urandom(24).hex()
INSTALLED_APPS = {apps!r}
DATABASES = {{
    "default": {{
        "ENGINE": "django.db.backends.postgresql",
        **{{key: os.environ["PG" + variable] for key, variable in
           {{"HOST": "HOST", "PORT": "PORT", "USER": "USER", "NAME": "DATABASE"}}.items()}},
    }}
}}
{more}
"""
_MANAGE = """
import os
import sys

sys.modules["psycopg"] = None  # Django prefers it where both are there; the loop speaks through psycopg2

from django.core.management import execute_from_command_line

os.environ["DJANGO_SETTINGS_MODULE"] = "settings"
execute_from_command_line(sys.argv)
"""


def write_project(folder: Path, *apps: str, more: str = "") -> None:
    """Write ``manage.py`` and ``settings.py``; libpq's environment says where its database is."""
    (folder / "settings.py").write_text(_SETTINGS.format(apps=[*apps], more=more))
    (folder / "manage.py").write_text(_MANAGE)
