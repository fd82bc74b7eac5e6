"""A device whose token is renewed is cut off, and only the new token lets it in."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from staging.gateway import renewals
from staging.store import devices
from wire.codes import Code

pytestmark = pytest.mark.one_database


async def test_a_renewed_token_cuts_the_connection_of_before(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(renewals, "LOOK_SECONDS", 0.01)
    scripted = await cloud.register()
    offline = asyncio.Event()

    def look(changed: str) -> None:
        if not cloud.gateway.is_online(changed):
            offline.set()

    cloud.gateway.watch(look)
    old, uuid = cloud.device.token, cloud.device.uuid
    new = cloud.database.call(devices.renew_token, uuid, cloud.clock()).token
    assert new != old
    await scripted.ended()
    async with asyncio.timeout(30):
        await offline.wait()
    again = await cloud.connect()
    assert (await again.register()).code == Code.UNAUTHORIZED
    assert (await again.register(token=new)).code == Code.CONTENT
    await cloud.settle()


def test_renewals_have_growing_numbers_whatever_the_clock_says(cloud: Any) -> None:
    call = cloud.database.call
    other = call(devices.add, "0083000000000b", 0)
    assert call(devices.last_renewal) == 0
    first = call(devices.renew_token, cloud.device.uuid, 100).token_time
    second = call(devices.renew_token, other.uuid, 50).token_time
    assert (first, second) == (100, 101)
    found, last = call(devices.renewed, 0)
    assert [identity.uuid for identity in found] == [cloud.device.uuid, other.uuid]
    assert call(devices.renewed, last) == ([], last)
