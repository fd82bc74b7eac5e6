"""Runs all benchmarks: ``python -m benchmarks.run [--json]``, or ``make bench``.

This is not a test: a missed aim is printed, but the exit code is still 0. One that cannot be measured is told, and
costs no other its figures; the exit code is 1 then.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from functools import partial

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
from benchmarks.figures import FAULTS, Figure, command_line
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


def measure(failed: list[str]) -> list[Figure]:
    """Measure the figures one after the other, so that none adds load to another; ``failed`` gets what could not be."""
    figures: list[Figure] = []
    with stage() as bench:
        for staged in STAGED:
            figures += _try(staged.__module__, partial(staged, bench), failed)
    for alone in UNSTAGED:
        figures += _try(alone.__module__, alone, failed)
    return figures


def _try(module: str, work: Callable[[], list[Figure]], failed: list[str]) -> list[Figure]:
    _progress(module)
    try:
        return work()
    except FAULTS as error:
        failed.append(f"{module}: {error}")
        return []


def _progress(module: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {module} …", file=sys.stderr, flush=True)


def main() -> int:
    """Measure and print all; return the exit code."""
    failed: list[str] = []
    code = command_line(__doc__, partial(measure, failed))
    for each in failed:
        print(f"not measured: {each}", file=sys.stderr)
    return code or int(bool(failed))


if __name__ == "__main__":
    sys.exit(main())
