"""A command line that cannot be read: text for people, and one document for who asked for JSON."""

from __future__ import annotations

import json

import pytest

from tests.site import Site


def test_a_wrong_option_is_told_in_text(site: Site) -> None:
    ended = site.run("sqlmigrate_status", "--chek")

    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.endswith("error: unrecognized arguments: --chek\n")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--database", "other", "--chek", "--format", "json"], "unrecognized arguments: --chek"),
        (["--format=json", "--database=other", "--verbosity", "9"], "argument -v/--verbosity: invalid choice: "),
    ],
)
def test_who_asks_for_json_is_told_of_it_in_a_document(site: Site, arguments: list[str], said: str) -> None:
    ended = site.run("sqlmigrate_status", *arguments)

    assert ended.returncode == 2
    document = json.loads(ended.stdout)
    error = document.pop("error")
    assert document == {"schema": 1, "database": "other", "result": "error", "exit_code": 2}
    assert error["message"].startswith(f"The command line is wrong: {said}")
    assert error["next"] == "What it takes: python manage.py sqlmigrate_status --help"
    assert f"error: {said}" in ended.stderr
