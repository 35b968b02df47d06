from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests import forkserver
from tests.site import ROOT, Site

SURROUNDINGS = """
import json, locale, os, resource, signal, sys, threading, time, warnings
streams = [
    (stream.name, stream.mode, stream.encoding, stream.errors, stream.newlines, stream.line_buffering, stream.isatty())
    for stream in (sys.stdin, sys.stdout, sys.stderr)
]
print(json.dumps({
    "words": sys.argv, "path": sys.path, "flags": list(sys.flags), "options": sys.warnoptions, "streams": streams,
    "names": sorted(os.environ), "values": [os.environ[name] for name in ("TZ", "GREETING")],
    "folder": os.getcwd(), "mask": os.umask(0), "session": os.getsid(0), "group": os.getpgrp(),
    "zone": time.tzname, "locale": locale.getlocale(), "encoding": locale.getencoding(),
    "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
    "blocked": list(signal.pthread_sigmask(signal.SIG_BLOCK, [])), "threads": threading.active_count(),
    "open": sorted(os.listdir("/proc/self/fd"))[:-1], "limits": resource.getrlimit(resource.RLIMIT_NOFILE),
    "filters": warnings.filters[0][0], "main": __name__,
}, default=str, indent=1))
"""
WRONG = "CREATE TABLE t (id int);\nINSERT INTO t VALUES (1/0);\n"


@pytest.fixture
def env(site: Site) -> dict[str, str]:
    return site.environment({"TZ": "Asia/Tokyo", "GREETING": "gr\udcfc\udcdf dich, Welt: ü"})


def assert_same(words: list[str], site: Site, env: dict[str, str], monkeypatch: pytest.MonkeyPatch) -> None:
    forked = forkserver.run(words, site.folder, env)
    monkeypatch.setenv("REAL_PROCESSES", "1")
    real = forkserver.run(words, site.folder, env)
    assert (forked.returncode, forked.stdout, forked.stderr) == (real.returncode, real.stdout, real.stderr)


@pytest.mark.parametrize(
    "words",
    [
        ["-c", SURROUNDINGS, "one", "two words"],
        ["-c", "import sys; print('out'); print('err', file=sys.stderr); sys.exit('said')"],
        ["-c", "import signal; signal.raise_signal(signal.SIGTERM)"],
        ["-c", "import atexit, sys; atexit.register(print, 'at the end'); sys.exit(3)"],
        ["-c", "import django\ndjango.setup()\nfrom django.db import connection\nprint(connection.Database.__name__)"],
        ["-m", "django", "sqlmigrate_status"],
        ["-m", "django", "sqlmigrate_apply"],
        ["-m", "django", "sqlmigrate_repair", "accept"],
        ["-m", "django", "sqlmigrate_new", "--help"],
        ["-m", "django", "unheard_of"],
        [str(ROOT / "manage.py"), "check", "--tag", "templates"],
    ],
)
def test_a_forked_process_says_and_ends_as_a_real_one_does(
    site: Site, env: dict[str, str], words: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    site.write("001_wrong.sql", WRONG)
    site.run("sqlmigrate_apply")  # which fails

    assert_same(words, site, env, monkeypatch)


@pytest.mark.parametrize(
    "code",
    [
        "def f():\n    1 / 0\nf()",
        "raise KeyboardInterrupt",
        "import warnings\nwarnings.warn('beware')",
        "exit(' no ')",
    ],
)
def test_so_does_a_script_that_goes_wrong(
    site: Site, env: dict[str, str], code: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    (site.folder / "script.py").write_text(code)

    assert_same(["script.py"], site, env, monkeypatch)


def test_its_pid_is_its_own_and_signals_reach_it(site: Site, env: dict[str, str]) -> None:
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    words = ["-c", "import os\nprint(os.getpid(), flush=True)\nprint(input(), flush=True)\ninput()"]
    process = forkserver.start(words, site.folder, env, **pipes)
    assert process.stdin
    assert process.stdout
    assert isinstance(process, forkserver.ForkedProcess)

    assert int(process.stdout.readline()) == process.pid
    print("typed", file=process.stdin, flush=True)
    assert process.stdout.readline() == "typed\n"
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.01)
    assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()

    assert process.wait() == process.poll() == -signal.SIGKILL


@pytest.mark.parametrize("variable", ["PYTHONIOENCODING", "LC_ALL"])
def test_what_is_read_when_python_starts_is_not_pretended(site: Site, env: dict[str, str], variable: str) -> None:
    early = env | {variable: "C" if variable == "LC_ALL" else "ascii"}

    with forkserver.start(["-c", ""], site.folder, early) as process:
        assert type(process) is subprocess.Popen


def test_what_is_left_running_ends_with_the_tests(tmp_path: Path) -> None:
    zygote = forkserver.Zygote("")
    with (tmp_path / "out").open("w+") as out:
        program = {"command": ["-c", "print('on', flush=True)\nwhile True: pass"], "cwd": "/", "env": {}}
        answers = zygote.fork(program, [out.fileno()] * 3)
        with answers:
            pid = int.from_bytes(answers.recv(4), "little")
            assert Path(f"/proc/{pid}").exists()

            zygote.end()

            assert not Path(f"/proc/{pid}").exists()
