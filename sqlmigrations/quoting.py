"""Names and texts written into SQL, where no parameter can stand or a person is to read it."""

from __future__ import annotations

import re

_PLAIN = re.compile(r"[a-z_][a-z0-9_]*")


def quote(name: str) -> str:
    """A name as an SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def quote_as_needed(name: str) -> str:
    """The same, without quotes where they are not needed."""
    return name if _PLAIN.fullmatch(name) else quote(name)


def literal(text: str) -> str:
    """A text as an SQL literal; standard_conforming_strings is on."""
    return "'" + text.replace("'", "''") + "'"
