"""Where other tools are installed: environments of their own below the user's cache folder, kept for the next call."""

from __future__ import annotations

import os
import shutil
import subprocess
import venv
from pathlib import Path

CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sqlmigrations-benchmarks"


class NotInstalled(Exception):
    """A tool could not be installed; the message says why."""


def python_environment(name: str, *packages: str) -> Path:
    """The folder of programs of an environment that has these packages of PyPI.

    Raises:
        NotInstalled: pip could not install them.
    """
    place = CACHE / name
    programs = place / "bin"
    if not (place / "complete").exists():
        venv.create(place, clear=True, with_pip=True)
        pip = [str(programs / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *packages]
        _run(pip, place)
        (place / "complete").touch()
    return programs


def debian_packages(*packages: str) -> Path:
    """A folder into which these packages were unpacked with what they need and the system lacks; it is not touched.

    Raises:
        NotInstalled: There is no apt-get, or it cannot download them.
    """
    place = CACHE / packages[0]
    if not (place / "complete").exists():
        if not shutil.which("apt-get") or not shutil.which("dpkg"):
            raise NotInstalled("it comes from Debian's packages, and there is no apt-get here")
        shutil.rmtree(place, ignore_errors=True)
        downloads = place / "downloads"
        downloads.mkdir(parents=True)
        plan = _run(["apt-get", "install", "--simulate", "--no-install-recommends", *packages], place)
        # A line "Inst NAME [OLD] (NEW ...)" is about a package that is there already, and good enough.
        lines = [line.split() for line in plan.splitlines() if line.startswith("Inst ")]
        _run(["apt-get", "download", *(words[1] for words in lines if not words[2].startswith("["))], downloads)
        for package in downloads.glob("*.deb"):
            _run(["dpkg", "--extract", str(package), str(place)], place)
        shutil.rmtree(downloads)
        (place / "complete").touch()
    return place


def distribution_version(programs: Path, *names: str) -> list[str]:
    """The versions of distributions in such an environment."""
    code = "import importlib.metadata, sys; print(*map(importlib.metadata.version, sys.argv[1:]))"
    said = subprocess.run([programs / "python", "-c", code, *names], capture_output=True, text=True, check=True)
    return said.stdout.split()


def _run(arguments: list[str], folder: Path) -> str:
    done = subprocess.run(arguments, cwd=folder, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.startswith(("ERROR", "E:"))]
        raise NotInstalled(said[-1] if said else f"{Path(arguments[0]).name} failed")
    return done.stdout
