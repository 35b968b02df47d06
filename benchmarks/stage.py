"""What a question is answered on: a server, a folder for files, and contestants that are ready."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

from benchmarks.arena import Arena, open_arena
from benchmarks.peers import CAST
from benchmarks.peers.contestant import Contestant
from benchmarks.peers.environments import NotInstalled
from benchmarks.rounds import Row
from benchmarks.scripts import Script

NAMES = {contestant.__name__.lower(): contestant for contestant in CAST}


class Workload:
    """The same migrations for everybody, written when somebody needs them."""

    def __init__(self, folder: Path, scripts: Sequence[Script]) -> None:
        self.scripts = scripts
        self._folder = folder

    def of(self, contestant: Contestant) -> Contestant:
        """The contestant in a folder with these migrations."""
        settled = contestant.settled(self._folder / type(contestant).__name__)
        if not settled.folder.exists():
            settled.folder.mkdir(parents=True)
            settled.write(self.scripts)
        return settled

    def drop(self) -> None:
        """Give the room on the disk back."""
        shutil.rmtree(self._folder)


class Stage:
    """Gone with the block that opened it.

    Attributes:
        folder: For whatever is needed on the disk.
        pictures: What is to stand in ``docs/images`` with the answer, by the names of the files.

    Args:
        folder: For the files of contestants and whatever else.
        only: The contestants that compete, by the names of their classes; all when empty.
        settings: Of the server.
        opened: What ends with the stage.
    """

    def __init__(self, folder: Path, only: frozenset[str], settings: Sequence[str], opened: ExitStack) -> None:
        self.folder = folder
        self.pictures: dict[str, str] = {}
        self._only = only
        self._settings = settings
        self._opened = opened
        self._arena: Arena | None = None

    @property
    def arena(self) -> Arena:
        """Started when it is needed first."""
        if self._arena is None:
            self._arena = self._opened.enter_context(open_arena(*self._settings))
        return self._arena

    def rows(self, *cast: type[Contestant]) -> list[Row]:
        """The contestants of a question, each with its tool installed or a word why it is not."""
        return [self._row(contestant) for contestant in cast or CAST if self._competes(contestant)]

    def workload(self, scripts: Sequence[Script]) -> Workload:
        """Migrations for all."""
        return Workload(self.room(), scripts)

    def room(self) -> Path:
        """A new folder for files."""
        return Path(tempfile.mkdtemp(dir=self.folder))

    def _competes(self, contestant: type[Contestant]) -> bool:
        return not self._only or contestant.__name__.lower() in self._only

    def _row(self, contestant: type[Contestant]) -> Row:
        row = Row(contestant())
        try:
            row.contestant.install()
            row.version = row.contestant.version()
        except (NotInstalled, OSError) as problem:
            print(f"{contestant.name}: not installed: {problem}", file=sys.stderr)
            row.missing = f"not installed: {problem}"
        return row


@contextmanager
def open_stage(only: frozenset[str] = frozenset(), *settings: str) -> Iterator[Stage]:
    """Everything in temporary folders."""
    with tempfile.TemporaryDirectory(prefix="sqlmigrations-benchmark-") as folder, ExitStack() as opened:
        yield Stage(Path(folder), only, settings, opened)
