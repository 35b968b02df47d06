"""Fixtures of the tests of faults."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from project.embedded.server import Server
from tests.faults.own import lend_server
from tests.faults.proxy import Proxy, proxy_before
from tests.faults.scene import FaultySite, Gate, Role, lend_role, shut_gate
from tests.servers import Database


@pytest.fixture(autouse=True)
def driver_is_installed(request: pytest.FixtureRequest) -> None:
    """A test of both drivers runs with those that are there."""
    parameters = request.node.callspec.params if hasattr(request.node, "callspec") else {}
    if "driver" in parameters:
        pytest.importorskip(parameters["driver"], reason=f"{parameters['driver']} is not installed")


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """One of the module's own, which may be stopped and changed."""
    with lend_server() as server:
        yield server


@pytest.fixture
def site(tmp_path: Path, fresh_database: Database) -> Iterator[FaultySite]:
    """A site of its own on a database of its own; faults come through the environment."""
    made = FaultySite(tmp_path, fresh_database)
    made.migrations.mkdir()
    yield made
    made.end_processes()


@pytest.fixture
def gate(fresh_database: Database) -> Iterator[Gate]:
    """Shut until opened; files wait at it."""
    with shut_gate(fresh_database) as gate:
        yield gate


@pytest.fixture
def role(fresh_database: Database) -> Iterator[Role]:
    """A role that may log in and nothing else."""
    with lend_role(fresh_database) as role:
        yield role


@pytest.fixture
def proxy(fresh_database: Database) -> Iterator[Proxy]:
    """Stands between runners and the server."""
    with proxy_before(fresh_database.url) as proxy:
        yield proxy
