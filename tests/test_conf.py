"""The setting SQLMIGRATIONS, and the folders it and the installed apps name."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.db import connections
from django.test import override_settings

import sqlmigrations
from sqlmigrations import conf, routes
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.settings import KEYS, Settings
from sqlmigrations.types import Finding, OnMigrate, Route, Severity, Source

OWN = Source("sqlmigrations", Path(sqlmigrations.__file__).parent / "migrations_sql")


def problem(message: str, remedy: str) -> Finding:
    return Finding("settings", Severity.ERROR, message, remedy)


def refused(given: dict[Any, Any]) -> tuple[str, str]:
    """Message and remedy of the only thing wrong with the settings."""
    with override_settings(SQLMIGRATIONS=given):
        (found,) = conf.problems()
        with pytest.raises(ConfigurationError) as caught:
            conf.load()
    assert caught.value.message == "The setting SQLMIGRATIONS is not in order."
    assert caught.value.findings == (found,)
    return found.message, found.remedy


@pytest.fixture
def past(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Two more aliases: one past a pooler, and one of another kind."""
    monkeypatch.setitem(connections.settings, "past", copy.deepcopy(connections.settings["default"]))
    lite = {**copy.deepcopy(connections.settings["default"]), "ENGINE": "django.db.backends.sqlite3"}
    monkeypatch.setitem(connections.settings, "lite", lite)
    yield
    for alias in ("past", "lite"):
        with suppress(AttributeError):
            del connections[alias]


def test_every_key_has_a_default() -> None:
    with override_settings(SQLMIGRATIONS={}):
        assert conf.load() == Settings({}, "public", (), frozenset(), False, None, None, 10, 60_000, True)


def test_the_setting_itself_may_be_missing(settings: Any) -> None:
    del settings.SQLMIGRATIONS

    assert conf.load() == Settings()
    assert conf.problems() == ()


def test_every_key_is_read(tmp_path: Path, past: None) -> None:
    given = {
        "DIRS": {"project": str(tmp_path)},
        "SCHEMA": "Own schema",
        "IGNORE": ["seed*.sql"],
        "ALLOW": ["drop-table", "rename"],
        "ALLOW_LATE": True,
        "LOCK_TIMEOUT": "2s",
        "LOCK_ATTEMPTS": 3,
        "STATEMENT_TIMEOUT": 1500,
        "LOCK_WAIT": "5min",
        "KEEP_SQL": False,
        "DIRECT": {"default": "past"},
        "SESSION_POOLED": ["default"],
        "APPLY_ON_MIGRATE": "always",
    }
    assert set(given) == set(KEYS)

    with override_settings(SQLMIGRATIONS=given):
        found = conf.load()

    assert found == Settings(
        dirs={"project": tmp_path},
        schema="Own schema",
        ignore=("seed*.sql",),
        allow=frozenset({"drop-table", "rename"}),
        allow_late=True,
        lock_timeout_ms=2_000,
        lock_attempts=3,
        statement_timeout_ms=1_500,
        lock_wait_ms=300_000,
        keep_sql=False,
        direct={"default": "past"},
        session_pooled=frozenset({"default"}),
        apply_on_migrate=OnMigrate.ALWAYS,
    )


def test_none_leaves_the_timeouts_to_the_server() -> None:
    with override_settings(SQLMIGRATIONS={"LOCK_TIMEOUT": None, "STATEMENT_TIMEOUT": None}):
        assert conf.load() == Settings()


