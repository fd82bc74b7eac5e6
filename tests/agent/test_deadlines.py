"""The agent's deadlines and intervals as its documents have them, on a moved clock; a test sets none of them.

No expectation is taken from the constant it checks: the numbers stand in docs/link.md, docs/playing.md, docs/ota.md and
the device protocol.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from typing import ClassVar

import pytest

from agent.link import LinkState, LostError, RegistrationRefusedError, TlsError
from agent.link.build import build_link
from agent.link.opening import Opener, tls_context
from agent.link.pace import Pace
from agent.settings import LinkSettings
from agent.updates.health import Health
from agent.watch import Watcher
from base.clock import TrustedTime
from machine.mixers import StandInMixer
from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from resources.loudness.steps import level_of
from resources.points.volume import VolumePoint
from tests.agent.parts import Cloud, make_profile
from tests.authority import Authority
from tests.moved_clock import Since, on_moved_clock
from tests.resources.parts import LoudBench, level_on
from wire.codes import Code
from wire.datapoints import Value
from wire.exchange import Answer, Request
from wire.story_points import VOLUME

NEAR = 0.6


async def refuse(_request: Request) -> Answer:
    return Answer(Code.NOT_FOUND)


async def unheard(_name: str, _value: Value) -> None:
    """A change that nobody is told of."""


class Hung(DataPoint):
    """Takes an order and never ends."""

    description: ClassVar = VOLUME

    async def get(self) -> Value:
        return 5

    async def put(self, _value: Value) -> None:
        await asyncio.Event().wait()


@on_moved_clock
async def test_an_order_that_a_handler_does_not_end_is_refused_after_8_s() -> None:
    """The cloud waits 10 s, and the answer has to reach it."""
    since = Since()
    answer = await Dispatch([Hung()], unheard).request("PUT", "volume", "3")
    assert answer.code is Code.SERVICE_UNAVAILABLE
    assert since.seconds == pytest.approx(8.0, abs=NEAR)


@on_moved_clock
async def test_a_turned_knob_is_reported_within_a_minute() -> None:
    told: list[tuple[float, Value]] = []
    mixer, since = StandInMixer(), Since()

    async def tell(_name: str, value: Value) -> None:
        told.append((since.seconds, value))

    bench = LoudBench(level_on(mixer))
    watcher = Watcher(Dispatch([VolumePoint(bench.loudness)], unheard), tell)
    running = asyncio.create_task(watcher.run())
    await asyncio.sleep(1)
    assert [value for _when, value in told] == [8]
    await mixer.put({"": level_of(4)})
    turned = since.seconds
    await asyncio.sleep(61)
    running.cancel()
    assert [value for _when, value in told] == [8, 4]
    assert told[-1][0] - turned <= 60.0


@on_moved_clock
async def test_a_health_check_is_asked_again_after_1_2_4_8_and_then_every_15_s() -> None:
    since, asked = Since(), list[int]()

    async def dark() -> str | None:
        asked.append(round(since.seconds))
        return None if len(asked) == 7 else "dark"

    await Health([("lamp", dark)]).wait_until_passed()
    assert asked == [0, 1, 3, 7, 15, 30, 45]


@on_moved_clock
async def test_the_link_says_alive_every_55_s(authority: Authority) -> None:
    cloud = Cloud(authority.server_context())
    await cloud.start()
    link = build_link(
        make_profile(cloud.port, authority.pem), LinkSettings(), refuse, TrustedTime()
    )
    running = asyncio.create_task(link.run())
    await link.registered.wait()
    said = []
    for _second in range(170):
        await asyncio.sleep(1)
        said.append(sum("alive" in report for report in cloud.reports))
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await cloud.stop()
    changes = [n for n in range(1, len(said)) if said[n] != said[n - 1]]
    assert changes
    steps = [later - earlier for earlier, later in itertools.pairwise(changes)]
    assert all(54 <= step <= 56 for step in steps), changes


@on_moved_clock
async def test_a_cloud_that_begins_no_tls_is_given_up_after_15_s(authority: Authority) -> None:
    async def hold(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(4096):
            pass
        writer.close()

    async with await asyncio.start_server(hold, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        since = Since()
        opener = Opener(
            "127.0.0.1", port, tls_context(authority.pem),
            LinkSettings().connect_timeout_seconds, TrustedTime(),
        )  # fmt: skip
        with pytest.raises(TlsError):
            await opener.open()
        assert since.seconds == pytest.approx(15.0, abs=NEAR)


@on_moved_clock
async def test_a_report_that_nobody_answers_ends_the_link_after_20_s(authority: Authority) -> None:
    cloud = Cloud(authority.server_context())
    await cloud.start()
    link = build_link(
        make_profile(cloud.port, authority.pem), LinkSettings(), refuse, TrustedTime()
    )
    running = asyncio.create_task(link.run())
    await link.registered.wait()
    cloud.connections[0]._writer.transport.pause_reading()  # type: ignore[attr-defined]
    since = Since()
    with pytest.raises(LostError):
        await link.report({"volume": 3})
    assert since.seconds == pytest.approx(20.0, abs=NEAR)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert link.status.state is LinkState.STOPPED
    await cloud.stop()


def test_tries_wait_half_a_second_and_double_to_a_minute() -> None:
    pace = Pace(LinkSettings(), rng=random.Random(1))  # no secret
    waits = [pace.wait_after(LostError("cut"), None) for _ in range(40)]
    assert 0.25 <= waits[0] <= 0.5
    assert all(wait <= 60.0 for wait in waits)
    assert max(waits[10:]) > 45.0
    assert min(waits[10:]) >= 30.0


def test_a_refusal_waits_two_and_a_half_to_five_minutes() -> None:
    pace = Pace(LinkSettings(), rng=random.Random(1))  # no secret
    waits = [pace.wait_after(RegistrationRefusedError("4.01"), None) for _ in range(100)]
    assert min(waits) >= 150.0
    assert max(waits) <= 300.0
    assert max(waits) - min(waits) > 100.0


def test_links_that_lived_come_back_within_12_s() -> None:
    pace = Pace(LinkSettings(), rng=random.Random(1))  # no secret
    waits = [pace.wait_after(LostError("restart"), 31.0) for _ in range(100)]
    assert max(waits) <= 12.0
    assert max(waits) - min(waits) > 9.0
