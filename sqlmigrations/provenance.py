"""Who and where this process is: what a record says beside the database user."""

from __future__ import annotations

import functools
import getpass
import os
import socket
import subprocess
from dataclasses import dataclass

# Set by CI systems and platforms that deploy without a .git folder.
_COMMIT_VARIABLES = ("GIT_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA", "SOURCE_VERSION", "HEROKU_SLUG_COMMIT")
_GIT_TIMEOUT_S = 2


@dataclass(frozen=True, slots=True)
class Provenance:
    """The operating system's user, host and process, and the commit of the working directory if known."""

    os_user: str
    host: str
    pid: int
    git_commit: str | None


def collect() -> Provenance:
    """Asks the system; never fails."""
    commit = _git_commit()
    return Provenance(_text(_os_user()), _text(socket.gethostname()), os.getpid(), commit and _text(commit))


def _text(name: str) -> str:
    """As a database can hold it: bytes that are no UTF-8 are spelled out."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


@functools.cache
def _os_user() -> str:
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        # A container's user id without a name.
        return f"uid {os.getuid()}"


@functools.cache
def _git_commit() -> str | None:
    for name in _COMMIT_VARIABLES:
        if value := os.environ.get(name):
            return value[:64]
    try:
        found = subprocess.run(
            ["git", "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, timeout=_GIT_TIMEOUT_S
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return found.stdout.strip() or None
