"""Golden files: a folder of SQL files, the commands typed, and everything they printed."""

from __future__ import annotations

import re
import shlex
import subprocess
from dataclasses import dataclass
from pathlib import Path

from tests.site import Site

CASES = Path(__file__).parent / "cases" / "messages"

# What differs from run to run, and what stands for it in a golden file.
_VARYING = (
    (re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{5,8} UTC"), "DATE UTC"),
    (re.compile(r"[0-9.]+ ms\b"), "N ms"),
    (re.compile(r"[0-9.]+ s in all"), "N ms in all"),
    (re.compile(r"\bpid [0-9]+"), "pid N"),
    (re.compile(r'"run_id": "[0-9a-f-]{36}"'), '"run_id": "RUN"'),
    (re.compile(r'"duration_ms": [0-9.]+'), '"duration_ms": N'),
)


@dataclass(frozen=True)
class Case:
    """One situation.

    The folder holds ``commands``, one command a line, and SQL files. A line that begins with ``$`` is for the shell,
    one with ``>`` for psql, the others for manage.py; the output of the last one is what is compared.
    """

    folder: Path

    @property
    def name(self) -> str:
        return self.folder.name

    @property
    def expected(self) -> Path:
        return self.folder / "expected.txt"

    def play(self, site: Site) -> str:
        for file in sorted(self.folder.glob("*.sql")):
            site.write(file.name, file.read_bytes())
        said = ""
        for line in (self.folder / "commands").read_text().splitlines():
            said = self._type(site, line)
        return said

    def _type(self, site: Site, line: str) -> str:
        if line.startswith("$"):
            subprocess.run(line[1:], shell=True, check=True, cwd=site.folder)
            return ""
        if line.startswith(">"):
            site.database.psql(line[1:])
            return ""
        variables, words = {}, shlex.split(line)
        while "=" in words[0]:
            name, _, value = words.pop(0).partition("=")
            variables[name] = value
        ended = site.run(*words, env=variables, check=False)
        return self._normal(site, f"exit {ended.returncode}\n--- stdout\n{ended.stdout}--- stderr\n{ended.stderr}")

    def _normal(self, site: Site, text: str) -> str:
        for pattern, word in _VARYING:
            text = pattern.sub(word, text)
        return text.replace(site.database.name, "DATABASE").replace(str(site.folder), "SITE")


def cases() -> list[Case]:
    return [Case(folder) for folder in sorted(CASES.iterdir()) if folder.is_dir()]
