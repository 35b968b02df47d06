"""The list of rules: what each is called, how much it weighs, and the function that looks for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

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
        mentions: Text, lower case, that such a statement contains; empty for any.
    """

    rule: Rule
    look: Look
    opens: frozenset[str]
    mentions: str


UNKNOWN_RULE = Rule(
    "unknown-rule",
    "",
    Severity.ERROR,
    "An `allow:` line names a rule that does not exist, so it silences nothing.",
)
UNUSED_ALLOW = Rule(
    "unused-allow", "", Severity.NOTE, "An `allow:` line silences nothing, or a rule that cannot be silenced."
)

RULES: dict[str, Rule] = {rule.id: rule for rule in (UNKNOWN_RULE, UNUSED_ALLOW)}
CHECKS: list[Check] = []


def rule(
    id: str, code: str, severity: Severity, summary: str, *, opens: str = "", mentions: str = ""
) -> Callable[[Look], Look]:
    """Enters the decorated function into the rulebook."""

    def enter(look: Look) -> Look:
        entry = Rule(id, code, severity, summary)
        assert id not in RULES, f"two rules are called {id}"
        RULES[id] = entry
        CHECKS.append(Check(entry, look, frozenset(opens.split()), mentions))
        return look

    return enter
