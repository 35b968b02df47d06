"""How a glimpse of a long statement is told: in which words, and how often where every line is kept."""

from __future__ import annotations

import time
from collections.abc import Sequence
from enum import Enum

from sqlmigrations.types import Blocker, Glimpse

# A log should neither be silent nor full.
EVERY_S = 30
# A shorter statement is one of many; then the time of the file tells more.
_LONG_S = 1


class Occasion(Enum):
    """Why a glimpse is worth a line of its own."""

    BLOCKED = "blocked"
    INTERVAL = "interval"


class Pace:
    """The glimpses of one file that are worth a line: somebody new in the way at once, else one every 30 seconds."""

    def __init__(self) -> None:
        self._begun = self._told = time.monotonic()
        self._known: tuple[int, str] | None = None

    @property
    def age_s(self) -> float:
        """Since when the file is under way, seconds."""
        return time.monotonic() - self._begun

    def occasion(self, glimpse: Glimpse) -> Occasion | None:
        """Why this one is to be told; ``None`` when it is passed over."""
        if self.meets(glimpse.blockers):
            return Occasion.BLOCKED
        if time.monotonic() - self._told < EVERY_S:
            return None
        self._told = time.monotonic()
        return Occasion.INTERVAL

    def meets(self, blockers: Sequence[Blocker]) -> bool:
        """Whether the nearest of them was not the last one told; from now on it is."""
        nearest = next(((blocker.pid, blocker.relation) for blocker in blockers), self._known)
        if nearest == self._known:
            return False
        self._known, self._told = nearest, time.monotonic()
        return True


def awaited(holder: object, *, is_orphan: bool) -> str:
    """What is waited for before anything runs, and who has it.

    Args:
        holder: The session, as text; ``None`` when it was gone before it could be named.
        is_orphan: A statement that has outlived its runner is waited for, not another run.
    """
    who = holder or "a session that has just ended"
    if is_orphan:
        return f"Waiting for a statement of an earlier run, which the server still executes: {who}"
    return f"Waiting for the migration lock, held by {who}"


def account(glimpse: Glimpse, file_s: float) -> str:
    """``statement 3 of 7, 12 s, building index: scanning table 41 %``, ``statements 4 to 12``, or who is waited for.

    Args:
        glimpse: What was seen.
        file_s: How long the file has been running, seconds.
    """
    is_long = glimpse.elapsed_s >= _LONG_S
    taken = duration(glimpse.elapsed_s) if is_long else f"{duration(file_s)} so far"
    which = f"statement {glimpse.number:,}"
    if glimpse.last is not None:
        which = f"statements {glimpse.number:,} to {glimpse.last:,}"
    parts = [f"{which} of {glimpse.total:,}", taken]
    if glimpse.phase:
        parts.append(glimpse.phase + ("" if glimpse.percent is None else f" {glimpse.percent:.0f} %"))
    told = ", ".join(parts)
    return f"{_waiting(glimpse.blockers)}; {told}" if glimpse.blockers else _printable(told)


def obstacle(blockers: Sequence[Blocker]) -> str:
    """``invoices is held by pid 4711 (app "web", idle in transaction 38 s)``; empty when nobody was seen."""
    if not blockers:
        return ""
    if relation := _printable(blockers[0].relation):
        return f"{relation} is held by {holders(blockers)}"
    return f"{holders(blockers)} {'is' if len(blockers) == 1 else 'are'} in the way"


def holders(blockers: Sequence[Blocker]) -> str:
    """``pid 4711 (app "web", idle in transaction 38 s) and 2 others``."""
    others = len(blockers) - 1
    more = f" and {others} other{'' if others == 1 else 's'}" if others else ""
    return _holder(blockers[0]) + more


def portrait(blocker: Blocker) -> str:
    """All that is known of one: ``pid 4711 (user "ada", app "web", idle in transaction 38 s), holds invoices``."""
    who = f"pid {blocker.pid}" if blocker.pid else "a prepared transaction"
    age = "" if blocker.age_s is None else duration(blocker.age_s)
    state = blocker.state if blocker.pid else ""
    facts = [
        f'user "{blocker.user}"' if blocker.user else "",
        f'app "{blocker.application}"' if blocker.application else "",
        " ".join(part for part in (state, age) if part),
    ]
    known = ", ".join(fact for fact in facts if fact)
    holding = f", holds {blocker.relation}" if blocker.relation else ""
    return _printable((f"{who} ({known})" if known else who) + holding)


def duration(seconds: float) -> str:
    """Whole seconds: ``38 s``, ``2 min 5 s``, ``3 h 20 min``."""
    minutes, rest = divmod(int(seconds), 60)
    if not minutes:
        return f"{rest} s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s"


def taken(milliseconds: float) -> str:
    """Of what was measured: ``3 ms``, ``4.2 s``, ``2 min 5 s``."""
    if milliseconds < 1_000:
        return f"{milliseconds:.0f} ms"
    if milliseconds < 60_000:
        return f"{milliseconds / 1_000:.1f} s"
    minutes, rest = divmod(round(milliseconds / 1_000), 60)
    return f"{minutes} min {rest} s"


def _waiting(blockers: Sequence[Blocker]) -> str:
    relation = _printable(blockers[0].relation)
    return f"waiting for {relation}, held by {holders(blockers)}" if relation else f"waiting for {holders(blockers)}"


def _holder(blocker: Blocker) -> str:
    name = f"pid {blocker.pid}"
    state = blocker.state
    if not blocker.pid:
        # The server has no process for it, and its name is what ROLLBACK PREPARED takes.
        name = f'the prepared transaction "{blocker.query}"' if blocker.query else "a prepared transaction"
        state = ""
    age = "" if blocker.age_s is None else duration(blocker.age_s)
    facts = [_who(blocker), " ".join(part for part in (state, age) if part)]
    known = ", ".join(fact for fact in facts if fact)
    return _printable(f"{name} ({known})" if known else name)


def _who(blocker: Blocker) -> str:
    if not blocker.user:
        # A process of the server's own, such as an autovacuum worker.
        return blocker.application
    return f'app "{blocker.application}"' if blocker.application else f'user "{blocker.user}"'


def _printable(text: str) -> str:
    """Names can hold anything, what moves a terminal's cursor too."""
    return text if text.isprintable() else "".join(char if char.isprintable() else "?" for char in text)
