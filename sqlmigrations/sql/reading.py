"""Walking over tokens: keywords, names, parentheses, commas; knows no statement in particular."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from sqlmigrations.sql.scanner import Token, TokenKind

# Names written with one of these schemas and names written without any are taken for the same.
_HOME_SCHEMAS = frozenset({"public", "pg_temp"})
_NAMING = frozenset({TokenKind.WORD, TokenKind.IDENTIFIER})
_UNICODE = ("U&", "u&")
_OPENING = frozenset("([")
_CLOSING = frozenset(")]")


@dataclass(frozen=True, slots=True)
class Name:
    """A name as PostgreSQL folds it; ``public.t`` and ``t`` are equal.

    Attributes:
        schema: Empty for none, ``public`` and ``pg_temp``.
        parts: The name with what stands before its dots, as the file has them, quotes included.
        start: Where it stands in the file.
        path: The same parts as PostgreSQL folds them, ``public`` too; empty for a name made of others.
    """

    schema: str
    name: str
    parts: tuple[str, ...] = field(compare=False)
    start: int = field(compare=False)
    path: tuple[str, ...] = field(compare=False, default=())

    def __str__(self) -> str:
        return ".".join(self.parts)

    def beside(self, other: Name) -> str:
        """This name as written, in the schema of another."""
        return ".".join((*other.parts[:-1], self.parts[-1]))


class Reader:
    """A place between tokens: each method steps over what it names, or stays where it is and says so."""

    __slots__ = ("at", "tokens")

    def __init__(self, tokens: Sequence[Token], at: int = 0) -> None:
        self.tokens = tokens
        self.at = at

    @property
    def token(self) -> Token | None:
        """The token ahead, if there is one."""
        return self.tokens[self.at] if self.at < len(self.tokens) else None

    @property
    def rest(self) -> Sequence[Token]:
        """Everything ahead."""
        return self.tokens[self.at :]

    def sees(self, *words: str) -> bool:
        """Whether these words, given in lower case, stand ahead."""
        # Asked more often than anything else, and mostly answered by the first word.
        for at, word in enumerate(words, self.at):
            if at >= len(self.tokens) or not is_word(self.tokens[at], word):
                return False
        return True

    def take(self, *words: str) -> bool:
        """Steps over these words when they stand ahead."""
        found = self.sees(*words)
        if found:
            self.at += len(words)
        return found

    def take_any(self, words: frozenset[str]) -> str:
        """Steps over one word of these; empty when none stands ahead."""
        token = self.token
        if token is None or token.kind is not TokenKind.WORD or token.value not in words:
            return ""
        self.at += 1
        return token.value

    def mark(self, text: str) -> bool:
        """Steps over an operator or a punctuation mark."""
        token = self.token
        found = token is not None and token.text == text
        self.at += found
        return found

    def guard(self) -> bool:
        """Steps over IF EXISTS or IF NOT EXISTS."""
        return self.take("if", "not", "exists") or self.take("if", "exists")

    def name(self) -> Name | None:
        """Steps over a name with or without its schema."""
        first = self.at
        found = self._part()
        while found and self.mark("."):
            found += self._part()
        if not found:
            return None
        path, written = zip(*found, strict=True)
        schema = path[-2] if len(path) > 1 and path[-2] not in _HOME_SCHEMAS else ""
        return Name(schema, path[-1], written, self.tokens[first].start, path)

    def names(self) -> list[Name]:
        """Steps over names separated by commas, each with ONLY before and ``*`` or arguments after it."""
        found: list[Name] = []
        while True:
            self.take("only")
            name = self.name()
            if name is None:
                return found
            found.append(name)
            self.mark("*")
            self.parenthesised()
            if not self.mark(","):
                return found

    def parenthesised(self) -> Sequence[Token]:
        """Steps over a pair of parentheses with everything in it; returns it, nothing when there is none."""
        first = self.at
        token = self.token
        if token is None or token.text != "(":
            return ()
        for index, (_, depth) in enumerate(depths(self.tokens[first:])):
            if index and not depth and self.tokens[first + index].text == ")":
                self.at = first + index + 1
                break
        return self.tokens[first : self.at]

    def _part(self) -> list[tuple[str, str]]:
        """One part of a name, as the server folds it and as it is written."""
        token = self.token
        if token is None or token.kind not in _NAMING:
            return []
        self.at += 1
        if not token.text.startswith(_UNICODE) or not self.sees("uescape") or len(self.rest) < 2:
            return [(token.value, token.text)]
        escape = self.rest[1].text
        self.at += 2
        return [(token.unescaped(escape[1:-1]), f"{token.text} UESCAPE {escape}")]


def is_word(token: Token, word: str) -> bool:
    """Whether the token is this word, given in lower case; a quoted name never is."""
    return token.kind is TokenKind.WORD and token.value == word


def depths(tokens: Sequence[Token]) -> Iterator[tuple[Token, int]]:
    """Each token with the number of parentheses and brackets around it; they themselves count as outside."""
    depth = 0
    for token in tokens:
        if token.text in _CLOSING:
            depth -= 1
        yield token, depth
        if token.text in _OPENING:
            depth += 1


def outer(tokens: Sequence[Token]) -> list[Token]:
    """The tokens outside all parentheses; of a pair only the parentheses remain."""
    return [token for token, depth in depths(tokens) if not depth]


def commas(tokens: Sequence[Token]) -> Iterator[tuple[Token, ...]]:
    """The parts between the commas outside all parentheses."""
    part: list[Token] = []
    for token, depth in depths(tokens):
        if token.text == "," and not depth:
            yield tuple(part)
            part = []
        else:
            part.append(token)
    if part:
        yield tuple(part)


def has(tokens: Sequence[Token], *words: str) -> bool:
    """Whether these words follow each other somewhere among the tokens."""
    return find(tokens, *words) is not None


def find(tokens: Sequence[Token], *words: str) -> int | None:
    """Index of the first place where these words follow each other."""
    return next((at for at in range(len(tokens)) if Reader(tokens, at).sees(*words)), None)


def phrase(tokens: Sequence[Token]) -> str:
    """The tokens as text, one space where the file has space or a comment between them."""
    text = ""
    end = tokens[0].start if tokens else 0
    for token in tokens:
        is_apart = token.start > end and token.text not in {",", ")"} and not text.endswith("(")
        text += f" {token.text}" if is_apart else token.text
        end = token.start + len(token.text)
    return text


def plain_name(*parts: str) -> str:
    """A name made of others that needs no quotes."""
    return re.sub(r"\W+", "_", "_".join(parts)).lower()
