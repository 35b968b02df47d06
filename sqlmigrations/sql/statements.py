"""What one statement does to the transaction and the session around it, told from its tokens alone."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from enum import Enum
from itertools import islice, pairwise, takewhile

from sqlmigrations.sql.lexer import TokenKind
from sqlmigrations.sql.plain import LASTING
from sqlmigrations.sql.scanner import Statement
from sqlmigrations.sql.sequence import telling
from sqlmigrations.sql.verbs import MODIFIERS, leading_tokens, values, verb

__all__ = [
    "Control",
    "any_touches_session",
    "begin_options",
    "control",
    "is_neutral",
    "is_on",
    "refuses_transaction",
    "sets",
    "touches_session",
    "verb",
]

_NEUTRAL = frozenset(("SET", "RESET", "SHOW", "ANALYZE", "ANALYSE"))
# fmt: off
_QUIET = frozenset((
    "CREATE", "ALTER", "DROP", "COMMENT", "GRANT", "REVOKE", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY",
    "TRUNCATE", "LOCK", "ANALYZE", "ANALYSE", "VACUUM", "REINDEX", "CLUSTER", "REFRESH", "SHOW", "NOTIFY",
    "SECURITY", "REASSIGN", "IMPORT", "CHECKPOINT", "BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT",
    "SAVEPOINT", "RELEASE", "CLOSE",
))
# fmt: on
_SESSION_NAMES = re.compile(rf"(?i){LASTING}")
# Most statements need not be taken apart: their first word is harmless, and none of these stands anywhere in them.
_FIRST_WORD = re.compile(r"(?a)\w+")
# To look for single letters, and for a word only around them, takes a third of the time.
_TRACES = re.compile(r"[tTsSaAdD](?ai:(?<=t)emp|(?<=s)et_config|(?<=a)dvisory_|(?<=d)blink)")
# One of these stands in whatever refuses a transaction.
_SUSPECT = re.compile(
    r"(?ai)\b(?:concurrently|vacuum|reindex|cluster|discard|system|database|tablespace|subscription)\b"
)
_SETTING = re.compile(r"(?ai)(?:re)?set\b")
_OFF = frozenset(("false", "off", "0", "'false'", "'off'", "'0'"))
_WITHIN_A_MODE = {("level", "read"), ("repeatable", "read"), ("not", "deferrable")}
_SET_FORMS: dict[tuple[str, ...], str] = {
    ("time", "zone"): "time zone",
    ("session", "authorization"): "session authorization",
    ("session", "characteristics"): "session characteristics",
    ("xml", "option"): "xmloption",
}
_SET_SYNONYMS = {"schema": "search_path", "names": "client_encoding"}


class Control(Enum):
    """What a transaction control statement does."""

    BEGIN = "begin"
    COMMIT = "commit"
    ROLLBACK = "rollback"
    SAVEPOINT = "savepoint"
    PREPARE = "prepare"


def control(statement: Statement) -> Control | None:
    """What it does to the transaction, the synonyms such as END included; ``None`` for all others."""
    first, second, third = (*values(statement, 3), "", "", "")[:3]
    if first in ("savepoint", "release"):
        return Control.SAVEPOINT
    if first == "begin" or (first, second) == ("start", "transaction"):
        return Control.BEGIN
    if (first, second) == ("prepare", "transaction"):
        return Control.PREPARE if third not in ("as", "(") else None
    if first in ("commit", "end"):
        return Control.PREPARE if second == "prepared" else Control.COMMIT
    if first not in ("rollback", "abort"):
        return None
    if second == "prepared":
        return Control.PREPARE
    back_to = second == "to" or (second in ("work", "transaction") and third == "to")
    return Control.SAVEPOINT if back_to else Control.ROLLBACK


def begin_options(statement: Statement) -> str:
    """The modes of a BEGIN or START TRANSACTION in upper case, one comma between two of them."""
    modes: list[str] = []
    previous = ""
    for word in values(statement)[1:]:
        if word == ",":
            continue
        if word in ("isolation", "read", "not", "deferrable") and (previous, word) not in _WITHIN_A_MODE:
            modes.append(word)
        elif modes:
            modes[-1] += f" {word}"
        previous = word
    return ", ".join(modes).upper()


def refuses_transaction(statement: Statement) -> bool:
    """Whether the server is certain to refuse it inside a transaction block (SQLSTATE 25001).

    REINDEX and CLUSTER of a partitioned table are refused too, which no token can tell.
    """
    if not _SUSPECT.search(statement.source, statement.start, statement.end):
        return False
    judge = _REFUSALS.get(verb(statement))
    return judge is not None and judge(values(statement))


def is_neutral(statement: Statement) -> bool:
    """Whether it is at home inside and outside a transaction: SET, RESET, SHOW, ANALYZE."""
    return verb(statement)[0] in _NEUTRAL


def touches_session(statement: Statement) -> bool:
    """Whether it may leave something in the session behind: a setting, a lock, a temporary table.

    Functions may do anything, so what runs them at will (SELECT, DO, CALL) counts as yes.
    """
    opening = _FIRST_WORD.match(statement.source, statement.start)
    if (
        opening
        and opening.group().upper() in _QUIET
        and not _TRACES.search(statement.source, statement.start, statement.end)
    ):
        return False
    first = verb(statement)[0]
    judge = _SESSION_JUDGES.get(first)
    if judge(values(statement)) if judge else first not in _QUIET:
        return True
    if not _SESSION_NAMES.search(statement.source, statement.start, statement.end):
        return False
    names = (TokenKind.WORD, TokenKind.IDENTIFIER)
    every = leading_tokens(statement)
    return any(token.kind in names and _SESSION_NAMES.search(token.text) for token in every)


def any_touches_session(every: Sequence[Statement]) -> bool:
    """Whether one of them does."""
    return any(touches_session(statement) for _, statement in telling(every))


def sets(statement: Statement) -> str | None:
    """The setting a SET or RESET is about, in lower case; SET TRANSACTION and SET CONSTRAINTS are about none.

    SQL's own spellings come back as ``time zone``, ``session authorization``, ``session characteristics``;
    SET SCHEMA as ``search_path``, SET NAMES as ``client_encoding``.
    """
    if not _SETTING.match(statement.source, statement.start):
        return None
    words = [token.value.lower() for token in islice(leading_tokens(statement), 8)]
    if words[:1] not in (["set"], ["reset"]):
        return None
    rest = words[1:]
    scoped = rest[:1] in (["local"], ["session"]) and tuple(rest[:2]) not in _SET_FORMS
    if scoped and rest[1:2] not in (["="], ["to"]):
        rest = rest[1:]
    if rest[:1] in ([], ["constraints"], ["transaction"]):
        return None
    name = rest[0]
    for dot, part in zip(rest[1::2], rest[2::2], strict=False):
        if dot != ".":
            break
        name += f".{part}"
    return _SET_FORMS.get((rest[0], *rest[1:2])) or _SET_SYNONYMS.get(name, name)


def _without_options(words: list[str]) -> list[str]:
    """What follows the verb and its options in parentheses."""
    return words[words.index(")") + 1 :] if words[1:2] == ["("] and ")" in words else words[1:]


def is_on(words: list[str], option: str, *, default: bool) -> bool:
    """The value of a boolean option in a parenthesised list; a name alone means on."""
    for index, word in enumerate(words):
        if word == option and words[index - 1] in ("(", ","):
            value = [part for part in words[index + 1 : index + 3] if part != "="]
            return value[:1] == [] or value[0] not in _OFF
    return default


def _always(words: list[str]) -> bool:
    return True


def _index(words: list[str]) -> bool:
    return ("index", "concurrently") in pairwise(words)


def _reindex(words: list[str]) -> bool:
    target = _without_options(words)[:2]
    whole = target[:1] in (["schema"], ["database"], ["system"])
    return whole or target[1:] == ["concurrently"] or is_on(words, "concurrently", default=False)


def _alter_table(words: list[str]) -> bool:
    return words[-1] == "concurrently" and ("detach", "partition") in pairwise(words)


def _cluster(words: list[str]) -> bool:
    return _without_options(words) in ([], ["verbose"])


def _create_subscription(words: list[str]) -> bool:
    return is_on(words, "create_slot", default=is_on(words, "connect", default=True))


def _alter_subscription(words: list[str]) -> bool:
    action = words[3:5]
    if action[1:] == ["publication"]:
        return is_on(words, "refresh", default=True)
    return action == ["set", "("] and any(option in words for option in ("failover", "two_phase"))


def _set_session(words: list[str]) -> bool:
    return words[1:2] not in (["local"], ["constraints"], ["transaction"])


def _with(words: list[str]) -> bool:
    """Whether the main verb behind the WITH list is none that writes rows."""
    depth = 0
    for word in words:
        depth += (word == "(") - (word == ")")
        if depth == 0 and word in ("insert", "update", "delete", "merge"):
            return False
    return True


def _declare(words: list[str]) -> bool:
    head = words[: words.index("for")] if "for" in words else words
    return ("with", "hold") in pairwise(head)


def _create(words: list[str]) -> bool:
    modifiers = takewhile(MODIFIERS.__contains__, words[1:])
    return any(word in ("temp", "temporary") for word in modifiers)


_Judge = Callable[[list[str]], bool]
_REFUSALS: dict[tuple[str, ...], _Judge] = {
    ("VACUUM",): _always,
    ("CREATE", "DATABASE"): _always,
    ("DROP", "DATABASE"): _always,
    ("CREATE", "TABLESPACE"): _always,
    ("DROP", "TABLESPACE"): _always,
    ("ALTER", "SYSTEM"): _always,
    ("DROP", "SUBSCRIPTION"): _always,
    ("CREATE", "INDEX"): _index,
    ("DROP", "INDEX"): _index,
    ("REINDEX",): _reindex,
    ("ALTER", "TABLE"): _alter_table,
    ("CLUSTER",): _cluster,
    ("ALTER", "DATABASE"): lambda words: ("set", "tablespace") in pairwise(words),
    ("DISCARD",): lambda words: words[1:] == ["all"],
    ("CREATE", "SUBSCRIPTION"): _create_subscription,
    ("ALTER", "SUBSCRIPTION"): _alter_subscription,
}
_SESSION_JUDGES: dict[str, _Judge] = {
    "SET": _set_session,
    "WITH": _with,
    "DECLARE": _declare,
    "CREATE": _create,
    "PREPARE": lambda words: words[1:2] != ["transaction"],
}
