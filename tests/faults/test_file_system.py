"""What may stand in a folder beside files: refused at once and in words, and never opened."""

from __future__ import annotations

import os
import signal
import socket
import stat
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from django.core import checks
from django.test import override_settings
from hypothesis import given, settings
from hypothesis import strategies as st

from sqlmigrations import conf, disk
from sqlmigrations.loader import load
from sqlmigrations.types import Source
from tests.faults.scene import AT_THE_GATE, FaultySite, Gate, ended
from tests.inprocess import LocalSite
from tests.shop import Shop

AS_ROOT = os.geteuid() == 0
NOT_A_FILE = "[not-a-file] Not a regular file (a pipe, socket or device)."
LEAVES = "[symlink] A symbolic link that leaves the folder."
SQL = "CREATE TABLE a (id int);\n"


def _socket(path: Path) -> None:
    before = os.getcwd()
    os.chdir(path.parent)  # The path of a socket is short.
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(before)


def _device(major: int, minor: int) -> Callable[[Path], None]:
    def make(path: Path) -> None:
        if not AS_ROOT:
            pytest.skip("only root makes devices")
        os.mknod(path, 0o600 | stat.S_IFCHR, os.makedev(major, minor))

    return make


def _link(target: str) -> Callable[[Path], None]:
    return lambda path: path.symlink_to(target)


def _folder_link(path: Path) -> None:
    (path.parent / "more").symlink_to(path.parent.parent)
    path.symlink_to("more/outside.sql")


def _loop(path: Path) -> None:
    (path.parent / "loop").symlink_to(path.name)
    path.symlink_to("loop")


def _sparse(path: Path) -> None:
    path.touch()
    os.truncate(path, 1 << 40)


KINDS = {
    "a pipe": (os.mkfifo, NOT_A_FILE),
    "a socket": (_socket, NOT_A_FILE),
    "the device without end": (_device(1, 5), NOT_A_FILE),
    "the device that is full": (_device(1, 7), NOT_A_FILE),
    "a folder": (Path.mkdir, "[not-a-file] A directory with the name of an SQL file."),
    "a link to a device": (_link("/dev/zero"), LEAVES),
    "a link to a secret": (_link("/etc/passwd"), LEAVES),
    "a link upwards": (_link("../outside.sql"), LEAVES),
    "a link by way of a linked folder": (_folder_link, LEAVES),
    "a link to itself by another": (_loop, "[unreadable] The file cannot be read: Too many levels of symbolic links."),
    "a link to nowhere": (_link("gone"), "[unreadable] The file cannot be read: No such file or directory."),
    "a file without end": (_sparse, "[unreadable] The file has 1,099,511,627,776 bytes; up to 1 GB is read."),
}


@contextmanager
def within(seconds: float) -> Iterator[None]:
    """What waits for ever is a failure, and no test that waits for ever."""

    def over(*_: object) -> None:
        raise AssertionError(f"it took longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, over)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def met(folder: Path) -> list[str]:
    return [f"[{found.rule}] {found.message}" for found in load([Source("x", folder)]).findings]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "outside.sql").write_text(SQL)
    made = tmp_path / "sql"
    made.mkdir()
    return made


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["001_x.sql", "001_x.down.sql"])
def test_f63_what_is_no_file_of_the_folder_is_refused_at_once(folder: Path, kind: str, name: str) -> None:
    make, said = KINDS[kind]
    make(folder / name)

    with within(20):
        assert met(folder) == [said]


def test_f63_links_within_the_folder_and_second_names_are_files(folder: Path, tmp_path: Path) -> None:
    (folder / "shared.txt").write_text(SQL)
    (folder / "001_x.sql").symlink_to("shared.txt")
    os.link(tmp_path / "outside.sql", folder / "002_y.sql")
    (tmp_path / "linked").symlink_to(folder)

    found = load([Source("x", tmp_path / "linked")])

    assert (found.findings, [each.name for each in found.migrations]) == ((), ["001_x", "002_y"])
    assert {each.file.text for each in found.migrations} == {SQL}


