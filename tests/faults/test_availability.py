"""Servers that are away, only readable, or do not let the runner in: nothing runs, and no password is shown."""

from __future__ import annotations

import json
import shlex
import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import psycopg2
import pytest

from project.embedded.server import Server
from tests.faults.own import lend_standby
from tests.faults.proxy import proxy_before
from tests.faults.scene import FaultySite, Role, database_json, ended, until
from tests.servers import Database, socket_url

SECRET = "Hunter2-is-not-it"


@pytest.fixture(scope="module")
def standby(server: Server) -> Iterator[str]:
    with lend_standby(server) as standby:
        yield standby.url


def superuser(server: Server, sql: str) -> None:
    connection = psycopg2.connect(socket_url(server, "postgres"))
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(sql)
    connection.close()


@pytest.fixture
def guarded_url(server: Server) -> Iterator[str]:
    """A role that needs a password and may do what it likes in the database ``guarded``."""
    superuser(server, f"CREATE ROLE guarded LOGIN PASSWORD '{SECRET}'")
    superuser(server, "CREATE DATABASE guarded OWNER guarded")
    parts = urlsplit(socket_url(server, "guarded"))
    yield parts._replace(netloc=f"guarded:{SECRET}@{parts.netloc.rpartition('@')[2]}").geturl()
    superuser(server, "DROP DATABASE guarded WITH (FORCE)")
    superuser(server, "DROP ROLE guarded")


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


