"""Settings of the example project; DATABASE_URL points it at any PostgreSQL, else one comes up by itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import dj_database_url

from project.secret_key import kept_in

BASE_DIR = Path(__file__).resolve().parent.parent

DEBUG = os.environ.get("DEBUG", "1") == "1"
# Kept, or whoever is logged in would be logged out by every restart.
SECRET_KEY = os.environ.get("SECRET_KEY") or kept_in(BASE_DIR / ".secret-key")
ALLOWED_HOSTS = os.environ.get("ALLOWED_HOSTS", "").split()

INSTALLED_APPS = [
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "sqlmigrations",
]

SQLMIGRATIONS = {"DIRS": {"project": BASE_DIR / "migrations_sql"}}

# HOST is the folder of the embedded server, not an address.
EMBEDDED: dict[str, Any] = {
    "ENGINE": "project.embedded",
    "NAME": "invoices",
    "HOST": str(BASE_DIR / ".postgres"),
}
DATABASES: dict[str, Any] = {
    "default": dj_database_url.parse(os.environ["DATABASE_URL"]) if os.environ.get("DATABASE_URL") else EMBEDDED
}

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
]
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ]
        },
    }
]
ROOT_URLCONF = "project.urls"
STATIC_URL = "static/"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
USE_TZ = True
TIME_ZONE = "UTC"
