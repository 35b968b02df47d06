"""Small file systems that a server may write to and that can be filled, and made larger later on."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.servers import Database


@dataclass(frozen=True)
class Disk:
    """A tmpfs, mounted."""

    folder: Path

    @property
    def tablespace(self) -> str:
        return f"t_{self.folder.name[-8:]}"

    def free(self) -> None:
        """Somebody makes room."""
        subprocess.run(["mount", "-o", "remount,size=512m", str(self.folder)], check=True)


@contextmanager
def lend_disk(data: Path, megabytes: int) -> Iterator[Disk]:
    """One that the owner of a data folder may write to; where none can be mounted the test is skipped."""
    folder = Path(tempfile.mkdtemp(prefix="disk-", suffix=uuid.uuid4().hex[:8]))
    try:
        tmpfs = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m,mode=0700", "tmpfs", str(folder)]
        mounted = subprocess.run(tmpfs, capture_output=True, text=True)
        if mounted.returncode:
            pytest.skip(f"a small file system cannot be mounted here: {mounted.stderr.strip()}")
        try:
            owner = data.stat()
            os.chown(folder, owner.st_uid, owner.st_gid)
            yield Disk(folder)
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def lend_tablespace(database: Database, megabytes: int) -> Iterator[Disk]:
    """The same as a tablespace of the session's server."""
    with lend_disk(Path(database.query("SHOW data_directory")[0][0]), megabytes) as disk:
        database.query(f"CREATE TABLESPACE {disk.tablespace} LOCATION '{disk.folder}'")
        try:
            yield disk
        finally:
            disk.free()
            for kind in ("TABLE", "INDEX"):
                database.query(f"ALTER {kind} ALL IN TABLESPACE {disk.tablespace} SET TABLESPACE pg_default")
            database.query(f"DROP TABLESPACE {disk.tablespace}")
