"""What ``SQLMIGRATIONS`` may hold: every key, its default, and how a value of it is understood."""

from __future__ import annotations

import difflib
import os
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sqlmigrations import retry
from sqlmigrations.directives import duration_ms
from sqlmigrations.types import Finding, OnMigrate, Severity

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
    if not all(isinstance(folder, str | Path) and _is_path(str(folder)) for folder in value.values()):
        raise ValueError("folders that are paths")
    return {label: Path(folder) for label, folder in value.items()}


def _is_text(text: str) -> bool:
    try:
        return b"\0" not in text.encode()
    except UnicodeEncodeError:
        return False


def _is_path(text: str) -> bool:
    try:
        return bool(encoded := os.fsencode(text)) and b"\0" not in encoded
    except UnicodeEncodeError:
        return False


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
    if not isinstance(value, str) or not value or not _is_text(value) or len(value.encode()) > 63:
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


def read(raw: object) -> tuple[dict[str, Any], list[Finding]]:
    """The values that are fit for ``Settings``, by its attributes, and what is wrong with the others.

    Args:
        raw: What stands in the settings of the project.
    """
    if not isinstance(raw, Mapping):
        return {}, [problem("SQLMIGRATIONS has to be a dict.", "Write SQLMIGRATIONS = {...}.")]
    values: dict[str, Any] = {}
    findings: list[Finding] = []
    for key, value in raw.items():
        if key not in _KEYS:
            near = difflib.get_close_matches(str(key).upper(), _KEYS, n=1, cutoff=0.5)
            hint = f"Did you mean {near[0]!r}?" if near else f"The keys are: {', '.join(_KEYS)}."
            findings.append(problem(f"SQLMIGRATIONS has no key {key!r}.", hint))
            continue
        attribute, convert = _KEYS[key]
        try:
            values[attribute] = convert(value)
        except ValueError as error:
            findings.append(problem(f"SQLMIGRATIONS[{key!r}] is {value!r}.", f"Expected: {error}."))
    return values, findings


def problem(message: str, remedy: str) -> Finding:
    """What is wrong with a setting."""
    return Finding("settings", Severity.ERROR, message, remedy)
