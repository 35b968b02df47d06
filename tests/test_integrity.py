"""Files and ledger side by side."""

from __future__ import annotations

import pytest

from sqlmigrations.integrity import Comparison, compare
from sqlmigrations.types import Finding, Severity, SqlMigration, State
from tests.samples import loaded, migration, row

FIRST = migration("shop.001_a", "SELECT 1;\n")
SECOND = migration("shop.002_b", "SELECT 2;\n", down="SELECT -2;\n")
THIRD = migration("shop.003_c", "SELECT 3;\n")
WHEN = "2026-03-04 05:06 UTC"


def states(found: Comparison) -> dict[str, str]:
    return {entry.id: entry.state.value for entry in found.entries}


def only(found: Comparison) -> Finding:
    (finding,) = found.findings
    return finding


def test_everything_is_pending_on_an_empty_ledger() -> None:
    found = compare(loaded(FIRST, SECOND), [])

    assert states(found) == {"shop.001_a": "pending", "shop.002_b": "pending"}
    assert [entry.rollback_ready for entry in found.entries] == [False, True]
    assert found.findings == ()


def test_what_is_recorded_and_the_same_is_applied() -> None:
    found = compare(loaded(FIRST, SECOND), [row(FIRST), row(SECOND)])

    assert states(found) == {"shop.001_a": "applied", "shop.002_b": "applied"}
    assert found.findings == ()


def test_another_token_is_modified() -> None:
    edited = migration("shop.001_a", "SELECT 10;\n")

    found = compare(loaded(edited), [row(FIRST)])

    old, new = FIRST.file.checksum[:16], edited.file.checksum[:16]
    assert states(found) == {"shop.001_a": "modified"}
    assert only(found) == Finding(
        "modified",
        Severity.ERROR,
        f"Changed since it was applied on {WHEN}: recorded checksum {old}..., file {new}...",
        "See the change: python manage.py sqlmigrate_status -v 2   Restore the file as it was applied (git log -p -- "
        "migrations_sql/001_a.sql), and put the change into a new one: python manage.py sqlmigrate_new shop "
        "your_change\nOr, when what it says now is true of every database: "
        'python manage.py sqlmigrate_repair accept shop 001 --reason "..."',
        "shop.001_a",
        "migrations_sql/001_a.sql",
    )


def test_another_layout_is_reformatted_and_no_error() -> None:
    found = compare(loaded(migration("shop.001_a", "-- why\nselect  1;\n")), [row(FIRST)])

    message = "Its layout or comments changed since it was applied; the statements are the same."
    assert states(found) == {"shop.001_a": "reformatted"}
    assert only(found) == Finding("reformatted", Severity.NOTE, message, "", "shop.001_a", "migrations_sql/001_a.sql")


@pytest.mark.parametrize("changes", [{"sql_checksum": ""}, {"checksum_algorithm": "sha256-0"}])
def test_without_a_comparable_checksum_of_tokens_any_difference_is_modified(changes: dict[str, str]) -> None:
    found = compare(loaded(migration("shop.001_a", "-- why\nSELECT 1;\n")), [row(FIRST, **changes)])

    assert states(found) == {"shop.001_a": "modified"}


def test_a_number_below_an_applied_one_is_late() -> None:
    found = compare(loaded(FIRST, SECOND), [row(SECOND)])

    assert states(found) == {"shop.001_a": "late", "shop.002_b": "applied"}
    assert found.overtaken_by(FIRST) == row(SECOND)


def test_late_is_a_matter_of_one_label() -> None:
    other = migration("blog.001_x")

    found = compare(loaded(other, SECOND), [row(SECOND)])

    assert states(found) == {"blog.001_x": "pending", "shop.002_b": "applied"}
    assert found.overtaken_by(other) is None
    assert found.overtaken_by(THIRD) is None


def test_a_file_gone_from_between_is_missing() -> None:
    found = compare(loaded(FIRST, THIRD), [row(FIRST), row(SECOND), row(THIRD)])

    assert states(found) == {"shop.001_a": "applied", "shop.002_b": "missing", "shop.003_c": "applied"}
    assert only(found) == Finding(
        "missing",
        Severity.ERROR,
        f"Applied on {WHEN}, but 002_b.sql is gone.",
        "Restore it: git checkout HEAD -- migrations_sql/002_b.sql   or, when its deletion is committed: "
        'git checkout "$(git rev-list -n 1 HEAD -- migrations_sql/002_b.sql)^" -- migrations_sql/002_b.sql   '
        "(It may also be on another branch.)\n"
        'When it is gone for good: python manage.py sqlmigrate_repair forget shop 002 --reason "..."',
        "shop.002_b",
    )
    assert found.entries[1].rollback_ready


