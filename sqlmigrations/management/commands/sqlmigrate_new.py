"""``manage.py sqlmigrate_new``: writes the skeleton of the next migration of a label, and what applies it."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from django.core.management.base import CommandParser
from django.db import DEFAULT_DB_ALIAS

from sqlmigrations import conf
from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.guidance import on
from sqlmigrations.loader import load, shown
from sqlmigrations.management.base import SqlMigrationsCommand
from sqlmigrations.parser import outline
from sqlmigrations.settings import Settings
from sqlmigrations.target import unknown_label
from sqlmigrations.types import TRACKING_LABEL, Source, SqlMigration

if TYPE_CHECKING:
    from sqlmigrations.management.wrapping import NewMigration

_UP = """\
-- {what}
{directives}--
-- The file runs in one transaction: no BEGIN or COMMIT in it. Other lines that may stand here:
--   "lock-timeout" (such as 3s), "statement-timeout" (such as 15min), "allow" (a rule and why it is fine here).

"""
_DOWN = """\
-- Undoes {name}.sql.

"""
_WIDTH = 3


class Command(SqlMigrationsCommand):
    """Writes a numbered, commented skeleton; overwrites nothing."""

    help = "Writes the skeleton of the next SQL migration of a label."

    def add_arguments(self, parser: CommandParser) -> None:
        """Adds label, slug, ``--down`` and ``--django``."""
        super().add_arguments(parser)
        parser.add_argument("label", help="Label of the folder: an app's, or a key of SQLMIGRATIONS['DIRS'].")
        parser.add_argument("slug", help="What the migration does, such as invoice_search.")
        parser.add_argument("--down", action="store_true", help="Write the .down.sql beside it.")
        parser.add_argument(
            "--django", default="", metavar="APP", help="Write the migration of this app that applies the file too."
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Finds the next number and writes the files."""
        settings = conf.load()
        database = _other_database(options["database"])
        source = _source(settings, options["label"])
        slug = _slug(options["slug"])
        migrations = [m for m in load([source], settings.ignore).migrations if m.label == source.label]
        name = f"{_next_number(migrations)}_{slug}"
        wrapper = _wrapper(options["django"], slug, migrations)
        directives = _depends(migrations, options["database"])
        directives += f"-- database: {database}\n" if database else ""
        directives += f"-- runs-in: django:{wrapper.app}.{wrapper.name}\n" if wrapper else ""
        what = slug.replace("_", " ").capitalize() + "."
        texts = {source.folder / f"{name}.sql": _UP.format(what=what, directives=directives)}
        if options["down"]:
            texts[source.folder / f"{name}.down.sql"] = _DOWN.format(name=name)
        self._tell(_write_all(texts, wrapper, f"{source.label}.{name}"), wrapper, options)

    def _tell(self, written: Sequence[str], wrapper: NewMigration | None, options: dict[str, Any]) -> None:
        if options["format"] == "json":
            self.document({"database": options["database"], "files": written})
            return
        for path in written:
            self.stdout.write(f"Wrote {path}")
        database = on(options["database"])
        look = f"python manage.py sqlmigrate_apply{database} --plan"
        if wrapper:
            look = f"python manage.py sqlmigrate{database} {wrapper.app} {wrapper.name}"
        self.stdout.write(f"Next: write your SQL into it, then look at  {look}")


def _other_database(alias: str) -> str:
    """The alias to be named in the file; none for the default one."""
    known = conf.databases(conf.load())
    if alias not in known:
        raise ConfigurationError(f"There is no database {alias!r}.", remedy=f"The aliases are: {', '.join(known)}.")
    return "" if alias == DEFAULT_DB_ALIAS else alias


def _source(settings: Settings, label: str) -> Source:
    sources = {source.label: source for source in conf.sources(settings)}
    if label == TRACKING_LABEL:
        own = ", ".join(known for known in sources if known != TRACKING_LABEL) or "none yet"
        message = f"{label} is the label of the files that come with the package; yours would be lost with an update."
        raise ConfigurationError(message, remedy=f"Choose one of your own: {own}.")
    if label not in sources:
        raise unknown_label(label, sources)
    return sources[label]


def _slug(text: str) -> str:
    # Who types 004_foo or a whole file name means foo: the number is found here.
    named = re.sub(r"^[0-9]+_+(?=.*\w)", "", text.removesuffix(".sql"))
    # The small form of a letter may be two signs, of which one is no letter.
    slug = re.sub(r"\W+", "_", named.lower()).strip("_")
    if not slug:
        raise ConfigurationError(f"{text!r} makes no name.", remedy="Write what the migration does: invoice_search")
    return slug


def _next_number(migrations: list[SqlMigration]) -> str:
    if not migrations:
        return "1".zfill(_WIDTH)
    newest = migrations[-1]
    return str(newest.version + 1).zfill(len(newest.digits))


def _depends(before: Sequence[SqlMigration], alias: str) -> str:
    """The line that names the newest file of the same database; of another one's it could not wait."""
    for migration in reversed(before):
        if outline(migration).directives.database in (None, alias):
            return f"-- depends: {migration.name}\n"
    return ""


def _wrapper(app: str, slug: str, before: Sequence[SqlMigration]) -> NewMigration | None:
    if not app:
        return None
    # For start-up: Django's autodetector is needed here alone.
    from sqlmigrations.management.wrapping import prepare

    return prepare(app, slug, before)


def _write_all(texts: dict[Path, str], wrapper: NewMigration | None, id: str) -> list[str]:
    """All of them, or none."""
    if wrapper:
        texts[wrapper.path] = wrapper.text(*id.split("."))
    _refuse_taken(list(texts))
    done: list[Path] = []
    try:
        for path, text in texts.items():
            _write(path, text)
            done.append(path)
    except ConfigurationError:
        for path in done:
            path.unlink()
        raise
    if wrapper and wrapper.newest:
        # As makemigrations does it: two branches that both write a migration meet in this file.
        wrapper.newest.write_text(f"{wrapper.name}\n", encoding="utf-8")
        done.append(wrapper.newest)
    return [shown(path) for path in done]


def _refuse_taken(paths: Sequence[Path]) -> None:
    for path in paths:
        if os.path.lexists(path):
            raise ConfigurationError(
                f"{shown(path)} is there already. Nothing was written.", remedy="Choose another name."
            )


def _write(path: Path, text: str) -> None:
    try:
        # "x" refuses a file that is there already.
        with path.open("x", encoding="utf-8", newline="\n") as file:
            file.write(text)
    except OSError as error:
        raise ConfigurationError(f"{shown(path)} could not be written: {error.strerror}.") from None
