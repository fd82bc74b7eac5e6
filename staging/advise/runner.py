"""Runs the cases of a suite one after the other, each within its time, and has the checks judge their records."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from staging.advise import catalogue
from staging.advise.bench import AbsentError
from staging.advise.cases.model import Case
from staging.advise.checks.model import Check, Verdict, inapplicable
from staging.advise.lab import Lab
from staging.advise.record import Trace

# Seconds for a device to connect at the beginning: longer than the longest wait of a device that was cut off (60 s).
START_SECONDS = 90.0
# Cases in a row for which the device did not come; then nobody waits for it any more.
ABSENCES = 2
# Seconds that a case is given at least: with less left, it is not begun.
LEAST_SECONDS = 2.0

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one check."""

    check: Check
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Ran:
    """One case that was run, or why it was not."""

    case: Case
    trace: Trace
    started: float
    seconds: float


@dataclass(frozen=True, slots=True)
class Progress:
    """A case that begins, or has ended: its place among all, and what its checks found; None: it begins."""

    case: Case
    number: int
    total: int
    results: Sequence[Result] | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """All that a run gave."""

    results: list[Result]
    runs: dict[str, Ran]
    seconds: float


class Runner:
    """Runs checks on one device."""

    def __init__(
        self,
        lab: Lab,
        checks: Sequence[Check],
        *,
        limit: float,
        progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        """Run ``checks`` within ``limit`` seconds."""
        self._lab, self._checks, self._limit = lab, checks, limit
        self._progress = progress
        self._absent = 0

    async def run(self) -> Outcome:
        """Run all; raises AbsentError if the device does not come at the beginning."""
        lab, bench = self._lab, self._lab.bench
        lab.begin()
        await lab.peer(within=START_SECONDS)
        start = bench.now()
        cases = catalogue.cases_of(self._checks)
        runs: dict[str, Ran] = {}
        results: list[Result] = []
        pending = list(cases)
        while pending:
            case = self._next(pending)
            pending.remove(case)
            number = len(cases) - len(pending)
            self._progress(Progress(case, number, len(cases)))
            begun = bench.now()
            if case.cuts:
                await lab.calm()
            trace = await self._run_case(case, self._limit - (bench.now() - start))
            runs[case.name] = Ran(case, trace, begun - start, bench.now() - begun)
            found = [self._judge(check, trace) for check in self._checks if check.case == case.name]
            results += found
            self._progress(Progress(case, number, len(cases), found))
        await lab.drop()
        order = {check.id: place for place, check in enumerate(self._checks)}
        results.sort(key=lambda result: order[result.check.id])
        return Outcome(results, runs, bench.now() - start)

    def _next(self, pending: Sequence[Case]) -> Case:
        """Return the case that is next: where a device would only be left alone, one that leaves its connection alone."""
        if pending[0].cuts and self._lab.restless:
            return next((case for case in pending if case.fills), pending[0])
        return pending[0]

    async def _run_case(self, case: Case, left: float) -> Trace:
        lab = self._lab
        trace = lab.begin(case.name)
        if lab.known.link not in case.links:
            trace.skipped = f"only on the link {' or '.join(case.links)}"
        elif self._absent >= ABSENCES:
            trace.skipped = "the device does not come any more"
        elif left < LEAST_SECONDS:
            trace.skipped = f"no time is left of {self._limit:g} s"
        else:
            await self._try_case(case, trace, min(case.limit, left))
        return trace

    async def _try_case(self, case: Case, trace: Trace, limit: float) -> None:
        lab = self._lab
        try:
            async with asyncio.timeout(limit):
                await case.run(lab)
            self._absent = 0
        except AbsentError as error:
            trace.skipped = f"the device did not come: {error}"
            self._absent += 1
            if self._absent >= ABSENCES and await lab.bench.hand("restart"):
                self._absent = 0
        except TimeoutError:
            trace.skipped = f"broken off after {limit:g} s"
            await lab.drop()
        except OSError as error:
            trace.skipped = f"the connection failed: {error}"
            await lab.drop()

    def _judge(self, check: Check, trace: Trace) -> Result:
        if trace.skipped:
            return Result(
                check, inapplicable(f"没有试：{trace.skipped}", f"not tried: {trace.skipped}")
            )
        try:
            return Result(check, check.judge(trace, self._lab.known))
        except (KeyError, IndexError) as error:
            # A case that ended early has not noted everything.
            _log.debug("%s: not noted: %s", check.id, error)
            return Result(check, inapplicable("案例没有做完", "the case did not get that far"))
