"""A run that has nothing to perform: it is told of, and leaves no trace in the database."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import NoReturn

from sqlmigrations import signals
from sqlmigrations.history import History
from sqlmigrations.plan import Plan, Step
from sqlmigrations.records import RunMark
from sqlmigrations.types import Outcome


class IdleRun:
    """As ``run.Run``, of a plan without steps; that one brings along all that knows how a file is run.

    Attributes:
        plan: Made under the lock.
        mark: Which run it is.
        outcomes: Of no step.
    """

    def __init__(self, plan: Plan, mark: RunMark) -> None:
        self.plan = plan
        self.mark = mark
        self.outcomes: Sequence[Outcome] = ()

    def perform(self, step: Step) -> NoReturn:
        """There is none."""
        raise ValueError(f"{step.migration.id} is no step of this plan.")

    @contextmanager
    def closing(self) -> Iterator[IdleRun]:
        """Tells of the beginning and the end of the run, around the block."""
        started, error = time.perf_counter(), None
        told = {"run_id": self.mark.id, "database": self.mark.database}
        signals.run_started.send_robust(sender=History, pooling=self.plan.pooling, **told)
        try:
            yield self
        except BaseException as raised:
            error = raised
            raise
        finally:
            duration_ms = (time.perf_counter() - started) * 1000
            signals.run_finished.send_robust(sender=History, outcomes=(), error=error, duration_ms=duration_ms, **told)
