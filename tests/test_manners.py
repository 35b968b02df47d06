"""Django's own commands where SQL files are pending and changed: they go on, and look at no database they need not."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import dj_database_url
import pytest
from django.core.management import execute_from_command_line
from django.db import connections
from django.test import override_settings

from tests.faults.proxy import Proxy, proxy_before
from tests.inprocess import LocalSite
from tests.site import ROOT, Site

WITHOUT_A_DATABASE = [
    ("check",),
    ("check", "--deploy"),
    ("check", "--tag", "models"),
    ("collectstatic", "--dry-run", "--noinput"),
    ("diffsettings",),
    ("shell", "--verbosity", "0", "-c", "print(1)"),
]
CHECK = ("check", "--database", "default")
READING = [
    CHECK,
    ("makemigrations", "--check", "--dry-run"),
    ("showmigrations",),
    ("sqlmigrate", "sqlmigrations", "0001"),
]
WRITING = (b"INSERT", b"UPDATE", b"DELETE", b"CREATE", b"ALTER", b"DROP", b"TRUNCATE")


def with_files(site: LocalSite) -> None:
    """One file that was changed after it was applied, and one that is pending."""
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.run("sqlmigrate_apply", check=True)
    site.write("001_a.sql", "CREATE TABLE a (id bigint);\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")


@contextmanager
def reached_through(proxy: Proxy, site: LocalSite, alias: str = "default") -> Iterator[None]:
    """An alias of this process whose every use is seen by the proxy."""
    known = connections.settings
    before = connections[alias] if alias in known else None
    entries = connections.configure_settings({"default": dj_database_url.parse(proxy.url(site.database.url))})
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(known, alias, entries["default"])
        connections[alias] = connections.create_connection(alias)
        try:
            yield
        finally:
            connections[alias].close()
            if before is None:
                del connections[alias]
            else:
                connections[alias] = before


@pytest.fixture
def default(local_site: LocalSite) -> Iterator[Proxy]:
    """The way to the database."""
    with proxy_before(local_site.database.url) as proxy:
        yield proxy


@pytest.fixture
def away(local_site: LocalSite) -> Iterator[Proxy]:
    """A second database of ours that is away: nobody is let in, and everybody who comes is counted."""
    with proxy_before(local_site.database.url) as proxy, reached_through(proxy, local_site, "away"):
        proxy.shut()
        yield proxy


def manage(site: LocalSite, *arguments: str) -> int:
    """What ``manage.py`` ends with; in this process, but with all that a shell's call has: checks above all."""
    with site.configured(), override_settings(STATIC_ROOT=str(site.folder / "static")):
        try:
            execute_from_command_line(["manage.py", *arguments])
        except SystemExit as ending:
            return int(ending.code or 0)
    return 0


def test_what_needs_no_database_asks_none_and_does_not_mind_files(
    local_site: LocalSite, default: Proxy, away: Proxy
) -> None:
    with_files(local_site)
    default.shut()

    with reached_through(default, local_site):
        ended = {arguments: manage(local_site, *arguments) for arguments in WITHOUT_A_DATABASE}

    assert ended == dict.fromkeys(WITHOUT_A_DATABASE, 0)
    assert default.turned_away == away.turned_away == 0


def test_what_reads_a_database_goes_on_writes_nothing_and_knows_the_ledger_only_where_asked_to(
    local_site: LocalSite, default: Proxy, away: Proxy
) -> None:
    with_files(local_site)
    before = local_site.ledger()

    ended, asked = {}, {}
    with reached_through(default, local_site):
        for arguments in READING:
            default.asked.clear()
            ended[arguments] = manage(local_site, *arguments)
            asked[arguments] = list(default.asked)

    assert ended == dict.fromkeys(READING, 0)
    assert [
        message for messages in asked.values() for message in messages if message.lstrip(b"\0").startswith(WRITING)
    ] == []
    assert [a for a, messages in asked.items() if b"schema_migration" in b" ".join(messages)] == [CHECK]
    assert away.turned_away == 0
    assert local_site.ledger() == before


def test_a_database_that_is_away_is_said_and_fails_no_check(
    local_site: LocalSite, away: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    assert manage(local_site, "check", "--database", "away") == 0

    assert "The database cannot be reached" in capsys.readouterr().err
    assert away.turned_away > 0


def test_migrate_goes_on_says_what_is_pending_and_leaves_the_files_alone(
    local_site: LocalSite, away: Proxy, capsys: pytest.CaptureFixture[str]
) -> None:
    with_files(local_site)
    before = local_site.ledger()

    assert manage(local_site, "migrate", "--verbosity", "0") == 0

    said = capsys.readouterr().err
    assert "sqlmigrations.W001" in said
    assert "sqlmigrations.W002" in said
    assert local_site.ledger() == before
    assert local_site.query("SELECT to_regclass('django_session') IS NULL, to_regclass('b') IS NULL") == [
        (False, True)
    ]
    assert away.turned_away == 0


def test_tests_that_use_no_database_reach_none(site: Site) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    (site.folder / "test_simple.py").write_text(
        "from django.test import SimpleTestCase\n\n\n"
        "class Sums(SimpleTestCase):\n    def test_sum(self) -> None:\n        self.assertEqual(1 + 1, 2)\n"
    )

    with proxy_before(site.database.url) as proxy:
        proxy.shut()
        ended = site.run("test", env={"DATABASE_URL": proxy.url(site.database.url)})

    assert (ended.returncode, ended.stderr.splitlines()[-1]) == (0, "OK"), ended.stderr
    assert proxy.turned_away == 0


def test_runserver_comes_up_beside_pending_files_and_writes_nothing(site: Site) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    with proxy_before(site.database.url) as proxy:
        environment = {
            "DATABASE_URL": proxy.url(site.database.url),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "tests.browser.site_settings",
        }
        server = site.start("runserver", "127.0.0.1:0", "--noreload", env=environment)
        try:
            assert server.stdout is not None
            serves = any("Quit the server with" in line for line in server.stdout)
        finally:
            server.send_signal(signal.SIGINT)
            _, errors = server.communicate(timeout=180)

    assert serves, errors
    assert [message for message in proxy.asked if message.lstrip(b"\0").startswith(WRITING)] == []
    assert site.query("SELECT to_regclass('schema_migrations')") == [(None,)]


def test_a_new_database_is_looked_at_and_left_as_it_was(local_site: LocalSite) -> None:
    local_site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    made = "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"

    assert manage(local_site, "check", "--database", "default") == 0

    assert local_site.query(made) == []


def test_a_process_that_runs_no_sql_file_imports_nothing_that_reads_sql() -> None:
    program = (
        "import sys, django; django.setup(); import sqlmigrations.admin, sqlmigrations.operations\n"
        "heavy = tuple(f'sqlmigrations.{name}' for name in ('sql', 'lint', 'resume', 'parser', 'plan', 'executor'))\n"
        "print([name for name in sys.modules if name.startswith(heavy)])"
    )

    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, check=False, capture_output=True, text=True)

    assert (done.stdout, done.stderr) == ("[]\n", "")
