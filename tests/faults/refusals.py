"""What a run says that stops before its first statement."""

from __future__ import annotations

import re

from tests.faults.scene import FaultySite

_WHEN = re.compile(r"\d{4}-\d\d-\d\d \d\d:\d\d UTC")


def refused(site: FaultySite, code: int) -> str:
    """Its message, times alike; nothing else was printed and nothing was recorded."""
    before = site.ledger()
    ended = site.apply()
    assert (ended.returncode, ended.stdout) == (code, "")
    assert site.ledger() == before
    return _WHEN.sub("WHEN", ended.stderr)
