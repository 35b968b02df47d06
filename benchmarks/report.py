"""Tables of Markdown, and the page that they are written into."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PAGE, README, IMAGES = ROOT / "docs" / "benchmarks.md", ROOT / "README.md", ROOT / "docs" / "images"
# What an answer says in short stands in the README as well.
IN_SHORT = re.compile(r"<!-- benchmark:in-short -->.*?<!-- /benchmark:in-short -->", re.DOTALL)


class NoSuchSection(Exception):
    """The page has no place for an answer; the message says which it needs."""


def table(headings: Sequence[str], rows: Iterable[Sequence[str]], words: Sequence[str] = ()) -> str:
    """A table with numbers in all columns but the first and those whose headings are among ``words``."""
    marks = ["---" if number == 0 or heading in words else "---:" for number, heading in enumerate(headings)]
    lines = [headings, marks, *([cell.replace("|", "/") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines).replace(
        f"| {' | '.join(marks)} |", f"|{'|'.join(marks)}|"
    )


def number(value: float | None, digits: int = 2) -> str:
    """With its decimals; a dash where there is none."""
    return "-" if value is None else f"{value:,.{digits}f}"


def times(value: float | None, base: float | None) -> str:
    """How many times the base; a dash where one of them is missing."""
    return number(value / base if value is not None and base else None)


def put(section: str, text: str) -> None:
    """Write a section of the page; what stands around it stays.

    Raises:
        NoSuchSection: The page does not have it.
    """
    marked = re.compile(rf"(<!-- benchmark:{section} -->\n).*?(<!-- /benchmark:{section} -->)", re.DOTALL)
    page = PAGE.read_text()
    if not marked.search(page):
        raise NoSuchSection(f"{PAGE} has no lines <!-- benchmark:{section} --> and <!-- /benchmark:{section} -->.")
    PAGE.write_text(marked.sub(lambda found: f"{found[1]}{text}\n{found[2]}", page))
    if short := IN_SHORT.search(text):
        README.write_text(IN_SHORT.sub(lambda _: short[0], README.read_text()))
