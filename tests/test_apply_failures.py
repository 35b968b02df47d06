"""What sqlmigrate_apply prints of a file that failed: the line of its progress, and the details that help."""

from __future__ import annotations

import io
import re

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from tests.inprocess import LocalSite

FUNCTION = """\
CREATE FUNCTION check_it(t text) RETURNS int LANGUAGE plpgsql AS $$
BEGIN
  RETURN t::int;
END $$;
"""


@pytest.fixture
def shop(local_site: LocalSite) -> LocalSite:
    """A function, applied."""
    local_site.write("001_check.sql", FUNCTION)
    local_site.run("sqlmigrate_apply", check=True)
    return local_site


class Terminal(io.StringIO):
    """A stream that remembers what was written at once."""

    def __init__(self, is_terminal: bool) -> None:
        super().__init__()
        self.is_terminal, self.pieces = is_terminal, list[str]()

    def isatty(self) -> bool:
        return self.is_terminal

    def write(self, text: str) -> int:
        self.pieces.append(re.sub(r"\x1b\[[0-9;]*m|[0-9]+ ms", "", text))
        return super().write(text)


@pytest.mark.parametrize(
    ("is_terminal", "pieces"),
    [
        (True, ["  Applying project.002_b...", " OK ()\n"]),
        (False, ["  Applying project.002_b... OK ()\n"]),
    ],
)
def test_the_line_of_a_file_is_in_one_piece_where_nobody_watches(
    shop: LocalSite, is_terminal: bool, pieces: list[str]
) -> None:
    shop.write("002_b.sql", "SELECT 1;\n")
    stdout = Terminal(is_terminal)

    with shop.configured():
        call_command("sqlmigrate_apply", stdout=stdout, no_color=True)

    assert stdout.pieces[1 : 1 + len(pieces)] == pieces


def test_a_failure_too_is_in_one_piece_where_nobody_watches(shop: LocalSite) -> None:
    shop.write("002_b.sql", "SELECT 1/0;\n")
    stdout = Terminal(is_terminal=False)

    with shop.configured(), pytest.raises(CommandError):
        call_command("sqlmigrate_apply", stdout=stdout, stderr=io.StringIO(), no_color=True)

    assert stdout.pieces[-1] == "  Applying project.002_b... FAILED\n"


def test_the_function_in_which_it_failed_is_named_and_no_statement_with_its_values(shop: LocalSite) -> None:
    shop.write("002_b.sql", "DO $$ BEGIN\n  EXECUTE format('SELECT check_it(%L)', 'Ada');\nEND $$;\n")

    ended = shop.run("sqlmigrate_apply")

    said = re.findall("  (PostgreSQL 22P02|Context): (.*)", ended.stderr)
    assert said == [
        ("PostgreSQL 22P02", 'invalid input syntax for type integer: "Ada"'),
        ("Context", "PL/pgSQL function check_it(text) line 3 at RETURN"),
    ]


def test_a_block_is_its_own_place_and_needs_no_context(shop: LocalSite) -> None:
    shop.write("002_b.sql", "DO $$ BEGIN\n  PERFORM 1/0;\nEND $$;\n")

    ended = shop.run("sqlmigrate_apply")

    assert "002_b.sql:2:3" in ended.stderr
    assert "Context" not in ended.stderr


def test_verbosity_2_tells_what_ran_before_it_failed(shop: LocalSite) -> None:
    shop.write(
        "002_b.sql",
        "CREATE ROLE nobody_there PASSWORD 'geheim';\nDO $$ BEGIN RAISE NOTICE 'at geheim'; END $$;\nSELECT 1/0;\n"
        "SELECT 2;\n",
    )

    ended = shop.run("sqlmigrate_apply", "-v", "2", "--allow", "secret-literal")

    assert ended.stdout.splitlines()[-5:] == [
        "  Applying project.002_b... FAILED",
        "      line 1: CREATE ROLE nobody_there PASSWORD '********';",
        "      line 2: DO $$ BEGIN RAISE NOTICE 'at ********'; END $$;",
        "      line 3: SELECT 1/0;",
        "      NOTICE:  at ********",
    ]


def test_without_it_only_the_failure_is_told(shop: LocalSite) -> None:
    shop.write("002_b.sql", "DO $$ BEGIN RAISE NOTICE 'hello'; END $$;\nSELECT 1/0;\n")

    ended = shop.run("sqlmigrate_apply")

    assert ended.stdout.splitlines()[-1] == "  Applying project.002_b... FAILED"
