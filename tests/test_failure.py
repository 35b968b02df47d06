"""The report of a failed migration."""

from __future__ import annotations

import pytest

from sqlmigrations.exceptions import MigrationFailed
from sqlmigrations.failure import report
from sqlmigrations.masking import MASK
from sqlmigrations.pending import Terms
from sqlmigrations.plan import Step
from sqlmigrations.planning import build
from sqlmigrations.target import Target
from sqlmigrations.types import Finding, ServerError, Severity
from tests.samples import loaded, migration

PLACE = "migrations_sql/004_x.sql"


def failing(text: str, statement: int, server: ServerError) -> MigrationFailed:
    step = step_of(text)
    return report(step, step.script.statements[statement], server)


def step_of(text: str) -> Step:
    (step,) = build(loaded(migration("shop.004_x", text)), (), Terms("default", ("default",)), Target()).steps
    return step


def test_place_excerpt_and_advice_come_together() -> None:
    text = "SELECT 1;\nALTER TABLE invoices\n  ADD COLUMN status text;\nSELECT 2;\n"
    server = ServerError("42701", 'column "status" of relation "invoices" already exists', position=24)

    found = failing(text, 1, server)

    assert found.message == "shop.004_x failed and was rolled back."
    assert found.finding == Finding("failed", Severity.ERROR, server.message, "", "shop.004_x", PLACE, 3, 3)
    assert found.server == server
    assert found.excerpt == ("  2 | ALTER TABLE invoices\n> 3 |   ADD COLUMN status text;\n    |   ^\n  4 | SELECT 2;")
    assert found.remedy == (
        "The column exists already. Write ADD COLUMN IF NOT EXISTS, or remove the line. "
        "Then run  python manage.py sqlmigrate_apply"
    )


def test_without_a_position_the_statement_is_the_place() -> None:
    found = failing("SELECT 1;\n\n  SELECT 1/0;", 1, ServerError("22012", "division by zero"))

    assert (found.finding.line, found.finding.column) == (3, 3)
    assert found.excerpt == "  2 |\n> 3 |   SELECT 1/0;\n    |   ^"


def test_without_a_position_what_the_server_names_is_the_place_where_it_stands() -> None:
    text = "ALTER TABLE invoices\n  ADD COLUMN number text,\n  ADD COLUMN status text;"
    said = 'column "status" of relation "invoices" already exists'

    found = failing(text, 0, ServerError("42701", said))

    assert (found.finding.line, found.finding.column) == (3, 14)


BLOCK = "SELECT 1;\nDO $$\nDECLARE x int;\nBEGIN\n  x := 1 / 0;\nEND $$;\n"
DATA = "COPY t (a) FROM stdin;\n1\nx\n\\.\n"


@pytest.mark.parametrize(
    ("text", "statement", "context", "place"),
    [
        (BLOCK, 1, "PL/pgSQL function inline_code_block line 4 at assignment", (5, 3)),
        (BLOCK, 1, "PL/pgSQL-Funktion f() Zeile 9\nPL/pgSQL-Funktion inline_code_block Zeile 4 bei Zuweisung", (5, 3)),
        (BLOCK, 1, "PL/pgSQL function f() line 9 at assignment", (2, 1)),
        (DATA, 0, 'COPY t, line 2, column a: "x"', (3, 1)),
        (DATA, 0, "COPY t, Zeile 2, Spalte a: »x«", (3, 1)),
    ],
)
def test_the_line_that_the_server_counts_itself_is_the_place(
    text: str, statement: int, context: str, place: tuple[int, int]
) -> None:
    found = failing(text, statement, ServerError("22012", "no", context=context))

    assert (found.finding.line, found.finding.column) == place


def test_without_a_position_and_with_another_name_the_statement_is_the_place() -> None:
    found = failing("SELECT f();", 0, ServerError("42P01", 'relation "elsewhere" does not exist'))

    assert (found.finding.line, found.finding.column) == (1, 1)


def test_without_a_statement_there_is_no_place() -> None:
    found = report(step_of("SELECT 1;"), None, ServerError("XX000", "odd"))

    assert found.message == "shop.004_x failed and was rolled back."
    assert (found.finding.line, found.finding.column, found.excerpt) == (None, None, "")


