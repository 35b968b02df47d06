"""The hook of pre-commit: what it says of files without settings and without a database, and what it answers."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from sqlmigrations.exceptions import ExitCode
from sqlmigrations.precommit import main
from tests.site import ROOT

HOOK = dict(re.findall(r"(\w+): (.+)", (ROOT / ".pre-commit-hooks.yaml").read_text()))

EVERYTHING = """\
migrations_sql/003_c.sql:1:1  [unknown-directive]
  Unknown directive 'transacton'.
  Next: Write -- transaction: off   (or reword the comment if it is prose)
migrations_sql/003_c.sql:2:1  [unknown-dependency]
  Depends on shop.007_gone, which does not exist.
  Next: Did you mean shop.005_e?
migrations_sql/005_e.sql:2:1  [psql-command]
  \\i is a psql command; PostgreSQL itself does not know it.
  Next: Write out in SQL what \\i stands for: no file is included, no variable is filled in.
migrations_sql/004_d.sql:1:1  [create-index]
  CREATE INDEX on a reads the whole table, and nobody can write to it until COMMIT.
  Safer: In a file of its own, which then runs outside of a transaction: CREATE INDEX CONCURRENTLY a_id ON a (id)
3 errors, 1 warning.
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """``migrations_sql/`` in a repository that is no Django project at all."""
    made = tmp_path / "shop" / "migrations_sql"
    made.mkdir(parents=True)
    monkeypatch.chdir(made.parent)
    return made


def write(folder: Path, name: str, sql: str = "SELECT 1;\n") -> str:
    (folder / name).write_text(sql)
    return f"{folder.name}/{name}"


def test_as_pre_commit_starts_it_there_are_neither_settings_nor_a_driver(folder: Path) -> None:
    write(folder, "001_a.sql")
    second = write(folder, "001_größe.sql")
    environment = {
        key: value for key, value in os.environ.items() if key not in ("DJANGO_SETTINGS_MODULE", "DATABASE_URL")
    }
    program, *arguments = HOOK["entry"].split()
    blocker = "import sys; sys.modules |= dict.fromkeys(('django', 'psycopg', 'psycopg2')); "

    ended = subprocess.run(
        [sys.executable, *arguments, second],
        env=environment | {"PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"},
        capture_output=True,
        text=True,
    )
    blocked = subprocess.run(
        [sys.executable, "-c", f"{blocker}from sqlmigrations.precommit import main; sys.exit(main({[second]!r}))"],
        env=environment | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
    )

    assert program == "python"
    assert (ended.returncode, blocked.returncode, ended.stderr) == (4, 4, "")
    assert ended.stdout == (
        "migrations_sql/001_gr\\xf6\\xdfe.sql  [duplicate-version]\n"
        "  The number 001 is taken by 001_a.sql as well.\n"
        "  Next: Keep 001_a, or the one that came first; rename the other: "
        "mv 'migrations_sql/001_gr\\xf6\\xdfe.sql' 'migrations_sql/002_gr\\xf6\\xdfe.sql'\n"
        "1 error, 0 warnings.\n"
    )


def test_files_in_order_are_silent(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, "001_a.sql", "CREATE TABLE a (id int);\n")
    second = write(folder, "002_b.sql", "-- depends: 001_a\nCREATE INDEX ON a (id);\n")

    assert main([second, "migrations_sql/001_a.sql"]) is ExitCode.OK
    assert capsys.readouterr().out == ""


def test_what_only_the_project_can_tell_is_left_to_it(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    head = "-- depends: billing.004_x, django:shop.0003_name\n-- database: reporting\n"

    assert main([write(folder, "001_a.sql", f"{head}SELECT 1;\n")]) is ExitCode.OK
    assert main([write(folder, "002_b.sql", "-- runs-in: django:shop.0004_x\nSELECT 1;\n")]) is ExitCode.OK
    assert capsys.readouterr().out == ""


def test_errors_and_warnings_of_the_file_stand_in_the_words_of_the_commands(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(folder, "001_a.sql", "CREATE TABLE a (id int);\n")
    write(folder, "002_reviewed.sql", "DROP TABLE reviewed;\n")
    named = [
        write(folder, "003_c.sql", "-- transacton: off\n-- depends: 007_gone\nSELECT 1;\n"),
        write(folder, "004_d.sql", "CREATE INDEX a_id ON a (id);\n"),
        write(folder, "005_e.sql", "SELECT 1;\n\\i other.sql\n"),
    ]

    assert main(named) is ExitCode.INTEGRITY
    assert capsys.readouterr().out == EVERYTHING


@pytest.mark.parametrize(
    ("sql", "level", "code"),
    [
        ("CREATE INDEX a_id ON a (id);\n", "ERROR", ExitCode.OK),
        ("CREATE INDEX a_id ON a (id);\n", "WARNING", ExitCode.UNSAFE),
        ("SELECT 1;\n\\i other.sql\n", "ERROR", ExitCode.UNSAFE),
        ("SELECT 'never closed;\n", "ERROR", ExitCode.UNSAFE),
    ],
)
def test_the_exit_code_is_that_of_the_commands(folder: Path, sql: str, level: str, code: ExitCode) -> None:
    assert main([write(folder, "001_a.sql", sql), "--fail-level", level]) is code


def test_a_rule_can_be_silenced_for_all_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = write(folder, "001_a.sql", "CREATE INDEX a_id ON a (id);\n")

    assert main([path, "--fail-level", "WARNING", "--allow", "create-index"]) is ExitCode.OK
    assert main([path, "--allow", "create-indx"]) is ExitCode.USAGE
    assert capsys.readouterr() == (
        "",
        "There is no rule 'create-indx' to allow.\n\n  Next: Did you mean create-index?\n",
    )


def test_a_folder_stands_for_all_of_its_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder, "001_a.sql", "CREATE INDEX a_id ON a (id);\n")
    write(folder, "stray.sql")

    assert main([str(folder), "--fail-level", "WARNING", "--ignore", "stray*"]) is ExitCode.UNSAFE
    assert main(["migrations_sql"]) is ExitCode.INTEGRITY


def test_a_file_that_is_not_there_is_a_usage_error(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["migrations_sql/001_a.sql"])

    assert ended.value.code == 2
    assert "there is no file migrations_sql/001_a.sql" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("path", "is_ours"),
    [
        ("migrations_sql/001_a.sql", True),
        ("apps/billing/migrations_sql/001_a.down.sql", True),
        ("migrations_sql/001_A.SQL", True),
        ("migrations_sql/old/001_a.sql", False),
        ("not_migrations_sql/001_a.sql", False),
        ("migrations_sql/README.md", False),
    ],
)
def test_the_hook_is_given_the_files_of_the_folders(path: str, is_ours: bool) -> None:
    assert (re.search(HOOK["files"], path) is not None) is is_ours
