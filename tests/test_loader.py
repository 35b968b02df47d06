"""The folders: what is found in them, and what is wrong with it."""

from __future__ import annotations

import hashlib
import os
import subprocess
import unicodedata
from pathlib import Path

import pytest

from sqlmigrations.loader import Loaded, load, shown
from sqlmigrations.text import checksum
from sqlmigrations.types import Finding, Severity, Source, SqlFile, SqlMigration

CASE_BLIND = "the file system holds only one of the two names"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``sql/`` below the working directory."""
    monkeypatch.chdir(tmp_path)
    made = tmp_path / "sql"
    made.mkdir()
    return made


def write(folder: Path, *names: str, text: str = "SELECT 1;\n") -> None:
    for name in names:
        (folder / name).write_text(text)


def read(folder: Path, *ignore: str) -> Loaded:
    return load([Source("shop", folder)], ignore)


def names(folder: Path) -> list[str]:
    found = read(folder)
    assert found.findings == ()
    return [migration.name for migration in found.migrations]


def findings(folder: Path) -> list[Finding]:
    return list(read(folder).findings)


def error(
    rule: str, message: str, remedy: str, location: str, line: int | None = None, column: int | None = None
) -> Finding:
    return Finding(rule, Severity.ERROR, message, remedy, "", location, line, column)


def test_a_file_is_read_hashed_and_joined_with_what_undoes_it(folder: Path) -> None:
    (folder / "001_first.sql").write_bytes(b"\xef\xbb\xbfSELECT 'x';\r\n")
    (folder / "001_first.down.sql").write_bytes(b"SELECT 2;\n")

    found = read(folder)

    up, raw = "SELECT 'x';\n", hashlib.sha256(b"\xef\xbb\xbfSELECT 'x';\r\n").hexdigest()
    down = "SELECT 2;\n"
    assert found == Loaded(
        (Source("shop", folder),),
        (
            SqlMigration(
                "shop",
                1,
                "001_first",
                SqlFile(str(folder / "001_first.sql"), "sql/001_first.sql", up, checksum(up), raw),
                SqlFile(
                    str(folder / "001_first.down.sql"), "sql/001_first.down.sql", down, checksum(down), checksum(down)
                ),
            ),
        ),
        (),
    )


def test_text_beyond_ascii_has_the_checksum_of_its_bytes(folder: Path) -> None:
    write(folder, "001_x.sql", text="SELECT 'ü';\n")

    (migration,) = read(folder).migrations

    assert migration.file.checksum == migration.file.raw_checksum == checksum("SELECT 'ü';\n")


def test_versions_are_compared_as_numbers_whatever_their_width(folder: Path) -> None:
    write(folder, "9_a.sql", "10_b.sql", "0011_c.sql", "20260301120000_d.sql", "2_e.sql")

    assert names(folder) == ["2_e", "9_a", "10_b", "0011_c", "20260301120000_d"]
    assert [m.key for m in read(folder).migrations] == ["2", "9", "10", "11", "20260301120000"]


def test_sources_keep_their_order(folder: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    write(folder, "001_x.sql")
    write(other, "001_y.sql")

    found = load([Source("z", folder), Source("a", other)])

    assert [migration.id for migration in found.migrations] == ["z.001_x", "a.001_y"]


def test_other_files_are_no_business_of_ours(folder: Path) -> None:
    write(folder, "README.md", "001_x.sql", "001_x.sql.orig", "notes")
    (folder / "old").mkdir()

    assert names(folder) == ["001_x"]


def test_a_glob_passes_over_strays(folder: Path) -> None:
    write(folder, "001_x.sql", "seed.sql", "dump-1.sql")

    found = read(folder, "seed.sql", "dump-*")

    assert ([m.name for m in found.migrations], found.findings) == (["001_x"], ())


@pytest.mark.parametrize(
    ("name", "new"),
    [
        ("V1_2__add_users.sql", "1002_add_users.sql"),
        ("V1_10__add_users.sql", "1010_add_users.sql"),
        ("2.1.3 add users.sql", "2001003_add_users.sql"),
        ("2026-03-01-add-users.sql", "20260301_add_users.sql"),
        ("2026-03-01.sql", "20260301_migration.sql"),
        ("003-add users.sql", "003_add_users.sql"),
        ("003.sql", "003_migration.sql"),
        ("add_users.sql", "008_add_users.sql"),
        ("add_users.down.sql", "008_add_users.down.sql"),
        ("003_x.SQL", "003_x.sql"),
        ("1234567890123456789_x.sql", "123456789012345678_x.sql"),
        ("!.sql", "008_migration.sql"),
    ],
)
def test_a_bad_name_comes_with_the_command_that_mends_it(folder: Path, name: str, new: str) -> None:
    write(folder, "007_y.sql", name)

    (found,) = findings(folder)

    assert (found.rule, found.severity, found.location) == ("file-name", Severity.ERROR, f"sql/{name}")
    assert found.message == "Not a migration's name: NNN_slug.sql is expected, digits first."
    assert os.system(found.remedy) == 0
    assert findings(folder) == [] or [f.rule for f in findings(folder)] == ["orphan-down"]
    assert new in os.listdir(folder)


@pytest.mark.parametrize(
    ("name", "shown_as", "new"),
    [
        (b"001_a\x1b[31m.sql", r"sql/001_a\x1b[31m.sql", "001_a_31m.sql"),
        (b"caf\xe9 '1'.sql", r"sql/caf\udce9 '1'.sql", "001_caf_1.sql"),
        (b"a\nb.sql", r"sql/a\nb.sql", "001_a_b.sql"),
    ],
)
def test_a_name_that_cannot_be_shown_is_shown_harmlessly(folder: Path, name: bytes, shown_as: str, new: str) -> None:
    (folder / os.fsdecode(name)).write_text("SELECT 1;\n")

    (found,) = findings(folder)

    assert (found.rule, found.location) == ("file-name", shown_as)
    assert found.remedy.isprintable()
    subprocess.run(["bash", "-c", found.remedy], check=True)
    assert os.listdir(folder) == [new]


def test_versions_of_several_numbers_keep_their_order(folder: Path) -> None:
    write(folder, "V1__a.sql", "V1_2__b.sql", "V1_10__c.sql", "V2__d.sql", "V1.2.1__e.sql")

    for finding in findings(folder):
        assert os.system(finding.remedy) == 0

    assert names(folder) == ["1000000_a", "1002000_b", "1002001_e", "1010000_c", "2000000_d"]


def test_several_files_without_a_number_get_one_each_and_a_down_that_of_its_up(folder: Path) -> None:
    write(folder, "b.sql", "a.down.sql", "a.sql", "007_y.sql")

    assert [f.remedy for f in findings(folder)] == [
        "mv sql/a.down.sql sql/008_a.down.sql",
        "mv sql/a.sql sql/008_a.sql",
        "mv sql/b.sql sql/009_b.sql",
    ]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("001_x.verify.sql", "Verification files (.verify.sql) are not supported by this version."),
        ("R__views.sql", "Repeatable files (R__slug.sql) are not supported by this version."),
    ],
)
def test_a_kind_that_is_not_built_yet_is_refused(folder: Path, name: str, message: str) -> None:
    write(folder, "001_x.sql", name)

    remedy = f"Move sql/{name} elsewhere, or name it in SQLMIGRATIONS['IGNORE']."
    assert findings(folder) == [error("file-kind", message, remedy, f"sql/{name}")]


def test_a_down_without_its_up_is_refused(folder: Path) -> None:
    write(folder, "001_x.down.sql")

    remedy = "Restore 001_x.sql beside it, or remove it."
    message = "Undoes 001_x.sql, which is not there."
    assert findings(folder) == [error("orphan-down", message, remedy, "sql/001_x.down.sql")]


def test_a_down_whose_up_is_there_but_refused_is_no_orphan(folder: Path) -> None:
    write(folder, "001_x.down.sql")
    (folder / "001_x.sql").write_bytes(b"\xff")

    assert [finding.rule for finding in findings(folder)] == ["encoding"]


def test_both_files_of_one_number_are_handed_on(folder: Path) -> None:
    write(folder, "001_x.sql", "1_y.sql")

    assert names(folder) == ["001_x", "1_y"]


def test_names_that_differ_only_in_case_are_refused(folder: Path) -> None:
    write(folder, "001_users.sql", "001_Users.sql")
    if len(os.listdir(folder)) == 1:
        pytest.skip(CASE_BLIND)

    remedy = "Rename one of the two: some file systems hold only one of them."
    message = "Differs from 001_Users.sql only in case."
    assert findings(folder) == [error("twin-name", message, remedy, "sql/001_users.sql")]


def test_names_that_differ_only_in_unicode_normalisation_are_refused(folder: Path) -> None:
    composed, decomposed = (unicodedata.normalize(form, "001_größe.sql") for form in ("NFC", "NFD"))
    write(folder, composed, decomposed)
    if len(os.listdir(folder)) == 1:
        pytest.skip(CASE_BLIND)

    (found,) = (f for f in findings(folder) if f.rule == "twin-name")

    assert found.message == f"Differs from {decomposed} only in Unicode normalisation."


@pytest.mark.parametrize("suffix", [".sql", ".down.sql"])
def test_text_that_is_none_is_told_with_its_place(folder: Path, suffix: str) -> None:
    write(folder, "001_x.sql")
    (folder / f"001_x{suffix}").write_bytes(b"SELECT 1;\nSELECT '\xe9';\n")

    message = "Not UTF-8: byte 0xe9 at offset 18."
    expected = error("encoding", message, "Save the file as UTF-8.", f"sql/001_x{suffix}", 2, 9)
    assert findings(folder) == [expected]


def test_everything_wrong_is_told_at_once(folder: Path) -> None:
    write(folder, "x.sql", "001_a.verify.sql", "002_b.down.sql")
    (folder / "003_c.sql").write_bytes(b"\xff\xfe")

    assert sorted(f.rule for f in findings(folder)) == ["encoding", "file-kind", "file-name", "orphan-down"]


def test_a_link_inside_the_folder_is_followed(folder: Path) -> None:
    write(folder, "shared.txt")
    (folder / "001_x.sql").symlink_to("shared.txt")

    assert names(folder) == ["001_x"]


@pytest.mark.parametrize("target", ["/etc/passwd", "../outside.sql"])
def test_a_link_that_leaves_the_folder_is_refused(folder: Path, target: str) -> None:
    write(folder.parent, "outside.sql")
    (folder / "001_x.sql").symlink_to(target)

    message = "A symbolic link that leaves the folder."
    remedy = "Put the file itself into the folder."
    assert findings(folder) == [error("symlink", message, remedy, "sql/001_x.sql")]


def test_a_link_to_nowhere_is_told(folder: Path) -> None:
    (folder / "001_x.sql").symlink_to("002_y.sql")

    message = "The file cannot be read: No such file or directory."
    assert findings(folder) == [error("unreadable", message, "Restore or remove it.", "sql/001_x.sql")]


def test_a_directory_with_a_migrations_name_is_refused(folder: Path) -> None:
    (folder / "001_x.sql").mkdir()

    message = "A directory with the name of an SQL file."
    assert findings(folder) == [error("not-a-file", message, "Rename or remove it.", "sql/001_x.sql")]


def test_a_pipe_is_refused_without_waiting_for_a_writer(folder: Path) -> None:
    os.mkfifo(folder / "001_x.sql")

    message = "Not a regular file (a pipe, socket or device)."
    assert findings(folder) == [error("not-a-file", message, "Remove it.", "sql/001_x.sql")]


def test_a_folder_that_is_not_there_is_told(folder: Path) -> None:
    message = "The folder of shop cannot be read: No such file or directory."
    expected = error("unreadable", message, "Check the path and its rights.", "sql/gone")
    assert findings(folder / "gone") == [expected]


def test_a_path_is_shown_relative_where_it_lies_below_the_working_directory(folder: Path) -> None:
    assert shown(folder / "001_x.sql") == "sql/001_x.sql"
    assert shown(Path("/elsewhere/001_x.sql")) == "/elsewhere/001_x.sql"
