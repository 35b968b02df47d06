"""Versioned raw-SQL migrations for Django, safe enough to run unattended in every deploy."""

from __future__ import annotations

__version__ = "0.1.0"
