"""What a run says of the state it leaves, and what the events tell of it, held against what there is."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_TOLD_DONE = re.compile(r"^  Applying (\S+)\.\.\. OK", re.MULTILINE)
_TOLD_UNDONE = re.compile(r"^  Unapplying (\S+)\.\.\. OK", re.MULTILINE)
_TOLD_NOTHING = re.compile(r"Nothing of (\w+\.\w+) was kept")
_TOLD_FAILED = re.compile(r"^  Applying (\S+)\.\.\. FAILED", re.MULTILINE)
_COUNT = re.compile(r"(no|\d+) migrations? (?:was|were) applied in this run")
_ATTEMPTS = re.compile(r" after \d+ attempts")
_DONE_BEFORE = re.compile(
    r"Statements 1 to (\d+) are done and recorded|Statement 1 is done|(\d+) of \d+ statements are"
)
# Which may be all of it.
_SO_FAR = "How far it came is recorded"
_HALF_DONE = ("partial", "running")
PARTIAL, UNKNOWN = 7, 8
# An error that Django's own questions met, in its words.
OF_DJANGO = "Error of Django's"


def untrue(
    said: subprocess.CompletedProcess[str],
    rows: Mapping[str, dict[str, Any]],
    django: Collection[str],
    has_trace: Callable[[str], bool],
) -> Iterator[str]:
    """What a run said, or kept to itself, and is not so.

    Args:
        said: How it ended.
        rows: The ledger, by the ids of migrations.
        django: The migrations of Django's that are recorded.
        has_trace: Whether anything of a migration is there.
    """
    applied = {id for id, row in rows.items() if row["state"] == "applied"}
    there = {*applied, *django}
    yield from (f"{id} was told to be done" for id in _TOLD_DONE.findall(said.stdout) if id not in there)
    yield from (f"{id} was told to be undone" for id in _TOLD_UNDONE.findall(said.stdout) if id in there)
    if said.returncode < 0:
        return
    for id in _TOLD_NOTHING.findall(said.stderr):
        if id in there or has_trace(id):
            yield f"something of {id} was kept"
    if said.returncode != 0 and "Next: " not in said.stderr and OF_DJANGO not in said.stderr:
        yield "it says nothing of what to do"
    for id in _TOLD_FAILED.findall(said.stdout):
        row = rows.get(id)
        if "Nothing of this file was kept" in said.stderr and (row or has_trace(id)):
            yield f"of {id} something was kept: {row}"
        if said.returncode == PARTIAL and (row is None or row["state"] not in _HALF_DONE):
            yield f"{id} is not half done: {row}"
        if id in applied and said.returncode != UNKNOWN and _SO_FAR not in said.stderr:
            yield f"{id} is applied"
        if (claimed := _DONE_BEFORE.search(said.stderr)) is not None:
            number = int(claimed[1] or claimed[2] or 1)
            if row is None or row["statements_done"] != number:
                yield f"{claimed[0]}: {row}"
    count = _COUNT.search(said.stderr)
    # Each file of a migration of Django's is a run.
    if count and not django and count[1] != (str(len(applied)) if applied else "no"):
        yield f"{count[0]}: it was {len(applied)}"


def is_same(said: str, other: str) -> bool:
    """Whether two runs fail of the same; one that was disturbed has more to say, psycopg2 itself among it."""
    shown, expected = (_ATTEMPTS.sub("", _COUNT.sub("", text)) for text in (said, other))
    return shown.endswith(expected)


@dataclass
class Journal:
    """The events, read in their order.

    Attributes:
        wrong: What has no sense.
    """

    wrong: list[str] = field(default_factory=list)
    _started: list[str] = field(default_factory=list)
    _finished: list[str] = field(default_factory=list)
    _taken: set[tuple[str, str]] = field(default_factory=set)
    _open: dict[str, tuple[str, int]] = field(default_factory=dict)

    def read(self, events: Sequence[Mapping[str, Any]]) -> list[str]:
        for event in events:
            self._note(event["event"], event["run_id"], event["name"], event["detail"].get("number"))
        self.wrong += [f"{name} {number} has no end" for name, (_, number) in self._open.items()]
        if len(set(self._started)) < len(self._started):
            self.wrong.append("a run tells twice of its beginning")
        endless = set(self._started) - set(self._finished)
        if len(endless) > 1:
            self.wrong.append(f"not only the disturbed run has no end: {endless}")
        return self.wrong

    def _note(self, event: str, run: str, name: str, number: int) -> None:
        if run in self._finished:
            self.wrong.append(f"{event} {name} after the end of its run")
        if event == "run_started":
            self._started.append(run)
        elif event == "run_finished":
            self._finished.append(run)
        elif event in ("begun", "resumed", "undoing"):
            self._taken.add((run, name))
        elif event.startswith("statement_") and event != "statement_resolved":
            self._note_statement(event, run, name, number)

    def _note_statement(self, event: str, run: str, name: str, number: int) -> None:
        if (run, name) not in self._taken:
            self.wrong.append(f"{event} {name} {number} by a run that has not taken the file")
        if event == "statement_started":
            before_run, before = self._open.get(name, ("", number))
            if before != number or before_run == run:
                self.wrong.append(f"{name} {number} started, and {before} has not ended")
            self._open[name] = (run, number)
        elif event in ("statement_finished", "statement_failed"):
            self._open.pop(name, None)


def done(events: Sequence[Mapping[str, Any]]) -> list[tuple[str, str, int]]:
    """What was done, in its order: the same as of an undisturbed run, and nothing twice."""
    return [
        (event["event"], event["name"], event["detail"].get("number", 0))
        for event in events
        if event["event"] in ("applied", "statement_finished", "faked", "rolled_back")
    ]
