"""The announcement by mDNS: found by a real browser on loopback, over changes of the network, beside a namesake."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import socket
import sys
from collections.abc import AsyncIterator
from typing import Any

import pytest

from agent.local.announce import Service, announce
from agent.local.doors import HTTPS
from agent.local.sockets import LocalAccessError
from machine.network import NetworkInfo
from tests.agent.parts import DEADLINE, until
from tests.extras import require

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
LOOK_SECONDS = 15.0

SERVICE = Service(HTTPS, 8443, {"path": "/resource", "sha256": "ab" * 32})
OURS = NetworkInfo("WIFI", "b8:27:eb:12:34:56", "127.0.0.1")


class Seeker:
    """A program at home: what it has found, and what has gone."""

    def __init__(self, kind: str) -> None:
        self._module = importlib.import_module("zeroconf.asyncio")
        self.kind = kind
        self.found: asyncio.Queue[str] = asyncio.Queue()
        self.gone: asyncio.Queue[str] = asyncio.Queue()

    def note(self, name: str, state_change: object, **_: object) -> None:
        if "Added" in str(state_change):
            self.found.put_nowait(name)
        if "Removed" in str(state_change):
            self.gone.put_nowait(name)

    async def next(self) -> Any:
        async with asyncio.timeout(DEADLINE):
            return await self.zeroconf.async_get_service_info(self.kind, await self.found.get())

    @contextlib.asynccontextmanager
    async def looking(self) -> AsyncIterator[Seeker]:
        self.zeroconf = self._module.AsyncZeroconf(interfaces=["127.0.0.1"])
        browser = self._module.AsyncServiceBrowser(
            self.zeroconf.zeroconf, self.kind, handlers=[self.note]
        )
        yield self
        await browser.async_cancel()
        await self.zeroconf.async_close()


@contextlib.asynccontextmanager
async def announcing(service: Service, *arguments: Any) -> AsyncIterator[asyncio.Task[None]]:
    task = asyncio.create_task(announce(service, *arguments))
    yield task
    task.cancel()
    await asyncio.wait([task])


async def test_a_program_finds_the_machine_and_the_fingerprint_of_its_certificate(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require("zeroconf")
    monkeypatch.setattr(socket, "gethostname", lambda: "box")
    async with Seeker(HTTPS).looking() as seeker:
        async with announcing(SERVICE, "127.0.0.1", lambda: OURS):
            found = await seeker.next()
            assert (found.port, found.parsed_addresses()) == (8443, ["127.0.0.1"])
            assert found.properties == {b"path": b"/resource", b"sha256": b"ab" * 32}
            assert found.server == "box-123456.local."
        async with asyncio.timeout(DEADLINE):
            assert await seeker.gone.get() == found.name


async def test_another_address_is_announced_in_place_of_the_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    other = NetworkInfo("WIFI", OURS.mac, "127.0.0.2")
    networks, turn, told = [OURS, OURS, other], asyncio.Event(), list[str]()

    async def announce_at(_service: Service, own: str, _label: str, *, everywhere: bool) -> None:
        assert everywhere
        told.append(f"+{own}")
        try:
            await asyncio.Event().wait()
        finally:
            told.append(f"-{own}")

    async def sleep(_seconds: float) -> None:
        await turn.wait()
        turn.clear()

    def look() -> NetworkInfo:
        return networks[0] if len(networks) == 1 else networks.pop(0)

    monkeypatch.setattr("agent.local.announce._announce_at", announce_at)
    async with announcing(SERVICE, "0.0.0.0", look, sleep):
        await until(lambda: told == ["+127.0.0.1"])
        turn.set()  # the same network
        await until(lambda: len(networks) == 1)
        assert told == ["+127.0.0.1"]
        turn.set()  # another one
        await until(lambda: len(told) == 3)
    assert told == ["+127.0.0.1", "-127.0.0.1", "+127.0.0.2", "-127.0.0.2"]


async def test_a_network_that_is_not_there_yet_is_waited_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    networks = [NetworkInfo("none"), NetworkInfo("none"), OURS]
    waits: list[float] = []

    async def sleep(seconds: float) -> None:
        waits.append(seconds)

    with pytest.raises(LocalAccessError, match="zeroconf is missing"):
        await announce(SERVICE, "0.0.0.0", lambda: networks.pop(0), sleep)
    assert (waits[:2], networks) == ([LOOK_SECONDS] * 2, [])


async def test_without_the_extra_or_the_address_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    if importlib.util.find_spec("zeroconf") is not None:
        with pytest.raises(LocalAccessError, match="not announced: "):
            await announce(SERVICE, "203.0.113.9", lambda: OURS)
    monkeypatch.setitem(sys.modules, "zeroconf", None)
    with pytest.raises(LocalAccessError, match=r"pip install 'story-agent\[mdns\]'"):
        await announce(SERVICE, "127.0.0.1", lambda: OURS)