def test_a_file_that_only_got_another_number_is_recognised() -> None:
    found = compare(loaded(migration("shop.005_b", "SELECT 2;\n"), THIRD), [row(SECOND), row(THIRD)])

    (missing,) = found.findings
    assert (
        missing.message
        == f"Applied on {WHEN}, but 002_b.sql is gone. 005_b.sql has the same content: it was renumbered."
    )
    assert missing.remedy == "Give it its number back: mv migrations_sql/005_b.sql migrations_sql/002_b.sql"


def test_rows_above_the_highest_file_are_ahead_and_no_error() -> None:
    found = compare(loaded(FIRST), [row(FIRST), row(SECOND)])

    message = f"Recorded on {WHEN}, above the files here: this checkout is older than the database."
    assert states(found) == {"shop.001_a": "applied", "shop.002_b": "ahead"}
    assert only(found) == Finding("ahead", Severity.NOTE, message, "", "shop.002_b")


@pytest.mark.parametrize("state", ["running", "partial"])
def test_a_half_done_row_above_the_highest_file_is_ahead_and_says_how_far_it_came(state: str) -> None:
    half_done = row(SECOND, state=state, mode="statements", statements_done=1, statements_total=3)

    found = compare(loaded(FIRST), [row(FIRST), half_done])

    message = (
        f"Begun on {WHEN} and half done, 1 of 3 statements; above the files here: this checkout is older than the "
        "database, and the newer one goes on with it."
    )
    assert states(found) == {"shop.001_a": "applied", "shop.002_b": "ahead"}
    assert only(found) == Finding("ahead", Severity.NOTE, message, "", "shop.002_b")


def test_rows_of_an_app_that_is_not_installed_are_ahead() -> None:
    assert states(compare(loaded(labels=["blog"]), [row(FIRST)])) == {"shop.001_a": "ahead"}


@pytest.mark.parametrize(("rows", "more"), [(20, None), (21, "1 more migration"), (24, "4 more migrations")])
@pytest.mark.parametrize("state", ["ahead", "missing"])
def test_of_many_rows_without_a_file_the_first_are_told_and_how_many_more(
    rows: int, more: str | None, state: str
) -> None:
    gone = [migration(f"shop.{number:03}_x") for number in range(1, rows + 1)]
    files = loaded(labels=["blog"] if state == "ahead" else ["shop"])

    found = compare(files, [row(each) for each in reversed(gone)])

    assert list(states(found).values()) == [state] * rows
    named = [finding.migration for finding in found.findings if finding.migration]
    assert named == [each.id for each in gone[:20]]
    summed = [finding for finding in found.findings if not finding.migration]
    assert [finding.rule for finding in summed] == ([state] if more else [])
    if more and state == "missing":
        assert summed == [
            Finding(
                "missing",
                Severity.ERROR,
                f"{more} of shop, up to {rows:03}_x of 2026-03-04 05:06 UTC, applied, and their files are gone.",
                "As of the others: restore the files, or forget those that are gone for good. All of them: "
                "python manage.py sqlmigrate_status",
            )
        ]
    elif more:
        message = f"{more} of shop, up to {rows:03}_x of 2026-03-04 05:06 UTC, recorded above the files here."
        assert summed == [Finding("ahead", Severity.NOTE, message)]


def test_a_folder_that_lost_all_its_files_has_them_missing() -> None:
    assert states(compare(loaded(labels=["shop"]), [row(FIRST)])) == {"shop.001_a": "missing"}


@pytest.mark.parametrize("state", ["running", "partial"])
@pytest.mark.parametrize("files", [[FIRST], [SECOND], []])
def test_a_row_that_is_not_finished_is_partial(state: str, files: list[SqlMigration]) -> None:
    found = compare(
        loaded(*files, labels=["shop"]),
        [row(FIRST, state=state), *(row(file) for file in files[:1] if file is SECOND)],
    )

    assert states(found)["shop.001_a"] == "partial"
    assert only(found) == Finding(
        "partial",
        Severity.ERROR,
        f"Begun on {WHEN} and neither finished nor rolled back (state {state}).",
        "When all of it is in the database: "
        'python manage.py sqlmigrate_repair resolve shop 001 --done --reason "..."\n'
        "When nothing of it is, or you have undone it: "
        'python manage.py sqlmigrate_repair resolve shop 001 --redo --reason "..."',
        "shop.001_a",
    )


