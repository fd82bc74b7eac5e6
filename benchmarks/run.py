"""Runs all benchmarks: ``python -m benchmarks.run [--json]``, or ``make bench``.

This is not a test: a missed aim is printed, but the exit code is still 0.
"""

from __future__ import annotations

import sys
import time

from benchmarks import (
    download,
    ears,
    fleet,
    history_page,
    links,
    load,
    memory,
    playback,
    roundtrip,
    sboms,
    sound,
    spoken,
    start,
    titles,
    update_memory,
    voice,
)
from benchmarks.figures import Figure, command_line
from benchmarks.stage import stage

STAGED = (
    start.measure,
    memory.measure,
    roundtrip.measure,
    voice.measure,
    fleet.measure,
    sound.measure,
)
UNSTAGED = (
    titles.measure,
    download.measure,
    update_memory.measure,
    history_page.measure,
    sboms.measure,
    load.measure,
    links.measure,
    playback.measure,
    spoken.measure,
    ears.measure,
)


def measure() -> list[Figure]:
    """Measure the figures one after the other, so that none adds load to another."""
    figures: list[Figure] = []
    with stage() as bench:
        for each in STAGED:
            _progress(each.__module__)
            figures += each(bench)
    for alone in UNSTAGED:
        _progress(alone.__module__)
        figures += alone()
    return figures


def _progress(module: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {module} …", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
