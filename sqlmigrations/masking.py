"""Masking: takes the values that must not be seen out of what is shown, logged or recorded."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from sqlmigrations.types import Finding

MASK = "********"
# A shorter secret would tear ordinary words apart, and is none.
_SHORTEST = 3


def mask(text: str, secrets: Collection[str], *, in_place: bool = False) -> str:
    """The text with every secret in it replaced.

    Args:
        text: What is to be shown.
        secrets: What must not be seen in it.
        in_place: Keep the length, so that a column counted in the text is the same in what is shown.
    """
    # The longest first: one secret can be a part of another.
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST and secret in text:
            text = text.replace(secret, "*" * len(secret) if in_place else MASK)
    return text


def mask_finding(finding: Finding, secrets: Collection[str]) -> Finding:
    """What was found, when what it quotes of a file holds none of the secrets."""
    said = f"{finding.message}\n{finding.remedy}\n{finding.excerpt}"
    if not any(secret in said for secret in secrets):
        return finding  # Nearly always, and there may be as many as there are files.
    return replace(
        finding,
        message=mask(finding.message, secrets),
        remedy=mask(finding.remedy, secrets),
        excerpt=mask(finding.excerpt, secrets, in_place=True),
    )


def mask_lines(text: str, secrets: frozenset[str], *, in_place: bool = False) -> list[str]:
    """The lines of a text with its secrets masked, a secret of several lines too, and what is here of one."""
    for secret in sorted((secret for secret in secrets if "\n" in secret), key=len, reverse=True):
        covered = ("*" * len(line) if in_place or not line else MASK for line in secret.split("\n"))
        text = text.replace(secret, "\n".join(covered))
    return mask(text, {line for secret in secrets for line in secret.split("\n")}, in_place=in_place).split("\n")