@pytest.mark.parametrize(("text", "words"), [("SELECT 1;\n", "content"), ("-- why\nselect 1;\n", "statements")])
def test_the_same_under_another_name_is_to_get_its_name_back(text: str, words: str) -> None:
    found = compare(loaded(migration("shop.001_z", text)), [row(FIRST)])

    assert states(found) == {"shop.001_z": "modified"}
    assert only(found) == Finding(
        "renamed",
        Severity.ERROR,
        f"Number 1 was applied on {WHEN} as 001_a; the file is now 001_z, with the same {words}.",
        "Give it its name back: mv migrations_sql/001_z.sql migrations_sql/001_a.sql\n"
        'Or record its new one: python manage.py sqlmigrate_repair accept shop 001 --reason "..."',
        "shop.001_z",
        "migrations_sql/001_z.sql",
    )


def test_another_file_under_the_same_number_is_to_take_a_free_one() -> None:
    mine = migration("shop.001_mine", "SELECT 9;\n")

    found = compare(loaded(mine, SECOND), [row(FIRST), row(SECOND)])

    assert states(found) == {"shop.001_mine": "modified", "shop.002_b": "applied"}
    assert only(found) == Finding(
        "renamed",
        Severity.ERROR,
        f"Number 1 was applied on {WHEN} as 001_a; 001_mine is another file: its content differs, and it has not run.",
        "Bring 001_a.sql back (it may be on another branch), and give this one the next number: "
        "mv migrations_sql/001_mine.sql migrations_sql/003_mine.sql",
        "shop.001_mine",
        "migrations_sql/001_mine.sql",
    )


def test_no_number_is_proposed_to_two_files() -> None:
    mine = [migration(f"shop.00{number}_mine", f"SELECT {number + 10};\n") for number in (1, 2)]

    found = compare(loaded(*mine), [row(FIRST), row(SECOND)])

    assert [finding.remedy.partition(": ")[2] for finding in found.findings] == [
        "mv migrations_sql/001_mine.sql migrations_sql/003_mine.sql",
        "mv migrations_sql/002_mine.sql migrations_sql/004_mine.sql",
    ]


def test_of_two_files_with_one_number_the_applied_one_is_kept() -> None:
    twin = migration("shop.2_z")

    found = compare(loaded(FIRST, SECOND, twin), [row(FIRST), row(SECOND)])

    assert states(found) == {"shop.001_a": "applied", "shop.002_b": "applied", "shop.2_z": "pending"}
    assert only(found) == Finding(
        "duplicate-version",
        Severity.ERROR,
        "The number 2 is taken by 002_b.sql as well.",
        "002_b is applied, keep it; rename the other: mv migrations_sql/2_z.sql migrations_sql/3_z.sql",
        "shop.2_z",
        "migrations_sql/2_z.sql",
    )


def test_of_two_pending_files_with_one_number_the_first_is_proposed() -> None:
    finding = only(compare(loaded(migration("shop.001_y"), FIRST, migration("shop.010_x")), []))

    assert finding.migration == "shop.001_y"
    assert finding.remedy == (
        "Keep 001_a, or the one that came first; rename the other: "
        "mv migrations_sql/001_y.sql migrations_sql/011_y.sql"
    )


def test_when_neither_twin_has_the_recorded_name_one_of_them_is_the_renamed_one() -> None:
    found = compare(loaded(migration("shop.001_y"), migration("shop.001_z")), [row(FIRST)])

    assert [finding.rule for finding in found.findings] == ["duplicate-version", "renamed"]
    assert found.findings[0].remedy.startswith("Keep 001_y, or the one that came first; ")


def test_of_two_twins_without_the_recorded_name_the_one_with_its_content_is_the_renamed_one() -> None:
    found = compare(loaded(migration("shop.001_y", "SELECT 9;\n"), migration("shop.001_z")), [row(FIRST)])

    assert [(finding.rule, finding.migration) for finding in found.findings] == [
        ("duplicate-version", "shop.001_y"),
        ("renamed", "shop.001_z"),
    ]


def test_entries_come_by_source_and_number_with_unknown_labels_last() -> None:
    gone = row(migration("apps.001_x"))

    found = compare(loaded(migration("web.010_x"), migration("web.9_x"), FIRST, THIRD), [gone, row(SECOND)])

    assert list(states(found)) == ["web.9_x", "web.010_x", "shop.001_a", "shop.002_b", "shop.003_c", "apps.001_x"]
    assert found.entries[3].state is State.MISSING
