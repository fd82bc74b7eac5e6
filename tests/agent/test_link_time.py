"""The link of a machine whose clock is wrong: certificates are judged at trusted time."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from agent.link import CloudLink, LinkState
from agent.settings import LinkSettings
from ota.clock import EARLIEST, TrustedTime
from tests.agent.parts import HOUR, Authority, Cloud, make_profile, until
from transport.framed import Reply, Request
from wire.codes import Code

YEAR = 365 * 86400.0


async def refuse(_request: Request) -> Reply:
    return Reply(Code.NOT_FOUND)


@contextlib.asynccontextmanager
async def running(
    cloud: Cloud, authority: Authority, clock: TrustedTime
) -> AsyncIterator[CloudLink]:
    link = CloudLink(make_profile(cloud.port, authority.pem), LinkSettings(), refuse, clock)
    task = asyncio.create_task(link.run())
    yield link
    task.cancel()
    await asyncio.wait([task])


async def test_a_machine_that_wakes_in_1970_registers(authority: Authority) -> None:
    """The certificate is "not yet valid", by the clock of OpenSSL too; the floor is not later."""
    cloud = Cloud(authority.server_context(start=HOUR / 2))
    await cloud.start()
    async with running(cloud, authority, TrustedTime(wall=lambda: 0.0)) as link:
        await until(link.registered.is_set)
        assert len(cloud.registrations) == 1
    await cloud.stop()


async def test_a_certificate_that_the_floor_outlived_is_refused_at_any_clock(
    cloud: Cloud, authority: Authority
) -> None:
    """A stolen certificate, expired since, and a machine whose clock was set back."""
    clock = TrustedTime(wall=lambda: 0.0)
    clock.note_cloud(EARLIEST + 25 * YEAR)
    async with running(cloud, authority, clock) as link:
        await until(lambda: link.status.state is LinkState.WAITING)
        assert "certificate has expired" in link.status.last_error
        assert cloud.registrations == []


@pytest.mark.parametrize("wrong", ["host", "CA"])
async def test_a_wrong_clock_loosens_nothing_else(authority: Authority, wrong: str) -> None:
    signer = Authority() if wrong == "CA" else authority
    cloud = Cloud(signer.server_context("127.0.0.1" if wrong == "CA" else "127.0.0.2", end=HOUR))
    await cloud.start()
    async with running(cloud, authority, TrustedTime(wall=lambda: 0.0)) as link:
        await until(lambda: link.status.state is LinkState.WAITING)
        assert "the server's certificate is refused" in link.status.last_error
        assert cloud.registrations == []
    await cloud.stop()
