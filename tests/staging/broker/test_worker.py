"""When a worker and the broker's host try again, on a moved clock: soon at first, never later than ten seconds."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from staging.broker.gate import BrokerGate
from staging.broker.host import BrokerHost
from staging.broker.process import BrokerError
from staging.broker.settings import Listeners
from staging.broker.worker import BrokerAddress, Worker
from staging.data_dir import DataDir
from staging.errors import StagingError
from staging.identity.ca import Certificates
from staging.store import devices
from tests.authority import LOOPBACK, Authority
from tests.broker import tls_files
from tests.extras import module_needs
from tests.moved_clock import MovedLoop, on_moved_clock

module_needs("paho.mqtt")

# As half a second doubles, until the longest; chance takes away up to a half.
WAITS = (0.5, 1, 2, 4, 8, 10, 10, 10, 10, 10)


class Tries:
    """What is tried again and again, and fails."""

    def __init__(self) -> None:
        self.at: list[float] = []
        self.enough = asyncio.Event()
        self._loop = asyncio.get_running_loop()

    def note(self) -> None:
        """Note one, from any thread."""
        self.at.append(time.monotonic())
        if len(self.at) > len(WAITS):
            self._loop.call_soon_threadsafe(self.enough.set)

    @property
    def waits(self) -> list[float]:
        return [after - before for before, after in itertools.pairwise(self.at)]

    def check(self) -> None:
        assert len(self.waits) >= len(WAITS)
        for waited, most in zip(self.waits, WAITS, strict=False):
            assert most / 2 <= waited <= most


@asynccontextmanager
async def running(work: Any) -> AsyncIterator[None]:
    task = asyncio.create_task(work)
    try:
        yield
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def worker(address: Any) -> Worker:
    return Worker(cast("BrokerGate", SimpleNamespace(deliver=print)), "w", address)


@on_moved_clock
async def test_a_worker_without_a_broker_tries_again_within_ten_seconds() -> None:
    tries = Tries()

    def address() -> BrokerAddress:
        tries.note()
        raise StagingError("no broker runs on this folder")

    async with running(worker(address).run()):
        await tries.enough.wait()
    tries.check()


@pytest.mark.parametrize(("lasted", "most"), [(29.0, 8.0), (31.0, 0.5)])
def test_what_lasted_half_a_minute_begins_with_the_shortest_wait(
    lasted: float, most: float
) -> None:
    @on_moved_clock
    async def run() -> None:
        tries, loop = Tries(), asyncio.get_running_loop()
        assert isinstance(loop, MovedLoop)

        def address() -> BrokerAddress:
            tries.note()
            if len(tries.at) == 5:
                loop.moved += lasted
            raise StagingError("the broker has ended")

        async with running(worker(address).run()):
            await tries.enough.wait()
        assert most / 2 <= tries.waits[4] - lasted <= most

    run()


@on_moved_clock
async def test_a_broker_that_says_nothing_is_given_up_after_15_s(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    files, tries = tls_files(tmp_path / "tls", Authority()), Tries()
    again = asyncio.Event()
    loop = asyncio.get_running_loop()
    silent = await asyncio.start_server(lambda *_both: None, LOOPBACK, 0)
    port = silent.sockets[0].getsockname()[1]

    def address() -> BrokerAddress:
        tries.note()
        if len(tries.at) == 2:
            loop.call_soon_threadsafe(again.set)
        return BrokerAddress(LOOPBACK, port, files.ca, "p")

    async with running(worker(address).run()):
        await again.wait()
    silent.close()
    assert 15.2 <= tries.waits[0] <= 15.6
    assert "no answer within 15 s" in caplog.text


class Dying:
    """A broker that ends as soon as it has begun."""

    def __init__(self, refused: int = 0) -> None:
        self.tries, self._refused = Tries(), refused

    async def start(self, _users: object) -> None:
        self.tries.note()
        if len(self.tries.at) <= self._refused:
            raise BrokerError("the port is taken")

    async def ended(self) -> str:
        return "mosquitto ended"


def host(folder: Path, broker: Dying, monkeypatch: pytest.MonkeyPatch) -> BrokerHost:
    async def read(asked: object, *_words: object) -> object:
        return ([], 0) if asked is devices.renewed else []

    monkeypatch.setattr("staging.broker.host.Mosquitto", lambda *_words: broker)
    files = Certificates(*(folder / name for name in ("ca", "server", "key")))
    database: Any = SimpleNamespace(read=read)
    return BrokerHost(database, DataDir(folder), Listeners(LOOPBACK, 1, 2), files)


@on_moved_clock
async def test_a_broker_that_dies_each_time_is_started_again_within_ten_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broker = Dying(refused=4)
    broker.tries.note()  # it dies now
    async with running(host(tmp_path, broker, monkeypatch).run()):
        await broker.tries.enough.wait()
    broker.tries.check()


@on_moved_clock
async def test_a_port_that_is_taken_is_tried_six_times_in_three_seconds(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broker").mkdir()
    broker = Dying(refused=5)
    await host(tmp_path, broker, monkeypatch).start()
    assert broker.tries.waits == [0.5] * 5
    broker = Dying(refused=6)
    with pytest.raises(BrokerError, match="the port is taken"):
        await host(tmp_path, broker, monkeypatch).start()
    assert len(broker.tries.at) == 6
