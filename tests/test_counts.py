"""What calls cost, counted and never timed: queries, connections, files that are opened, modules that are imported."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.faults.proxy import Proxy, proxy_before
from tests.inprocess import LocalSite, leading_to
from tests.site import Site

FILES = 30
# Django's own, when a connection begins in another time zone.
_OF_DJANGO = b"TimeZone"

# Beyond connecting. Of a run: settings of the lock's session and facts; BEGIN and the lock; settings of the work
# session and facts; columns; rights; the rows. Of those who only read: columns; rows.
LIMITS = {
    ("sqlmigrate_apply",): (2, 6),
    ("sqlmigrate_apply", "--plan"): (1, 3),
    ("sqlmigrate_status",): (1, 2),
    ("sqlmigrate_status", "--check"): (1, 3),
    ("check", "--database", "default"): (1, 2),
}
TOO_MANY = (
    "{command} sends other messages than before:\n{sent}\n"
    "Each is a round trip, in every deploy. Let one of those that are there bring what is wanted; where that "
    "cannot be, say why beside LIMITS."
)

# Prints what a command of a site has opened and imported, the command being what the arguments say.
_PROGRAM = """
import json, sys
opened = []
sys.addaudithook(lambda event, args: opened.append(str(args[0])) if event == "open" else None)
import django
django.setup()
from django.core.management import execute_from_command_line
import django.db.backends.postgresql.base, django.core.management.base
before = set(sys.modules)
try:
    execute_from_command_line(["manage.py", *sys.argv[1:]])
except SystemExit as ending:
    assert not ending.code, ending.code
new = sorted(set(sys.modules) - before)
print(json.dumps([[path for path in opened if path.endswith(".sql")], new, sorted(sys.modules)]))
"""
# What reads SQL, judges it, runs it or records it, and what knows Django's migrations.
_HEAVY = (
    *(f"sqlmigrations.{name}" for name in ("sql", "lint", "resume", "parser", "planning", "pending", "halves")),
    *(f"sqlmigrations.{name}" for name in ("run", "transaction", "stepwise", "recorder", "keeping", "provenance")),
    *(f"sqlmigrations.{name}" for name in ("corrections", "repair", "inquiry", "adoption", "difference", "admin")),
    "django.db.migrations",
)
# Whoever imports something else of the standard library looks first what it costs (python -X importtime), and whether
# only some calls need it: then it is imported where they do.
_STANDARD = frozenset(("gc",))  # is in the interpreter itself
HEAVIER = (
    "{command} imports what it does not need where nothing is pending: {met}.\n"
    "python -X importtime shows by whom. Import it where something is pending, with the reason beside it."
)


@pytest.fixture
def applied(local_site: LocalSite) -> LocalSite:
    """A site with files, all of them applied."""
    for number in range(1, FILES + 1):
        local_site.write(f"{number:03d}_x.sql", f"CREATE TABLE x{number} (id int);\n")
    local_site.run("sqlmigrate_apply", check=True)
    return local_site


@pytest.fixture
def proxy(local_site: LocalSite) -> Iterator[Proxy]:
    """The way to its database."""
    with proxy_before(local_site.database.url) as made:
        yield made


def sent(proxy: Proxy, site: LocalSite, *command: str) -> tuple[int, list[bytes]]:
    """How many connections a command opened, and its messages."""
    before = proxy.served
    proxy.asked.clear()
    with leading_to(proxy.url(site.database.url)):
        site.run(*command, check=True)
    return proxy.served - before, [message for message in proxy.asked if _OF_DJANGO not in message]


def test_where_all_is_applied_a_call_sends_no_more_messages_than_it_needs(applied: LocalSite, proxy: Proxy) -> None:
    for command, limit in LIMITS.items():
        connections, messages = sent(proxy, applied, *command)

        told = "\n".join(" ".join(message.decode(errors="replace").split())[:90] for message in messages)
        assert (connections, len(messages)) == limit, TOO_MANY.format(command=" ".join(command), sent=told)


def test_what_is_asked_does_not_depend_on_the_number_of_files(applied: LocalSite, proxy: Proxy) -> None:
    few = {command: len(sent(proxy, applied, *command)[1]) for command in LIMITS}
    for number in range(FILES + 1, 3 * FILES):
        applied.write(f"{number:03d}_x.sql", f"CREATE TABLE x{number} (id int);\n")
    applied.run("sqlmigrate_apply", "--fake", check=True)

    many = {command: len(sent(proxy, applied, *command)[1]) for command in LIMITS}

    assert many == few, "A query was put into a loop over files or rows: ask once, for all of them."


def test_a_file_of_one_statement_takes_no_more_than_five_round_trips(local_site: LocalSite, proxy: Proxy) -> None:
    local_site.write("001_x.sql", "CREATE TABLE x1 (id int);\n")
    first = len(sent(proxy, local_site, "sqlmigrate_apply")[1])
    for number in (2, 3):
        local_site.write(f"{number:03d}_x.sql", f"CREATE TABLE x{number} (id int);\n")
    two = len(sent(proxy, local_site, "sqlmigrate_apply")[1])
    for number in range(4, 14):
        local_site.write(f"{number:03d}_x.sql", f"CREATE TABLE x{number} (id int);\n")
    ten = len(sent(proxy, local_site, "sqlmigrate_apply")[1])

    assert (ten - two) / 8 <= 5, f"8 more files took {ten - two} more round trips: let what is ours travel together."
    assert first <= 30, "A first run makes the tracking tables statement by statement; what else does it ask for?"


@pytest.mark.parametrize("command", [("sqlmigrate_apply",), ("sqlmigrate_status",)])
def test_a_call_with_nothing_to_do_opens_each_file_once_and_imports_nothing_that_knows_sql(
    site: Site, command: tuple[str, ...]
) -> None:
    names = [f"{number:03d}_x.sql" for number in range(1, FILES + 1)]
    for name in names:
        site.write(name, "SELECT 1;\n")
    site.run("sqlmigrate_apply", "--fake", check=True)

    program = [sys.executable, "-c", _PROGRAM, *command]
    ended = subprocess.run(
        program, cwd=site.folder, env=site.environment(), check=True, capture_output=True, text=True
    )
    opened, new, every = json.loads(ended.stdout.splitlines()[-1])

    times = Counter(path.rpartition("/")[2] for path in opened)
    assert {name: times[name] for name in names} == dict.fromkeys(names, 1), "A file is read once, and read each time."
    shown = " ".join(command)
    heavy = [name for name in every if any(f"{name}.".startswith(f"{one}.") for one in _HEAVY)]
    assert heavy == [], HEAVIER.format(command=shown, met=", ".join(heavy))
    standard = {name.partition(".")[0] for name in new} & sys.stdlib_module_names - _STANDARD
    assert standard == set(), HEAVIER.format(command=shown, met=", ".join(sorted(standard)))
