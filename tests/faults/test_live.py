"""What is seen of a run while it goes on: on a terminal, in a log, and where output is lost."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.faults.scene import PATIENCE_S, FaultySite, Other, until
from tests.screen import Screen, lend_screen

BOTH_DRIVERS = pytest.mark.parametrize("driver", ["psycopg2", "psycopg"])
WAITS = "-- lock-timeout: 60s\nALTER TABLE invoices ADD COLUMN total int;\n"
WAITING = (
    r"  Applying project\.001_a\.\.\. waiting for invoices, held by pid PID \(app \"web\", idle in transaction \d+ s\)"
    r"; statement 1 of 1, \d+ s( so far)?"
)
BUILDING = r"  Applying project\.001_a\.\.\. statement 2 of 2, \d+ s, building index: scanning table \d+ %"
ENDED = [
    'Running SQL migrations on "default":',
    "  Applying sqlmigrations.000_migration_tracking... OK (N)",
    "  Applying project.001_a... OK (N)",
    "2 applied, 0 skipped, N in all.",
    "",
]


@pytest.fixture
def screen() -> Iterator[Screen]:
    with lend_screen(columns=150) as screen:
        yield screen


@pytest.fixture
def blocker(site: FaultySite) -> Iterator[Other]:
    """Holds the table invoices, for which ``WAITS`` waits."""
    site.query("CREATE TABLE invoices (id int)")
    site.write("001_a.sql", WAITS)
    other = Other(site.database, "LOCK TABLE invoices IN ACCESS SHARE MODE")
    yield other
    other.leave()


def start_on(screen: Screen, site: FaultySite, *options: str, **env: str) -> subprocess.Popen[str]:
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), screen.secondary)
    site.started.append(site.start("sqlmigrate_apply", *options, env=env, **streams))
    return site.started[-1]


def start_into(log: Path, site: FaultySite, *options: str, **env: str) -> subprocess.Popen[str]:
    """Standard output goes into the file, what is said on standard error beside it."""
    with log.open("w") as out, log.with_suffix(".err").open("w") as err:
        site.started.append(site.start("sqlmigrate_apply", *options, env=env, stdout=out, stderr=err))
    return site.started[-1]


def timeless(lines: list[str]) -> list[str]:
    return [re.sub(r"\b[\d.]+ m?s\b", "N", line) for line in lines]


def blocked(site: FaultySite) -> list[object]:
    """The glimpses that showed a blocker, of a process with ``writing_down``."""
    return [told for told in site.told("watched") if told["glimpse"]["blockers"]]


def slow_index(site: FaultySite) -> None:
    """A file that builds an index for three seconds, and whose share done can be told."""
    site.query("CREATE TABLE invoices (id int, filler text); ALTER TABLE invoices ALTER filler SET STORAGE PLAIN")
    site.query("INSERT INTO invoices SELECT n, repeat('x', 4000) FROM generate_series(1, 300) n")
    body = "$$ BEGIN PERFORM pg_sleep(0.01); RETURN $1; END $$"
    site.query(f"CREATE FUNCTION slow(int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS {body}")
    site.write("001_a.sql", "SELECT 1;\nCREATE INDEX invoices_slow ON invoices (slow(id));\n")


@BOTH_DRIVERS
def test_a_terminal_shows_who_is_in_the_way_and_then_how_it_went(
    site: FaultySite, screen: Screen, blocker: Other, driver: str
) -> None:
    waiting = re.compile(WAITING.replace("PID", str(blocker.pid)))

    run = start_on(screen, site, "--no-color", DRIVER=driver)
    until(lambda: waiting.fullmatch(screen.lines()[-1]))
    first = screen.lines()[-1]
    until(lambda: screen.lines()[-1] != first)
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    assert timeless(screen.lines()) == ENDED
    assert "\x1b" not in screen.raw


@BOTH_DRIVERS
def test_a_terminal_shows_how_far_an_index_is(site: FaultySite, screen: Screen, driver: str) -> None:
    slow_index(site)

    run = start_on(screen, site, "--no-color", DRIVER=driver)
    until(lambda: run.poll() is not None or screen.read() == "\0")

    assert run.wait(PATIENCE_S) == 0
    drawn = [piece.rstrip() for piece in screen.read().split("\r")]
    shares = [int(piece.split()[-2]) for piece in drawn if re.fullmatch(BUILDING, piece)]
    assert len(set(shares)) >= 2
    assert shares == sorted(shares)
    assert [line for line in timeless(screen.lines()) if "warning" not in line and "  " in line][-1] == ENDED[2]


def test_a_line_follows_a_terminal_that_becomes_narrower(site: FaultySite, screen: Screen, blocker: Other) -> None:
    run = start_on(screen, site, "--no-color")
    until(lambda: " waiting for invoices, held by pid " in screen.lines()[-1])

    screen.resize(60)
    until(lambda: len(screen.read().rpartition("\r")[2]) == 59)
    drawn = screen.raw.rpartition("\r")[2]
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    assert drawn.startswith("  Applying project.001_a... waiting for invoices, held by")


@pytest.mark.parametrize(("variable", "value"), [("NO_COLOR", "1"), ("TERM", "dumb")])
def test_no_escape_code_where_none_is_wanted(
    site: FaultySite, screen: Screen, blocker: Other, variable: str, value: str
) -> None:
    run = start_on(screen, site, **{variable: value})
    until(lambda: " waiting for invoices, " in screen.lines()[-1])
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    assert timeless(screen.lines()) == ENDED
    assert "\x1b" not in screen.raw


def test_colours_are_djangos_and_the_line_goes_without(site: FaultySite, screen: Screen, blocker: Other) -> None:
    run = start_on(screen, site, TERM="xterm")
    until(lambda: " waiting for invoices, " in screen.lines()[-1])
    assert "\x1b" not in screen.lines()[-1]
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    assert re.search(r"\r  Applying project\.001_a\.\.\.\x1b\[32;1m OK \([\d.]+ s\)\x1b\[0m\r\n", screen.read())


@BOTH_DRIVERS
def test_a_log_has_who_is_in_the_way_at_once_and_whole_lines_from_then_on(
    site: FaultySite, tmp_path: Path, blocker: Other, driver: str
) -> None:
    log = tmp_path / "log"
    waiting = re.compile(WAITING.replace("PID", str(blocker.pid)))

    run = start_into(log, site, DRIVER=driver)
    until(lambda: any(waiting.fullmatch(line) for line in log.read_text().splitlines()))
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    lines = log.read_text().splitlines()
    assert waiting.fullmatch(lines.pop(2))
    assert timeless([*lines, ""]) == ENDED
    assert log.with_suffix(".err").read_text() == ""


@BOTH_DRIVERS
def test_attempts_that_gave_up_stay_on_the_terminal(
    site: FaultySite, screen: Screen, blocker: Other, driver: str
) -> None:
    site.write("001_a.sql", WAITS.replace("60s", "1s"))
    gave_up = re.compile(
        rf"  project\.001_a: attempt 1 gave up after \d+ s: invoices is held by pid {blocker.pid} "
        r'\(app "web", idle in transaction \d+ s\); next try in 1 s'
    )

    run = start_on(screen, site, "--no-color", DRIVER=driver)
    until(lambda: any(gave_up.fullmatch(line) for line in screen.lines()))
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    kept = [line for line in screen.lines() if ": attempt " not in line]
    assert timeless(kept) == ENDED


def test_a_log_has_every_attempt_and_its_blocker_once(site: FaultySite, tmp_path: Path, blocker: Other) -> None:
    site.write("001_a.sql", WAITS.replace("60s", "1500ms"))
    log = tmp_path / "log"

    run = start_into(log, site)
    until(lambda: ": attempt 2 gave up after " in log.read_text())
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    told = [line.split(" gave up")[0] for line in log.read_text().splitlines() if "held by" in line]
    assert told[0].startswith("  Applying project.001_a... waiting for invoices, ")
    assert told[1:3] == ["  project.001_a: attempt 1", "  project.001_a: attempt 2"]
    assert not any(line.startswith("  Applying") for line in told[1:])


def test_a_log_is_not_silent_while_a_statement_takes_long(site: FaultySite, tmp_path: Path) -> None:
    slow_index(site)
    log = tmp_path / "log"

    assert start_into(log, site, FAULT="tell_often").wait(PATIENCE_S) == 0

    lines = log.read_text().splitlines()
    assert sum(re.fullmatch(BUILDING, line) is not None for line in lines) >= 2
    assert timeless(lines)[-2:] == ENDED[2:4]
    assert "\r" not in log.read_text()


def test_beside_json_everything_else_is_on_standard_error(site: FaultySite, tmp_path: Path, blocker: Other) -> None:
    log, err = tmp_path / "log", tmp_path / "log.err"

    run = start_into(log, site, "--format", "json")
    until(lambda: " waiting for invoices, " in err.read_text())
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    assert json.loads(log.read_text())["result"] == "ok"
    assert timeless(err.read_text().splitlines())[-2:] == ENDED[2:4]


def test_at_verbosity_0_nothing_is_told_of_a_blocked_file(site: FaultySite, tmp_path: Path, blocker: Other) -> None:
    log = tmp_path / "log"

    run = start_into(log, site, "-v", "0", **site.writing_down)
    until(lambda: blocked(site))
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    assert (log.read_text(), log.with_suffix(".err").read_text()) == ("", "")


def test_f78_a_reader_that_leaves_while_a_file_waits_changes_nothing(site: FaultySite, blocker: Other) -> None:
    reading, writing = os.pipe()
    run = site.start("sqlmigrate_apply", stdout=writing, env=site.writing_down)
    os.close(writing)
    with os.fdopen(reading) as reader:
        assert reader.readline() == ENDED[0] + "\n"
    until(lambda: len(blocked(site)) >= 3)
    blocker.leave()

    _, err = run.communicate(timeout=PATIENCE_S)

    assert (run.returncode, err) == (0, "")
    assert site.names() == ["001_a"]


@pytest.mark.parametrize("form", ["text", "json"])
def test_f78_a_full_disk_behind_standard_output_changes_nothing(site: FaultySite, blocker: Other, form: str) -> None:
    site.write("002_b.sql", "CREATE TABLE b ();\n")

    with open("/dev/full", "w") as full:
        run = site.start("sqlmigrate_apply", "--format", form, stdout=full, env=site.writing_down)
    until(lambda: len(blocked(site)) >= 2)
    blocker.leave()
    _, err = run.communicate(timeout=PATIENCE_S)

    assert run.returncode == 0
    assert err.endswith("Standard output could not be written to its end: No space left on device.\n")
    assert err.startswith("Standard" if form == "text" else "Running")
    assert site.names() == ["001_a", "002_b"]


@pytest.mark.parametrize("closed", [(1,), (2,), (1, 2)], ids=["stdout", "stderr", "both"])
@pytest.mark.parametrize(("sql", "code"), [("SELECT 1;\n", 0), ("SELECT 1/0;\n", 1)])
def test_f78_streams_that_were_never_open_change_nothing(
    site: FaultySite, closed: tuple[int, ...], sql: str, code: int
) -> None:
    site.write("001_a.sql", sql)

    run = site.start("sqlmigrate_apply", preexec_fn=lambda: [os.close(stream) for stream in closed])
    out, err = run.communicate(timeout=PATIENCE_S)

    assert run.returncode == code, (out, err)
    assert "Traceback" not in out + err
    assert site.names() == ["001_a"][: 1 - code]


@pytest.mark.parametrize(("sql", "code"), [("SELECT 1;\n", 0), ("SELECT 1/0;\n", 1)])
def test_f78_a_full_disk_behind_both_streams_leaves_the_exit_code(site: FaultySite, sql: str, code: int) -> None:
    site.write("001_a.sql", "SELECT 1;\n")
    site.write("002_b.sql", sql)

    with open("/dev/full", "w") as full:
        run = site.start("sqlmigrate_apply", stdout=full, stderr=full)

    assert run.wait(PATIENCE_S) == code
    assert site.names() == ["001_a", "002_b"][: 2 - code]


def test_f78_a_full_disk_behind_the_log_file_changes_nothing(site: FaultySite) -> None:
    site.write("001_a.sql", "SELECT 1;\n")

    ended = site.apply(FAULT="log_to_a_full_disk")

    assert ended.returncode == 0
    assert timeless([*ended.stdout.splitlines(), ""]) == ENDED
    assert "No space left on device" in ended.stderr
    assert site.names() == ["001_a"]


MEASURED = """
import re
import time
from pathlib import Path
from django.core.management import call_command
call_command("sqlmigrate_apply")
print("seconds", time.process_time())
print("peak", int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text()).group(1)) * 1024)
"""


class Cost(NamedTuple):
    """What applying took: the most memory, bytes; time of the processor; and what was printed."""

    peak: int
    seconds: float
    lines: list[str]


def apply_measured(site: FaultySite, **env: str) -> Cost:
    ended = site.python(MEASURED, **env)
    assert (ended.returncode, ended.stderr) == (0, "")
    *lines, seconds, most = ended.stdout.splitlines()
    return Cost(int(most.removeprefix("peak ")), float(seconds.removeprefix("seconds ")), lines)


def inserts(count: int) -> str:
    return "".join(f"INSERT INTO rows VALUES ({number}, 'name {number}');\n" for number in range(count))


def test_f64_four_times_the_statements_take_about_four_times_the_time(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE rows (id int, name text);\n")
    nothing = apply_measured(site).seconds
    site.write("002_b.sql", inserts(10_000))
    few = apply_measured(site).seconds - nothing
    site.remove("002_b.sql")
    site.query("DELETE FROM schema_migrations WHERE name = '002_b'")
    site.write("003_c.sql", inserts(40_000))

    many = apply_measured(site).seconds - nothing

    assert site.query("SELECT count(*) FROM rows") == [(50_000,)]
    assert many < 8 * few


@BOTH_DRIVERS
def test_f64_a_file_of_a_hundred_megabytes_takes_a_few_times_its_size(site: FaultySite, driver: str) -> None:
    site.write("001_a.sql", "CREATE TABLE rows (id int, filler text);\n")
    before = apply_measured(site, DRIVER=driver)
    rows = "".join(f"{number}\t{'x' * 990}\n" for number in range(100_000))
    size = site.write("002_b.sql", f"COPY rows FROM stdin;\n{rows}\\.\n").stat().st_size

    after = apply_measured(site, DRIVER=driver)

    assert size > 99_000_000
    assert site.query("SELECT count(*) FROM rows") == [(100_000,)]
    assert after.peak - before.peak < 4 * size


def test_w18_a_hundred_thousand_inserts_take_little_memory_and_show_how_far_they_are(site: FaultySite) -> None:
    site.write("001_a.sql", "CREATE TABLE rows (id int, name text);\n")
    before = apply_measured(site)
    size = site.write("002_b.sql", "SELECT pg_sleep(0.9);\n" + inserts(100_000)).stat().st_size

    after = apply_measured(site, FAULT="tell_often")

    far = re.compile(r"  Applying project\.002_b\.\.\. statements ([\d,]+) to [\d,]+ of 100,001, .* s( so far)?")
    told = [far.fullmatch(line) for line in after.lines]
    numbers = [int(match[1].replace(",", "")) for match in told if match]
    assert numbers
    assert numbers == sorted(numbers)
    assert after.peak - before.peak < 6 * size


@BOTH_DRIVERS
def test_a_terminal_shows_whom_a_concurrent_build_waits_for(
    site: FaultySite, screen: Screen, blocker: Other, driver: str
) -> None:
    blocker.run("ROLLBACK; BEGIN; LOCK TABLE invoices IN ROW EXCLUSIVE MODE")
    site.write("001_a.sql", "CREATE INDEX CONCURRENTLY invoices_idx ON invoices (id);\n")
    waiting = re.compile(
        rf'  Applying project\.001_a\.\.\. waiting for (invoices, held by )?pid {blocker.pid} \(app "web", idle in '
        r"transaction \d+ s\); statement 1 of 1, \d+ s, waiting for writers before build 0 %"
    )

    run = start_on(screen, site, "--no-color", DRIVER=driver)
    until(lambda: waiting.fullmatch(screen.lines()[-1]))
    blocker.leave()

    assert run.wait(PATIENCE_S) == 0
    assert timeless(screen.lines()) == ENDED
