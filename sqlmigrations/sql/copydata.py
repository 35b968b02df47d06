"""Finds the rows that follow a COPY ... FROM STDIN in the same text, the way psql reads them."""

from __future__ import annotations

import re

from sqlmigrations.sql.lexer import INSIGNIFICANT, LINE_COMMENT, NESTING, ScanError, TokenKind, lex

_REST_OF_LINE = re.compile(rf"[ \t\r\f\v]*+(?:{LINE_COMMENT})?\r?")
_LINE_BREAK = re.compile(r"\r?(?:\n|\Z)")
CLOSING = "\\."


def reads_stdin(text: str, start: int, stop: int) -> bool:
    """Whether a COPY expects its data in the text; the server takes FROM STDOUT for the same."""
    depth = 0
    source = False
    for token in lex(text, start, stop):
        if token.kind in INSIGNIFICANT:
            continue
        if source:
            return token.value in ("stdin", "stdout") and token.kind is TokenKind.WORD
        depth += NESTING.get(token.text, 0)
        source = depth == 0 and token.text.lower() == "from"
    return False


def data_span(text: str, start: int, stop: int, end: int) -> tuple[int, int] | None:
    """Where the data of a COPY lies; ``None`` when the range asked for ends before it."""
    rest = _REST_OF_LINE.match(text, stop, end)
    pos = rest.end() if rest else stop
    if pos >= end:
        if end < len(text):
            return None
        raise ScanError("COPY ... FROM STDIN without its data", text, start)
    if text[pos] != "\n":
        raise ScanError("only a comment may follow COPY ... FROM STDIN; on its line", text, pos)
    closing = pos
    while (closing := text.find("\n\\.", closing, end)) >= 0:
        if _LINE_BREAK.match(text, closing + 3, end):
            return pos + 1, closing + 1
        closing += 1
    raise ScanError(r"COPY ... FROM STDIN without a line \. after its data", text, start)
