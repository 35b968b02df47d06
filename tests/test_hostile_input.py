"""Whatever a file holds and is called: no crash, no hang, no more memory than it is worth."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlmigrations import hazards, lint
from sqlmigrations.directives import duration_ms
from sqlmigrations.exceptions import ConfigurationError, UnsafePlan
from sqlmigrations.management.rendering import error_text
from sqlmigrations.masking import MASK, mask_lines
from sqlmigrations.parser import outline, parse, sql_checksum
from sqlmigrations.planning import passwords
from sqlmigrations.sql.scanner import split, tokens
from sqlmigrations.target import Target, choose
from tests.fuzz.corpus import FOUND, found, seeds
from tests.fuzz.promises import NAME_END, NEXT_FILE, TARGETS, masking
from tests.samples import loaded, migration

moderate = settings(max_examples=150, deadline=None, derandomize=True, database=None)
PIECES = (
    *("'", '"', "$$", "$a$", "$", "E'", "U&'", "\\", "--", "/*", "*/", "\n", ";", "(", ")", "[", "]", ",", ".", ":"),
    *(" ", "=", "||", "1", "é", "\x9b", "\u2028", "\f", "-- allow: ", "-- depends: 001_a\n", "-- transaction: off\n"),
    *("CREATE ", "FUNCTION f() ", "BEGIN ATOMIC ", "END", "COPY t FROM stdin;\n", "\n\\.\n", "DO ", "EXECUTE "),
    *("PASSWORD ", "password=", "postgresql://u:p@h", "ALTER TABLE t ", "ADD COLUMN c int ", "INDEX CONCURRENTLY "),
    *(
        "SELECT ",
        "INTO ",
        "BEGIN",
        "COMMIT",
        "ROLLBACK",
        "ALTER TYPE e ADD VALUE ",
        "'v'",
        "DROP ",
        "TABLE t",
        "\\i x\n",
    ),
)
NAMES = (
    "001_a.sql",
    "1_b.sql",
    "001_a.down.sql",
    "V2__c.sql",
    "R__d.sql",
    "9" * 40 + "_e.sql",
    "\x9b.sql",
    "002_É.SQL",
)
text = st.lists(st.sampled_from(PIECES), max_size=40).map("".join)
file = st.tuples(st.sampled_from(NAMES).map(str.encode) | st.binary(max_size=40), st.binary() | text.map(str.encode))
folder = st.lists(file.map(NAME_END.join), max_size=5).map(NEXT_FILE.join)


@pytest.mark.parametrize("target", TARGETS)
def test_our_own_samples_and_what_broke_a_promise_once_keep_them_all(target: str) -> None:
    for sample in [*seeds(target), *(path.read_bytes() for path in found(target))]:
        TARGETS[target](sample)


def test_each_case_that_was_found_is_one_of_a_target() -> None:
    assert sorted(FOUND.iterdir()) == sorted(path for target in TARGETS for path in found(target))


@moderate
@given(st.binary() | text.map(str.encode))
def test_the_scanner_takes_any_text(data: bytes) -> None:
    TARGETS["scanner"](data)


@moderate
@given(st.binary() | text.map(str.encode))
def test_the_parser_takes_any_text(data: bytes) -> None:
    TARGETS["parser"](data)


@moderate
@given(folder)
def test_the_loader_takes_any_folder(data: bytes) -> None:
    TARGETS["loader"](data)


@moderate
@given(st.text("ab\n*'", max_size=60), st.frozensets(st.text("ab\n'", min_size=1, max_size=9), max_size=4))
def test_nothing_of_a_secret_is_left_whatever_the_text(shown: str, secrets: frozenset[str]) -> None:
    masking(shown, secrets)


def everything(written: str) -> None:
    """All that is read from a file before anything runs."""
    of = migration("project.001_a", written)
    script = parse(of)
    outline(of)
    sql_checksum(of.file)
    hazards.find([script], frozenset())
    mask_lines(written, passwords(script))


def repeated(unit: str, before: str = "", after: str = "") -> Callable[[int], str]:
    return lambda size: before + unit * (size // len(unit)) + after


def numbered(unit: str) -> Callable[[int], str]:
    return lambda size: "".join(unit.replace("#", str(number)) for number in range(size // (len(unit) + 2)))


def nested(inside: str) -> Callable[[int], str]:
    def made(size: int) -> str:
        tags = [f"$t{number}$ " for number in range(size // 2 // (len(inside) + 8))]
        return f"DO {''.join(f'{tag}{inside} ' for tag in tags)}{''.join(reversed(tags))};"

    return made


GROWING = {
    "words with passw": repeated("passw", "SELECT ", " 1;"),
    "what may be addresses": repeated("a.", "SELECT 'x passw=", "';"),
    "addresses begun": repeated("://a:", "SELECT $$", "@$$;"),
    "connection strings": repeated("password='", "SELECT $$", "$$;"),
    "space after a password": repeated(" ", "SELECT 'password", "x' || 'y';"),
    "literals in literals": nested("EXECUTE"),
    "passwords in literals in literals": nested("x password ="),
    "a password of many lines": lambda size: "CREATE ROLE r PASSWORD '" + numbered("line #\n")(size) + "';",
    "roles": numbered("CREATE ROLE r PASSWORD 'secret#';\n"),
    "values of an enum": numbered("ALTER TYPE t ADD VALUE 'x#';\n"),
    "values of an enum in use": repeated("ALTER TYPE t ADD VALUE 'x'; SELECT 'x';\n"),
    "transactions begun": repeated("BEGIN;SELECT 1;"),
    "transactions begun and ended": repeated("BEGIN;COMMIT;", "-- transaction: off\n"),
    "parentheses": repeated("(", "SELECT "),
    "comments": repeated("/*", "SELECT "),
    "dollars": repeated("$a", "SELECT "),
    "tags": numbered("$a#$ "),
    "quotes": repeated("''", "SELECT '"),
    "constants of many lines": repeated("'' -- x\n", "SELECT e"),
    "operators": repeated("-+", "SELECT "),
    "digits": repeated("1_", "SELECT "),
    "data": repeated("\n\\.x", "COPY t FROM stdin;"),
    "bodies": repeated("create function f() begin atomic select 1; "),
    "commands of psql": repeated("\\i x\n"),
    "directives": repeated("-- transactio: x\n"),
    "columns": repeated("ADD COLUMN a int NOT NULL, ", "ALTER TABLE t ", "ADD b int;"),
    "tables": numbered("CREATE TABLE t# (a int); DROP TABLE t#;"),
}


def seconds(work: Callable[[], object]) -> float:
    """Of this thread's own, so that others on the machine do not count."""
    began = time.thread_time()
    work()
    return time.thread_time() - began


