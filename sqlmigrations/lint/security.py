"""Rules about what should not stand in a file that is kept for ever."""

from __future__ import annotations

from collections.abc import Iterator

from sqlmigrations.lint.rulebook import Sighting, rule
from sqlmigrations.lint.scene import Scene
from sqlmigrations.lint.secrets import HINTED, may_hold_one, secrets_in
from sqlmigrations.types import Severity


@rule(
    "secret-literal",
    "S01",
    Severity.WARNING,
    "A password in the file: whoever can read the repository can read it.",
    holds=HINTED,
)
def secret_literal(scene: Scene) -> Iterator[Sighting]:
    """One finding per literal; the literal itself is never shown."""
    if not may_hold_one(scene.statement):
        return
    starts = sorted({secret.start for secret in secrets_in(scene.tokens)})
    for start in starts:
        yield Sighting(
            start,
            "A password stands in this file, so everybody who can read the repository can read it.",
            "Take it out, and change it where it is in use: create the role without one and set it outside "
            "the "
            r"migrations (\password in psql, or your secret store).",
        )
