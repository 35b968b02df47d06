"""The one server of a test session, and the fixtures that lend databases and sites on it."""

from __future__ import annotations

import atexit
import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.conf import settings

from sqlmigrations.backends.base import Connection
from tests.core import pytest_collection_modifyitems  # noqa: F401  (a hook)
from tests.embedded import Folder, lend
from tests.forkserver import end_zygotes
from tests.inprocess import LocalSite, pointed_at
from tests.interruptions import Scene
from tests.office import Office
from tests.programs import make_server
from tests.ran import (  # noqa: F401  (hooks)
    pytest_report_header,
    pytest_sessionfinish,
    pytest_terminal_summary,
    pytest_testnodedown,
)
from tests.servers import Database, lend_database, socket_url
from tests.shop import Shop, opened
from tests.site import Site


def start_session_server() -> None:
    """Start a server in a folder of its own and tell this process and its children where it is.

    At import, yet pytest-django has loaded the settings before: their entry is completed here, and only
    children read DATABASE_URL.
    """
    folder = Path(tempfile.mkdtemp(prefix="sqlmigrations-"))
    folder.chmod(0o755)  # so that root's server, which runs as another user, reaches its data
    atexit.register(shutil.rmtree, folder, ignore_errors=True)  # after the server's, registered later
    server = make_server(folder, "fsync=off")
    os.environ["DATABASE_URL"] = socket_url(server, "invoices")
    if settings.configured and settings.DATABASES["default"]["ENGINE"] == "project.embedded":
        settings.DATABASES["default"]["HOST"] = str(folder)


if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # Who starts tests in the background may have made them deaf to Ctrl-C; what they start has to hear it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

IS_OURS = not os.environ.get("DATABASE_URL")
if IS_OURS:
    start_session_server()


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_setupnodes() -> None:
    """Workers that run tests side by side start a server each, and are not to inherit the address of this one."""
    if IS_OURS:
        del os.environ["DATABASE_URL"]


@pytest.fixture(scope="session", autouse=True)
def forkserver() -> Iterator[None]:
    """What processes of tests are forked from ends with them: what it has to tell of its coverage is awaited."""
    yield
    end_zygotes()


@pytest.fixture
def fresh_database() -> Iterator[Database]:
    """An empty database of its own."""
    with lend_database() as database:
        yield database


@pytest.fixture
def site(tmp_path: Path, fresh_database: Database) -> Site:
    """A Django site in a folder of its own, on a database of its own."""
    made = Site(tmp_path, fresh_database)
    made.migrations.mkdir()
    return made


@pytest.fixture
def local_site(
    tmp_path: Path, fresh_database: Database, django_db_blocker: Any, monkeypatch: pytest.MonkeyPatch
) -> Iterator[LocalSite]:
    """As ``site``, in this process: files are shown relative to its folder, models read its database."""
    made = LocalSite(tmp_path, fresh_database)
    made.migrations.mkdir()
    monkeypatch.chdir(tmp_path)
    with django_db_blocker.unblock(), pointed_at(fresh_database):
        yield made


@pytest.fixture
def scene(local_site: LocalSite) -> Iterator[Scene]:
    """A database with a table, in which statements can be interrupted."""
    with closing(Connection("default", "test")) as connection:
        made = Scene(local_site.database, connection)
        made.run("CREATE TABLE t (a int, b text); INSERT INTO t SELECT g, g FROM generate_series(1, 1000) AS g")
        yield made


@pytest.fixture
def shop(local_site: LocalSite) -> Iterator[Shop]:
    """The same with an app of Django's that has migrations."""
    with opened(local_site.folder, local_site.database) as shop:
        yield shop


@pytest.fixture
def office(local_site: LocalSite) -> Iterator[Office]:
    """The admin of such a site."""
    local_site.run("migrate", "--verbosity", "0", "--skip-checks", check=True)
    with local_site.configured():
        yield Office(local_site)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Folder]:
    """A folder for an embedded server of the test's own."""
    yield from lend(tmp_path / ".postgres")