@pytest.mark.parametrize(
    ("key", "remedy"),
    [("DIR", "Did you mean 'DIRS'?"), ("lock_wait", "Did you mean 'LOCK_WAIT'?"), ("X", None), (3, None)],
)
def test_an_unknown_key_is_reported_with_the_nearest(key: Any, remedy: str | None) -> None:
    assert refused({key: 1}) == (
        f"SQLMIGRATIONS has no key {key!r}.",
        remedy or f"The keys are: {', '.join(KEYS)}.",
    )


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("DIRS", ["x"], 'a dict of label and folder, such as {"project": BASE_DIR / "migrations_sql"}'),
        ("DIRS", {"my-sql": "x"}, "labels that are identifiers; 'my-sql' is none"),
        ("DIRS", {1: "x"}, "labels that are identifiers; 1 is none"),
        ("DIRS", {"project": 1}, "folders that are paths"),
        ("DIRS", {"project": ""}, "folders that are paths"),
        ("SCHEMA", "", "the name of a schema, 63 bytes at most"),
        ("SCHEMA", None, "the name of a schema, 63 bytes at most"),
        ("SCHEMA", "ü" * 32, "the name of a schema, 63 bytes at most"),
        ("SCHEMA", "50%s", "the name of a schema of your own, without %"),
        ("SCHEMA", "$user", "the name of a schema of your own, without %"),
        ("SCHEMA", "pg_migrations", "the name of a schema of your own, without %"),
        ("SCHEMA", "information_schema", "the name of a schema of your own, without %"),
        ("IGNORE", "*.sql", "a list of strings"),
        ("IGNORE", None, "a list of strings"),
        ("ALLOW", [1], "a list of strings"),
        ("ALLOW_LATE", "no", "True or False"),
        ("KEEP_SQL", 1, "True or False"),
        ("LOCK_ATTEMPTS", 0, "a number of attempts, 1 or more"),
        ("LOCK_ATTEMPTS", "3", "a number of attempts, 1 or more"),
        ("LOCK_WAIT", True, "a duration such as 500ms, 3s, 15min or 1h, 24 days at most"),
        ("LOCK_TIMEOUT", 1.5, "a duration such as 500ms, 3s, 15min or 1h, 24 days at most"),
        ("DIRECT", ["default"], 'a dict of alias and alias, such as {"default": "default_direct"}'),
        ("DIRECT", {"default": None}, 'a dict of alias and alias, such as {"default": "default_direct"}'),
        ("SESSION_POOLED", "default", "a list of strings"),
        ("APPLY_ON_MIGRATE", "test", "'tests' or 'always' or 'never'"),
        ("APPLY_ON_MIGRATE", ["tests"], "'tests' or 'always' or 'never'"),
        ("LOCK_TIMEOUT", "soon", "a duration such as 500ms, 3s, 15min or 1h, 24 days at most"),
    ],
)
def test_a_value_of_the_wrong_kind_is_reported(key: str, value: Any, expected: str) -> None:
    assert refused({key: value}) == (f"SQLMIGRATIONS[{key!r}] is {value!r}.", f"Expected: {expected}.")


def test_a_setting_that_is_no_dict_is_reported() -> None:
    with override_settings(SQLMIGRATIONS=["x"]):
        assert conf.problems() == (problem("SQLMIGRATIONS has to be a dict.", "Write SQLMIGRATIONS = {...}."),)


def test_everything_wrong_is_reported_at_once() -> None:
    with override_settings(SQLMIGRATIONS={"X": 1, "SCHEMA": 2, "ALLOW": 3}):
        assert len(conf.problems()) == 3


def test_a_folder_of_two_labels_is_refused(tmp_path: Path) -> None:
    twice = {"one": tmp_path, "two": tmp_path / ".." / tmp_path.name, "own": OWN.folder}

    with override_settings(SQLMIGRATIONS={"DIRS": twice}):
        found = conf.problems()

    assert found == (
        problem(
            f"SQLMIGRATIONS['DIRS']['two']: {twice['two']} is the folder of 'one', too.", "Remove one of the two."
        ),
        problem(
            f"SQLMIGRATIONS['DIRS']['own']: {OWN.folder} is the folder of 'sqlmigrations', too.",
            "Remove one of the two.",
        ),
    )