SWAPS = {
    "a pipe": (os.mkfifo, NOT_A_FILE),
    "a link to a secret": (_link("/etc/passwd"), "[unreadable] The file cannot be read: Too many levels of symbolic"),
    "nothing": (lambda path: None, "[unreadable] The file cannot be read: No such file or directory."),
    "a folder": (Path.mkdir, "[not-a-file] A directory with the name of an SQL file."),
}


@pytest.mark.parametrize("kind", SWAPS)
def test_f63_what_takes_the_place_of_a_file_that_was_looked_at_is_refused_at_once(
    folder: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "001_x.sql"
    path.write_text(SQL)
    contents = disk._contents

    def swap(looked_at: str) -> bytes:
        path.unlink()
        SWAPS[kind][0](path)
        return contents(looked_at)

    monkeypatch.setattr(disk, "_contents", swap)

    with within(20):
        (said,) = met(folder)

    assert said.startswith(SWAPS[kind][1])


@pytest.mark.parametrize("change", ["grows", "shrinks"])
def test_f63_a_file_that_is_being_written_is_not_half_read(
    folder: Path, change: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = folder / "001_x.sql"
    path.write_text(SQL)

    def measured(mode: int) -> None:
        os.truncate(path, 0 if change == "shrinks" else 1 << 40)

    monkeypatch.setattr(disk, "_insist_on_a_file", measured)

    with within(20):
        assert met(folder) == ["[unreadable] The file was being written while it was read."]


@contextmanager
def as_nobody() -> Iterator[Path]:
    """A folder that is nobody's, and the rights of nobody, for whom there are such."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name, "sql")
        folder.mkdir()
        Path(name).chmod(0o755)
        if AS_ROOT:
            os.chown(folder, 65_534, 65_534)
            os.seteuid(65_534)
        try:
            yield folder
        finally:
            if AS_ROOT:
                os.seteuid(0)
            folder.chmod(0o755)


def test_f63_a_file_or_folder_without_the_right_to_read_is_told() -> None:
    denied = "cannot be read: Permission denied."
    with as_nobody() as folder:
        (folder / "001_x.sql").write_text(SQL)
        (folder / "001_x.sql").chmod(0)
        of_the_file = met(folder)
        folder.chmod(0)
        of_the_folder = met(folder)
        # The folders of the installed apps may be out of nobody's reach, too: the settings as a whole are not asked.
        below = conf._folder_problem(folder / "below")

    assert of_the_file == [f"[unreadable] The file {denied}"]
    assert of_the_folder == [f"[unreadable] The folder of x {denied}"]
    assert below == (f"the folder {folder}/below {denied}", "Check the path and its rights.")


def problems_of(folder: object) -> list[str]:
    with override_settings(SQLMIGRATIONS={"DIRS": {"x": folder}}):
        return [found.message for found in conf.problems()]


def test_f63_a_folder_of_the_settings_that_is_none_is_told_and_stops_everything(
    local_site: LocalSite, tmp_path: Path
) -> None:
    (tmp_path / "a.txt").touch()
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "loop").symlink_to("loop")
    begin = "SQLMIGRATIONS['DIRS']['x']: "
    folders = {
        "gone": f"{begin}there is no folder {tmp_path}/gone.",
        "a.txt": f"{begin}{tmp_path}/a.txt is not a folder.",
        "a.txt/below": f"{begin}the folder {tmp_path}/a.txt/below cannot be read: Not a directory.",
        "pipe": f"{begin}{tmp_path}/pipe is not a folder.",
        "loop": f"{begin}the folder {tmp_path}/loop cannot be read: Too many levels of symbolic links.",
        "n" * 300: f"{begin}the folder {tmp_path}/{'n' * 300} cannot be read: File name too long.",
    }

    for name, said in folders.items():
        local_site.settings["DIRS"] = {"x": tmp_path / name}
        for command in ("sqlmigrate_apply", "sqlmigrate_status"):
            ended = local_site.run(command)
            assert (ended.returncode, ended.stdout) == (2, "")
            assert said in ended.stderr
    for impossible in ("a\0b", "a\ud800b"):
        (said,) = problems_of(impossible)
        assert said == f"SQLMIGRATIONS['DIRS'] is { ({'x': impossible})!r}."
    assert local_site.ledger() == []


def test_f63_a_file_replaced_or_removed_after_it_was_read_runs_as_it_was_read(site: FaultySite, gate: Gate) -> None:
    site.write("001_a.sql", AT_THE_GATE)
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    runner = site.start_apply()
    gate.await_somebody()
    site.write("002_b.sql", "CREATE TABLE evil (id int);\n")
    site.remove("003_c.sql")
    os.mkfifo(site.migrations / "003_c.sql")
    gate.open()

    assert ended(runner).returncode == 0
    assert [site.has(name) for name in ("b", "c", "evil")] == [True, True, False]
    kept = site.query(
        "SELECT t.body FROM schema_migrations m JOIN schema_migration_texts t USING (checksum) WHERE m.name = '002_b'"
    )
    assert kept == [("CREATE TABLE b (id int);\n",)]
    (site.migrations / "003_c.sql").unlink()
    again = site.apply()
    assert (again.returncode, "  migrations_sql/002_b.sql  [modified]" in again.stderr) == (4, True)
    site.write("002_b.sql", "CREATE TABLE b (id int);\n")
    site.write("003_c.sql", "CREATE TABLE c (id int);\n")
    assert site.apply().returncode == 0


ESCAPES = (
    "../../evil",
    "/etc/evil",
    "..",
    "a/../../b",
    "..\\evil",
    "\0",
    "$(touch evil)",
    "x; rm -rf y",
    "\u0130",
    "~root",
)


def test_f63_a_new_file_lands_in_its_folder_whatever_it_is_called(local_site: LocalSite) -> None:
    around = sorted(local_site.folder.iterdir())
    for slug in ESCAPES:
        ended = local_site.run("sqlmigrate_new", "project", slug)
        assert ended.returncode in (0, 2), ended
    for label in ("../project", "/etc", "sqlmigrations", "project/../x", ""):
        refused = local_site.run("sqlmigrate_new", label, "x")
        assert (refused.returncode, refused.stdout) == (2, ""), refused
    too_long = local_site.run("sqlmigrate_new", "project", "x" * 300)

    assert (too_long.returncode, "could not be written: File name too long." in too_long.stderr) == (2, True)
    assert sorted(local_site.folder.iterdir()) == around
    assert met(local_site.migrations) == []
    assert {path.parent for path in local_site.migrations.rglob("*")} == {local_site.migrations}


def test_f63_a_dependency_is_a_name_and_no_path(local_site: LocalSite) -> None:
    (local_site.folder / "001_x.sql").write_text(SQL)
    for depends in ("../001_x", "/etc/passwd", "..", "../001_x.sql", "project/../001_x", "x\ty"):
        local_site.write("002_y.sql", f"-- depends: {depends}\n{SQL}")
        refused = local_site.run("sqlmigrate_apply")
        assert (refused.returncode, refused.stdout) == (4, ""), refused
        assert "  migrations_sql/002_y.sql:1" in refused.stderr, refused.stderr
    assert local_site.ledger() == []


@pytest.mark.parametrize("kind", ["a pipe", "a folder"])
def test_f63_what_is_no_file_among_the_migrations_of_django_keeps_no_check_waiting(shop: Shop, kind: str) -> None:
    shop.wrap("0001", "001_a", SQL)
    KINDS[kind][0](shop.folder / "shop" / "migrations" / "0002_x.py")

    with within(30), shop.configured():
        assert checks.run_checks(tags=["sqlmigrations"], databases=[]) == []


@given(names=st.lists(st.text(min_size=1, max_size=40).filter(lambda s: "/" not in s and "\0" not in s), max_size=4))
@settings(max_examples=60, deadline=None)
def test_f63_whatever_files_are_called_the_folder_is_read_and_its_messages_can_be_printed(names: list[str]) -> None:
    with tempfile.TemporaryDirectory() as name:
        for each in names:
            try:
                Path(name, f"{each}.sql").write_text(SQL)
            except (OSError, UnicodeEncodeError):
                continue
        loaded = load([Source("x", Path(name))])

    for found in loaded.findings:
        assert (found.location + found.message + found.remedy).isprintable()
