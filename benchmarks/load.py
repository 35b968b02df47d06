"""What pages of the admin, commands and checks cost a site with a long history, in a process that is warm."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import asdict, dataclass

from benchmarks.arena import Address
from benchmarks.question import Question
from benchmarks.report import ROOT, number, table
from benchmarks.stage import Stage
from benchmarks.stock import STATES, Scale
from benchmarks.visits import ELSEWHERE, EVENTS, LEDGER, PAGES, Visit


@dataclass(frozen=True)
class Sizes(Scale):
    """How much there is, and how often it is looked at."""

    apps: int = 50
    files: int = 10_000
    rows: int = 100_000
    events: int = 1_000
    rounds: int = 3


def answer(sizes: Sizes, stage: Stage) -> str:
    """The tables: pages, and everything else by the state of the files."""
    visits = list(_visits(sizes, stage))
    pages = [visit for visit in visits if visit.name in PAGES and visit.state == "applied"]
    others = list(dict.fromkeys(visit.name for visit in visits if visit.name not in PAGES or visit.name in ELSEWHERE))
    found = {(visit.name, visit.state): visit for visit in visits}
    slowest = max(visits, key=lambda visit: visit.both)
    said = [
        f"{sizes.files:,} files in {sizes.apps} apps, {sizes.rows:,} rows of the ledger, {sizes.events:,} events of "
        f"each migration that has a file. Milliseconds of processor time, the least of {sizes.rounds} rounds, in a "
        "process that did the same before: of the site, of the server, of both.",
        "",
        f"The most expensive of all is {slowest.name} ({STATES[slowest.state]}): {number(slowest.both, 0)} ms.",
        "",
        table(
            ["page", "site", "server", "both", "queries", "address"],
            [
                [v.name, number(v.client, 0), number(v.server, 0), number(v.both, 0), str(v.queries), _address(v.name)]
                for v in pages
            ],
            words=("address",),
        ),
        "",
        "The same milliseconds, of both:",
        "",
        table(
            ["", *STATES.values()],
            [
                [name, *(number(v.both, 0) if (v := found.get((name, state))) else "-" for state in STATES)]
                for name in others
            ],
        ),
    ]
    return "\n".join(said)


def _address(name: str) -> str:
    return f"`{PAGES[name].replace(EVENTS, 'events/').replace(LEDGER, 'migrations/')}`"


def _visits(sizes: Sizes, stage: Stage) -> Iterator[Visit]:
    with ExitStack() as opened:
        scale = {name: size for name, size in asdict(sizes).items() if name != "rounds"}
        databases = {state: _settings(opened.enter_context(stage.arena.database())) for state in STATES}
        folder = str(stage.folder / "load")
        given = {"folder": folder, "scale": scale, "databases": databases, "rounds": sizes.rounds}
        arguments = [sys.executable, "-m", "benchmarks.visits", json.dumps(given)]
        with subprocess.Popen(arguments, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
            # Whoever ends this one does not wait for it to end by itself.
            opened.callback(process.kill)
            assert process.stdout is not None
            for line in process.stdout:
                visit = Visit(**json.loads(line))
                print(f"{visit.state}: {visit.name}, {visit.both:.0f} ms", file=sys.stderr, flush=True)
                yield visit
        if process.returncode:
            raise subprocess.CalledProcessError(process.returncode, arguments[:3])


def _settings(address: Address) -> dict[str, str]:
    return {"NAME": address.database, "HOST": address.host, "PORT": address.port, "USER": address.user}


QUESTION = Question("load", Sizes, answer)

if __name__ == "__main__":
    QUESTION.main()
