"""What changed in a file since it was applied: a unified diff, secrets masked."""

from __future__ import annotations

import difflib
from collections.abc import Collection, Iterator

from sqlmigrations import lint
from sqlmigrations.masking import mask_lines
from sqlmigrations.parser import Script, parse
from sqlmigrations.planning import passwords
from sqlmigrations.sql.scanner import ScanError, split
from sqlmigrations.types import Applied, SqlMigration

_CONTEXT = 3


def difference(applied: Applied, migration: SqlMigration, credentials: Collection[str]) -> Iterator[str]:
    """The lines to show; one in parentheses where there is nothing to compare.

    Args:
        applied: Read with its text.
        migration: The file as it is now.
        credentials: What must not be shown beside the passwords in the two texts.
    """
    if migration.file.checksum == applied.checksum:
        yield "(the content is the same; only the name differs)"
    elif applied.text is None:
        yield "(the SQL as applied was not kept)"
    elif _is_torn(script := parse(migration)):
        yield "(the file cannot be taken apart, so that a password in it would not be seen: not shown)"
    else:
        secrets = frozenset(credentials) | passwords(script) | passwords_in(applied.text)
        before, now = (_lines(text, secrets) for text in (applied.text, migration.file.text))
        found = list(
            difflib.unified_diff(
                before, now, f"{applied.id} as applied", migration.file.location, n=_CONTEXT, lineterm=""
            )
        )
        yield from found or ["(the change is in a password, or in the line end of the last line: not shown)"]


def _is_torn(script: Script) -> bool:
    return any(danger.rule == "unterminated" for danger in script.dangers)


def _lines(text: str, secrets: frozenset[str]) -> list[str]:
    return mask_lines(text.removesuffix("\n"), secrets)


def passwords_in(text: str) -> frozenset[str]:
    """The password literals in a text; none where it cannot be taken apart."""
    try:
        return lint.secrets(split(text).statements, text)
    except ScanError:
        return frozenset()
