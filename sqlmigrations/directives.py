"""The comment block before the first statement: which of its lines are directives, and what they say."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from sqlmigrations.types import Allowance, Dependency, Directives, DjangoMigration, Mode

_LINE = re.compile(r"--[ \t]*(?P<key>[A-Za-z][A-Za-z_-]*)[ \t]*:[ \t]*(?P<value>.*)")
_DURATION = re.compile(r"(?P<number>[0-9]+)[ ]*(?P<unit>ms|s|min|h)?")
_MILLISECONDS = {"ms": 1, None: 1, "s": 1_000, "min": 60_000, "h": 3_600_000}
_LONGEST_MS = 2_147_483_647
_MODES = {"on": Mode.TRANSACTION, "off": Mode.STATEMENTS}
# Above it, "transacton" and "depend" are caught while "date" is not taken for "late".
_NEAR = 0.8
# The names of modules: whatever Django can import from a folder of migrations.
_DJANGO_MIGRATION = re.compile(r"django:(?P<app>[^\W\d]\w*)\.(?P<name>\w[\w-]*)")
# As in the dependencies of Django's own migrations.
FIRST, LATEST = "__first__", "__latest__"
# What others call it; prose unless a migration's name follows.
_OTHER_WORDS = frozenset(("dependency", "dependencies", "require", "requires", "required", "needs", "after"))
_MIGRATION_NAME = re.compile(r"(?:^|[\s,.:])[0-9]+_\w")


@dataclass(frozen=True, slots=True)
class DirectiveFault:
    """A directive line that cannot be obeyed."""

    rule: str
    message: str
    remedy: str
    line: int


class Refused(Exception):
    """The value of a directive is not acceptable; the arguments are message, remedy and rule."""

    def __init__(self, message: str, remedy: str, rule: str = "directive") -> None:
        super().__init__(message)
        self.message, self.remedy, self.rule = message, remedy, rule


@dataclass(slots=True)
class _Reading:
    """What has been read so far; turned into ``Directives`` at the end."""

    depends: list[Dependency] = field(default_factory=list)
    django_depends: list[DjangoMigration] = field(default_factory=list)
    allow: list[Allowance] = field(default_factory=list)
    single: dict[str, object] = field(default_factory=dict)


def duration_ms(text: str) -> int:
    """Milliseconds of ``3s``, ``15min``, ``500ms``, ``1h`` or a bare number of milliseconds.

    Raises:
        ValueError: Not a duration, or longer than PostgreSQL takes.
    """
    match = _DURATION.fullmatch(text.strip())
    if match is None:
        raise ValueError(f"{text!r} is not a duration: write 500ms, 3s, 15min or 1h")
    # Twelve digits are too many of any unit, and Python makes no number of thousands of them.
    value = int(match["number"].lstrip("0")[:12] or 0) * _MILLISECONDS[match["unit"]]
    if value > _LONGEST_MS:
        raise ValueError(f"{text!r} is longer than PostgreSQL takes (about 24 days)")
    return value


def read(header: str) -> tuple[Directives, list[DirectiveFault]]:
    """Reads the directives of a header.

    Args:
        header: The text of the file before its first statement.

    Returns:
        What could be read, and the lines that are wrong. Ordinary prose is neither.
    """
    reading, faults = _Reading(), []
    for number, key, value in _candidates(header):
        try:
            _read_line(reading, key.lower(), value.strip(), number)
        except Refused as refused:
            faults.append(DirectiveFault(refused.rule, refused.message, refused.remedy, number))
    single = {name.replace("-", "_"): value for name, value in reading.single.items()}
    several = {"depends": tuple(reading.depends), "django_depends": tuple(reading.django_depends)}
    directives = Directives(allow=tuple(reading.allow), **several, **single)  # type: ignore[arg-type]
    return directives, faults


def _candidates(header: str) -> Iterator[tuple[int, str, str]]:
    inside_block_comment = 0
    for number, line in enumerate(header.split("\n"), start=1):
        if inside_block_comment == 0 and (match := _LINE.match(line.lstrip())):
            yield number, match["key"], match["value"]
        elif not line.lstrip().startswith("--") or inside_block_comment:
            inside_block_comment = max(0, inside_block_comment + line.count("/*") - line.count("*/"))


def _read_line(reading: _Reading, key: str, value: str, line: int) -> None:
    if key not in _READERS:
        if near := _meant(key, value):
            remedy = f"Write -- {near}: {value}   (or reword the comment if it is prose)"
            raise Refused(f"Unknown directive {key!r}.", remedy, "unknown-directive")
        return
    if not value:
        raise Refused(f"The directive {key!r} has no value.", f"Write {_EXAMPLES[key]}")
    _READERS[key](reading, value, line)


def _meant(key: str, value: str) -> str:
    if key in _OTHER_WORDS and _MIGRATION_NAME.search(value):
        return "depends"
    return next(iter(difflib.get_close_matches(key, _READERS, n=1, cutoff=_NEAR)), "")


def _once(key: str, convert: Callable[[str, int], object]) -> Callable[[_Reading, str, int], None]:
    def reader(reading: _Reading, value: str, line: int) -> None:
        if key in reading.single:
            raise Refused(f"The directive {key!r} stands twice.", "Keep one of the two lines.")
        reading.single[key] = convert(value, line)

    return reader


def _timeout(key: str) -> Callable[[_Reading, str, int], None]:
    def convert(value: str, line: int) -> int:
        try:
            return duration_ms(value)
        except ValueError as error:
            raise Refused(f"{key}: {error}.", f"Write {_EXAMPLES[key]}") from None

    return _once(f"{key}-ms", convert)


def _text(value: str, line: int) -> str:
    return value


def _mode(value: str, line: int) -> Mode:
    try:
        return _MODES[value.lower()]
    except KeyError:
        raise Refused(f"transaction: {value!r} is neither on nor off.", f"Write {_EXAMPLES['transaction']}") from None


def _depends(reading: _Reading, value: str, line: int) -> None:
    for entry in filter(None, (part.strip() for part in value.split(","))):
        if ":" in entry:
            reading.django_depends.append(_django_migration("depends", entry, line))
            continue
        label, _, name = entry.removesuffix(".sql").rpartition(".")
        reading.depends.append(Dependency(label, name, line))


def _allow(reading: _Reading, value: str, line: int) -> None:
    rule, _, reason = value.partition(" ")
    if not reason.strip():
        raise Refused(f"allow: {rule} gives no reason.", f"Write -- allow: {rule} why it is fine here")
    reading.allow.append(Allowance(rule, reason.strip(), line))


def _runs_in(value: str, line: int) -> DjangoMigration:
    named = _django_migration("runs-in", value, line)
    if named.name in (FIRST, LATEST):
        message = f"runs-in: {value} is no migration: the one that holds the ApplySQL of this file is to be named."
        raise Refused(message, f"Write {_EXAMPLES['runs-in']}")
    return named


def _django_migration(key: str, value: str, line: int) -> DjangoMigration:
    match = _DJANGO_MIGRATION.fullmatch(value)
    if match is None:
        message = f"{key}: {value!r} is not written the way a migration of Django's is: django:app.0003_name"
        raise Refused(f"{message}.", f"Write {_DJANGO_EXAMPLES[key]}")
    return DjangoMigration(match["app"], match["name"], line)


_READERS: dict[str, Callable[[_Reading, str, int], None]] = {
    "depends": _depends,
    "transaction": _once("transaction", _mode),
    "lock-timeout": _timeout("lock-timeout"),
    "statement-timeout": _timeout("statement-timeout"),
    "database": _once("database", _text),
    "irreversible": _once("irreversible", _text),
    "allow": _allow,
    "late": _once("late", _text),
    "runs-in": _once("runs-in", _runs_in),
}

_EXAMPLES = {
    "depends": "-- depends: 001_initial_schema, billing.004_x",
    "transaction": "-- transaction: on   or   -- transaction: off",
    "lock-timeout": "-- lock-timeout: 3s",
    "statement-timeout": "-- statement-timeout: 15min",
    "database": "-- database: reporting",
    "irreversible": "-- irreversible: why it cannot be undone",
    "allow": "-- allow: drop-column why it is fine here",
    "late": "-- late: why it may run after a higher number",
    "runs-in": "-- runs-in: django:shop.0004_x",
}

_DJANGO_EXAMPLES = {
    "depends": "-- depends: django:shop.0003_name   or   -- depends: django:shop.__latest__",
    "runs-in": _EXAMPLES["runs-in"],
}

DIRECTIVES = tuple(_READERS)
