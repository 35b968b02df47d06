"""What a person reads: whole outputs against golden files, and every command that a message tells to type.

``UPDATE_GOLDEN=1 pytest tests/test_messages.py`` writes the golden files anew; read the difference then.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess

import pytest

from tests.messages import Case, cases
from tests.site import Site

_COMMAND = re.compile(r'python manage\.py (sqlmigrate_\w+(?: --?[\w-]+| [\w./]+| "[^"]*")*)')
_RENAME = re.compile(r"\bmv \S+ \S+")


@pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)
def test_the_output_is_as_approved_and_the_commands_in_it_exist(case: Case, site: Site) -> None:
    printed = case.play(site)

    if os.environ.get("UPDATE_GOLDEN"):
        case.expected.write_text(printed)
    assert printed == case.expected.read_text()
    for rename in _RENAME.findall(printed):
        subprocess.run(rename, shell=True, check=True, cwd=site.folder)
    for command in _COMMAND.findall(printed):
        ended = site.run(*shlex.split(command))
        assert "usage:" not in ended.stderr
        assert "Unknown command" not in ended.stderr
