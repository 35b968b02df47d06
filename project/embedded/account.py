"""Decides as which user the server's programs run, and starts them as that user."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# PostgreSQL asks access(2), which drops capabilities of other users than root unless told not to.
REACH_EVERYTHING = (
    "--clear-groups",
    "--securebits=+no_setuid_fixup",
    "--inh-caps=+dac_override",
    "--ambient-caps=+dac_override",
)


class AccountError(Exception):
    """No user can run the server here."""


@dataclass(frozen=True, slots=True)
class Account:
    """The user of the server's processes.

    Attributes:
        uid: User id.
        gid: Group id.
        changed: Whether it is another user than ours.
        confined: Whether it is kept from the files by a parent folder that is private to root. Permissions of
            folders that are not ours are never changed; such a server runs with the right to pass by them.
    """

    uid: int
    gid: int
    changed: bool = False
    confined: bool = False

    def command(self, *arguments: str | Path) -> tuple[list[str], dict[str, Any]]:
        """What ``subprocess`` needs to run a program as this user."""
        words = [str(argument) for argument in arguments]
        if not self.changed:
            return words, {}
        if not self.confined:
            return words, {"user": self.uid, "group": self.gid, "extra_groups": []}
        setpriv = shutil.which("setpriv") or shutil.which("setpriv", path=os.defpath)
        if setpriv is None:
            raise AccountError(
                "PostgreSQL refuses to run as root, the user it would run as cannot reach its files below "
                "a private folder, and there is no setpriv (util-linux) to let it pass. Run this as an "
                "ordinary user, move the project to a folder that others may enter, or set DATABASE_URL."
            )
        return [setpriv, f"--reuid={self.uid}", f"--regid={self.gid}", *REACH_EVERYTHING, "--", *words], {}

    def own(self, path: Path) -> None:
        """Hand a path of ours over to this user."""
        if self.changed:
            os.chown(path, self.uid, self.gid)


def choose(data: Path, needed: Iterable[Path]) -> Account:
    """The user for a data folder: ourselves; as root, which PostgreSQL refuses, its owner or nobody."""
    if os.geteuid() != 0:
        return Account(os.geteuid(), os.getegid())
    uid, gid = _owner(data)
    confined = not all(_reaches(uid, gid, path) for path in needed)
    return Account(uid, gid, changed=True, confined=confined)


def _owner(data: Path) -> tuple[int, int]:
    if data.exists() and data.stat().st_uid != 0:
        return data.stat().st_uid, data.stat().st_gid
    nobody = pwd.getpwnam("nobody")
    return nobody.pw_uid, nobody.pw_gid


def _reaches(uid: int, gid: int, path: Path) -> bool:
    wanted = stat.S_IXOTH if path.is_dir() else stat.S_IROTH
    return _may(uid, gid, path, wanted) and all(_may(uid, gid, up, stat.S_IXOTH) for up in path.parents)


def _may(uid: int, gid: int, path: Path, right: int) -> bool:
    """Whether the mode bits grant that user the right, given as the bit it has for others."""
    found = path.stat()
    shift = 6 if found.st_uid == uid else 3 if found.st_gid == gid else 0
    return bool(found.st_mode & (right << shift))
