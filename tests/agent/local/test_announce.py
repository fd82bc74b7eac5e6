"""The announcement by mDNS: found by a real browser on loopback, and what is missing is said."""

from __future__ import annotations

import asyncio
import importlib
import logging
import sys

import pytest

from agent.local.announce import SERVICE, announce
from tests.agent.parts import DEADLINE
from tests.extras import require


async def test_a_program_finds_the_machine_and_the_fingerprint_of_its_certificate() -> None:
    require("zeroconf")
    asyncio_part = importlib.import_module("zeroconf.asyncio")
    names: asyncio.Queue[str] = asyncio.Queue()

    def note(name: str, state_change: object, **_: object) -> None:
        if "Added" in str(state_change):
            names.put_nowait(name)

    task = asyncio.create_task(announce(8443, "ab" * 32, "127.0.0.1"))
    seeker = asyncio_part.AsyncZeroconf(interfaces=["127.0.0.1"])
    browser = asyncio_part.AsyncServiceBrowser(seeker.zeroconf, SERVICE, handlers=[note])
    async with asyncio.timeout(DEADLINE):
        found = await seeker.async_get_service_info(SERVICE, await names.get())
    assert (found.port, found.parsed_addresses()) == (8443, ["127.0.0.1"])
    assert found.properties == {b"path": b"/resource", b"sha256": b"ab" * 32}
    await browser.async_cancel()
    task.cancel()
    await asyncio.wait([task])
    await seeker.async_close()


async def test_without_the_extra_it_is_said_and_nothing_else_happens(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    caplog.set_level(logging.ERROR)
    await announce(8443, "ab" * 32, "127.0.0.1")
    assert "pip install 'story-agent[mdns]'" in caplog.text
