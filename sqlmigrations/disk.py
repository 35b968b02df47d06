"""One file on disk: its bytes, unless what stands there is no file, or would keep a reader waiting or reading."""

from __future__ import annotations

import os
import stat

# A pipe that was put there since it was looked at, or a link. Windows has neither flag, nor pipes among its files.
_AT_ONCE = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
_READING = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_CLOEXEC", 0) | _AT_ONCE
# More than the server takes in one statement, and more than anybody has written.
_LARGEST = 1 << 30
# Of a larger file nobody has to hold the bytes while the text is made of them.
_PIECE = 1 << 20


class NotRead(Exception):
    """It was not read; rule, message and remedy say why, and what to do."""

    def __init__(self, rule: str, message: str, remedy: str) -> None:
        super().__init__(message)
        self.rule = rule
        self.message = message
        self.remedy = remedy


def read(entry: os.DirEntry[str], root: str) -> list[bytes]:
    """The contents of a file of a folder, in pieces; there is none of an empty one.

    Args:
        entry: The file.
        root: The folder, all links of its path resolved.

    Raises:
        NotRead: A link out of the folder, no file, one that is too large or is being written; or the system says no.
    """
    try:
        # What the folder itself says of an entry costs no call of the system.
        return _contents(entry.path if entry.is_file(follow_symlinks=False) else _behind(entry, root))
    except PermissionError as error:
        raise NotRead("unreadable", f"The file cannot be read: {error.strerror}.", "Check its rights.") from None
    except OSError as error:
        raise NotRead("unreadable", f"The file cannot be read: {error.strerror}.", "Restore or remove it.") from None


def _behind(entry: os.DirEntry[str], root: str) -> str:
    """The file that a link of the folder leads to."""
    path = os.path.realpath(entry.path) if entry.is_symlink() else entry.path
    if entry.is_symlink() and os.path.commonpath([root, path]) != root:
        raise NotRead("symlink", "A symbolic link that leaves the folder.", "Put the file itself into the folder.")
    # To open a pipe or a device is to do something to it already.
    _insist_on_a_file(os.stat(path).st_mode)
    return path


def _contents(path: str) -> list[bytes]:
    # By calls of the system: a file object costs more than all of them together, and there may be thousands of files.
    file = os.open(path, _READING)
    try:
        found = os.fstat(file)
        _insist_on_a_file(found.st_mode)
        if found.st_size > _LARGEST:
            raise NotRead("unreadable", f"The file has {found.st_size:,} bytes; up to 1 GB is read.", "Split it.")
        # One byte more than there are would be one that was written meanwhile.
        pieces, left = [], found.st_size + 1
        while piece := os.read(file, min(left, _PIECE)):
            pieces.append(piece)
            left -= len(piece)
            if left == 1 and len(pieces) == 1:
                break
    finally:
        os.close(file)
    if left != 1:
        raise NotRead("unreadable", "The file was being written while it was read.", "Wait until it is complete.")
    return pieces


def _insist_on_a_file(mode: int) -> None:
    if stat.S_ISDIR(mode):
        raise NotRead("not-a-file", "A directory with the name of an SQL file.", "Rename or remove it.")
    if not stat.S_ISREG(mode):
        raise NotRead("not-a-file", "Not a regular file (a pipe, socket or device).", "Remove it.")
