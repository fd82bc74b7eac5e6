"""Runs many simulated days, in several processes, and adds them to the running total of docs/simulation.md.

    python -m tools.sim.night [--days N] [--jobs N] [--hours H] [--minutes M]

It goes on with the first seed that no night has run. A batch of seeds is a process, so what one leaves behind ends with
it. An interrupt, or the end of ``--minutes``, ends it after the batches that run: what is written has been run whole.
Exit code 0 only if no seed failed.
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from base.files import write_atomically
from tools.amounts import amount, whole
from tools.marked_table import TableError
from tools.processes import ended_by_signals
from tools.sim.nights import Night, next_seed, read, with_night

DOCUMENT = Path(__file__).parents[2] / "docs" / "simulation.md"
# Days of one process, and seconds that each may take on a machine that is busy with other things.
BATCH_DAYS, BATCH_SECONDS = 10.0, 3600.0
_FAILED = re.compile(r"^seed (\d+) fails after", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Batch:
    """Seeds of one process: the first and the last."""

    first: int
    last: int


def batches(first: int, count: int, size: int) -> Iterator[Batch]:
    """Yield ``count`` seeds from ``first`` on, in batches."""
    end = first + count
    for begin in range(first, end, size):
        yield Batch(begin, min(begin + size, end) - 1)


def run_batch(batch: Batch, hours: float) -> tuple[int, ...]:
    """Run the seeds; return those that failed, whose traces are printed. Raises OSError if the process ends otherwise."""
    count = batch.last - batch.first + 1
    done = subprocess.run(
        [sys.executable, "-m", "tools.sim", "--first", str(batch.first), "--seeds", str(count), "--hours", str(hours)],
        capture_output=True, text=True, check=False, timeout=BATCH_SECONDS * count, start_new_session=True,
    )  # fmt: skip
    failed = tuple(int(seed) for seed in _FAILED.findall(done.stdout))
    if done.returncode != (1 if failed else 0):
        raise OSError(
            f"seeds {batch.first} to {batch.last}: exit code {done.returncode}: {done.stderr[-2000:]}"
        )
    if failed:
        print(done.stdout, flush=True)
    return failed


class Runs:
    """Runs batches side by side, and knows up to which seed all of them are done."""

    def __init__(self, work: Iterator[Batch], jobs: int, hours: float, stop_at: float) -> None:
        """Run ``work`` on ``jobs`` processes; begin none after ``stop_at``, in seconds of the monotonic clock."""
        self._work, self._jobs, self._hours, self._stop_at = work, jobs, hours, stop_at
        self._running: dict[Future[tuple[int, ...]], Batch] = {}
        self._done: dict[int, tuple[Batch, tuple[int, ...]]] = {}
        self.stops = False

    def stop(self) -> None:
        """Begin no batch any more, and say so: those that run may take minutes yet."""
        self.stops = True
        print("night: ends after the batches that run", file=sys.stderr, flush=True)

    def all(self) -> tuple[int, tuple[int, ...]]:
        """Return the last seed up to which all were run, 0 for none, and the seeds that failed."""
        with ThreadPoolExecutor(self._jobs) as pool:
            self._fill(pool)
            while self._running:
                ended, _ = wait(self._running, return_when=FIRST_COMPLETED)
                for each in ended:
                    self._take(each)
                self._fill(pool)
        return self._whole()

    def _fill(self, pool: ThreadPoolExecutor) -> None:
        while (
            len(self._running) < self._jobs and not self.stops and time.monotonic() < self._stop_at
        ):
            if (batch := next(self._work, None)) is None:
                return
            self._running[pool.submit(run_batch, batch, self._hours)] = batch

    def _take(self, ended: Future[tuple[int, ...]]) -> None:
        batch = self._running.pop(ended)
        try:
            failed = ended.result()
        except (
            OSError,
            subprocess.TimeoutExpired,
        ) as error:  # what follows it is run, and not counted
            print(f"night: {error}", file=sys.stderr, flush=True)
            self.stops = True
            return
        self._done[batch.first] = (batch, failed)
        print(
            f"seeds {batch.first} to {batch.last}: {len(failed)} failed",
            file=sys.stderr,
            flush=True,
        )

    def _whole(self) -> tuple[int, tuple[int, ...]]:
        last, failed = 0, tuple[int, ...]()
        for first in sorted(self._done):
            batch, bad = self._done[first]
            if last and first != last + 1:
                break
            last, failed = batch.last, (*failed, *bad)
        return last, failed


def main(words: Sequence[str] | None = None, document: Path = DOCUMENT) -> int:
    """Run what the command line says; return the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--days", type=amount(), default=20_000.0, help="agent-days at most")
    parser.add_argument(
        "--jobs", type=whole(1), default=os.cpu_count() or 1, help="processes at a time"
    )
    parser.add_argument("--hours", type=amount(), default=24.0, help="that a seed simulates")
    parser.add_argument(
        "--minutes", type=amount(), default=600.0, help="begin nothing after so many"
    )
    options = parser.parse_args(words)
    try:
        first = next_seed(read(document.read_text("utf-8")), options.hours)
    except (OSError, TableError) as error:
        parser.error(str(error))
    count, size = (
        max(1, round(options.days * 24 / options.hours)),
        max(1, round(BATCH_DAYS * 24 / options.hours)),
    )
    stop_at = time.monotonic() + options.minutes * 60
    runs = Runs(batches(first, count, size), options.jobs, options.hours, stop_at)
    day = datetime.now(UTC).strftime("%Y-%m-%d")
    with ended_by_signals(runs.stop):
        last, failed = runs.all()
    if not last:
        print("night: no batch was run to its end", file=sys.stderr)
        return 1
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    night = Night(day, _commit(), first, last, options.hours, failed, used.ru_utime + used.ru_stime)
    write_atomically(document, with_night(document.read_text("utf-8"), night).encode())
    print(night)
    return 1 if failed else 0


def _commit() -> str:
    done = subprocess.run(
        ["git", "rev-parse", "--short=8", "HEAD"], capture_output=True, text=True, check=False
    )
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    sys.exit(main())
