"""What a broker hands over as soon as a machine is back: nothing too late, and nothing that another process has done."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

import agent.link.mqtt_session
from agent.link.build import build_link
from agent.link.guard import CloudTime, Guard
from agent.link.mqtt_requests import CloudRequests
from agent.settings import LinkKind, LinkSettings
from base.clock import TrustedTime
from tests.agent.parts import DEADLINE, TOKEN, UUID, make_profile
from tests.authority import Authority
from tests.broker import MqttCloud, broker
from tests.extras import require
from wire.codes import Code
from wire.exchange import TOO_LATE, Answer, Handler, Request

NOW_MS = 1_800_000_000_000


async def test_a_request_is_judged_when_the_clouds_time_is_known() -> None:
    require("paho")
    from transport.mqtt import MqttMessage

    asked: list[Request] = []
    replies: list[Answer] = []

    async def handler(request: Request) -> Answer:
        asked.append(request)
        return Answer(Code.CHANGED)

    async def reply(_topic: str, _correlation: bytes, answer: Answer) -> None:
        replies.append(answer)

    begun, time = asyncio.Event(), CloudTime(lambda: 0.0)
    requests = CloudRequests(UUID, Guard(handler), time, begun)

    def serve(number: int, until_ms: int) -> asyncio.Task[None]:
        properties = (("method", "PUT"), ("path", "volume"), ("until", str(until_ms)))
        there, name = f"story/{UUID}/up/answer/w", b"%d" % number
        message = MqttMessage("", b"3", 1, number, False, there, name, properties)
        return asyncio.create_task(requests.serve(message, reply))

    # They come with the connection, before the registration is answered.
    serving = [serve(1, NOW_MS - 1), serve(2, NOW_MS + 5000)]
    await asyncio.sleep(0)
    time.note(NOW_MS, 0.0)
    begun.set()
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*serving)
    assert [request.until_ms for request in asked] == [NOW_MS + 5000]
    assert [answer.code for answer in replies] == [Code.SERVICE_UNAVAILABLE, Code.CHANGED]
    assert replies[0].text.startswith(TOO_LATE)


async def test_what_a_process_was_handed_is_not_done_again_by_the_next_one(
    tmp_path: Path, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    # The first one dies while it works: the broker has no acknowledgement, and keeps the request for this device.
    monkeypatch.setattr(agent.link.mqtt_session, "END_TIMEOUT", 0.0)
    begun = asyncio.Event()
    asked: list[str] = []

    async def first(request: Request) -> Answer:
        asked.append(request.method)
        begun.set()
        await asyncio.Event().wait()
        raise AssertionError

    async def second(request: Request) -> Answer:
        asked.append(request.method)
        return Answer(Code.CONTENT)

    async with broker(tmp_path, authority, {UUID: TOKEN}) as made:
        cloud = MqttCloud(made, authority.client_context())
        await cloud.start()

        async def start(handler: Handler) -> asyncio.Task[None]:
            settings = LinkSettings(kind=LinkKind.MQTT, mqtt_port=made.listeners.port)
            link = build_link(make_profile(1, authority.pem), settings, handler, TrustedTime())
            running = asyncio.create_task(link.run())
            async with asyncio.timeout(DEADLINE):
                await link.registered.wait()
            return running

        process = await start(first)
        asking = asyncio.create_task(cloud.ask("PUT", "play", b"next"))
        await begun.wait()
        process.cancel()
        await asyncio.gather(process, return_exceptions=True)
        process = await start(second)
        assert (await cloud.ask("GET", "play")).code == Code.CONTENT
        assert asked == ["PUT", "GET"]
        for task in (process, asking):
            task.cancel()
        await asyncio.gather(process, asking, return_exceptions=True)
        await cloud.stop()
