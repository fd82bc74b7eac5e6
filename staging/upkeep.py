"""Work that the server repeats: old rows, repository signatures, the certificate.

What deletes by the clock waits while the clock may not be believed (`steadiness`). After a step of the clock
the certificate is looked at again at once, since it may be from a time that has not come.
"""

from __future__ import annotations

import asyncio
import json
import logging
import ssl
import time
from collections.abc import Callable
from typing import Any, Concatenate

from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from base.files import write_atomically
from staging.data_dir import SECRET_MODE, DataDir
from staging.errors import StagingError, level_of
from staging.gateway import tls
from staging.identity import ca
from staging.releases import tool
from staging.releases.stock import Stock, compare
from staging.steadiness import Steadiness
from staging.store import (
    Database,
    alarms,
    apps,
    audit,
    health,
    presence,
    releases,
    retention,
    webhooks,
)
from staging.store.retention import REPORT_DAYS
from staging.taken_back import TakenBack
from staging.times import now_ms

# TUF's timestamp is valid for days; four signatures a day leave room for failures.
UPKEEP_SECONDS = 6 * 3600.0
# Between two looks at the clock.
TICK_SECONDS = 60.0
# Between two steps of a pruning: the writer is free for devices and apps most of the time.
STEP_SECONDS = 0.05

_log = logging.getLogger(__name__)


class Upkeep:
    """Repeats the work; a part that fails is logged and tried again next time."""

    def __init__(
        self,
        data: DataDir,
        database: Database,
        context: ssl.SSLContext,
        names: tuple[str, ...],
        renewed: Callable[[], None] = lambda: None,
        report_days: int = REPORT_DAYS,
    ) -> None:
        """Keep up these parts; ``context`` gets the renewed certificate, which has ``names``.

        ``renewed()`` is called when the certificate may be another one. ``report_days``: how
        long reports are kept, 0: for ever.
        """
        self._data = data
        self._database = database
        self._context = context
        self._names = names
        self._renewed = renewed
        self._report_days = report_days
        self._clock = Steadiness(read_noted(data), now_ms(), time.monotonic())
        self._due = time.monotonic() + UPKEEP_SECONDS
        self._stock = self._new_stock()
        self._damaged: dict[str, str] = {}

    @property
    def believes_clock(self) -> bool:
        """Whether what deletes by the clock may."""
        return self._clock.believed

    async def run(self) -> None:
        """Purge at once; then again every `UPKEEP_SECONDS`, with the other work, until cancelled."""
        await self._look_at_packages()
        await self._purge()
        while True:
            await asyncio.sleep(min(TICK_SECONDS, UPKEEP_SECONDS))
            await self._look_at_packages()
            stepped = self._clock.note(now_ms(), time.monotonic())
            if stepped:
                _log.warning("this machine's clock made a step: nothing is deleted by it for a day")
                self.renew_certificates()
            if stepped or time.monotonic() < self._due:
                continue
            self._due = time.monotonic() + UPKEEP_SECONDS
            self._stock = self._new_stock()  # also what has changed without a trace is found
            await self._purge()
            await asyncio.to_thread(prepare_repository, self._data)
            self.renew_certificates()

    def _new_stock(self) -> Stock:
        return Stock(self._data.tuf / "targets")

    async def _look_at_packages(self) -> None:
        try:
            rows = await self._database.read(releases.packages)
            found = await asyncio.to_thread(compare, rows, self._stock)
            for package_id, is_damaged in found.changed.items():
                await self._database.write(releases.note_damage, package_id, is_damaged)
        except (StagingError, SQLAlchemyError) as error:
            _log.log(level_of(error), "the packages were not looked at: %s", error)
            return
        damaged = {each.name: each.text for each in found.damaged}
        for name in damaged.keys() - self._damaged.keys():
            _log.error("%s", damaged[name])
        for name in self._damaged.keys() - damaged.keys():
            _log.info("%s is the signed one again", name)
        self._damaged = damaged

    async def _purge(self) -> None:
        if not self._clock.believed:
            _log.info("nothing is deleted until the clock has gone evenly for a day")
            return
        note_time(self._data, now_ms())
        try:
            await asyncio.to_thread(TakenBack(self._data).prune, now_ms())
            await self._database.write(apps.purge, now_ms())
            for forget in (audit.purge, health.forget_old, alarms.forget_old, webhooks.forget_old):
                await self._database.write(forget, now_ms())
            await self._prune(now_ms())
        except (StagingError, SQLAlchemyError, OSError) as error:
            _log.warning("old rows were not purged: %s", error)

    async def _prune(self, now: int) -> None:
        before = now - self._report_days * retention.DAY_MS if self._report_days else 0
        gone, last = 0, 0
        while found := await self._database.read(retention.with_old_entries, last, before):
            for device_id in found:
                gone += await self._repeat(retention.prune_reports, device_id, before)
            last = found[-1]
        gone += await self._repeat(retention.prune_rest, before)
        gone += await self._repeat(retention.prune_versions)
        gone += await self._repeat(presence.prune, now)
        if gone:
            _log.info("%d old rows were deleted", gone)

    async def _repeat(self, step: Callable[Concatenate[Session, ...], int], *arguments: Any) -> int:
        """Repeat a step until it finds too little for another one."""
        gone = 0
        while True:
            done = await self._database.write(step, *arguments)
            gone += done
            if done < retention.STEP_ROWS:
                return gone
            await asyncio.sleep(STEP_SECONDS)

    def renew_certificates(self) -> None:
        """Read the certificates again, those made anew that end soon; one that cannot be used changes nothing."""
        try:
            certificates = ca.ensure(self._data.ca, self._names)
            tls.load_certificates(self._context, certificates)
            self._renewed()
            _log.info("the certificates were read again")
        except (StagingError, OSError) as error:
            _log.error("a certificate was not renewed, the one in use stays: %s", error)


def read_noted(data: DataDir) -> int | None:
    """Return the time (ms) that was believed last; None: none is known."""
    try:
        noted = json.loads(data.clock.read_bytes())["time"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return noted if isinstance(noted, int) else None


def note_time(data: DataDir, now: int) -> None:
    """Keep a time that is believed, for the next start; without room for it the next start waits a day."""
    try:
        write_atomically(data.clock, json.dumps({"time": now}).encode(), mode=SECRET_MODE)
    except OSError as error:
        _log.debug("%s: %s", data.clock, error.strerror)


def prepare_repository(data: DataDir) -> None:
    """Create or refresh the update repository; without it everything but updates works."""
    try:
        tool.ensure_repository(data)
        tool.refresh(data)
    except StagingError as error:
        _log.error("update repository: %s", error)
