"""Who and where a run says it is."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from sqlmigrations import provenance
from sqlmigrations.provenance import collect


@pytest.fixture(autouse=True)
def bare(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Outside any checkout, with none of the variables, and nothing remembered."""
    monkeypatch.chdir(tmp_path)
    for name in ("GIT_COMMIT", "GITHUB_SHA", "CI_COMMIT_SHA", "SOURCE_VERSION", "HEROKU_SLUG_COMMIT"):
        monkeypatch.delenv(name, raising=False)
    forget()
    yield
    forget()


def forget() -> None:
    provenance._os_user.cache_clear()
    provenance._git_commit.cache_clear()


def git(*arguments: str) -> str:
    identity = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    return subprocess.run(["git", *identity, *arguments], capture_output=True, text=True, check=True).stdout.strip()


def test_host_and_process_are_those_of_the_system() -> None:
    found = collect()

    assert (found.host, found.pid) == (socket.gethostname(), os.getpid())


def test_the_user_is_the_one_who_logged_in(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOGNAME", "ada")

    assert collect().os_user == "ada"


def test_a_user_without_a_name_is_a_number(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("LOGNAME", "USER", "LNAME", "USERNAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(os, "getuid", lambda: 4_000_000_000)

    assert collect().os_user == "uid 4000000000"


@pytest.mark.parametrize("name", ["GIT_COMMIT", "GITHUB_SHA", "HEROKU_SLUG_COMMIT"])
def test_the_commit_comes_from_the_platform(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "c" * 80)

    assert collect().git_commit == "c" * 64


def test_the_commit_comes_from_the_checkout() -> None:
    git("init", "-q")
    git("commit", "-q", "--allow-empty", "-m", "x")

    assert collect().git_commit == git("rev-parse", "HEAD")


def test_outside_a_checkout_there_is_none() -> None:
    assert collect().git_commit is None


def test_without_git_there_is_none(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert collect().git_commit is None
