"""The same step for many devices, as a job: previewed, then taken in bounded pieces, with what came of each.

A preview says how many devices take the step and why others are left out. The job acts on the devices of its preview
alone, judges each anew, and tells what was another way meanwhile. Jobs are memory: one that a restart has ended can be
asked for again, since every step is left out where it was taken.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from array import array
from collections import Counter, OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from sqlalchemy.exc import SQLAlchemyError

from staging.errors import GatewayError, NotFoundError, StagingError, StoreBusyError
from staging.identity.rights import Viewer
from staging.store import Database, bulk, device_list
from staging.store.audit import Source
from staging.store.bulk import Action, Judged, Outcome, Step, Why
from staging.store.device_query import Wanted
from staging.store.models import OtaTask
from staging.times import Clock

# Devices of one job; a filter that leaves more is narrowed first.
DEVICES_LIMIT = 20_000
# Devices that are judged in one read, and that take the step in one transaction: some milliseconds of the writer.
JUDGED_AT_ONCE, TAKEN_AT_ONCE = 400, 20
# Devices that are asked to give their update up at the same time.
ASKED_AT_ONCE = 8
# How long a preview may be acted on. Somebody who reads it longer wants to see a fresh one.
PREVIEW_MS = 15 * 60_000
PREVIEWS_LIMIT = 20
RUNNING_LIMIT = 4
JOBS_LIMIT = 50
# Devices that are named for each reason, and failures that are listed.
EXAMPLES, FAILURES_LIMIT = 5, 200
# A store that is busy is asked again after this many seconds, so often.
PAUSES = (0.5, 1.0, 2.0, 4.0, 8.0)

_log = logging.getLogger(__name__)


class Hands(Protocol):
    """What a job needs of the gateway."""

    def send_pending_order(self, uuid: str) -> None:
        """Start to send a device's pending order."""

    async def cancel_update(self, uuid: str) -> OtaTask:
        """Cancel a device's update."""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Devices that do not take the step for one reason: how many, and the first of them."""

    count: int
    uuids: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Preview:
    """What a step would do.

    Attributes:
        mark: names it.
        step: what is to be done.
        viewer: for whom it was made.
        wanted: the filter that it was made of; None: devices that were named.
        every: the numbers of all devices that it is about.
        ready: the numbers of those that take the step.
        left_out: the others.
        made: when, in ms.
    """

    mark: str
    step: Step
    viewer: Viewer
    wanted: Wanted | None
    every: array[int] = field(repr=False)
    ready: array[int] = field(repr=False)
    left_out: dict[Why, LeftOut]
    made: int

    def to_json(self) -> dict[str, Any]:
        """Return it as the page shows it."""
        return {
            "preview": self.mark,
            "action": self.step.action,
            "total": len(self.every),
            "ready": len(self.ready),
            "leftOut": [
                {"why": why, "count": each.count, "uuids": list(each.uuids)}
                for why, each in sorted(self.left_out.items())
            ],
        }


@dataclass(slots=True)
class Job:
    """A step that is being taken, or was.

    Attributes:
        number: names it.
        viewer: whose it is.
        who: the name of that account, or the system's user who ran a command.
        step: what is done.
        total: devices of its preview that took the step then.
        source: by what it was begun.
        appeared: devices that match the filter now and did not in the preview; they are not touched.
        done: how many have taken it.
        failed: those for which it failed, the first `FAILURES_LIMIT`, with the reason.
        failures: how many those are.
        changed: those that were another way than in the preview, by the reason.
        ended: whether nothing more happens.
        problem: why it ended early; empty: it did not.
    """

    number: int
    viewer: Viewer
    who: str
    step: Step
    total: int
    source: Source = Source.CONSOLE
    appeared: int = 0
    done: int = 0
    failures: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    changed: Counter[Why] = field(default_factory=Counter)
    ended: bool = False
    problem: str = ""

    def note(self, outcome: Outcome) -> None:
        """Count what came of one device."""
        if outcome.done:
            self.done += 1
        elif outcome.why is not None:
            self.changed[outcome.why] += 1
        else:
            self.failures += 1
            if len(self.failed) < FAILURES_LIMIT:
                self.failed.append((outcome.uuid, outcome.failure))

    def to_json(self) -> dict[str, Any]:
        """Return it as the page shows it."""
        return {
            "job": self.number,
            "action": self.step.action,
            "total": self.total,
            "done": self.done,
            "failures": self.failures,
            "failed": [{"uuid": uuid, "reason": reason} for uuid, reason in self.failed],
            "changed": [{"why": why, "count": n} for why, n in sorted(self.changed.items())],
            "appeared": self.appeared,
            "ended": self.ended,
            "problem": self.problem,
        }


Told = Callable[[Job, Sequence[Outcome]], None]
"""Is told which devices have taken the step, once they have."""


class Jobs:
    """The previews and jobs of one process."""

    def __init__(
        self,
        database: Database,
        hands: Hands,
        clock: Clock,
        told: Told,
        online: Callable[[], list[int]],
    ) -> None:
        """Act on ``database`` and through ``hands``; ``clock`` gives ms, ``online()`` the connected devices' numbers."""
        self._online = online
        self._database, self._hands, self._clock, self._told = database, hands, clock, told
        self._previews: OrderedDict[str, Preview] = OrderedDict()
        self._jobs: OrderedDict[int, Job] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._last = 0

    async def preview(
        self, step: Step, viewer: Viewer, wanted: Wanted | None, ids: Sequence[int] = ()
    ) -> Preview:
        """Judge devices: those that a filter leaves, or those of ``ids``.

        Raises:
            StagingError: they are too many, or no device could take the step.
        """
        await self._database.read(bulk.check, step, viewer)
        every = list(ids) if wanted is None else await self._matching(wanted, viewer)
        if len(every) > DEVICES_LIMIT:
            raise StagingError(
                f"more than {DEVICES_LIMIT} devices match, expected at most so many: narrow the filter"
            )
        ready, out = array("q"), dict[Why, LeftOut]()
        for start in range(0, len(every), JUDGED_AT_ONCE):
            piece = every[start : start + JUDGED_AT_ONCE]
            for judged in await self._database.read(bulk.judge, step, piece, viewer):
                if judged.why is None:
                    ready.append(judged.device_id)
                else:
                    _leave_out(out, judged, judged.why)
        made = Preview(
            secrets.token_hex(8), step, viewer, wanted, array("q", every), ready, out, self._clock()
        )
        self._previews[made.mark] = made
        while len(self._previews) > PREVIEWS_LIMIT:
            self._previews.popitem(last=False)
        return made

    async def _matching(self, wanted: Wanted, viewer: Viewer) -> list[int]:
        return await self._database.read(
            device_list.numbers, wanted, viewer, self._online(), limit=DEVICES_LIMIT + 1
        )

    async def begin(
        self, mark: str, viewer: Viewer, who: str, source: Source = Source.CONSOLE
    ) -> Job:
        """Begin to act on a preview, which can be used once.

        Raises:
            NotFoundError: there is none of that name for this account, or it is too old.
            StagingError: too many jobs run.
        """
        found = self._previews.get(mark)
        if found is None or found.viewer != viewer or self._clock() - found.made > PREVIEW_MS:
            raise NotFoundError(f"preview {mark[:32]}: there is none any more; make another one")
        if len(self._tasks) >= RUNNING_LIMIT:
            raise StagingError(
                f"{RUNNING_LIMIT} jobs run already; begin this one when one has ended"
            )
        del self._previews[mark]
        self._last += 1
        job = Job(self._last, viewer, who, found.step, len(found.ready), source)
        self._jobs[job.number] = job
        while len(self._jobs) > JOBS_LIMIT:
            self._forget_oldest()
        task = asyncio.get_running_loop().create_task(self._run(job, found))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return job

    def _forget_oldest(self) -> None:
        oldest = next((number for number, job in self._jobs.items() if job.ended), None)
        if oldest is None:
            oldest = next(iter(self._jobs))
        del self._jobs[oldest]

    def find(self, number: int, account_id: int) -> Job:
        """Return an account's job; raises NotFoundError."""
        job = self._jobs.get(number)
        if job is None or job.viewer.account_id != account_id:
            raise NotFoundError(
                f"job {number}: there is none; the cloud may have been restarted since"
            )
        return job

    async def close(self) -> None:
        """End the jobs, after the piece that each is at."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, job: Job, preview: Preview) -> None:
        try:
            if preview.wanted is not None:
                known = set(preview.every)
                now = await self._matching(preview.wanted, preview.viewer)
                job.appeared = len([number for number in now if number not in known])
            for start in range(0, len(preview.ready), TAKEN_AT_ONCE):
                piece = preview.ready[start : start + TAKEN_AT_ONCE].tolist()
                await self._take(job, piece, preview.viewer)
        except (StagingError, SQLAlchemyError) as error:
            job.problem = str(error) if isinstance(error, StagingError) else "the store failed"
            _log.warning("bulk %s: ended early: %s", job.step.action, error)
        finally:
            job.ended = True
            job.problem = job.problem or _unfinished(job)

    async def _take(self, job: Job, ids: list[int], viewer: Viewer) -> None:
        if job.step.action is Action.CANCEL:
            outcomes = await self._cancel(job.step, ids, viewer)
        else:
            outcomes = await self._write(job.step, ids, viewer)
        for outcome in outcomes:
            job.note(outcome)
            if outcome.done and job.step.action in {Action.ORDER, Action.VERIFY}:
                self._hands.send_pending_order(outcome.uuid)
        self._told(job, outcomes)

    async def _write(self, step: Step, ids: list[int], viewer: Viewer) -> list[Outcome]:
        for pause in PAUSES:
            try:
                return await self._database.write(bulk.take, step, ids, viewer, self._clock())
            except StoreBusyError:
                await asyncio.sleep(pause)
        return await self._database.write(bulk.take, step, ids, viewer, self._clock())

    async def _cancel(self, step: Step, ids: list[int], viewer: Viewer) -> list[Outcome]:
        await self._database.read(bulk.check_account, viewer)
        judged = await self._database.read(bulk.judge, step, ids, viewer)
        free = asyncio.Semaphore(ASKED_AT_ONCE)

        async def one(each: Judged) -> Outcome:
            if each.why is not None:
                return Outcome(each.device_id, each.uuid, each.why)
            async with free:
                return await self._cancel_one(each)

        return list(await asyncio.gather(*map(one, judged)))

    async def _cancel_one(self, each: Judged) -> Outcome:
        try:
            await self._hands.cancel_update(each.uuid)
        except (GatewayError, StagingError) as error:
            return Outcome(each.device_id, each.uuid, failure=str(error))
        return Outcome(each.device_id, each.uuid)


def _leave_out(out: dict[Why, LeftOut], judged: Judged, why: Why) -> None:
    before = out.get(why, LeftOut(0, ()))
    named = (
        before.uuids
        if len(before.uuids) >= EXAMPLES or not judged.uuid
        else (*before.uuids, judged.uuid)
    )
    out[why] = LeftOut(before.count + 1, named)


def _unfinished(job: Job) -> str:
    left = job.total - job.done - job.failures - job.changed.total()
    return f"{left} devices were not reached: the cloud was stopped" if left else ""
