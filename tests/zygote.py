"""A process that has imported what every command imports, and forks one that runs it as often as it is asked to.

``tests.forkserver`` starts it as a script with the number of a socket, and the driver that is to be used. A message
carries the three streams of a program and a socket of its own, on which it is told, and its pid and end answered.
"""

from __future__ import annotations

import sys

# First of all: beside this file there is a site.py. What a program has in this place it gets later.
del sys.path[0]

import gc  # noqa: E402
import importlib  # noqa: E402
import io  # noqa: E402
import json  # noqa: E402
import os  # noqa: E402
import runpy  # noqa: E402
import selectors  # noqa: E402
import signal  # noqa: E402
import socket  # noqa: E402
import struct  # noqa: E402
import time  # noqa: E402
from contextlib import suppress  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from pathlib import Path  # noqa: E402
from types import ModuleType, TracebackType  # noqa: E402
from typing import NoReturn  # noqa: E402

# What the commands import anyway, and what asks neither for settings nor for apps while it is imported.
IMPORTED = (
    "dj_database_url",
    "django.core.management.commands.migrate",
    "django.core.management.commands.runserver",
    "django.db.backends.postgresql.base",
    "django.db.migrations.executor",
    "django.urls",
    "sqlmigrations.apps",
    "sqlmigrations.management.commands.sqlmigrate_apply",
    "sqlmigrations.management.commands.sqlmigrate_new",
    "sqlmigrations.management.commands.sqlmigrate_repair",
    "sqlmigrations.management.commands.sqlmigrate_status",
    "sqlmigrations.receivers",
)
NUMBER = struct.Struct("i")


@dataclass(frozen=True)
class Child:
    """A process that was forked, and the socket on which its end is awaited."""

    pid: int
    answers: socket.socket

    def say(self, number: int) -> None:
        with suppress(BrokenPipeError):  # Nobody waits for it any more.
            self.answers.sendall(NUMBER.pack(number))

    def bury(self) -> None:
        _, status = os.waitpid(self.pid, 0)
        self.say(status)
        self.answers.close()


def serve(control: socket.socket) -> int:
    """Forks for every message, and returns in the processes that were forked: with the socket of their program."""
    selector = selectors.DefaultSelector()
    selector.register(control, selectors.EVENT_READ)
    while True:
        for key, _ in selector.select():
            if isinstance(key.data, Child):
                selector.unregister(key.fd)
                os.close(key.fd)
                key.data.bury()
                continue
            message, descriptors, _, _ = socket.recv_fds(control, 1, 4)
            children = [key.data for key in selector.get_map().values() if key.data]
            if not message:
                control.close()
                _leave(children)
            pid = os.fork()
            if pid == 0:
                # Closed by number alone, they would close what has their numbers when they are collected.
                for each in [selector, control, *(child.answers for child in children)]:
                    each.close()
                return _take(*descriptors)
            *streams, answers = descriptors
            for descriptor in streams:
                os.close(descriptor)
            child = Child(pid, socket.socket(fileno=answers))
            child.say(pid)
            selector.register(os.pidfd_open(pid), selectors.EVENT_READ, child)


def _leave(children: list[Child]) -> NoReturn:
    """The tests are over, or were killed: what they left running ends with them."""
    for child in children:
        os.kill(child.pid, signal.SIGKILL)
        child.bury()
    sys.exit()


def _take(stdin: int, stdout: int, stderr: int, told: int) -> int:
    """Makes the streams those of this process, and closes what else the zygote had open."""
    for number, descriptor in enumerate((stdin, stdout, stderr)):
        os.dup2(descriptor, number)
    # One by one: where a process may open a billion files, a range up to there can take minutes.
    for descriptor in {int(name) for name in os.listdir("/proc/self/fd")} - {0, 1, 2, told}:
        with suppress(OSError):  # Of the listing itself.
            os.close(descriptor)
    return told


def become(told: int) -> list[str]:
    """Takes over what a program is told of its surroundings; what follows ``python`` on its command line."""
    with socket.socket(fileno=told) as conversation:
        program = json.load(conversation.makefile())
    # As Python has it when it starts, unless it was told to ignore them.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(program["cwd"])
    os.environ.clear()
    os.environ.update(program["env"])
    time.tzset()
    for name, mode in ("stdin", "rb"), ("stdout", "wb"), ("stderr", "wb"):
        setattr(sys, name, _stream(getattr(sys, name), mode))
        setattr(sys, f"__{name}__", getattr(sys, name))
    return list(program["command"])


def _stream(ours: io.TextIOWrapper, mode: str) -> io.TextIOWrapper:
    """As Python makes them when it starts: on what it was started with depends what they are like."""
    number = ("<stdin>", "<stdout>", "<stderr>").index(ours.name)
    through = ours.write_through
    opened = open(number, mode, 0 if through and number else -1, closefd=False)  # noqa: SIM115
    getattr(opened, "raw", opened).name = ours.name
    by_line = not through and (number == 2 or os.isatty(number))
    made = io.TextIOWrapper(opened, ours.encoding, ours.errors, "\n", line_buffering=by_line, write_through=through)
    made.mode = mode[0]
    return made


def run(first: str, *others: str) -> None:
    """What ``python`` does with these words."""
    sys.excepthook = _tell
    sys.modules["__main__"] = main = ModuleType("__main__")
    if first == "-m":
        sys.path.insert(0, str(Path.cwd()))
        sys.argv = [first, *others[1:]]
        runpy._run_module_as_main(others[0])
    elif first == "-c":
        sys.path.insert(0, "")
        sys.argv = [first, *others[1:]]
        exec(compile(others[0], "<string>", "exec"), main.__dict__)
    else:
        path = Path(first).absolute()
        sys.path.insert(0, str(path.parent))
        sys.argv = [first, *others]
        main.__file__ = str(path)
        exec(compile(path.read_bytes(), path, "exec"), main.__dict__)


def _tell(kind: type[BaseException], error: BaseException, traceback: TracebackType | None) -> None:
    """Shows what nobody caught, without the lines of this file."""
    while traceback and traceback.tb_frame.f_code.co_filename == __file__:
        traceback = traceback.tb_next
    sys.__excepthook__(kind, error.with_traceback(traceback), traceback)


if __name__ == "__main__":
    # Ctrl-C at the terminal is for the tests and for the commands.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.argv[2] == "psycopg2":
        sys.modules["psycopg"] = None  # type: ignore[assignment]  # Django then takes the other driver
    for name in IMPORTED:
        importlib.import_module(name)
    gc.freeze()
    # Not in a function that exits by itself: what a program does at its end is the end of this script.
    run(*become(serve(socket.socket(fileno=int(sys.argv[1])))))
