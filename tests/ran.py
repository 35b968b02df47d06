"""What a session of the tests ran on: shown above it, and appended to the file that RAN_ON names, for ``.ci/run``."""

from __future__ import annotations

import json
import os
import platform
from collections import Counter
from pathlib import Path
from typing import Any

import django
import pytest
from django.db.backends.postgresql.base import Database as driver

from tests.servers import Database

_SAID = "sqlmigrations_ran_on"
# What each process that ran tests said: the workers of xdist, or this one.
_said: list[dict[str, str]] = []


def _packages() -> dict[str, str]:
    return {
        "python": platform.python_version(),
        "django": django.get_version(),
        "driver": f"{driver.__name__} {driver.__version__.split()[0]}",
    }


def pytest_report_header() -> str:
    return ", ".join(f"{name} {version}" for name, version in _packages().items())


@pytest.hookimpl(tryfirst=True)
def pytest_sessionfinish(session: pytest.Session) -> None:
    """Who ran tests says on what; who only hands them out to workers keeps silent."""
    output: dict[str, Any] | None = getattr(session.config, "workeroutput", None)
    hands_out = output is None and session.config.getoption("dist", "no") != "no"
    if hands_out or not session.testscollected or not os.environ.get("RAN_ON"):
        return
    (server,) = Database("postgres").query("SHOW server_version")[0]
    said = _packages() | {"server": server}
    if output is None:
        _said.append(said)
    else:
        output[_SAID] = said


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    _said.extend(filter(None, [getattr(node, "workeroutput", {}).get(_SAID)]))


@pytest.hookimpl(trylast=True)
def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    _write_down(terminalreporter)
    _tell_of_sweeps(terminalreporter)
    _tell_in_short(terminalreporter)


def _tell_of_sweeps(terminalreporter: pytest.TerminalReporter) -> None:
    """How often commands were cut off, and with which exit codes they ended."""
    ends: dict[tuple[str, int], Counter[str]] = {}
    for report in [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]:
        for what, trips, codes in [value for name, value in report.user_properties if name == "sweep"]:
            ends.setdefault((what, trips), Counter()).update(codes)
    for (what, trips), codes in sorted(ends.items()):
        told = ", ".join(f"{code}: {count}" for code, count in sorted(codes.items(), key=lambda item: int(item[0])))
        terminalreporter.write_line(f"{trips} round trips of {what}: {codes.total()} runs, ended with {told}")


def _write_down(terminalreporter: pytest.TerminalReporter) -> None:
    path = os.environ.get("RAN_ON")
    if not path or not _said:
        return
    passed = terminalreporter.getreports("passed")
    counted = {"passed": len(passed), "browser": sum("browser/" in report.nodeid for report in passed)}
    with Path(path).open("a") as file:
        file.writelines(json.dumps(said | counted) + "\n" for said in {str(said): said for said in _said}.values())


def _tell_in_short(terminalreporter: pytest.TerminalReporter) -> None:
    """Why tests were skipped, a line for each reason, and what failed: the end of a log is what is read of it."""
    reasons = Counter(report.longrepr[2] for report in terminalreporter.getreports("skipped"))
    terminalreporter.ensure_newline()
    for reason, count in sorted(reasons.items()):
        terminalreporter.write_line(f"{count} skipped: {reason.removeprefix('Skipped: ')}")
    for report in [*terminalreporter.getreports("failed"), *terminalreporter.getreports("error")]:
        said = [line[1:].strip() for line in report.longreprtext.splitlines() if line.startswith("E ")]
        terminalreporter.write_line(f"FAILED {report.nodeid}: {''.join(said[:1])[:200]}", red=True)
