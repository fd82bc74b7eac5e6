"""An update's end and a value on a full disk: told at once when the link is up, over both cloud links."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from agent.link.build import build_link
from agent.link.delivery import deliver
from agent.link.outbox import Outbox, OutboxError
from agent.settings import LinkKind, LinkSettings
from base.clock import TrustedTime
from ota.order.reports import UpdateReports
from tests.agent.parts import TOKEN, UUID, Cloud, make_profile, until
from tests.agent.test_full_disk import full_disk
from tests.authority import Authority
from tests.broker import MqttCloud, broker
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.ota import OtaEvent


async def refuse(_request: Request) -> Answer:
    return Answer(Code.NOT_FOUND)


@pytest.fixture(params=["coap", "mqtt"])
async def linked(
    request: pytest.FixtureRequest, cloud: Cloud, authority: Authority, tmp_path: Path
) -> AsyncIterator[tuple[Any, Any]]:
    """Yield a link that is up, and the cloud that it reached."""
    if request.param == "coap":
        profile, settings = make_profile(cloud.port, authority.pem), LinkSettings()
        async for each in up(profile, settings, cloud):
            yield each
        return
    async with broker(tmp_path / "b", authority, {UUID: TOKEN}) as made:
        behind = MqttCloud(made, authority.client_context())
        await behind.start()
        settings = LinkSettings(kind=LinkKind.MQTT, mqtt_port=made.listeners.port)
        async for each in up(make_profile(1, authority.pem), settings, behind):
            yield each
        await behind.stop()


async def up(profile: Any, settings: LinkSettings, cloud: Any) -> AsyncIterator[tuple[Any, Any]]:
    link = build_link(profile, settings, refuse, TrustedTime())
    task = asyncio.create_task(link.run())
    await until(link.registered.is_set)
    yield link, cloud
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_what_a_full_disk_does_not_take_is_told_past_it(
    linked: tuple[Any, Any], tmp_path: Path
) -> None:
    link, cloud = linked
    outbox = Outbox(tmp_path / "outbox.sqlite", 10**6)
    await outbox.open()

    async def report(key: str, value: Mapping[str, object], *, once: str | None = None) -> None:
        try:
            await outbox.put(key, value, once=once)
        except OutboxError as error:  # as `agent.updates.glue` does
            raise OSError(str(error)) from error

    end = UpdateReports(report, "77")
    delivering = asyncio.create_task(deliver(outbox, link))
    with full_disk():
        with pytest.raises(OSError, match="outbox"):
            await end.final(OtaEvent.INSTALLED, None)
        await outbox.put("volume", 9)
        await until(lambda: len(cloud.reports) >= 2)
        assert outbox.status()["trouble"]
    assert [next(iter(report)) for report in cloud.reports] == ["ota_event", "volume"]
    assert cloud.reports[0]["ota_event"]["event"] == OtaEvent.INSTALLED
    await end.final(OtaEvent.INSTALLED, None)  # the updater repeats it until the disk has it
    await until(outbox.emptied.is_set)
    assert len(cloud.reports) == 2
    delivering.cancel()
    await asyncio.gather(delivering, return_exceptions=True)
    await outbox.close()
