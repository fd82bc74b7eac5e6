"""Runs the advisor's suites on twins, on a virtual clock."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence

from staging.advise import catalogue
from staging.advise.checks.model import Check
from staging.advise.lab import Lab
from staging.advise.record import Known
from staging.advise.releases import Package, Releases
from staging.advise.runner import Outcome, Progress, Runner
from tests.staging.advise import virtual
from tests.staging.advise.twin_points import ROOT_SEED, TOKEN, UUID
from tests.staging.advise.twins import Twin
from tests.staging.advise.virtual import VirtualBench

Note = Callable[[Progress], object]
# Enough for three reports of a download.
SIZE = 24 * 1024
GOOD = Package("2.0.0.0", b"good" * 6000)


def advise(
    fault: str = "",
    checks: Sequence[Check] = catalogue.CHECKS,
    seed: int = 1,
    note: Note = lambda _progress: None,
    releases: Releases | None = None,
    *,
    trusts: bool = True,
) -> Outcome:
    """Run ``checks`` on a twin with this fault; ``trusts``: whether it reads the repository of its releases."""
    releases = Releases(ROOT_SEED, GOOD, size=SIZE) if releases is None else releases
    return virtual.run(_advise(fault, checks, seed, note, releases, trusts=trusts))


async def _advise(
    fault: str,
    checks: Sequence[Check],
    seed: int,
    tell: Note,
    releases: Releases,
    *,
    trusts: bool,
) -> Outcome:
    bench = VirtualBench()
    lab = Lab(bench, Known(UUID, TOKEN), seed, releases)
    twin = Twin(bench, fault)
    twin.update.trusts = trusts
    device = asyncio.create_task(twin.run())

    def note(progress: Progress) -> None:
        bench.case = progress.case.name
        tell(progress)

    try:
        return await Runner(lab, checks, limit=100_000.0, progress=note).run()
    finally:
        device.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await device


def grades(outcome: Outcome) -> dict[str, str]:
    """Return each check's grade."""
    return {result.check.id: str(result.verdict.grade) for result in outcome.results}
