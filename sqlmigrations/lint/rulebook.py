"""The list of rules: what each is called, how much it weighs, and the function that looks for it."""

from __future__ import annotations

import difflib
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from sqlmigrations.exceptions import ConfigurationError
from sqlmigrations.lint.scene import Scene
from sqlmigrations.types import Severity


@dataclass(frozen=True, slots=True)
class Rule:
    """One hazard the lint knows.

    Attributes:
        id: The word ``--allow`` and ``-- allow:`` take.
        code: The row in the table of hazards; empty for rules about the directives themselves.
        severity: What a finding of it usually weighs.
        summary: One sentence for the documentation.
    """

    id: str
    code: str
    severity: Severity
    summary: str


@dataclass(frozen=True, slots=True)
class Sighting:
    """A rule met at an offset of the file; ``severity`` only where it differs from the rule's own."""

    start: int
    message: str
    remedy: str
    severity: Severity | None = None


Look = Callable[[Scene], Iterator[Sighting]]


@dataclass(frozen=True, slots=True)
class Check:
    """A rule with the function that looks for it, and the statements worth showing to the function.

    Attributes:
        opens: First words of such statements, lower case; empty for any.
        mentions: Words, lower case, one of which such a statement contains; empty for any.
        holds: What such a statement contains, the constants of a plain INSERT included; ``None`` for any.
    """

    rule: Rule
    look: Look
    opens: frozenset[str]
    mentions: frozenset[str]
    holds: re.Pattern[str] | None


UNKNOWN_RULE = Rule(
    "unknown-rule",
    "",
    Severity.ERROR,
    "An `allow:` line names a rule that does not exist, so it silences nothing.",
)
UNUSED_ALLOW = Rule(
    "unused-allow", "", Severity.NOTE, "An `allow:` line silences nothing, or a rule that cannot be silenced."
)
EMPTY_FILE = Rule("empty-file", "", Severity.WARNING, "No statement in it: once applied, it can no longer be filled.")
MISPLACED_DIRECTIVE = Rule(
    "misplaced-directive", "", Severity.WARNING, "A directive behind the first statement, where it has no effect."
)

RULES: dict[str, Rule] = {rule.id: rule for rule in (UNKNOWN_RULE, UNUSED_ALLOW, EMPTY_FILE, MISPLACED_DIRECTIVE)}
CHECKS: list[Check] = []

_ELSEWHERE = (
    "settings file-name file-kind duplicate-version twin-name orphan-down unreadable symlink not-a-file encoding nul "
    "lone-cr hidden-text unknown-directive directive unknown-dependency unapplied-dependency runs-in django-graph "
    "faked cycle modified renamed missing late unterminated psql-command non-transactional transaction-pooler "
    "hand-made partial row-edited row-deleted row-added"
)
# The words of errors that other modules find; nothing allows them.
FIRM = frozenset(_ELSEWHERE.split())


def check_allowed(rules: Iterable[str]) -> None:
    """Refuses what names no rule that could be silenced.

    Raises:
        ConfigurationError: With the nearest rule, or all of them.
    """
    for name in sorted(set(rules) - RULES.keys()):
        if name in FIRM:
            remedy = "Run once with --allow-late." if name == "late" else "Follow what the error says."
            raise ConfigurationError(f"{name!r} is an error, which cannot be allowed.", remedy=remedy)
        near = nearest(name)
        remedy = f"Did you mean {near}?" if near else f"The rules are: {', '.join(sorted(RULES))}."
        raise ConfigurationError(f"There is no rule {name!r} to allow.", remedy=remedy)


def nearest(name: str) -> str:
    """The rule that looks most like a name; empty when none does."""
    return next(iter(difflib.get_close_matches(name, RULES, n=1)), "")


def rule(
    id: str,
    code: str,
    severity: Severity,
    summary: str,
    *,
    opens: str = "",
    mentions: str = "",
    holds: re.Pattern[str] | None = None,
) -> Callable[[Look], Look]:
    """Enters the decorated function into the rulebook."""

    def enter(look: Look) -> Look:
        entry = Rule(id, code, severity, summary)
        assert id not in RULES, f"two rules are called {id}"
        RULES[id] = entry
        CHECKS.append(Check(entry, look, frozenset(opens.split()), frozenset(mentions.split()), holds))
        return look

    return enter
