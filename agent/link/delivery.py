"""Sends the reports in the outbox to the cloud, in order, one at a time."""

from __future__ import annotations

import asyncio
import logging

from agent.link import Link, LinkError, ReportRejectedError
from agent.link.outbox import Outbox, OutboxError
from base.backoff import Backoff

RETRY_MAX_SECONDS = 60.0

_log = logging.getLogger(__name__)


async def deliver(outbox: Outbox, link: Link) -> None:
    """Deliver until cancelled; a report is removed only after the cloud has answered it."""
    backoff = Backoff(RETRY_MAX_SECONDS)
    while True:
        await link.registered.wait()
        await outbox.filled.wait()
        try:
            await _deliver_head(outbox, link)
        except LinkError:
            # The link paces its own retries: `registered` stays cleared until it is up again.
            await asyncio.sleep(backoff.next())
        except OutboxError as error:
            _log.error("%s", error)
            await asyncio.sleep(backoff.next())
        else:
            backoff.reset()


async def _deliver_head(outbox: Outbox, link: Link) -> None:
    report = await outbox.head()
    if report is None:
        return
    try:
        await link.report(report.data)
    except ReportRejectedError as error:
        # The cloud would reject the same report again, so it must not block later reports.
        _log.error("the cloud rejects a report of %s, dropped: %s", report.key, error)
    await outbox.remove(report)
