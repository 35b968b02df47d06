"""The folders: finds the SQL files of every source, reads and hashes them, and says what is wrong with them."""

from __future__ import annotations

import os
import re
import shlex
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path

from sqlmigrations import disk
from sqlmigrations.text import TextRefused, take
from sqlmigrations.types import Finding, Severity, Source, SqlFile, SqlMigration

# bigint holds every number of up to 18 digits.
_NAME = re.compile(r"(?P<number>[0-9]{1,18})_(?P<slug>\w[\w-]*)")
_NEAR_NAME = re.compile(r"[vV]?(?P<number>[0-9]+(?:[-_.][0-9]+)*)(?:[-_. ]+(?P<slug>\w.*))?")
_DATE = re.compile(r"[0-9]{4}[-_.][0-9]{2}[-_.][0-9]{2}\b")
_NOT_YET = {
    "verify": "Verification files (.verify.sql) are not supported by this version.",
    "repeatable": "Repeatable files (R__slug.sql) are not supported by this version.",
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """All migrations of all sources, by source and number, and every violation met on the way.

    Two files with the same number both stand in ``migrations``: which of them to keep depends on the ledger.
    """

    sources: tuple[Source, ...]
    migrations: tuple[SqlMigration, ...]
    findings: tuple[Finding, ...]

    @property
    def checksums(self) -> list[str]:
        """Of the files of all migrations."""
        return [migration.file.checksum for migration in self.migrations]

    def find(self, label: str, name: str) -> SqlMigration | None:
        """The migration whose files are called so; ``None`` when there is none."""
        return next((m for m in self.migrations if (m.label, m.name) == (label, name)), None)


@dataclass(slots=True)
class _Folder:
    """What is known of one source while its folder is read."""

    source: Source
    ups: dict[str, SqlFile] = field(default_factory=dict)
    downs: dict[str, SqlFile] = field(default_factory=dict)
    refused: set[str] = field(default_factory=set)
    misnamed: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)


def load(sources: Iterable[Source], ignore: Sequence[str] = ()) -> Loaded:
    """Reads every source; never raises for what is in the files, all of it is in ``findings``.

    Args:
        sources: The folders, in the order in which their migrations run.
        ignore: Globs matched against file names; what they match is passed over.
    """
    known = tuple(sources)
    migrations: list[SqlMigration] = []
    findings: list[Finding] = []
    for source in known:
        folder = _read_folder(source, ignore)
        migrations += _migrations(folder)
        findings += folder.findings
    return Loaded(known, tuple(migrations), tuple(findings))


def shown(path: Path) -> str:
    """The path as people see it: relative where it lies below the working directory."""
    return _legible(_nearest(path))


def _nearest(path: Path) -> str:
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)


def _read_folder(source: Source, ignore: Sequence[str]) -> _Folder:
    folder = _Folder(source)
    base = shown(source.folder)
    try:
        entries = sorted(os.scandir(source.folder), key=lambda entry: entry.name)
    except OSError as error:
        message = f"The folder of {source.label} cannot be read: {error.strerror}."
        folder.findings.append(_file_error("unreadable", message, "Check the path and its rights.", base))
        return folder
    entries = [entry for entry in entries if entry.name.lower().endswith(".sql")]
    entries = [entry for entry in entries if not any(fnmatchcase(entry.name, glob) for glob in ignore)]
    folder.findings += _twins(base, [entry.name for entry in entries])
    root = os.path.realpath(source.folder)
    for entry in entries:
        _read_entry(folder, entry, f"{base}/{_legible(entry.name)}", root)
    folder.findings += _bad_names(_nearest(source.folder), folder.misnamed, [entry.name for entry in entries])
    return folder


def _read_entry(folder: _Folder, entry: os.DirEntry[str], location: str, root: str) -> None:
    stem, kind = _kind(entry.name)
    if kind in _NOT_YET:
        remedy = f"Move {location} elsewhere, or name it in SQLMIGRATIONS['IGNORE']."
        folder.findings.append(_file_error("file-kind", _NOT_YET[kind], remedy, location))
    elif not _NAME.fullmatch(stem) or not entry.name.endswith(".sql"):
        folder.misnamed.append(entry.name)
    else:
        file = _read_file(folder, entry, location, root)
        if file is None:
            folder.refused.add(stem)
        else:
            (folder.downs if kind == "down" else folder.ups)[stem] = file


def _kind(name: str) -> tuple[str, str]:
    stem = name[: -len(".sql")]
    before, dot, word = stem.rpartition(".")
    if dot and word == "down":
        return before, "down"
    if dot and word == "verify":
        return stem, "verify"
    return stem, "repeatable" if stem.startswith("R__") else "up"


