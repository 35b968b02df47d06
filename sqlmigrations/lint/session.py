"""Rules about what a statement leaves behind in the session, the lock and the string rules included."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from sqlmigrations.lint.literals import DEEPEST, code, decoded, is_literal
from sqlmigrations.lint.rulebook import Sighting, rule
from sqlmigrations.lint.scene import Scene
from sqlmigrations.sql import statements
from sqlmigrations.sql.lexer import Token
from sqlmigrations.sql.reading import Reader, commas, is_word, phrase
from sqlmigrations.types import Mode, Severity

_TIMEOUTS = {"lock_timeout": "lock-timeout", "statement_timeout": "statement-timeout"}
_OFF = frozenset({"off", "of", "false", "fals", "fal", "fa", "f", "no", "n", "0"})
_EXECUTORS = frozenset({"do", "execute", "plpgsql"})
# These only define what is called later.
_DEFINITIONS = frozenset({"create", "alter", "comment"})


@rule(
    "session-state",
    "T11",
    Severity.WARNING,
    "SET without LOCAL, RESET, DISCARD, LISTEN: stays in the session after COMMIT.",
    opens="set reset discard listen unlisten select",
)
def session_state(scene: Scene) -> Iterator[Sighting]:
    """Outside a transaction SET LOCAL has no effect, so there a plain SET is right."""
    if scene.subject.mode is Mode.STATEMENTS:
        return
    if statements.verb(scene.statement)[:1] == ("SELECT",):
        yield from _set_config(scene)
        return
    reader = scene.reader()
    if reader.take("set"):
        yield from _set(scene, reader)
    elif not reader.sees("discard", "all"):
        words = phrase(scene.tokens[:2])
        yield Sighting(
            scene.statement.start,
            f"{words} changes the session beyond this file's transaction.",
            f"Take {words} out: the runner gives every file a clean session.",
        )


def _set(scene: Scene, reader: Reader) -> Iterator[Sighting]:
    setting = statements.sets(scene.statement)
    if setting is None or reader.sees("local"):
        return
    if setting == "standard_conforming_strings" and _value(scene.tokens[-1]) in _OFF:
        return
    if not reader.sees("session", "authorization"):
        reader.take("session")
    remedy = f"SET LOCAL {phrase(reader.rest)}"
    if setting == "session characteristics":
        remedy = "Take it out: it is about transactions after this file's."
    elif setting in _TIMEOUTS:
        remedy += f"; or for the whole file, in its first lines: -- {_TIMEOUTS[setting]}: 5s"
    yield Sighting(
        scene.statement.start,
        f"SET {setting.upper() if ' ' in setting else setting} without LOCAL outlives this file's "
        "transaction; run by psql or another tool, what comes after it sees it too.",
        remedy,
    )


def _set_config(scene: Scene) -> Iterator[Sighting]:
    """``set_config('name', 'value', false)``, as in the first lines of a pg_dump."""
    if "set_config" not in scene.statement.text.lower():
        return
    for start, arguments in _calls(scene.tokens, "set_config"):
        if len(arguments) == 3 and arguments[0].kind.name == "STRING" and is_word(arguments[2], "false"):
            setting, value = decoded(arguments[0]), arguments[1].text
            yield Sighting(
                start,
                f"set_config of {setting} with false outlives this file's transaction; run by psql or "
                "another tool, what comes after it sees it too.",
                f"set_config('{setting}', {value}, true)",
            )


def _calls(tokens: Sequence[Token], function: str) -> Iterator[tuple[int, list[Token]]]:
    """Where a function is called, with the arguments when each is a single token."""
    for index, token in enumerate(tokens):
        if is_word(token, function):
            inside = Reader(tokens, index + 1).parenthesised()
            if inside:
                parts = list(commas(inside[1:-1]))
                yield (
                    token.start,
                    [part[0] for part in parts] if all(len(part) == 1 for part in parts) else [],
                )


@rule(
    "advisory-unlock",
    "T11",
    Severity.ERROR,
    "DISCARD ALL, pg_advisory_unlock_all(): release the lock that keeps a second runner out.",
    mentions="discard pg_advisory_unlock_all",
)
def advisory_unlock(scene: Scene) -> Iterator[Sighting]:
    """Also inside DO; a function that is only defined here releases nothing."""
    reader = scene.reader()
    if reader.sees("discard", "all"):
        yield Sighting(
            scene.statement.start,
            "DISCARD ALL releases every advisory lock of the session, the one against a second runner too.",
            "Take it out: the runner gives every file a clean session.",
        )
    if not scene.tokens or scene.tokens[0].value in _DEFINITIONS:
        return
    if any(any(_calls(tokens, "pg_advisory_unlock_all")) for tokens in _executed(scene.tokens)):
        yield Sighting(
            _start(scene, "pg_advisory_unlock_all"),
            "pg_advisory_unlock_all() releases every advisory lock of the session, the one against a "
            "second runner too.",
            "pg_advisory_unlock(key) releases one lock and leaves the others.",
        )


def _executed(tokens: Sequence[Token], levels: int = DEEPEST) -> Iterator[Sequence[Token]]:
    """The statement itself, the body of a DO, and what EXECUTE in there is given as a literal."""
    yield tokens
    for before, token in pairwise(tokens):
        if levels and is_literal(token) and before.value in _EXECUTORS:
            yield from _executed(code(decoded(token)), levels - 1)


def _start(scene: Scene, word: str) -> int:
    """Where the word stands; inside a body, where it is written first."""
    found = re.compile(word, re.IGNORECASE).search(scene.statement.source, scene.statement.start)
    return found.start() if found else scene.statement.start


@rule(
    "string-rules",
    "X03",
    Severity.ERROR,
    "standard_conforming_strings = off: the server would read the rest of the file in another way than the runner.",
    mentions="standard_conforming_strings",
)
def string_rules(scene: Scene) -> Iterator[Sighting]:
    """SET, with or without LOCAL, and set_config."""
    found = None
    if statements.sets(scene.statement) == "standard_conforming_strings" and _value(scene.tokens[-1]) in _OFF:
        found = scene.statement.start
    for start, arguments in _calls(scene.tokens, "set_config"):
        name, value, *_ = [*map(_value, arguments), "", ""]
        if scene.reader().sees("select") and name == "standard_conforming_strings" and value in _OFF:
            found = start
    if found is not None:
        yield Sighting(
            found,
            "With standard_conforming_strings off the server reads backslashes in strings in another way "
            "than the runner, and would cut the file elsewhere.",
            "Take it out, and write strings that need backslash escapes as E'...'.",
        )


def _value(token: Token) -> str:
    return (decoded(token) if is_literal(token) else token.value).lower()
