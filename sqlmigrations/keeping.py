"""What of a migration is kept beside its row: its texts, and what the metadata say of them."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlmigrations.masking import mask
from sqlmigrations.parser import Script
from sqlmigrations.types import SqlFile, SqlMigration

# Larger texts are not kept beside the ledger; characters.
KEPT_TEXT_LIMIT = 1_000_000
# A shorter password of a database, such as "app" on the machine of a developer, is a word that files have anyway.
_NO_WORD = 8

KEEP = """
INSERT INTO {texts} (checksum, body)
SELECT t.checksum, t.body
  FROM ROWS FROM (pg_catalog.unnest(%s::text[]), pg_catalog.unnest(%s::text[])) AS t (checksum, body)
    ON CONFLICT (checksum) DO NOTHING
"""


def kept(migration: SqlMigration, passwords: Collection[str], credentials: Collection[str]) -> list[SqlFile]:
    """What of a migration is kept as text: nothing with a password in it, nothing huge.

    Args:
        migration: Its file and its way back.
        passwords: Literals in the two.
        credentials: Of the database, which do not belong in a file.
    """
    if passwords:
        return []
    telling = [secret for secret in credentials if len(secret) >= _NO_WORD]
    files = [file for file in (migration.file, migration.down) if file is not None]
    files = [file for file in files if len(file.text) <= KEPT_TEXT_LIMIT]
    return [file for file in files if not any(secret in file.text for secret in telling)]


def contents(texts: Sequence[SqlFile]) -> list[object]:
    """The parameters of ``KEEP``."""
    return [[file.checksum for file in texts], [file.text for file in texts]]


def marks(script: Script, secrets: Collection[str]) -> dict[str, object]:
    """What the metadata of a row say of its file, with none of the secrets in it."""
    metadata: dict[str, object] = {} if script.statements else {"empty": True}
    if script.directives.irreversible:
        metadata["irreversible"] = mask(script.directives.irreversible, secrets)
    return metadata


def down_checksum(migration: SqlMigration, texts: Sequence[SqlFile]) -> dict[str, object]:
    """What they say of the way back, where that is among the texts that are kept."""
    down = migration.down
    return {"down_checksum": down.checksum} if down is not None and down in texts else {}
