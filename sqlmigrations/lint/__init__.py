"""Hazards in SQL told from its tokens, before anything runs: the names other packages use."""

from __future__ import annotations

from sqlmigrations.lint import (
    constraining,
    destruction,
    indexing,
    renaming,
    rewriting,
    security,
    session,
    shape,
)
from sqlmigrations.lint.creations import Removed, created, unguarded
from sqlmigrations.lint.inspection import inspect
from sqlmigrations.lint.objects import Created, Creation, Kind
from sqlmigrations.lint.rulebook import FIRM, RULES, Rule, check_allowed
from sqlmigrations.lint.scene import Subject
from sqlmigrations.lint.secrets import secrets
from sqlmigrations.sql.reading import Name

# The modules with the rules: importing one enters its rules into the rulebook.
FAMILIES = (destruction, indexing, constraining, rewriting, renaming, shape, session, security)

__all__ = [
    "FAMILIES",
    "FIRM",
    "RULES",
    "Created",
    "Creation",
    "Kind",
    "Name",
    "Removed",
    "Rule",
    "Subject",
    "check_allowed",
    "created",
    "inspect",
    "secrets",
    "unguarded",
]
