"""Excerpts: a line of a file with its neighbours and a caret, secrets masked."""

from __future__ import annotations

import re
from itertools import islice

from sqlmigrations.masking import mask_lines

_LONGEST_LINE = 200
_LINE = re.compile(r"^.*$", re.MULTILINE)


def around(text: str, line: int, column: int, secrets: frozenset[str]) -> str:
    """The line with the one before and after it, and a caret under the column."""
    first = max(1, line - 1)
    # Of a file with millions of lines only three are taken out.
    every = _LINE.finditer(text, 0, len(text) - text.endswith("\n"))
    taken = "\n".join(match.group() for match in islice(every, first - 1, line + 1))
    lines = dict(enumerate(mask_lines(taken, secrets, in_place=True), first))
    width = len(str(max(lines)))
    shown = []
    for number, content in lines.items():
        marker = ">" if number == line else " "
        shown.append(f"{marker} {number:>{width}} | {content[:_LONGEST_LINE]}".rstrip())
        if number == line and column <= _LONGEST_LINE:
            lead = "".join("\t" if char == "\t" else " " for char in content[: column - 1])
            shown.append(f"  {'':>{width}} | {lead:<{column - 1}}^")
    return "\n".join(shown)
