"""Processes that stay and start commands at the same moment, or a set time apart: a race costs no process start."""

from __future__ import annotations

import json
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from tests.faults.scene import PATIENCE_S, FaultySite

# From the last word of the test's to the first of the commands: long enough to be heard by all of them.
_HEADWAY_S = 0.003


class Ended(NamedTuple):
    """How a command ended."""

    code: int
    out: str
    err: str
    seconds: float


@dataclass(frozen=True)
class Errand:
    """A command to be performed.

    Attributes:
        after_ms: How long after the earliest moment it begins.
        folder: Of the SQL files; the site's own where none is named.
    """

    arguments: tuple[str, ...]
    after_ms: float = 0
    folder: Path | None = None
    settings: dict[str, Any] = field(default_factory=dict)


class Crew:
    """As many processes as there are members, each with Django set up and the engine imported."""

    def __init__(self, site: FaultySite, drivers: tuple[str, ...]) -> None:
        self._site = site
        self._members = [_stand_by(site, driver) for driver in drivers]

    def perform(self, schema: str, *errands: Errand) -> list[Ended]:
        """Sends each on its way, the first errand with the first member, all in one schema."""
        members = self._members[: len(errands)]
        for member, errand in zip(members, errands, strict=True):
            folder = str(errand.folder or self._site.migrations)
            told = {"arguments": errand.arguments, "schema": schema, "folder": folder, "settings": errand.settings}
            _say(member, json.dumps(told))
        for member in members:
            assert _hear(member) == "ready"
        now = time.monotonic() + _HEADWAY_S
        for member, errand in zip(members, errands, strict=True):
            _say(member, str(now + errand.after_ms / 1000))
        # Commands that wait for each other for ever are a failure like any other.
        patience = threading.Timer(PATIENCE_S, lambda: [member.kill() for member in members])
        patience.start()
        try:
            return [Ended(**json.loads(_hear(member))) for member in members]
        finally:
            patience.cancel()

    def dismiss(self) -> None:
        for member in self._members:
            if member.stdin is not None:
                member.stdin.close()
            member.stdin = None
            _, err = member.communicate(timeout=60)
            # Who waits for the lock within Django's migrate tells so on that stream.
            assert member.returncode == 0, err


def _stand_by(site: FaultySite, driver: str) -> subprocess.Popen[str]:
    env = {"DRIVER": driver} if driver else {}
    site.started.append(site.start("stand_by", env=env, stdin=subprocess.PIPE))
    return site.started[-1]


def _say(member: subprocess.Popen[str], line: str) -> None:
    assert member.stdin is not None
    member.stdin.write(f"{line}\n")
    member.stdin.flush()


def _hear(member: subprocess.Popen[str]) -> str:
    assert member.stdout is not None
    line = member.stdout.readline().rstrip("\n")
    assert line, f"It ended, or was ended because the commands did not: {member.communicate()[1]}"
    return line


@contextmanager
def crew(site: FaultySite, *drivers: str) -> Iterator[Crew]:
    """Processes with these drivers; an empty name is the one that Django prefers here."""
    made = Crew(site, drivers)
    yield made
    made.dismiss()
