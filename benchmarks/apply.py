"""Applies many small files by this tool and by others, start-up included, beside the server and away from it.

    python benchmarks/apply.py [--files 1000] [--rounds 3] [--only ours bareloop] [--write]

Needs the extra ``demo``. The other tools are installed into environments of their own below the user's cache folder.
"""

from __future__ import annotations

import argparse
import os
import platform
import re
import sys
import tempfile
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.arena import Address, Arena, Measured, RunFailed, measure, open_arena, query
from benchmarks.contestants import CONTESTANTS, BareLoop, Contestant, NotInstalled, Ours
from benchmarks.proxy import counted

PAGE = Path(__file__).resolve().parent.parent / "docs" / "performance.md"
MARKED = re.compile(r"(<!-- benchmark:apply -->\n).*?(<!-- /benchmark:apply -->)", re.DOTALL)
# Between two zones of a cloud; within one it is a third of it, to another region a hundred times.
NETWORK_S = 0.001
COUNT_TABLES = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relname ~ '^bench_[0-9]+$'"


@dataclass
class Row:
    """A contestant with its rounds; ``failure`` says why it has none."""

    contestant: Contestant
    version: str = ""
    applied: list[Measured] = field(default_factory=list)
    away: list[float] = field(default_factory=list)
    again: list[float] = field(default_factory=list)
    failure: str = ""

    @property
    def seconds(self) -> float:
        """The median."""
        return median(measured.seconds for measured in self.applied)

    @property
    def seconds_away(self) -> float:
        """The median where every round trip takes a while."""
        return median(self.away)

    @property
    def beyond_start_up(self) -> float:
        """The median less that of a call with nothing to do."""
        return self.seconds - median(self.again)


def main() -> None:
    options = _options()
    with tempfile.TemporaryDirectory(prefix="sqlmigrations-benchmark-") as folder, open_arena() as arena:
        chosen = [c for c in CONTESTANTS if not options.only or c.__name__.lower() in options.only]
        rows = [_prepared(contestant(Path(folder) / contestant.__name__), options.files) for contestant in chosen]
        for number in range(options.rounds):
            for row in rows:
                if not row.failure:
                    _tell(f"round {number + 1} of {options.rounds}: {row.contestant.name}")
                    _play(arena, row, options.files)
        trips = _round_trips(arena, Path(folder))
        report = _report(rows, options, trips, arena.version())
    print(report)
    if options.write:
        _write(PAGE, report)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--files", type=int, default=1000, help="how many migrations each applies")
    parser.add_argument("--rounds", type=int, default=3, help="how often each applies them; the median counts")
    names = [contestant.__name__.lower() for contestant in CONTESTANTS]
    parser.add_argument("--only", nargs="+", choices=names, help="leave the others out")
    parser.add_argument("--write", action="store_true", help="put the table into docs/performance.md")
    return parser.parse_args()


def _prepared(contestant: Contestant, files: int) -> Row:
    _tell(f"preparing {contestant.name}")
    row = Row(contestant)
    try:
        contestant.prepare(files)
        row.version = contestant.version()
    except (NotInstalled, OSError) as problem:
        row.failure = f"not installed: {problem}"
    return row


def _play(arena: Arena, row: Row, files: int) -> None:
    try:
        with arena.database() as address:
            row.applied.append(_apply(row.contestant, address, address, files))
            if row.contestant.resumes:
                row.again.append(measure(row.contestant.invocation(address)).seconds)
        with arena.database() as database, counted(database, NETWORK_S) as (address, _):
            row.away.append(_apply(row.contestant, address, database, files).seconds)
    except RunFailed as failed:
        row.failure = f"failed: {failed}"
    if isinstance(row.contestant, BareLoop):
        with arena.database() as empty:
            row.again.append(measure(row.contestant.idle(empty)).seconds)


def _apply(contestant: Contestant, address: Address, database: Address, files: int) -> Measured:
    measured = measure(contestant.invocation(address))
    found = query(database, COUNT_TABLES)
    if found != str(files):
        raise RunFailed(f"made {found} tables of {files}")
    return measured


def _round_trips(arena: Arena, folder: Path) -> str:
    """Of one file of ours: what twenty files take more than ten, so that start-up does not count."""
    totals = []
    for files in (10, 20):
        ours = Ours(folder / f"counted_{files}")
        ours.prepare(files)
        with arena.database() as database, counted(database) as (address, counter):
            try:
                measure(ours.invocation(address))
            except RunFailed as failed:
                return f"an unknown number of round trips: {failed}"
            totals.append(counter.round_trips)
    return f"{(totals[1] - totals[0]) / 10:g} round trips"


def _report(rows: list[Row], options: argparse.Namespace, trips: str, server: str) -> str:
    loop = next((row for row in rows if isinstance(row.contestant, BareLoop) and not row.failure), None)
    ours = next((row for row in rows if isinstance(row.contestant, Ours) and not row.failure), None)
    lines = [
        f"{options.files} files with one table each, start-up included, median of {options.rounds} interleaved rounds "
        f"(`python benchmarks/apply.py`, {datetime.now(UTC):%Y-%m-%d}, PostgreSQL {server} with its default settings "
        f"behind a Unix socket, Python {platform.python_version()}, {os.cpu_count()} cores). Away: the same with "
        f"{NETWORK_S * 1000:g} ms added to every round trip, as between two zones of a cloud.",
        "",
        "| tool | seconds | times the loop | away, seconds | times the loop | CPU seconds | peak MB "
        "| nothing pending, s | version |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---|",
        *(_line(row, loop) for row in rows),
        "",
    ]
    if ours and loop:
        cost = (ours.beyond_start_up - loop.beyond_start_up) / options.files * 1000
        near, away = ours.seconds / loop.seconds, ours.seconds_away / loop.seconds_away
        lines.append(
            f"* The whole call takes {near:.2f} times the loop on the server's own machine, {away:.2f} times away."
        )
        lines.append(f"* Beyond start-up, planning and recording cost {cost:.2f} ms a migration more than the loop.")
    lines.append(f"* A file of one statement takes {trips}.")
    return "\n".join(lines)


def _line(row: Row, loop: Row | None) -> str:
    name = row.contestant.name
    if row.failure:
        return f"| {name} | {row.failure.replace('|', '/')} | | | | | | | {row.version} |"
    cells = [
        f"{row.seconds:.2f}",
        f"{row.seconds / loop.seconds:.2f}" if loop else "",
        f"{row.seconds_away:.2f}",
        f"{row.seconds_away / loop.seconds_away:.2f}" if loop else "",
        f"{median(measured.cpu_seconds for measured in row.applied):.2f}",
        f"{median(measured.peak_mb for measured in row.applied):.0f}",
        f"{median(row.again):.2f}" if row.again else "",
    ]
    return f"| {name} | {' | '.join(cells)} | {row.version} |"


def _write(page: Path, report: str) -> None:
    text = page.read_text() if page.exists() else ""
    if not MARKED.search(text):
        sys.exit(f"{page} has no section between <!-- benchmark:apply --> and <!-- /benchmark:apply -->.")
    page.write_text(MARKED.sub(lambda found: f"{found[1]}{report}\n{found[2]}", text))


def _tell(progress: str) -> None:
    print(progress, file=sys.stderr, flush=True)


if __name__ == "__main__":
    main()
