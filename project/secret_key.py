"""The SECRET_KEY of a site that was given none: made once, and kept in a file that git ignores."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from django.core.management.utils import get_random_secret_key


def kept_in(file: Path) -> str:
    """The key in the file, made when there is none; where it cannot be kept, one for this process alone."""
    try:
        return _read(file) or _keep(get_random_secret_key(), file)
    except OSError:
        return get_random_secret_key()


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="ascii").strip()
    except FileNotFoundError:
        return ""


def _keep(key: str, file: Path) -> str:
    """The key that is in the file in the end: runserver's two processes may come at the same moment."""
    # Only its owner may read what mkstemp makes.
    descriptor, unfinished = tempfile.mkstemp(prefix=f"{file.name}.", dir=file.parent)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as opened:
            opened.write(key)
        try:
            # A link appears whole or not at all, and takes no name that is taken.
            os.link(unfinished, file)
        except FileExistsError:
            return _read(file) or key
        return key
    finally:
        os.unlink(unfinished)
