"""What a contestant is: how a tool is installed, given its files and called."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from copy import copy
from pathlib import Path
from typing import Self

from benchmarks.arena import Address, query
from benchmarks.process import Invocation, measure
from benchmarks.scripts import Script


class Contestant(ABC):
    """A tool that competes.

    Attributes:
        name: As the tables show it.
        checksums: What it does with checksums of the files: nothing, keep them, or compare them in every run.
        how: How it is called, for the page.
        recorded: SQL for the number of migrations that it has in its ledger; none where it keeps no ledger.
        folder: Where its files are, once it has settled.
    """

    name: str
    checksums: str
    how: str
    recorded: str | None

    folder: Path

    def settled(self, folder: Path) -> Self:
        """The same contestant with a folder for its files."""
        other = copy(self)
        other.folder = folder
        return other

    def install(self) -> None:  # noqa: B027
        """Get the tool; nothing to do where it is here with us.

        Raises:
            NotInstalled: It cannot be had here.
        """

    @abstractmethod
    def version(self) -> str:
        """Which version competes, with what matters beside it."""

    @abstractmethod
    def write(self, scripts: Sequence[Script]) -> None:
        """Write the migrations, in the form that it wants; those that are there already stay as they are."""

    @abstractmethod
    def apply(self, address: Address) -> Invocation:
        """The process that applies what is pending."""

    def record(self, address: Address, scripts: Sequence[Script]) -> None:
        """Have a database say that all are applied, but for the first without running them.

        Raises:
            RunFailed: A process of it failed.
        """
        self.write(scripts[:1])
        measure(self.apply(address))
        self.write(scripts)
        for script in self.filling(scripts[1:]):
            query(address, script)

    def filling(self, scripts: Sequence[Script]) -> Sequence[str]:
        """SQL that writes into its ledger what an application of these would have left there."""
        raise NotImplementedError(f"{self.name} has no ledger")

    def write_plain(self, scripts: Sequence[Script], form: str = "{sql}", name: str = "{script.name}.sql") -> Path:
        """Numbered files in a folder, which is returned.

        Args:
            scripts: What they hold.
            form: What stands around the SQL.
            name: How each is called.
        """
        folder = self.folder / "migrations_sql"
        folder.mkdir(exist_ok=True)
        before, _, after = form.partition("{sql}")
        for script in scripts:
            (folder / name.format(script=script)).write_text(before + script.sql + after)
        return folder
