"""Which migrations run, in which order and how, or why none of them may."""

from __future__ import annotations

from typing import Any

import pytest

from sqlmigrations import lint
from sqlmigrations.exceptions import ConfigurationError, IntegrityError, PartialMigration, UnsafePlan
from sqlmigrations.pending import Terms, validate
from sqlmigrations.plan import Plan
from sqlmigrations.planning import build
from sqlmigrations.target import Target
from sqlmigrations.types import Applied, Finding, Severity, SqlMigration
from tests.samples import loaded, migration, row

ONE, TWO, THREE = (migration(f"shop.00{n}_x", f"CREATE TABLE t{n} ();\n") for n in (1, 2, 3))
BLOG = migration("blog.001_x", "-- depends: shop.002_x\nCREATE TABLE b ();\n")


def plan(*files: SqlMigration, applied: tuple[Applied, ...] = (), target: Target | None = None, **terms: Any) -> Plan:
    given = {"database": "default", "databases": ("default", "reporting"), **terms}
    return build(loaded(*files), applied, Terms(**given), target or Target())


def ids(found: Plan) -> list[str]:
    assert found.refusal() is None
    return [step.migration.id for step in found.steps]


def rules(findings: tuple[Finding, ...]) -> list[str]:
    return [finding.rule for finding in findings]


def test_what_is_pending_runs_in_order() -> None:
    assert ids(plan(ONE, TWO, THREE, applied=(row(ONE),))) == ["shop.002_x", "shop.003_x"]


def test_nothing_pending_is_a_plan_without_steps() -> None:
    assert ids(plan(ONE, applied=(row(ONE),))) == []


def test_a_label_is_a_target_with_what_it_depends_on() -> None:
    assert ids(plan(ONE, TWO, THREE, BLOG, target=Target("blog"))) == ["shop.001_x", "shop.002_x", "blog.001_x"]


@pytest.mark.parametrize("version", ["002", "2", "0002", "002_x"])
def test_a_version_is_a_target_up_to_and_including_it(version: str) -> None:
    assert ids(plan(ONE, TWO, THREE, BLOG, target=Target("shop", version))) == ["shop.001_x", "shop.002_x"]


@pytest.mark.parametrize(
    "words", [("shop.002_x",), ("shop.2",), ("shop.002_x.sql",), ("shop", "shop.002_x"), ("shop", "002_x.sql")]
)
def test_a_migration_may_be_named_as_outputs_name_it(words: tuple[str, ...]) -> None:
    assert Target(*words) in (Target("shop", "002_x"), Target("shop", "2"))
    assert ids(plan(ONE, TWO, THREE, BLOG, target=Target(*words))) == ["shop.001_x", "shop.002_x"]


def test_a_version_below_what_is_applied_means_nothing_to_do() -> None:
    assert ids(plan(ONE, TWO, THREE, applied=(row(ONE), row(TWO)), target=Target("shop", "001"))) == []


