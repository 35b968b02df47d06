"""What goes wrong in a migration of Django's, told as the commands of Django tell it, with what is typed there."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError
from django.db.migrations.exceptions import IrreversibleError

from sqlmigrations import glimpses, signals
from sqlmigrations.exceptions import Irreversible, SqlMigrationsError
from sqlmigrations.guidance import addressed
from sqlmigrations.management import rendering
from sqlmigrations.types import Direction
from sqlmigrations.wrapped import Wrapper

_RUN_AGAIN = re.compile(r"python manage\.py sqlmigrate_apply(?: --wait-for-db \d+)?(?! [\w-])")
# What an option of sqlmigrate_apply could do.
_OPTIONS = (
    ("with --lock-wait 300", "with SQLMIGRATIONS['LOCK_WAIT']"),
    (", or run once with --allow-late", ""),
)


@contextmanager
def answering(wrapper: Wrapper, alias: str, direction: Direction) -> Iterator[None]:
    """A block whose errors leave as the commands of Django take them, and that tells whom it waits for."""

    def tell(database: str, holder: object, is_orphan: bool = False, **_: object) -> None:
        if database == alias:
            sys.stderr.write(f"\n  {glimpses.awaited(holder, is_orphan=is_orphan)}\n")

    signals.lock_waiting.connect(tell, weak=False)
    try:
        yield
    except Irreversible as error:
        raise IrreversibleError(_text(error, wrapper.command(direction), alias)) from error
    except SqlMigrationsError as error:
        raise CommandError(_text(error, wrapper.command(direction), alias), returncode=int(error.exit_code)) from error
    finally:
        signals.lock_waiting.disconnect(tell)


def _text(error: SqlMigrationsError, command: str, alias: str) -> str:
    """The error for people, with the commands that are typed where Django migrates."""
    text = _RUN_AGAIN.sub(command, rendering.error_text(error))
    for option, instead in _OPTIONS:
        text = text.replace(option, instead)
    return addressed(text, alias)
