"""``python -m tests.fuzz TARGET [option of libFuzzer ...]``: looks for input that breaks a promise, by coverage.

``TARGET`` is ``scanner``, ``parser`` or ``loader``; further arguments go to libFuzzer, such as ``-max_total_time=20``.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sqlmigrations"]):
    from tests.fuzz.corpus import found, seeds
    from tests.fuzz.promises import TARGETS

# Seconds, megabytes, bytes: a tenth of a second is long for any of these inputs, on a machine with much else to do.
_LIMITS = ("-timeout=10", "-rss_limit_mb=1024", "-max_len=20000", "-print_final_stats=1")


def main(target: str, *options: str) -> None:
    """Runs until the time is over, or until an input breaks a promise: it is written to the working directory."""
    with tempfile.TemporaryDirectory() as corpus:
        for number, seed in enumerate([*seeds(target), *(path.read_bytes() for path in found(target))]):
            (Path(corpus) / str(number)).write_bytes(seed)
        atheris.Setup([sys.argv[0], *_LIMITS, f"-artifact_prefix={target}-", *options, corpus], TARGETS[target])
        atheris.Fuzz()


if __name__ == "__main__":
    main(*sys.argv[1:])
