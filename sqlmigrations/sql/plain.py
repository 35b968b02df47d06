"""Recognises the plain INSERTs of constants that large files are full of, as fast as a text can be searched."""

from __future__ import annotations

import re
from collections.abc import Iterator

from sqlmigrations.sql.lexer import possessive

# Names of what a function leaves in the session, or of a table that only the session has. A statement with one of
# them in a name is never plain.
LASTING = r"set_config|pg_(?:try_)?advisory_|dblink|pg_temp"
_LASTING = re.compile(rf"(?i){LASTING}")

_S = r"[ \t\n\r\f\v]"
_NAME = r'(?:[a-zA-Z_][a-zA-Z0-9_]*+|"[^"]*+")'
_COLUMNS = rf"\({_S}*+{_NAME}{_S}*+(?:,{_S}*+{_NAME}{_S}*+)*+\){_S}*+"
_HEAD = rf"(?i:insert){_S}++(?i:into){_S}++{_NAME}(?:\.{_NAME})?{_S}*+(?:{_COLUMNS})?(?i:values)"
# Letters of either case in a class where a fast search needs to tell from the first one that it is none of them.
_CONSTANT = (
    r"(?:[nN](?i:ull|ow\(\))|[tT](?i:rue)|[fF](?i:alse)|[dD](?i:efault)|[cC](?i:urrent_(?:timestamp|date)))"
    rf"(?={_S}|[,)])"
)
_TYPE = r"(?i:jsonb?|date|timestamp(?:tz)?|interval|numeric|bigint|int|integer|text|uuid|bytea|inet)"
# What stands between two strings is a number, a comma, a constant, or the end of a row and the beginning of the next.
_BETWEEN = r"[ \t\n\r\f\v0-9.,+]*+"
_VALUE = rf"'[^']*+'|\){_S}*+,{_S}*+\(|{_CONSTANT}|-(?!-)|(?<=[0-9.])[eE][+-]?[0-9]|::{_TYPE}(?={_S}|[,)])"
_ROWS = rf"\({possessive(f'{_BETWEEN}(?:{_VALUE})')}{_BETWEEN}\)"
_TAIL = rf"(?:{_S}*+(?i:on){_S}++(?i:conflict){_S}++(?i:do){_S}++(?i:nothing))?"
# Nothing at all where there is none: found one after the other, the first of no length ends the run.
_PLAIN = re.compile(rf"{_S}*+({_HEAD}){_S}*+{_ROWS}{_TAIL}{_S}*+;|")


def plain_inserts(text: str, pos: int, end: int) -> Iterator[tuple[int, int]]:
    """Where the plain INSERTs lie that follow each other from an offset on, with nothing but space between them.

    Such a statement has no name of ``LASTING`` in it outside its strings, and only constants for values. So whatever
    the tokens of one say of how it is to be run, the tokens of every other one say too; the strings may differ.
    """
    harmless: set[str] = set()
    for match in _PLAIN.finditer(text, pos, end):
        stop = match.end()
        if stop == pos:
            return
        head = match[1]
        if head not in harmless:
            if _LASTING.search(head):
                return
            harmless.add(head)
        yield match.start(1), stop
        pos = stop
