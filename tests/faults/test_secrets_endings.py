"""Every way in which a command can end, by exit code and by exception: none tells a known secret."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple
from urllib.parse import quote

import pytest
from django.conf import settings
from django.db import connections
from django.test import override_settings

from sqlmigrations import exceptions
from sqlmigrations.exceptions import ExitCode, SqlMigrationsError
from tests.faults.proxy import Cut, Proxy
from tests.faults.scene import LOCK, Other, until
from tests.faults.vault import COMMENT, DSN, LINK, NAME, ROLE, ROW, SESSION, SURROUNDINGS, Vault, furnish, overheard
from tests.inprocess import leading_to
from tests.shop import Shop

SECRET = f"SELECT '{DSN}', '{SURROUNDINGS}', '{SESSION}'; /* password={COMMENT} */\n-- postgresql://u:{LINK}@h\n"
FAILS = f"{SECRET}ALTER ROLE nosuch PASSWORD '{ROLE}';\n"
LOUD = {"verbosity": 3, "traceback": True}


class Bank(NamedTuple):
    """A site with secrets, and the proxy before its server."""

    vault: Vault
    shop: Shop
    proxy: Proxy

    def apply(self, *options: str, sql: str = SECRET) -> int:
        self.shop.write(f"{NAME}.sql", sql)
        code = self.vault.run("apply", "sqlmigrate_apply", "--format", "json", *options, **LOUD)
        met = self.vault.met
        self.vault.run("status", "sqlmigrate_status", "--check", verbosity=3)
        self.vault.run("plan", "sqlmigrate_apply", "--plan", verbosity=3)
        self.vault.met = met
        return code

    def migrate(self, *target: str) -> int:
        return self.vault.run("migrate", "migrate", "shop", *target, skip_checks=True, **LOUD)

    @contextmanager
    def through_the_proxy(self) -> Iterator[None]:
        url = self.shop.database.url.replace("//postgres@", f"//postgres:{quote(DSN)}@")
        with leading_to(self.proxy.url(url)):
            yield


def pending(bank: Bank) -> int:
    return bank.apply("--check")


def no_such_label(bank: Bank) -> int:
    return bank.apply("nosuch")


def foreign_table(bank: Bank) -> int:
    bank.shop.query(f"CREATE SCHEMA other CREATE TABLE schema_migrations (version text DEFAULT '{DSN}')")
    bank.shop.query("INSERT INTO other.schema_migrations VALUES (%s)", ROW)
    with override_settings(SQLMIGRATIONS={**settings.SQLMIGRATIONS, "SCHEMA": "other"}):
        return bank.apply()


def not_in_order(bank: Bank) -> int:
    return bank.apply(sql=f"-- lock-timeout: {DSN}\n{SECRET}")


def locked(bank: Bank) -> int:
    other = Other(bank.shop.database, f"SELECT pg_advisory_xact_lock({LOCK.value}), '{DSN}', 'password={LINK}'")
    code = bank.apply("--lock-wait", "0")
    other.leave()
    return code


def unsafe(bank: Bank) -> int:
    return bank.apply(sql=f"{SECRET}COMMIT; -- {DSN}\n{FAILS}")


def failed(bank: Bank) -> int:
    return bank.apply(sql=FAILS)


def stopped(bank: Bank) -> int:
    return bank.apply(sql=f"-- transaction: off\nCREATE TABLE half (id int);\n{FAILS}")


def half_undone(bank: Bank) -> int:
    down = f"-- transaction: off\nDROP INDEX people_email;\n/* password={LINK} */ {FAILS}"
    bank.shop.wrap("0001", NAME, "CREATE INDEX people_email ON people (email);\n", atomic=False, down=down)
    assert (bank.migrate(), bank.migrate("zero")) == (0, 7)
    code = bank.vault.run("apply", "sqlmigrate_apply", **LOUD)
    bank.shop.remove(f"{NAME}.down.sql")
    return code


def irreversible(bank: Bank) -> int:
    bank.shop.wrap("0001", NAME, f"-- irreversible: password={LINK} {DSN}\n{SECRET}")
    # First Django says so, with what the file says; then the record does.
    assert (bank.migrate(), bank.migrate("zero"), bank.vault.met) == (0, 1, None)
    bank.shop.remove(f"{NAME}.sql")
    return bank.migrate("zero")


def unknown(bank: Bank) -> int:
    with bank.through_the_proxy():
        bank.proxy.cut(Cut.BEFORE, for_good=True)
        return bank.apply()


def unreachable(bank: Bank) -> int:
    with bank.through_the_proxy():
        bank.proxy.shut()
        return bank.apply()


def lock_lost(bank: Bank) -> int:
    killing = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    bank.shop.write("005_kill.sql", f"{SECRET}{killing} AND application_name = 'sqlmigrations lock';\n")
    code = bank.apply()
    bank.shop.remove("005_kill.sql")
    bank.shop.query("DELETE FROM schema_migrations WHERE name = '005_kill'")
    return code


def interrupted(bank: Bank, number: signal.Signals = signal.SIGINT) -> int:
    asleep = "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()"

    def interrupt() -> None:
        until(lambda: bank.shop.query(asleep))
        os.kill(os.getpid(), number)

    thread = threading.Thread(target=interrupt)
    thread.start()
    code = bank.apply(sql=f"{SECRET}SELECT pg_sleep(120), 'password={LINK}';\n")
    thread.join()
    return code


def terminated(bank: Bank) -> int:
    return interrupted(bank, signal.SIGTERM)


class Ending(NamedTuple):
    """How a command ends, and what of ours it came from."""

    code: int
    error: type[Exception] | None
    provoke: Callable[[Bank], int]


ENDINGS = (
    Ending(3, None, pending),
    Ending(2, exceptions.ConfigurationError, no_such_label),
    Ending(2, exceptions.ForeignTable, foreign_table),
    Ending(4, exceptions.IntegrityError, not_in_order),
    Ending(5, exceptions.LockNotObtained, locked),
    Ending(6, exceptions.UnsafePlan, unsafe),
    Ending(1, exceptions.MigrationFailed, failed),
    Ending(7, exceptions.MigrationStopped, stopped),
    Ending(7, exceptions.PartialMigration, half_undone),
    Ending(1, exceptions.Irreversible, irreversible),
    Ending(8, exceptions.OutcomeUnknown, unknown),
    Ending(9, exceptions.DatabaseUnavailable, unreachable),
    Ending(10, exceptions.LockLost, lock_lost),
    Ending(130, exceptions.Interrupted, interrupted),
    Ending(143, exceptions.Terminated, terminated),
)
NOT_PROVOKED: Mapping[object, str] = {
    SqlMigrationsError: "only others that are made of it are raised",
    exceptions.StatementFailed: "does not leave the engine: what is made of it is told",
    ExitCode.OK: "is how each of the sites is prepared",
}


def test_f69_however_a_command_ends_no_secret_is_told(
    shop: Shop, proxy: Proxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sqlmigrations.transaction._RESOLVE_S", 1)
    with shop.configured():
        bank = Bank(furnish(shop, monkeypatch), shop, proxy)
        met = []
        with overheard(bank.vault.search):
            for ending in ENDINGS:
                met.append((ending.provoke(bank), bank.vault.met))
                proxy.open()
                tidy(bank)

    assert met == [(ending.code, ending.error) for ending in ENDINGS]
    assert bank.vault.search.leaks() == set()


def test_f69_every_exit_code_and_every_exception_is_provoked_or_has_its_reason() -> None:
    defined = [each for each in vars(exceptions).values() if getattr(each, "__module__", "") == exceptions.__name__]
    errors: set[Any] = {each for each in defined if isinstance(each, type) and issubclass(each, Exception)}

    provoked = {ending.error for ending in ENDINGS} | {ExitCode(ending.code) for ending in ENDINGS}

    assert errors | set(ExitCode) == (provoked - {None}) | NOT_PROVOKED.keys()
    assert not provoked & NOT_PROVOKED.keys()


def tidy(bank: Bank) -> None:
    """Searches what an ending has left in the tables, and takes it away."""
    for table in ("schema_migrations", "schema_migration_events"):
        bank.vault.search.hear(table, *bank.shop.query(f"SELECT to_jsonb(t) FROM {table} t"))
    bank.shop.query(f"DELETE FROM schema_migrations WHERE name = '{NAME}'")
    bank.shop.query("DELETE FROM schema_migration_events; DROP TABLE IF EXISTS half")
    bank.shop.query("DROP INDEX IF EXISTS people_email")
    if bank.shop.django():
        bank.shop.query("DELETE FROM django_migrations WHERE app = 'shop'")
    connections["default"].close()