@pytest.mark.parametrize(
    ("target", "message", "remedy"),
    [
        (
            Target("shpo"),
            "There is no source with the label 'shpo'.",
            "Did you mean shop? The labels are: shop, blog. "
            "An app gets one by a folder migrations_sql, a site by SQLMIGRATIONS['DIRS'].",
        ),
        (Target("shop", "004"), "shop has no migration '004'.", "Its newest are: 001_x, 002_x, 003_x."),
        (Target("shop", "nonsense"), "shop has no migration 'nonsense'.", "Its newest are: 001_x, 002_x, 003_x."),
        (
            Target("shop", "zero"),
            "sqlmigrate_apply only goes forward; this version has no command that goes back.",
            "Run the .down.sql files by hand, newest first.",
        ),
    ],
)
def test_a_target_that_does_not_exist_is_refused(target: Target, message: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan(ONE, TWO, THREE, BLOG, target=target)

    assert (caught.value.message, caught.value.remedy) == (message, remedy)


def test_timeouts_are_those_of_the_terms_unless_the_file_has_its_own() -> None:
    own = migration("shop.002_x", "-- lock-timeout: 0\n-- statement-timeout: 1min\nCREATE TABLE u ();")

    found = plan(ONE, own, lock_timeout_ms=5, statement_timeout_ms=6)

    assert [(s.lock_timeout_ms, s.statement_timeout_ms) for s in found.steps] == [(5, 6), (0, 60_000)]


def test_a_late_file_is_refused_with_the_one_that_overtook_it() -> None:
    found = plan(ONE, TWO, THREE, applied=(row(TWO),))

    assert found.disagreements == (
        Finding(
            "late",
            Severity.ERROR,
            "Late: 002_x, a higher number, is applied already.",
            "Give it a number above 002_x; or, when it may run after it, add the line -- late: why   to the file, or "
            "run once with --allow-late.",
            "shop.001_x",
            "migrations_sql/001_x.sql",
        ),
    )
    assert isinstance(found.refusal(), IntegrityError)


def test_a_late_file_may_run_when_it_says_so() -> None:
    said = migration("shop.001_x", "-- late: touches nothing else\nCREATE TABLE u ();")

    found = plan(said, TWO, THREE, applied=(row(TWO),))

    assert ids(found) == ["shop.001_x", "shop.003_x"]
    assert [step.late for step in found.steps] == [True, False]


def test_a_late_file_may_run_when_the_terms_say_so() -> None:
    assert ids(plan(ONE, TWO, applied=(row(TWO),), allow_late=True)) == ["shop.001_x"]


def test_a_target_beside_a_late_file_is_not_stopped_by_it() -> None:
    assert ids(plan(ONE, TWO, migration("blog.001_x"), applied=(row(TWO),), target=Target("blog"))) == ["blog.001_x"]


def test_files_of_another_database_are_left_out_and_not_listed() -> None:
    elsewhere = migration("shop.002_x", "-- database: reporting\nCREATE TABLE u ();")

    here, there = plan(ONE, elsewhere), plan(ONE, elsewhere, database="reporting")

    assert ids(here) == ["shop.001_x"]
    assert [entry.id for entry in here.comparison.entries] == ["shop.001_x"]
    assert ids(there) == ["shop.001_x", "shop.002_x"]


def test_a_file_of_another_database_cannot_be_waited_for() -> None:
    elsewhere = migration("shop.001_x", "-- database: reporting\nCREATE TABLE u ();")
    waiting = migration("shop.002_x", "-- depends: 001_x\nCREATE TABLE v ();")

    here, there = plan(elsewhere, waiting), plan(elsewhere, waiting, database="reporting")

    assert here.disagreements == (
        Finding(
            "unknown-dependency",
            Severity.ERROR,
            "Depends on shop.001_x, which belongs to another database.",
            "Take it out of the line, and run sqlmigrate_apply for the other database first.",
            "shop.002_x",
            "migrations_sql/002_x.sql",
            1,
            1,
        ),
    )
    assert ids(there) == ["shop.001_x", "shop.002_x"]


def test_a_database_that_does_not_exist_is_refused() -> None:
    found = plan(migration("shop.001_x", "-- database: repotring\nCREATE TABLE u ();"))

    message = "database: repotring is no database of this project."
    remedy = "Write one of: default, reporting."
    assert found.disagreements == (
        Finding("directive", Severity.ERROR, message, remedy, "shop.001_x", "migrations_sql/001_x.sql"),
    )


def test_faults_of_files_and_ledger_come_together() -> None:
    edited = migration("shop.001_x", "CREATE TABLE other ();")
    bad = migration("shop.002_x", "-- transacton: on\n-- depends: 009_z\nCREATE TABLE u ();")
    met = Finding("file-name", Severity.ERROR, "x")
    found = build(loaded(edited, bad, findings=[met]), [row(ONE)], Terms("default", ("default",)), Target())

    assert rules(found.disagreements) == ["file-name", "modified", "unknown-directive", "unknown-dependency"]
    assert isinstance(found.refusal(), IntegrityError)


def test_a_cycle_leaves_nothing_to_run() -> None:
    found = plan(
        migration("shop.001_x", "-- depends: blog.001_x\nCREATE TABLE u ();"),
        migration("blog.001_x", "-- depends: shop.001_x\nCREATE TABLE v ();"),
    )

    assert (found.steps, rules(found.disagreements)) == ((), ["cycle"])


def test_a_half_done_migration_is_refused_as_such_whatever_else_there_is() -> None:
    found = plan(ONE, TWO, applied=(row(ONE, state="running"), row(THREE)))

    refusal = found.refusal()

    assert isinstance(refusal, PartialMigration)
    assert refusal.message == "A migration is half done; nothing has run."
    assert sorted(rules(refusal.findings)) == ["late", "partial"]


def test_contents_that_certainly_fail_stop_the_plan() -> None:
    found = plan(migration("shop.001_x", "SELECT 1;\nCOMMIT;"), migration("shop.002_x", "\\i x.sql"))

    refusal = found.refusal()

    assert isinstance(refusal, UnsafePlan)
    assert [(f.rule, f.location, f.line) for f in refusal.findings] == [
        ("psql-command", "migrations_sql/002_x.sql", 1),
        ("transaction-control", "migrations_sql/001_x.sql", 2),
    ]


def test_an_applied_file_is_not_looked_into() -> None:
    strange = migration("shop.001_x", "-- transacton: on\nCOMMIT;")

    assert ids(plan(strange, TWO, applied=(row(strange),))) == ["shop.002_x"]


def test_warnings_stop_nothing_and_notes_come_first() -> None:
    layout = migration("shop.001_x", "create table T1 ();")

    found = plan(layout, migration("shop.002_x", "DROP TABLE old;"), applied=(row(ONE),))

    assert ids(found) == ["shop.002_x"]
    assert rules(found.warnings) == ["reformatted", "drop-table"]


def test_a_table_of_an_earlier_pending_file_needs_no_warning() -> None:
    index = migration("shop.002_x", "CREATE INDEX i ON t1 ((1));")

    assert rules(plan(ONE, index).warnings) == []
    assert rules(plan(ONE, index, applied=(row(ONE),)).warnings) == ["create-index"]


def test_a_rule_can_be_silenced_by_the_terms_but_no_error() -> None:
    dropping, ending = migration("shop.001_x", "DROP TABLE a;"), migration("shop.002_x", "SELECT 1;\nCOMMIT;")

    found = plan(dropping, ending, allow=frozenset({"drop-table", "transaction-control"}))

    assert found.warnings == ()
    assert rules(found.dangers) == ["transaction-control"]


def test_an_unknown_rule_is_refused_with_the_nearest() -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan(ONE, allow=frozenset({"drop-tabel"}))

    assert caught.value.message == "There is no rule 'drop-tabel' to allow."
    assert caught.value.remedy == "Did you mean drop-table?"


def test_a_rule_like_no_other_is_refused() -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan(ONE, allow=frozenset({"q"}))

    assert caught.value.remedy == f"The rules are: {', '.join(sorted(lint.RULES))}."


@pytest.mark.parametrize(
    ("word", "remedy"),
    [("non-transactional", "Follow what the error says."), ("late", "Run once with --allow-late.")],
)
def test_an_error_that_is_no_rule_of_the_lint_cannot_be_allowed(word: str, remedy: str) -> None:
    with pytest.raises(ConfigurationError) as caught:
        plan(ONE, allow=frozenset({word}))

    assert caught.value.message == f"{word!r} is an error, which cannot be allowed."
    assert caught.value.remedy == remedy


def test_a_file_without_a_statement_is_warned_of_until_it_is_applied() -> None:
    skeleton = migration("shop.002_x", "-- What it does\n")

    assert rules(plan(ONE, skeleton).warnings) == ["empty-file"]
    assert rules(plan(ONE, skeleton, applied=(row(ONE), row(skeleton))).warnings) == []
    assert plan(migration("shop.001_x", "-- allow: empty-file a mark\n")).warnings == ()


@pytest.mark.parametrize("text", ["SELECT 'open", "\\i other.sql\n"])
def test_a_file_that_cannot_be_taken_apart_is_not_called_empty(text: str) -> None:
    found = plan(migration("shop.001_x", text))

    assert (len(found.dangers), found.warnings) == (1, ())


def test_a_second_file_under_a_number_is_not_late_as_well() -> None:
    twin = migration("shop.001_y", "SELECT 1;")

    found = plan(ONE, TWO, twin, applied=(row(ONE), row(TWO)))

    assert rules(found.disagreements) == ["duplicate-version"]


def test_secrets_of_a_file_and_of_what_undoes_it_are_known() -> None:
    up, down = "CREATE ROLE a PASSWORD 'geheim1';", "ALTER ROLE a PASSWORD 'geheim2';"

    (step,) = plan(migration("shop.001_x", up, down)).steps

    assert step.secrets == {"geheim1", "geheim2"}


def test_an_up_is_not_stopped_by_a_down_that_is_no_sql() -> None:
    (step,) = plan(migration("shop.001_x", "CREATE ROLE a PASSWORD 'geheim1';", "SELECT 'open")).steps

    assert step.secrets == {"geheim1"}


def test_validation_needs_no_ledger() -> None:
    bad = migration("shop.001_x", "-- transacton: on\nCREATE TABLE u ();")
    ending = migration("shop.002_x", "SELECT 1;\nCOMMIT;")
    terms = Terms("default", ("default",))

    assert rules(validate(loaded(bad, TWO), terms)) == ["unknown-directive"]
    assert validate(loaded(ONE, ending), terms) == ()