@pytest.mark.parametrize("what", GROWING)
def test_four_times_the_text_takes_about_four_times_as_long(what: str) -> None:
    short, long = (GROWING[what](size) for size in (4_000, 16_000))

    # Sixteen times as long is what a quadratic one takes; what takes no time at all cannot be compared.
    def is_in_proportion() -> bool:
        return seconds(lambda: everything(long)) < max(9 * seconds(lambda: everything(short)), 0.2)

    assert any(is_in_proportion() for _ in range(3))


def test_memory_grows_with_the_text_and_not_faster() -> None:
    written = "INSERT INTO t VALUES (1, 'it''s', $$;$$); -- ' ;\n" * 3_000
    tracemalloc.start()
    try:
        assert len(split(written).statements) == 3_000
        cut = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert sum(len(token.text) for token in tokens(written)) == len(written)
        walked = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert cut < 10 * len(written)
    assert walked < 10 * len(written)


def test_a_password_deep_within_literals_is_masked_with_all_that_stands_beside_it() -> None:
    tags = [f"$t{number}$" for number in range(200)]
    written = f"DO {' EXECUTE '.join(tags)} ALTER ROLE r PASSWORD 'geheim' {' '.join(reversed(tags))};"

    shown = "\n".join(mask_lines(written, lint.secrets(split(written).statements)))

    assert "geheim" not in shown
    assert shown.startswith("DO $t0$ EXECUTE $t1$")


def test_the_short_lines_of_a_long_password_are_masked_too() -> None:
    assert mask_lines("x a\nb\n\nlonger y", frozenset({"a\nb\n\nlonger"})) == [f"x {MASK}", MASK, "", f"{MASK} y"]


def test_numbers_of_thousands_of_digits_are_told_as_too_long() -> None:
    digits = "9" * 5_000

    with pytest.raises(ValueError, match="is longer than PostgreSQL takes"):
        duration_ms(f"{digits}s")
    with pytest.raises(ConfigurationError, match="has no migration"):
        choose([], {}, Target("project", digits), loaded(migration("project.001_a")))
    assert duration_ms(f"{'0' * 5_000}3s") == 3_000


def test_what_a_terminal_would_obey_is_not_sent_to_it() -> None:
    script = parse(migration("project.001_a", "SELECT '\x1b[2J' \x9b, $\x9b2J$;\n"))

    told = error_text(UnsafePlan("No.", findings=script.dangers))

    line, caret = told.splitlines()[3:5]
    assert line.endswith("> 1 | SELECT '?[2J' ?, $?2J$;")
    assert line[caret.index("^") :] == "$?2J$;"
    assert all(char.isprintable() or char == "\n" for char in told)