def _read_file(folder: _Folder, entry: os.DirEntry[str], location: str, root: str) -> SqlFile | None:
    try:
        text, checksum, raw_checksum = take(disk.read(entry, root))
    except disk.NotRead as refused:
        folder.findings.append(_file_error(refused.rule, refused.message, refused.remedy, location))
        return None
    except TextRefused as refused:
        fault = refused.fault
        finding = _file_error(fault.rule, fault.message, fault.remedy, location, fault.line, fault.column)
        folder.findings.append(finding)
        return None
    return SqlFile(entry.path, location, text, checksum, raw_checksum)


def _migrations(folder: _Folder) -> list[SqlMigration]:
    label = folder.source.label
    for stem in sorted(folder.downs.keys() - folder.ups.keys() - folder.refused):
        location = folder.downs[stem].location
        message = f"Undoes {stem}.sql, which is not there."
        remedy = f"Restore {stem}.sql beside it, or remove it."
        folder.findings.append(_file_error("orphan-down", message, remedy, location))
    found = [
        SqlMigration(label, int(stem.partition("_")[0]), stem, file, folder.downs.get(stem))
        for stem, file in folder.ups.items()
    ]
    return sorted(found, key=lambda migration: (migration.version, migration.name))


def _bad_names(base: str, misnamed: Sequence[str], every: Iterable[str]) -> Iterator[Finding]:
    if not misnamed:
        return
    taken = [int(name.partition("_")[0]) for name in every if _NAME.fullmatch(_kind(name)[0])]
    free = max(taken, default=0) + 1
    numbers: dict[str, str] = {}
    nears = {stem: _NEAR_NAME.fullmatch(stem) for stem, _ in map(_kind, misnamed)}
    parts = max((len(_parts(near["number"])) for near in nears.values() if near), default=1)
    for name in misnamed:
        stem, kind = _kind(name)
        near = nears[stem]
        slug = (near["slug"] or "") if near else stem
        # An up and its down get the same number.
        number = _number(near["number"], parts) if near else numbers.setdefault(stem, f"{free + len(numbers):03d}")
        slug = re.sub(r"\W+", "_", slug.lower()).strip("_") or "migration"
        new = f"{base}/{number}_{slug}{'.down.sql' if kind == 'down' else '.sql'}"
        message = "Not a migration's name: NNN_slug.sql is expected, digits first."
        remedy = f"mv {_quoted(f'{base}/{name}')} {_quoted(new)}"
        yield _file_error("file-name", message, remedy, _legible(f"{base}/{name}"))


def _legible(name: str) -> str:
    """The name without what a terminal would obey or cannot show, such as bytes that are not UTF-8."""
    return name if name.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def _quoted(path: str) -> str:
    """The path for a shell; unprintable bytes as bash and zsh read them."""
    if path.isprintable():
        return shlex.quote(path)
    plain = (chr(byte) if 32 <= byte < 127 and byte not in b"'\\" else f"\\x{byte:02x}" for byte in os.fsencode(path))
    return f"$'{''.join(plain)}'"


def _parts(written: str) -> list[str]:
    """The numbers a version is made of; a date is one."""
    return [re.sub(r"\D", "", written)] if _DATE.match(written) else re.split("[-_.]", written)


def _number(written: str, parts: int) -> str:
    """One number that keeps the order: V1_2 comes before V1_10, and both before V2."""
    first, *others = _parts(written)
    others += ["0"] * (parts - 1 - len(others))
    return "".join([first, *(part.zfill(3) for part in others)])[:18]


def _twins(base: str, names: Sequence[str]) -> Iterator[Finding]:
    """Names that one file system keeps apart and another does not."""
    groups: dict[str, list[str]] = defaultdict(list)
    if all(name.isascii() and name.islower() for name in names):
        return  # They are what they are folded to, and differ.
    for name in names:
        groups[_folded(name)].append(name)
    for group in groups.values():
        for other in group[1:]:
            case = unicodedata.normalize("NFC", group[0]) != unicodedata.normalize("NFC", other)
            message = f"Differs from {_legible(group[0])} only in {'case' if case else 'Unicode normalisation'}."
            remedy = "Rename one of the two: some file systems hold only one of them."
            yield _file_error("twin-name", message, remedy, f"{base}/{_legible(other)}")


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _file_error(
    rule: str, message: str, remedy: str, location: str, line: int | None = None, column: int | None = None
) -> Finding:
    return Finding(rule, Severity.ERROR, message, remedy, location=location, line=line, column=column)
