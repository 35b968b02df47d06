"""The key of the example project: one for all its processes, readable by nobody else, in no repository."""

from __future__ import annotations

import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from project.secret_key import kept_in
from tests.site import ROOT


def test_the_next_process_has_the_key_of_the_last(tmp_path: Path) -> None:
    file = tmp_path / "key"

    key = kept_in(file)

    assert len(key) == 50
    assert [kept_in(file), file.read_text()] == [key, key]
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_every_folder_has_a_key_of_its_own(tmp_path: Path) -> None:
    assert kept_in(tmp_path / "one") != kept_in(tmp_path / "two")


def test_those_who_come_at_the_same_moment_agree(tmp_path: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        keys = set(pool.map(kept_in, [tmp_path / "key"] * 40))

    assert len(keys) == 1
    assert [path.name for path in tmp_path.iterdir()] == ["key"]


def test_without_a_place_for_it_there_is_a_key_all_the_same(tmp_path: Path) -> None:
    assert len(kept_in(tmp_path / "missing" / "key")) == 50


def test_git_ignores_the_file_of_the_example() -> None:
    settings = (ROOT / "project" / "settings.py").read_text()

    assert 'BASE_DIR / ".secret-key"' in settings
    assert "/.secret-key*" in (ROOT / ".gitignore").read_text().splitlines()
