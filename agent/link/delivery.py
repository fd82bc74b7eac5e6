"""Sends the reports in the outbox to the cloud, in the way that the cloud reads.

A cloud of old gets them one by one, in order if they are few. If more wait than a batch has, it gets the
present state, and the values behind that are dropped: it shows what came last, at the time at which it
came (docs/adr/0039). One that reads ``number`` gets their numbers too, by which it drops what it has;
one that also reads ``batch`` gets many at once, the present state first and the others marked late.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from itertools import takewhile

from agent.link import CloudBusyError, Link, LinkError, ReportRejectedError
from agent.link.outbox import Outbox, OutboxError, Report
from base.backoff import Backoff
from wire.abilities import BATCH, NUMBER, Abilities
from wire.errors import WireError
from wire.numbered import (
    BATCH_MAX,
    NumberedReport,
    batch_payload,
    numbered_payload,
    parse_refusals,
)
from wire.reports import report_payload

RETRY_MAX_SECONDS = 60.0
# The shortest wait after which a cloud can want to be asked again.
AGAIN_MIN_SECONDS = 1.0
# The longest wait for a disk of our own: it costs nobody anything to look whether it gives reports again.
DISK_RETRY_MAX_SECONDS = 10.0
# Reports that are sent one by one before the outbox is asked again what goes first.
SINGLY_MAX = 16
# Bytes of JSON in one batch: the cloud takes 64 KiB, and a cut repeats the whole batch.
BATCH_BYTES = 16 * 1024

_log = logging.getLogger(__name__)


async def deliver(outbox: Outbox, link: Link) -> None:
    """Deliver until cancelled; a report is removed only after the cloud has answered it.

    A batch that did not arrive goes again as half of it: a network that cuts every connection after some kilobytes
    would else take none, ever.
    """
    backoff, disk, most = Backoff(RETRY_MAX_SECONDS), Backoff(DISK_RETRY_MAX_SECONDS), BATCH_MAX
    while True:
        await link.registered.wait()
        await outbox.filled.wait()
        try:
            await _deliver_next(outbox, link, most)
        except LinkError as error:
            most = max(1, most // 2)
            if await _ends_within(link, _wait_after(error, backoff)):
                backoff.reset()  # the link paces its own retries, and what waits goes with the next one
        except OutboxError as error:
            _log.debug("%s", error)  # the outbox has logged it already
            if await _ends_within(link, disk.next()):
                disk.reset()
        else:
            most = min(BATCH_MAX, most * 2)
            backoff.reset()
            disk.reset()


def _wait_after(error: LinkError, backoff: Backoff) -> float:
    """Return the seconds until the next try: no longer than the cloud says, which knows how many it has refused."""
    wait = backoff.next()
    if isinstance(error, CloudBusyError) and error.again is not None:
        wait = min(wait, backoff.jittered(max(AGAIN_MIN_SECONDS, error.again)))
    return wait


async def _ends_within(link: Link, seconds: float) -> bool:
    """Wait, but no longer than until the link ends; return whether it did.

    Without that a cloud that could not take a report for a minute got it up to a minute after its restart.
    """
    try:
        async with asyncio.timeout(seconds):
            await link.ended.wait()
    except TimeoutError:
        return False
    return True


async def _deliver_next(outbox: Outbox, link: Link, most: int) -> None:
    """Send what is next; nothing, if the link has become another one meanwhile, whose cloud may read otherwise."""
    reads = link.cloud_abilities
    found = await outbox.take(BATCH_MAX, in_order=False)
    if not _is_still(link, reads):
        return
    if not reads >= {NUMBER, BATCH}:
        await _deliver_singly(outbox, link, found, reads)
    elif batch := fit(found)[:most]:
        await _send(link, batch)
        await outbox.finish(batch, at_once=False)


def _is_still(link: Link, reads: Abilities) -> bool:
    """Return whether the link is up, to a cloud that reads just this."""
    return link.registered.is_set() and link.cloud_abilities == reads


async def _deliver_singly(
    outbox: Outbox, link: Link, found: Sequence[Report], reads: Abilities
) -> None:
    if late := [report for report in found if report.late]:
        await outbox.drop_late(late)
        return
    numbered = NUMBER in reads
    for report in found[:SINGLY_MAX]:
        if not _is_still(link, reads):
            return
        await _send_one(link, report, numbered=numbered)
        # What a kill makes us repeat is dropped by a cloud that reads numbers, by no other.
        await outbox.finish([report], at_once=not numbered)


def fit(reports: Sequence[Report]) -> list[Report]:
    """Return the first of ``reports`` that fit one request: of one epoch, and not too long."""
    if not reports or reports[0].row.number is None:
        return list(reports[:1])
    size = 0

    def fits(report: Report) -> bool:
        nonlocal size
        size += report.row.size
        same = report.row.number is not None and report.row.epoch == reports[0].row.epoch
        return report is reports[0] or (same and size <= BATCH_BYTES)

    return list(takewhile(fits, reports))


async def _send(link: Link, batch: Sequence[Report]) -> None:
    if len(batch) == 1:
        return await _send_one(link, batch[0], numbered=True)
    payload = batch_payload(str(batch[0].row.epoch), [_numbered(report) for report in batch])
    try:
        answer = await link.send(payload)
    except ReportRejectedError as error:
        _log.error("the cloud rejects a batch of %d reports: %s", len(batch), error)
        for report in batch:  # the fault may be in one of them
            await _send_one(link, report, numbered=True)
        return None
    keys = {report.row.number: report.key for report in batch}
    try:
        for number, why in parse_refusals(answer).items():
            _log_rejected(keys.get(number, "?"), why)
    except WireError as error:
        _log.warning("the cloud's answer to a batch of reports is not read: %s", error)
    return None


async def _send_one(link: Link, report: Report, *, numbered: bool) -> None:
    row = report.row
    if numbered and row.epoch is not None:
        payload = numbered_payload(row.epoch, _numbered(report))
    else:
        payload = report_payload(report.data)
    try:
        await link.send(payload)
    except ReportRejectedError as error:
        # The cloud would reject the same report again, so it must not block later reports.
        _log_rejected(report.key, str(error))


def _log_rejected(key: str, why: str) -> None:
    _log.error("the cloud rejects a report of %s, dropped: %s", key, why)


def _numbered(report: Report) -> NumberedReport:
    row = report.row
    return NumberedReport(row.number or 0, report.data, row.time, report.late)
