"""What a caller may ask of a run beside what the settings say."""

from __future__ import annotations

from dataclasses import dataclass

from sqlmigrations.target import EVERYTHING, Target
from sqlmigrations.types import Audience, RunMode


@dataclass(frozen=True, slots=True)
class Options:
    """How far, how, and what is allowed.

    Attributes:
        target: How far to go.
        mode: Run the files, or record them without running.
        allow: Rules silenced for this run.
        allow_late: Whether a number below an applied one may run.
        lock_wait_ms: How long to wait for another run; ``None`` takes the setting.
        wait_for_db_s: How long to wait for the server, seconds.
        audience: Who follows the files statement by statement.
    """

    target: Target = EVERYTHING
    mode: RunMode = RunMode.APPLY
    allow: frozenset[str] = frozenset()
    allow_late: bool = False
    lock_wait_ms: int | None = None
    wait_for_db_s: float = 0
    audience: Audience = Audience.LATER


DEFAULTS = Options()
