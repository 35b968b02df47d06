"""A reader that leaves, and a terminal that lacks letters: nothing is stopped."""

from __future__ import annotations

import pytest

from tests.site import Site


@pytest.mark.parametrize("form", ["text", "json"])
@pytest.mark.parametrize("arguments", [["sqlmigrate_apply"], ["sqlmigrate_apply", "--plan"], ["sqlmigrate_status"]])
def test_a_command_goes_on_when_nobody_reads_its_output(site: Site, arguments: list[str], form: str) -> None:
    for number in (1, 2, 3):
        site.write(f"{number:03}_t.sql", f"CREATE TABLE t{number} (id int);\n")

    runner = site.start(*arguments, "--format", form)
    assert runner.stdout is not None
    runner.stdout.close()
    runner.stdout = None
    _, err = runner.communicate(timeout=60)

    assert runner.returncode == 0
    assert "Error" not in err
    assert len(site.ledger()) == (4 if arguments == ["sqlmigrate_apply"] else 0)


@pytest.mark.parametrize("command", ["sqlmigrate_apply", "sqlmigrate_status"])
def test_a_terminal_without_the_letters_of_a_name_stops_nothing(site: Site, command: str) -> None:
    site.write("001_größe.sql", "CREATE TABLE t (id int);\n")

    ended = site.run(command, env={"PYTHONIOENCODING": "ascii"})

    assert (ended.returncode, ended.stderr) == (0, "")
    assert "001_gr\\xf6\\xdfe" in ended.stdout
