"""Directives that stand behind the first statement, where nobody reads them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlmigrations.directives import DIRECTIVES
from sqlmigrations.lint.rulebook import Sighting
from sqlmigrations.sql.copydata import CLOSING
from sqlmigrations.sql.lexer import INSIGNIFICANT, lex
from sqlmigrations.sql.scanner import TokenKind, split, tokens

_DIRECTIVE = re.compile(rf"--[ \t]*(?P<key>(?i:{'|'.join(DIRECTIVES)}))[ \t]*:[ \t]*\S")


def misplaced(source: str) -> Iterator[Sighting]:
    """The directives of a file behind its first statement, a BEGIN included; within a statement they are prose."""
    # Most files have such lines at their top only, and need not be taken apart again.
    if not _DIRECTIVE.search(source) or not _DIRECTIVE.search(source, _header_end(source)):
        return
    found = split(source).statements
    starts = [following.start for following in found[1:]]
    for previous, start in zip(found, [*starts, len(source)], strict=True):
        yield from _between(source, previous.data[1] + len(CLOSING) if previous.data else previous.end, start)


def _header_end(source: str) -> int:
    return next((token.start for token in lex(source, without=INSIGNIFICANT)), len(source))


def _between(source: str, start: int, end: int) -> Iterator[Sighting]:
    for token in tokens(source, start, end):
        if token.kind is not TokenKind.COMMENT:
            continue
        begins_line = not source[source.rfind("\n", 0, token.start) + 1 : token.start].strip()
        if begins_line and (found := _DIRECTIVE.match(token.text)):
            yield Sighting(
                token.start,
                f"{found['key'].lower()}: stands behind the first statement, where it has no effect.",
                "Move the line up, above the first statement; or reword it if it is prose.",
            )
