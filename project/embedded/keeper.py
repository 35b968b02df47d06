"""The parent process of an embedded server: starts it, waits until nobody uses it any more, and stops it.

Called as ``python -m project.embedded.keeper START_FD FOLDER BINARIES [SETTING ...]``; returns when the
server takes connections, leaving the keeper behind. It holds the starter's lock as long as it is starting, so
that a second start waits even when the process that asked for this one has been killed.
"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import threading
from contextlib import suppress
from pathlib import Path

from project.embedded.cluster import Cluster

USERS_LOCK = "users.lock"
READY = "ready"


def main(arguments: list[str]) -> int:
    """Fork the keeper, wait for its report and pass it on."""
    start_fd, folder, binaries, *settings = arguments
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        keep(Cluster(Path(folder), Path(binaries)), settings, writing, int(start_fd))
    os.close(writing)
    with os.fdopen(reading) as report:
        said = report.read()
    if said == READY:
        return 0
    sys.stderr.write(said or "Its keeper was killed.")
    return 1


def keep(cluster: Cluster, settings: list[str], report: int, start_fd: int) -> None:
    """Be the keeper; never returns."""
    try:
        detach()
        users = os.open(cluster.folder / USERS_LOCK, os.O_RDWR)
        cluster.create()
        server = cluster.start(settings)
        sockets = cluster.sockets
    except Exception as problem:
        tell(report, str(problem) or repr(problem))
        os._exit(1)
    tell(report, READY)
    os.close(start_fd)
    burial = threading.Thread(target=bury, args=(cluster, server, sockets))
    burial.start()
    fcntl.flock(users, fcntl.LOCK_EX)
    cluster.stop(server.pid)
    burial.join()


def tell(report: int, text: str) -> None:
    """Write the report, which nobody may be waiting for any more."""
    with suppress(BrokenPipeError):
        os.write(report, text.encode())
    os.close(report)


def detach() -> None:
    """Hold on to nothing of whoever called: no terminal, no pipe, no folder."""
    os.setsid()
    os.chdir("/")
    nowhere = os.open(os.devnull, os.O_RDWR)
    for stdio in range(3):
        os.dup2(nowhere, stdio)


def bury(cluster: Cluster, server: subprocess.Popen[bytes], sockets: Path) -> None:
    """Wait for the server's end, whoever brought it about, tidy up after it, and end the keeper."""
    server.wait()
    cluster.remove_sockets(sockets)
    os._exit(0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
