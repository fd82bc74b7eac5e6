"""The runs that were begun at the console: each is the command ``story-cloud advise``, in a process of its own.

So the page and the command run the same code in the same kind of process. What is done is read from the lines of
`staging.advise.progress`; SIGTERM cancels a run, which then gives the device back to its cloud.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from staging.commands.common import DATABASE_VARIABLE
from staging.errors import StagingError

# Runs at the same time: each waits more than it works.
RUNNING_LIMIT = 4
# Runs that have ended and can still be looked at; their reports are files.
ENDED_LIMIT = 100
# Bytes of a line of progress.
LINE_LIMIT = 1024 * 1024
# Seconds after which a run is ended: six times the longest suite.
RUN_SECONDS = 3600.0
# Seconds in which a cancelled run must have given its device back; and at the cloud's end, which gives it back itself.
CANCEL_SECONDS, CLOSE_SECONDS = 10.0, 2.0
# Characters of an error of the command that are kept.
PROBLEM_LIMIT = 500
COMMAND = (sys.executable, "-P", "-m", "staging.commands.cli")

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Run:
    """A run that is under way, or was.

    Attributes:
        uuid, suite, seed, who: what was begun, and by whom.
        results: what the checks found so far.
        says: the case that runs, in both languages; number and total: its place.
        report: the number of its report, 0 as long as there is none.
        problem: why there is none.
    """

    uuid: str
    suite: str
    seed: int | None
    who: str
    started_ms: int
    results: list[dict[str, Any]] = field(default_factory=list)
    says: Mapping[str, str] | None = None
    number: int = 0
    total: int = 0
    report: int = 0
    ended: bool = False
    cancelled: bool = False
    problem: str = ""
    process: Process | None = field(default=None, repr=False)

    def note(self, line: bytes) -> None:
        """Take one line of the command."""
        try:
            told = json.loads(line)
            says, number, total = told["says"], int(told["number"]), int(told["total"])
        except (ValueError, KeyError, TypeError):
            text = line.decode(errors="replace").strip().removeprefix("story-cloud: ")
            self.problem = text[:PROBLEM_LIMIT] or self.problem
            return
        self.says, self.number, self.total = says, number, total
        self.results += told.get("results", ())

    def to_json(self) -> dict[str, Any]:
        """Return it as the page shows it."""
        return {
            "suite": self.suite, "who": self.who, "startedMs": self.started_ms, "ended": self.ended,
            "cancelled": self.cancelled, "says": self.says, "number": self.number, "total": self.total,
            "results": self.results, "report": self.report, "problem": self.problem,
        }  # fmt: skip


class Desk:
    """The runs of one cloud."""

    def __init__(
        self,
        root: Path,
        database: str,
        clock: Callable[[], int],
        changed: Callable[[str], None] = lambda _uuid: None,
        command: Sequence[str] = COMMAND,
    ) -> None:
        """Run ``command`` on the data folder ``root`` and a database's URL; ``changed`` is told of a run's end."""
        self._root, self._database, self._clock = root, database, clock
        self._changed, self._command = changed, command
        self._runs: OrderedDict[str, Run] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()

    def find(self, uuid: str) -> Run | None:
        """Return a device's last run."""
        return self._runs.get(uuid)

    async def begin(self, uuid: str, suite: str, seed: int | None, who: str) -> Run:
        """Begin a run; raises StagingError or OSError."""
        running = [run.uuid for run in self._runs.values() if not run.ended]
        if uuid in running:
            raise StagingError(f"device {uuid}: a run is under way; cancel it first")
        if len(running) >= RUNNING_LIMIT:
            raise StagingError(
                f"{len(running)} runs are under way; begin this one when one has ended"
            )
        run = Run(uuid, suite, seed, who, self._clock())
        self._runs[uuid] = run  # before anything is awaited: a second one is refused from now on
        self._runs.move_to_end(uuid)
        try:
            run.process = await self._start(run)
        except (
            BaseException
        ):  # who asked may have gone, too: the device would be taken for busy for ever
            run.ended, run.problem = True, "the command does not start"
            raise
        task = asyncio.create_task(self._follow(run, run.process))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        self._forget()
        return run

    async def _start(self, run: Run) -> Process:
        seed = () if run.seed is None else ("--seed", str(run.seed))
        words = ("advise", run.uuid, "--suite", run.suite, *seed, "--progress", "--json")
        return await asyncio.create_subprocess_exec(
            *self._command, *words, "--data", str(self._root), stdin=DEVNULL, stdout=PIPE, stderr=PIPE,
            limit=LINE_LIMIT, start_new_session=True, env=os.environ | {DATABASE_VARIABLE: self._database},
        )  # fmt: skip

    async def _follow(self, run: Run, process: Process) -> None:
        """Read what the command tells, until it ends."""
        assert process.stderr  # noqa: S101  # made with pipes
        assert process.stdout  # noqa: S101
        try:
            async with asyncio.timeout(RUN_SECONDS):
                printed, _ = await asyncio.gather(
                    process.stdout.read(), _note_all(run, process.stderr)
                )
                await process.wait()
            self._close(run, printed)
        except TimeoutError:
            run.problem = f"not ended after {RUN_SECONDS:g} s"
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            run.ended = True
            _log.info(
                "device %s: the advisor has ended: %s", run.uuid, run.problem or "with a report"
            )
            self._changed(run.uuid)

    def _close(self, run: Run, printed: bytes) -> None:
        """Read the command's result, which names the folder of the report."""
        with contextlib.suppress(ValueError, KeyError, TypeError):
            run.report = int(Path(json.loads(printed)["report"]).name.rpartition("-")[2])
            run.problem = ""
            return
        if not run.cancelled:
            run.problem = run.problem or "it ended without a report"

    async def cancel(self, uuid: str, seconds: float = CANCEL_SECONDS) -> Run | None:
        """End a device's run, if there is one, within so many seconds; return it."""
        run = self._runs.get(uuid)
        if run is None or run.ended or run.process is None:
            return run
        run.cancelled = True
        await _end(run.process, seconds)
        return run

    def _forget(self) -> None:
        ended = [uuid for uuid, run in self._runs.items() if run.ended]
        for uuid in ended[:-ENDED_LIMIT]:
            del self._runs[uuid]

    async def close(self) -> None:
        """End all runs within `CLOSE_SECONDS`."""
        await asyncio.gather(*(self.cancel(uuid, CLOSE_SECONDS) for uuid in list(self._runs)))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


async def _note_all(run: Run, told: asyncio.StreamReader) -> None:
    """Take the lines of the command until it closes them."""
    while True:
        try:
            line = await told.readline()
        except ValueError:
            continue  # longer than LINE_LIMIT: it was dropped
        if not line:
            return
        run.note(line)


async def _end(process: Process, seconds: float) -> None:
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        async with asyncio.timeout(seconds):
            await process.wait()
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
