"""What is advised, by SQLSTATE and by the words of a refused connection."""

from __future__ import annotations

import pytest

from sqlmigrations.guidance import STATES, advice, can_pass, connection_advice
from sqlmigrations.types import Blocker, ServerError

APPLY = "python manage.py sqlmigrate_apply"


@pytest.mark.parametrize("state", STATES)
def test_a_known_state_has_advice_that_ends_with_the_command(state: str) -> None:
    found = advice(ServerError(state, "x"))

    assert found.endswith(f"Then run  {APPLY}")
    assert found != advice(ServerError("XX000", "x"))


def test_a_state_without_its_own_advice_gets_that_of_its_class() -> None:
    expected = f"A value does not fit. Correct the data or the expression. Then run  {APPLY}"

    assert advice(ServerError("22012", "division by zero")) == expected


def test_an_unknown_class_gets_the_general_advice() -> None:
    assert advice(ServerError("XX000", "internal error")) == f"Correct the cause. Then run  {APPLY}"


def test_a_lost_connection_is_told_as_one() -> None:
    lost = advice(ServerError("", "server closed the connection unexpectedly", lost=True))

    assert lost == f"The connection broke. Check the network and the server's log. Then run  {APPLY}"


@pytest.mark.parametrize(
    ("words", "part"),
    [
        ('connection to server at "::1", port 1 failed: Connection refused', "--wait-for-db 30"),
        (
            'connection to server on socket "/x/.s.PGSQL.5432" failed: No such file or directory',
            "folder of its socket",
        ),
        ('FATAL:  password authentication failed for user "app"', "Check USER and PASSWORD"),
        ("fe_sendauth: no password supplied", "Set PASSWORD"),
        ('FATAL:  database "shop" does not exist', "createdb"),
        ('FATAL:  role "app" does not exist', "Check USER"),
        ('FATAL:  role "app" is not permitted to log in', "LOGIN"),
        ("FATAL:  the database system is starting up", "The server is starting. To wait for it: --wait-for-db 30"),
        ('could not translate host name "nowhere" to address', "Check HOST"),
        ("failed to resolve host 'nowhere': Name or service not known", "Check HOST"),
        ("timeout expired", "the network between"),
        ("no answer within 10 s", "HOST, PORT and the network between. If a pooler"),
        ("FATAL:  sorry, too many clients already", "max_connections"),
        ('FATAL:  too many connections for role "app"', "ALTER ROLE ... CONNECTION LIMIT"),
        ('FATAL:  too many connections for database "shop"', "ALTER DATABASE ... CONNECTION LIMIT"),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", "--wait-for-db"),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1"', "pg_hba.conf"),
        ("something else", "Check the settings of the database alias."),
    ],
)
def test_a_refused_connection_is_advised_by_its_words(words: str, part: str) -> None:
    assert part in connection_advice(ServerError("", words, lost=True))


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("connection to server failed: Connection refused", True),
        ("FATAL:  das Datenbanksystem startet", True),
        ('FATAL:  too many connections for database "shop"', True),
        ("FATAL:  remaining connection slots are reserved for roles with the SUPERUSER attribute", True),
        ('could not translate host name "db" to address: Temporary failure in name resolution', True),
        ('FATAL:  password authentication failed for user "app"', False),
        ('FATAL:  database "shop" does not exist', False),
        ('FATAL:  role "app" is not permitted to log in', False),
        ('FATAL:  permission denied for database "shop"', False),
        ('invalid connection option "bogus"', False),
        ("FATAL:  the database system is in recovery mode", True),
        ("FATAL:  the database system is shutting down", True),
        ("FATAL:  the database system is not yet accepting connections", True),
        ("server closed the connection unexpectedly", True),
        ('connection to server at "10.0.0.1", port 5432 failed: timeout expired', True),
        ('connection to server at "password-db", port 5432 failed: Connection refused', True),
        ('failed to resolve host "db": Name or service not known', True),
        ('FATAL:  Peer authentication failed for user "app"', False),
        ('FATAL:  no pg_hba.conf entry for host "10.0.0.1", user "app", database "shop", no encryption', False),
        ("server does not support SSL, but SSL was required", False),
        ('root certificate file "/root/.postgresql/root.crt" does not exist', False),
    ],
)
def test_only_what_can_pass_is_waited_for(words: str, expected: bool) -> None:
    assert can_pass(ServerError("", words, lost=True)) is expected


def test_a_state_that_passes_is_waited_for_whatever_the_words() -> None:
    assert can_pass(ServerError("57P03", "invalid", lost=True))


def test_an_empty_value_that_a_statement_writes_is_told_from_one_that_is_there() -> None:
    written = ServerError("23502", 'null value in column "a"', detail="Failing row contains (1, null).")
    there = ServerError("23502", 'column "a" of relation "t" contains null values')

    assert advice(written).startswith("The statement gives no value for the column.")
    assert advice(there).startswith("Existing rows have no value for the column.")


def test_a_database_in_use_is_told_from_checks_that_have_to_run() -> None:
    used = ServerError("55006", 'database "d" is being accessed by other users', detail="There is 1 other session.")
    pending = ServerError("55006", 'cannot ALTER TABLE "t" because it has pending trigger events')

    assert advice(used).startswith("Others are using it.")
    assert advice(pending).startswith("Rows changed in this transaction still have deferred checks to run")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ("Connection refused", "Is the server running, and are HOST and PORT right?"),
        ("the database system is starting up", "The server is starting."),
        ("sorry, too many clients already", "End idle connections or raise max_connections."),
    ],
)
def test_who_has_waited_is_not_told_to_wait(words: str, said: str) -> None:
    assert connection_advice(ServerError("", words, lost=True), waited=True) == said


def test_who_is_in_the_way_is_what_the_advice_is_about() -> None:
    web = Blocker(4711, "shop", "web", "idle in transaction", 38.0, "invoices")
    forgotten = Blocker(0, "shop", "", "prepared transaction", 38.0, "invoices", "it's")

    assert advice(ServerError("55P03", "canceling statement due to lock timeout"), [web]) == (
        "Wait until pid 4711 has ended its transaction, or end it with  SELECT pg_terminate_backend(4711) , or choose "
        "a quieter time. Then run  python manage.py sqlmigrate_apply"
    )
    assert advice(ServerError("55P03", "canceling statement due to lock timeout"), [forgotten]) == (
        "End it: ROLLBACK PREPARED 'it''s' , or COMMIT PREPARED, by a superuser or the role that made it. Then run  "
        "python manage.py sqlmigrate_apply"
    )
    assert advice(ServerError("40P01", "deadlock detected"), [web]) == advice(
        ServerError("40P01", "deadlock detected")
    )
