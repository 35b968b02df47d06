"""The only reader of settings: ``SQLMIGRATIONS``, the installed apps' folders, the database aliases."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from django.apps import apps
from django.conf import settings as django_settings

from sqlmigrations import retry, routes
from sqlmigrations.directives import duration_ms
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.types import TRACKING_LABEL, Finding, OnMigrate, Route, Severity, Source

FOLDER = "migrations_sql"
_A_DURATION = "a duration such as 500ms, 3s, 15min or 1h, 24 days at most"


@dataclass(frozen=True, slots=True)
class Settings:
    """``SQLMIGRATIONS``, every key defaulted.

    Attributes:
        dirs: ``DIRS``: label to folder, beside the folders found in apps.
        schema: ``SCHEMA``: where the tracking tables are.
        ignore: ``IGNORE``: globs of SQL file names to pass over.
        allow: ``ALLOW``: rules silenced in every file.
        allow_late: ``ALLOW_LATE``: whether a number below an applied one may run.
        lock_timeout_ms: ``LOCK_TIMEOUT``: ``None`` is the server's deadlock_timeout plus one second.
        statement_timeout_ms: ``STATEMENT_TIMEOUT``: ``None`` leaves what the role has.
        lock_attempts: ``LOCK_ATTEMPTS``: how often a file is tried that a lock, a deadlock or a conflict stopped.
        lock_wait_ms: ``LOCK_WAIT``: how long a run waits for another one.
        keep_sql: ``KEEP_SQL``: whether the applied SQL is kept beside the ledger.
        direct: ``DIRECT``: alias to the alias by whose address its runs connect, past a pooler.
        session_pooled: ``SESSION_POOLED``: aliases behind a pooler that leaves a client its server connection.
        apply_on_migrate: ``APPLY_ON_MIGRATE``: where Django's ``migrate`` is followed by the pending files.
    """

    dirs: Mapping[str, Path] = field(default_factory=dict)
    schema: str = "public"
    ignore: tuple[str, ...] = ()
    allow: frozenset[str] = frozenset()
    allow_late: bool = False
    lock_timeout_ms: int | None = None
    statement_timeout_ms: int | None = None
    lock_attempts: int = retry.ATTEMPTS
    lock_wait_ms: int = 60_000
    keep_sql: bool = True
    direct: Mapping[str, str] = field(default_factory=dict)
    session_pooled: frozenset[str] = frozenset()
    apply_on_migrate: OnMigrate = OnMigrate.TESTS


def _dirs(value: Any) -> dict[str, Path]:
    if not isinstance(value, Mapping):
        raise ValueError('a dict of label and folder, such as {"project": BASE_DIR / "migrations_sql"}')
    bad = [label for label in value if not isinstance(label, str) or not label.isidentifier()]
    if bad:
        raise ValueError(f"labels that are identifiers; {bad[0]!r} is none")
    # An empty one would be the working directory, whichever that is.
    if not all(isinstance(folder, str | Path) and str(folder) for folder in value.values()):
        raise ValueError("folders that are paths")
    return {label: Path(folder) for label, folder in value.items()}


def _strings(value: Any) -> tuple[str, ...]:
    if isinstance(value, str) or not isinstance(value, Iterable) or not all(isinstance(entry, str) for entry in value):
        raise ValueError("a list of strings")
    return tuple(value)


def _aliases(value: Any) -> dict[str, str]:
    names = [*value.keys(), *value.values()] if isinstance(value, Mapping) else [None]
    if not all(isinstance(name, str) for name in names):
        raise ValueError('a dict of alias and alias, such as {"default": "default_direct"}')
    return dict(value)


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value or "\x00" in value or len(value.encode()) > 63:
        raise ValueError("the name of a schema, 63 bytes at most")
    # Drivers take % for a placeholder, search_path "$user" for the role's own schema; the rest is PostgreSQL's.
    if "%" in value or value == "$user" or value.startswith("pg_") or value == "information_schema":
        raise ValueError("the name of a schema of your own, without %")
    return value


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("True or False")
    return value


def _duration(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, str | int):
        raise ValueError(_A_DURATION)
    try:
        return duration_ms(str(value))
    except ValueError:
        raise ValueError(_A_DURATION) from None


def _attempts(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise ValueError("a number of attempts, 1 or more")
    return value


def _on_migrate(value: Any) -> OnMigrate:
    try:
        return OnMigrate(value)
    except ValueError:
        raise ValueError(" or ".join(repr(choice.value) for choice in OnMigrate)) from None


def _optional_duration(value: Any) -> int | None:
    return None if value is None else _duration(value)


# Key in SQLMIGRATIONS -> attribute of Settings, and what turns one into the other.
_KEYS: dict[str, tuple[str, Callable[[Any], object]]] = {
    "DIRS": ("dirs", _dirs),
    "SCHEMA": ("schema", _name),
    "IGNORE": ("ignore", _strings),
    "ALLOW": ("allow", lambda value: frozenset(_strings(value))),
    "ALLOW_LATE": ("allow_late", _flag),
    "LOCK_TIMEOUT": ("lock_timeout_ms", _optional_duration),
    "STATEMENT_TIMEOUT": ("statement_timeout_ms", _optional_duration),
    "LOCK_ATTEMPTS": ("lock_attempts", _attempts),
    "LOCK_WAIT": ("lock_wait_ms", _duration),
    "KEEP_SQL": ("keep_sql", _flag),
    "DIRECT": ("direct", _aliases),
    "SESSION_POOLED": ("session_pooled", lambda value: frozenset(_strings(value))),
    "APPLY_ON_MIGRATE": ("apply_on_migrate", _on_migrate),
}
KEYS = tuple(_KEYS)


def load() -> Settings:
    """Reads ``SQLMIGRATIONS``.

    Raises:
        ConfigurationError: An unknown key or a value of the wrong kind; all of them are in ``findings``.
    """
    values, findings = _read()
    settings = Settings() if findings else Settings(**values)
    findings += routes.problems(settings.direct, settings.session_pooled)
    if findings:
        raise ConfigurationError("The setting SQLMIGRATIONS is not in order.", findings=findings)
    return settings


def problems() -> tuple[Finding, ...]:
    """What ``load`` and ``sources`` would refuse, as findings."""
    values, findings = _read()
    if findings:
        return tuple(findings)
    settings = Settings(**values)
    return (*routes.problems(settings.direct, settings.session_pooled), *_source_problems(settings))


def sources(settings: Settings) -> tuple[Source, ...]:
    """The app's own source, then every app with a ``migrations_sql`` folder in their order, then ``DIRS``.

    Raises:
        ConfigurationError: A folder of ``DIRS`` is missing, or its label is an app's.
    """
    findings = tuple(_source_problems(settings))
    if findings:
        raise ConfigurationError("The setting SQLMIGRATIONS is not in order.", findings=findings)
    found = [Source(label, folder) for label, folder in _app_folders()]
    # The tracking tables come before everything that is tracked.
    found.sort(key=lambda source: source.label != TRACKING_LABEL)
    return (*found, *(Source(label, folder) for label, folder in settings.dirs.items()))


def table(name: str) -> str:
    """``db_table`` of a tracking table, schema and all: Django leaves a name that is quoted already as it is."""
    values, _ = _read()
    # Wrong settings are told by the checks and commands, not by a failing import of the models.
    schema: str = values.get("schema", Settings().schema)
    return '"{}"."{}"'.format(schema.replace('"', '""'), name)


def on_migrate() -> OnMigrate:
    """``APPLY_ON_MIGRATE`` alone: where nothing is to be applied, wrong settings are no reason to stop ``migrate``."""
    values, _ = _read()
    chosen: OnMigrate = values.get("apply_on_migrate", OnMigrate.TESTS)
    return chosen


def is_mere_way(alias: str) -> bool:
    """Whether an alias only leads to another one, for its runs (``DIRECT``)."""
    values, _ = _read()
    return alias in values.get("direct", {}).values()


def way_to(alias: str) -> str | None:
    """The alias by which the runs on another one connect (``DIRECT``), if there is one."""
    values, _ = _read()
    through: str | None = values.get("direct", {}).get(alias)
    return through


def databases(settings: Settings) -> tuple[str, ...]:
    """The aliases of ``DATABASES``, without those that are only a way to another one."""
    return tuple(alias for alias in django_settings.DATABASES if alias not in settings.direct.values())


def route(alias: str) -> Route:
    """How the runner's own connections reach a database.

    Raises:
        ConfigurationError: The settings are not in order.
    """
    settings = load()
    through = settings.direct.get(alias, alias)
    return Route(alias, through, through in settings.session_pooled)


def _app_folders() -> Iterator[tuple[str, Path]]:
    for config in apps.get_app_configs():
        folder = Path(config.path) / FOLDER
        if folder.is_dir():
            yield config.label, folder


def _read() -> tuple[dict[str, Any], list[Finding]]:
    raw = getattr(django_settings, "SQLMIGRATIONS", {})
    if not isinstance(raw, Mapping):
        return {}, [_finding("SQLMIGRATIONS has to be a dict.", "Write SQLMIGRATIONS = {...}.")]
    values: dict[str, Any] = {}
    findings: list[Finding] = []
    for key, value in raw.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key).upper(), _KEYS, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]!r}?" if near else f"The keys are: {', '.join(_KEYS)}."
            findings.append(_finding(f"SQLMIGRATIONS has no key {key!r}.", hint))
            continue
        attribute, convert = _KEYS[key]
        try:
            values[attribute] = convert(value)
        except ValueError as error:
            findings.append(_finding(f"SQLMIGRATIONS[{key!r}] is {value!r}.", f"Expected: {error}."))
    return values, findings


def _source_problems(settings: Settings) -> Iterator[Finding]:
    installed = dict(_app_folders())
    owners = {folder.resolve(): label for label, folder in installed.items()}
    for label, folder in settings.dirs.items():
        place = f"SQLMIGRATIONS['DIRS'][{label!r}]"
        if (owner := owners.setdefault(folder.resolve(), label)) != label:
            yield _finding(f"{place}: {folder} is the folder of {owner!r}, too.", "Remove one of the two.")
        if label in installed or label == TRACKING_LABEL:
            yield _finding(f"{place}: an installed app has this label.", "Choose another label.")
        if not folder.is_dir():
            yield _finding(f"{place}: there is no folder {folder}.", f"mkdir -p {folder}")


def _finding(message: str, remedy: str) -> Finding:
    return Finding("settings", Severity.ERROR, message, remedy)