def test_f30_a_standby_is_refused_before_the_lock(site: FaultySite, standby: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    refused = site.apply(DATABASE_URL=standby)

    assert refused.returncode == 9
    assert refused.stderr.startswith(
        "The server is a standby (in recovery); it takes no writes. Nothing was changed.\n"
    )
    assert "Next: Point the database alias at the primary." in refused.stderr
    assert refused.stdout == ""


def test_f30_status_reads_a_standby(site: FaultySite, standby: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")

    status = site.run("sqlmigrate_status", "--format", "json", env={"DATABASE_URL": standby})

    assert (status.returncode, status.stderr) == (0, "")
    assert json.loads(status.stdout)["summary"]["pending"] == 2


def test_f31_a_read_only_database_is_refused(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    setting = f"ALTER DATABASE {site.database.name} {{}} default_transaction_read_only"
    Database("postgres").query(setting.format("SET") + " = on")

    refused = site.apply()

    assert refused.returncode == 9
    assert refused.stderr == (
        "The database is read-only (default_transaction_read_only is on). Nothing was changed.\n\n"
        "  Next: Switch it off for this database or role, or point the alias at the primary.\n"
    )
    Database("postgres").query(setting.format("RESET"))
    assert site.ledger() == []
    assert site.apply().returncode == 0
    assert site.names() == ["001_a"]


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
def test_f32_a_missing_database_is_said_in_a_line(site: FaultySite, driver: str) -> None:
    missing = Database(f"{site.database.name}_missing")
    parts = urlsplit(missing.url)
    there = {
        "DATABASE_URL": parts._replace(netloc=parts.netloc.replace("@", f":{SECRET}@")).geturl(),
        "DRIVER": driver,
    }

    refused = [site.run(command, env=there) for command in ("sqlmigrate_apply", "sqlmigrate_status")]
    site.query(f"CREATE DATABASE {missing.name}")
    applied = site.apply(**there)
    site.query(f"DROP DATABASE {missing.name} WITH (FORCE)")

    for run in refused:
        assert run.returncode == 9
        said, _, following = run.stderr.strip().partition("\n\n")
        assert said.startswith("The database cannot be reached: ")
        assert f'database "{missing.name}" does not exist' in said
        assert "\n" not in said
        assert following == "  Next: Create it (createdb), or check NAME and USER of the database alias."
        assert SECRET not in run.stdout + run.stderr
    assert (applied.returncode, "1 applied, 0 skipped" in applied.stdout) == (0, True)


def test_f33_a_server_that_starts_later_is_waited_for(site: FaultySite, server: Server) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    superuser(server, "CREATE DATABASE late")
    url = socket_url(server, "late")
    server.leave()
    with proxy_before(url) as proxy:
        at_once = site.apply(DATABASE_URL=proxy.url(url))
        runner = site.start_apply("--wait-for-db", "60", DATABASE_URL=proxy.url(url))
        until(lambda: proxy.turned_away >= 3)

        server.enter()

        applied = ended(runner)
    assert at_once.returncode == 9
    assert "The database cannot be reached" in at_once.stderr
    assert (applied.returncode, applied.stderr) == (0, "")
    assert "2 applied, 0 skipped" in applied.stdout
    superuser(server, "DROP DATABASE late WITH (FORCE)")


def test_f33_a_closed_port_ends_the_run_at_once_and_after_the_wait(site: FaultySite) -> None:
    url = f"postgresql://ann:{SECRET}@127.0.0.1:{closed_port()}/shop"

    at_once = site.apply(DATABASE_URL=url)
    waited = site.apply("--wait-for-db", "2", DATABASE_URL=url)

    assert (at_once.returncode, waited.returncode) == (9, 9)
    question = "Next: Is the server running, and are HOST and PORT right?"
    assert at_once.stderr.endswith(f"{question} To wait for it: --wait-for-db 30\n")
    assert waited.stderr.partition("\n")[0].endswith(" It did not come up within 2 s.")
    assert waited.stderr.endswith(f"{question}\n")
    assert "Waiting" not in at_once.stdout
    (told,) = waited.stdout.splitlines()
    assert told.startswith("  Waiting up to 2 s for the database: ")
    assert SECRET not in at_once.stdout + at_once.stderr + waited.stdout + waited.stderr


@pytest.mark.parametrize("option", ["--plan", "--check"])
def test_f33_who_only_looks_can_wait_for_the_server_as_well(site: FaultySite, option: str) -> None:
    with proxy_before(site.database.url) as proxy:
        proxy.shut()
        looking = site.start_apply(option, "--wait-for-db", "60", DATABASE_URL=proxy.url(site.database.url))
        until(lambda: proxy.turned_away > 1)

        proxy.open()

        looked = ended(looking)
    assert looked.returncode == (3 if option == "--check" else 0), looked
    assert "sqlmigrations.000_migration_tracking" in looked.stdout


def test_f33_the_wait_is_told_again_and_again(site: FaultySite) -> None:
    url = f"postgresql://ann@127.0.0.1:{closed_port()}/shop"

    ended = site.apply("--wait-for-db", "4", DATABASE_URL=url, FAULT="tell_often")

    seconds = [line.split()[3] for line in ended.stdout.splitlines()]
    assert ended.returncode == 9
    assert seconds[0] == "4"
    assert len(seconds) >= 3
    assert seconds == sorted(seconds, reverse=True)


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize(
    ("user", "database", "said"),
    [
        ("guarded:wrong", "guarded", 'password authentication failed for user "guarded"'),
        ("guarded", "guarded", "no password supplied"),
        (f"guarded:{SECRET}", "no_such", 'database "no_such" does not exist'),
        (f"guarded:{SECRET}", "private", 'permission denied for database "private"'),
        ("nobody:wrong", "guarded", 'password authentication failed for user "nobody"'),
        ("unable:secret", "guarded", 'role "unable" is not permitted to log in'),
    ],
)
def test_f33_waiting_ends_at_once_where_it_cannot_help(
    site: FaultySite, server: Server, guarded_url: str, driver: str, user: str, database: str, said: str
) -> None:
    superuser(server, "CREATE ROLE unable NOLOGIN PASSWORD 'secret'")
    superuser(server, "CREATE DATABASE private")
    superuser(server, "REVOKE CONNECT ON DATABASE private FROM public")
    parts = urlsplit(guarded_url)
    url = parts._replace(netloc=f"{user}@{parts.netloc.rpartition('@')[2]}", path=f"/{database}").geturl()

    refused = site.apply("--wait-for-db", "50", DATABASE_URL=url, DRIVER=driver)

    superuser(server, "DROP DATABASE private")
    superuser(server, "DROP ROLE unable")
    assert refused.returncode == 9
    assert said in refused.stderr
    assert "Waiting" not in refused.stdout
    assert "did not come up" not in refused.stderr


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize(
    "arguments", [["sqlmigrate_apply", "-v", "3", "--traceback"], ["sqlmigrate_status"], ["check"]]
)
def test_f68_a_wrong_password_is_in_no_stream(
    site: FaultySite, guarded_url: str, arguments: list[str], driver: str
) -> None:
    wrong = SECRET[::-1]
    url = guarded_url.replace(SECRET, wrong)

    refused = site.run(*arguments, env={"DATABASE_URL": url, "DRIVER": driver})

    assert wrong not in refused.stdout + refused.stderr
    if arguments != ["check"]:
        assert refused.returncode == 9
        assert 'password authentication failed for user "guarded"' in refused.stderr
        assert "Next: Check USER and PASSWORD of the database alias." in refused.stderr


def test_f68_the_right_password_is_in_no_stream_and_no_record(site: FaultySite, guarded_url: str) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    site.write("002_b.sql", f"DO $$ BEGIN RAISE NOTICE '{SECRET}'; RAISE EXCEPTION 'not with {SECRET}'; END $$;\n")

    failed = site.apply("-v", "3", DATABASE_URL=guarded_url)

    assert failed.returncode == 1
    assert "not with ********" in failed.stderr
    assert SECRET not in failed.stdout + failed.stderr
    connection = psycopg2.connect(guarded_url)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*), count(*) FILTER (WHERE detail::text LIKE %s) FROM schema_migration_events",
            [f"%{SECRET}%"],
        )
        assert cursor.fetchone() == (5, 0)
    connection.close()


@pytest.mark.parametrize("driver", ["psycopg", "psycopg2"])
@pytest.mark.parametrize("command", ["sqlmigrate_apply", "sqlmigrate_status"])
@pytest.mark.parametrize("name", [f"postgresql://ann:{SECRET}@[::1/shop", f"host=::: password={SECRET} sslmode"])
def test_f68_a_password_in_a_name_that_cannot_be_parsed_is_hidden(
    site: FaultySite, driver: str, command: str, name: str
) -> None:
    settings = {"DATABASE_JSON": database_json(NAME=name), "DRIVER": driver}

    refused = site.run(command, env=settings)

    assert refused.returncode == 9
    assert "The database cannot be reached" in refused.stderr
    assert SECRET not in refused.stdout + refused.stderr


def test_a_file_after_which_nobody_is_let_in_again_is_told_as_applied(site: FaultySite, role: Role) -> None:
    site.database.psql(
        f"GRANT ALL ON SCHEMA public TO {role.name}; CREATE FUNCTION shut() RETURNS void LANGUAGE sql"
        f" SECURITY DEFINER AS 'ALTER ROLE {role.name} NOLOGIN';"
    )
    site.write("001_a.sql", "SET search_path = public;\nSELECT shut();\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")

    ended = site.apply(DATABASE_URL=role.url)

    assert ended.returncode == 9
    assert "Applying project.001_a... OK" in ended.stdout
    assert "Applying project.002_b... FAILED" in ended.stdout
    assert "Nothing of this file was kept" in ended.stderr
    assert site.names() == ["001_a"]


@pytest.mark.parametrize("table", ["schema_migration_events", "schema_migration_texts"])
def test_a_tracking_table_somebody_dropped_is_made_again_by_the_command_that_is_named(
    site: FaultySite, table: str
) -> None:
    site.write("001_a.sql", "CREATE TABLE a (id int);\n")
    assert site.apply().returncode == 0
    site.database.psql(f"DROP TABLE {table}")
    site.write("001_a.sql", "CREATE TABLE a (id int); -- reformatted\n")
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")

    ended = site.apply()

    command = ended.stderr.partition("manage.py dbshell -- ")[2]
    made = site.database.program("psql", "-X", "-d", site.database.url, *shlex.split(command))
    assert made.returncode == 0
    assert site.apply().returncode == 0
    assert site.names() == ["001_a", "002_b"]


@pytest.mark.parametrize("command", ["sqlmigrate_apply", "sqlmigrate_status"])
@pytest.mark.parametrize(
    ("settings", "said"),
    [({"NAME": ""}, "Please supply the NAME"), ({"ENGINE": "no.such.engine"}, "no.such.engine")],
)
def test_an_alias_that_is_not_configured_rightly_is_told_in_one_line(
    site: FaultySite, command: str, settings: dict[str, object], said: str
) -> None:
    refused = site.run(command, "--format", "json", env={"DATABASE_JSON": database_json(**settings)})

    assert refused.returncode == 2
    document = json.loads(refused.stdout)
    assert document["error"]["type"] == "ConfigurationError"
    assert said in document["error"]["message"]
    assert "Traceback" not in refused.stderr