def test_the_own_source_comes_first_then_apps_then_dirs(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()

    with override_settings(SQLMIGRATIONS={"DIRS": {"z": tmp_path, "a": tmp_path / "a"}}):
        assert conf.sources(conf.load()) == (OWN, Source("z", tmp_path), Source("a", tmp_path / "a"))


def test_an_app_with_a_folder_is_a_source_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    app = tmp_path / "shopfront"
    (app / "migrations_sql").mkdir(parents=True)
    (app / "__init__.py").touch()
    monkeypatch.syspath_prepend(tmp_path)

    with override_settings(SQLMIGRATIONS={}, INSTALLED_APPS=["shopfront", "sqlmigrations"]):
        found = conf.sources(conf.load())

    assert found == (OWN, Source("shopfront", app / "migrations_sql"))


def test_a_label_that_an_app_has_is_refused(tmp_path: Path) -> None:
    with (
        override_settings(SQLMIGRATIONS={"DIRS": {"sqlmigrations": tmp_path}}),
        pytest.raises(ConfigurationError) as caught,
    ):
        conf.sources(conf.load())

    message = "SQLMIGRATIONS['DIRS']['sqlmigrations']: an installed app has this label."
    assert caught.value.findings == (problem(message, "Choose another label."),)


def test_a_folder_that_is_not_there_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "gone"

    with override_settings(SQLMIGRATIONS={"DIRS": {"project": folder}}):
        found = conf.problems()

    message = f"SQLMIGRATIONS['DIRS']['project']: there is no folder {folder}."
    assert found == (problem(message, f"mkdir -p {folder}"),)


@pytest.mark.parametrize(
    ("schema", "table"),
    [("public", '"public"."t"'), ('Odd "one"', '"Odd ""one"""."t"'), (None, '"public"."t"')],
)
def test_a_table_is_named_with_its_schema_and_wrong_settings_wait_for_the_checks(
    schema: str | None, table: str
) -> None:
    with override_settings(SQLMIGRATIONS={"SCHEMA": schema}):
        assert conf.table("t") == table


def test_the_databases_are_the_aliases() -> None:
    assert conf.databases(conf.load()) == ("default",)


@pytest.mark.parametrize(
    ("direct", "message", "remedy"),
    [
        ({"default": "gone"}, "there is no database 'gone'.", "The aliases are: default, past, lite."),
        ({"gone": "past"}, "there is no database 'gone'.", "The aliases are: default, past, lite."),
        ({"default": "lite"}, "'lite' is not PostgreSQL.", "Name an alias of the same database."),
        ({"default": "default"}, " names itself.", "Name an alias that leads past the pooler."),
    ],
)
def test_a_way_past_a_pooler_that_leads_nowhere_is_reported(
    past: None, direct: dict[str, str], message: str, remedy: str
) -> None:
    place = f"SQLMIGRATIONS['DIRECT'][{next(iter(direct))!r}]"

    assert refused({"DIRECT": direct}) == (f"{place}{'' if message[0] == ' ' else ': '}{message}", remedy)


def test_ways_past_a_pooler_have_no_turnings(past: None) -> None:
    with override_settings(SQLMIGRATIONS={"DIRECT": {"default": "past", "past": "default"}}):
        messages = [finding.message for finding in conf.problems()]

    assert messages == [
        "SQLMIGRATIONS['DIRECT']['default']: 'past' has an entry of its own.",
        "SQLMIGRATIONS['DIRECT']['past']: 'default' has an entry of its own.",
    ]


def test_a_pool_of_no_database_is_reported() -> None:
    message = "SQLMIGRATIONS['SESSION_POOLED']: there is no database 'gone'."
    assert refused({"SESSION_POOLED": ["gone"]}) == (message, "The aliases are: default.")


def test_a_way_past_a_pooler_is_no_database(past: None) -> None:
    with override_settings(SQLMIGRATIONS={"DIRECT": {"default": "past"}, "SESSION_POOLED": ["past", "lite"]}):
        assert conf.databases(conf.load()) == ("default", "lite")
        assert conf.route("default") == Route("default", "past", keeps_session=True)
        assert conf.route("past") == Route("past", "past", keeps_session=True)
        (unmirrored,) = routes.unmirrored(conf.load().direct)
    assert unmirrored.remedy == 'Add "TEST": {"MIRROR": "default"} to its entry.'