def test_a_constraint_checked_at_the_end_is_told_as_such() -> None:
    found = report(step_of("SELECT 1;"), None, ServerError("23503", "violates foreign key"))

    assert found.message == "shop.004_x broke a constraint that is checked at its end, and was rolled back."


def test_tabs_keep_the_caret_in_place_and_line_numbers_are_aligned() -> None:
    text = "SELECT 1;\n" * 9 + "\tSELECT\tx;\n"
    position = len("SELECT\t") + 1

    found = failing(text, 9, ServerError("42703", 'column "x" does not exist', position=position))

    assert found.excerpt == "   9 | SELECT 1;\n> 10 | \tSELECT\tx;\n     | \t      \t^"


def test_a_very_long_line_is_cut_and_gets_no_caret_behind_the_cut() -> None:
    text = f"SELECT '{'x' * 300}', y;"

    found = failing(text, 0, ServerError("42703", 'column "y" does not exist', position=len(text) - 1))

    assert found.excerpt == f"> 1 | SELECT '{'x' * 192}"


def test_secrets_are_masked_wherever_they_come_back() -> None:
    text = "CREATE ROLE a\n  PASSWORD 'geheim' nonsense;"

    def said(of: str) -> ServerError:
        return ServerError("42601", f"message: {of}", f"detail: {of}", f"hint: {of}", f"context: {of}", position=17)

    found = failing(text, 0, said("geheim"))

    assert found.server == said(MASK)
    assert found.finding.message == f"message: {MASK}"
    assert found.excerpt == ("  1 | CREATE ROLE a\n> 2 |   PASSWORD '******' nonsense;\n    |   ^")


@pytest.mark.parametrize(
    ("said", "shown"),
    [
        ("Key (email)=(ada@example.org) already exists.", "Key (email)=(...) already exists."),
        ("Schlüssel »(email)=(ada@example.org)« existiert bereits.", "Schlüssel »(email)=(...)« existiert bereits."),
        ('Key (a, b)=(1, Ada) is not present in table "t".', 'Key (a, b)=(...) is not present in table "t".'),
        ("Key (lower(email))=(ada@example.org) already exists.", "Key (...) already exists."),
        ("Failing row contains (1, Ada (London) and Bob, null).", "Failing row contains (...)."),
        ("Fehlgeschlagene Zeile enthält (1, Ada, null).", "Fehlgeschlagene Zeile enthält (...)."),
        ("Partition key of the failing row contains (day) = (2026-01-02).", "Partition key of the failing row "
         "contains (day) = (...)."),
    ],
)  # fmt: skip
def test_values_of_rows_are_not_shown_in_any_language(said: str, shown: str) -> None:
    found = failing("INSERT INTO t VALUES (1);", 0, ServerError("23505", "no", said))

    assert found.server is not None
    assert found.server.detail == shown


def test_a_name_is_found_in_the_quotes_of_any_language() -> None:
    places = [
        failing("ALTER TABLE t DROP x;", 0, ServerError("42703", message)).finding.column
        for message in ('column "x" does not exist', "Spalte »x« existiert nicht", "la colonne « x » n'existe pas")
    ]

    assert places == [20, 20, 20]


def test_a_secret_of_several_lines_is_masked_in_each() -> None:
    text = "CREATE ROLE a PASSWORD 'geheim\nnis' bad;"

    found = failing(text, 0, ServerError("42601", "syntax error"))

    assert "geheim" not in found.excerpt
    assert "nis'" not in found.excerpt


def test_advice_names_the_migration_to_record_by_hand() -> None:
    found = failing("CREATE TABLE t ();", 0, ServerError("42P07", 'relation "t" already exists'))

    assert "python manage.py sqlmigrate_apply --fake shop 004 " in found.remedy


def test_the_caret_stands_right_behind_a_masked_secret() -> None:
    text = "CREATE ROLE a PASSWORD 'geheim' nonsense;"

    found = failing(text, 0, ServerError("42601", "syntax error", position=33))

    assert found.excerpt == "> 1 | CREATE ROLE a PASSWORD '******' nonsense;\n    |" + " " * 33 + "^"
