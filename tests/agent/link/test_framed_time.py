"""The link of a machine whose clock is wrong: certificates are checked against trusted time."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.link import Link, LinkState
from agent.link.build import build_link
from agent.settings import LinkSettings
from base.clock import EARLIEST, TimeSource, TrustedTime
from tests.agent.parts import Cloud, make_profile, until
from tests.authority import HOUR, Authority
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.reports import registration_answer

YEAR = 365 * 86400.0


async def refuse(_request: Request) -> Answer:
    return Answer(Code.NOT_FOUND)


@contextlib.asynccontextmanager
async def running(cloud: Cloud, authority: Authority, clock: TrustedTime) -> AsyncIterator[Link]:
    link = build_link(make_profile(cloud.port, authority.pem), LinkSettings(), refuse, clock)
    task = asyncio.create_task(link.run())
    yield link
    task.cancel()
    await asyncio.wait([task])


async def test_a_machine_that_wakes_in_1970_registers(authority: Authority) -> None:
    """The certificate is "not yet valid", by OpenSSL's clock too; the floor is not later."""
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


async def said(authority: Authority, payload: bytes, clock: TrustedTime) -> None:
    """Register at a cloud that answers with ``payload``."""
    cloud = Cloud(authority.server_context(end=2 * HOUR))
    cloud.answer = lambda _request: Answer(Code.CONTENT, payload)
    await cloud.start()
    async with running(cloud, authority, clock) as link:
        await until(link.registered.is_set)
    await cloud.stop()


async def test_a_machine_learns_the_time_from_its_cloud_and_keeps_it(
    authority: Authority, tmp_path: Path
) -> None:
    now, path = time.time(), tmp_path / "time.json"
    await said(
        authority,
        registration_answer(int(now * 1000), frozenset()),
        TrustedTime(path, wall=lambda: 0.0),
    )
    floor, source = TrustedTime(path, wall=lambda: 0.0).floor()
    assert (floor >= int(now), source) == (True, TimeSource.CLOUD)


@pytest.mark.parametrize("payload", [b"", b"OK", b'{"time": "now"}', b'{"time": 1}', b"\xff"])
async def test_a_cloud_that_tells_no_time_is_as_good(authority: Authority, payload: bytes) -> None:
    clock = TrustedTime(wall=lambda: 0.0)
    await said(authority, payload, clock)
    assert clock.floor()[1] is TimeSource.BUILD


async def test_a_time_after_its_own_certificates_end_closes_no_cloud_out(
    authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    clock = TrustedTime(wall=lambda: 0.0)
    await said(authority, registration_answer(int(time.time() + 86400) * 1000, frozenset()), clock)
    assert clock.floor()[1] is TimeSource.BUILD
    assert "after its certificate's end: ignored" in caplog.text
