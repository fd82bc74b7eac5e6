"""What devices are told of their families: who reads it, when, and again when it was not taken."""

from __future__ import annotations

import json
from typing import Any

import pytest

from staging.store import bind_tokens, devices
from staging.store.bind_tokens import Renewal
from wire.codes import Code
from wire.exchange import Answer
from wire.family import Spoken, erase_report

UUID = "0083000000000a"

pytestmark = pytest.mark.one_database
TAKEN, FULL = Answer(Code.CHANGED), Answer(Code.SERVICE_UNAVAILABLE, b"no space left")


async def reading(cloud: Any, answer: Answer = TAKEN) -> Any:
    """Return a device that reads what concerns its family."""
    device = await cloud.register(answers={("PUT", "family"): answer})
    await device.report({"device_info": {"uuid": UUID, "reads": ["family"]}})
    return device


async def told(cloud: Any, device: Any) -> dict[str, Any]:
    request = await device.expect("PUT", "family")
    await cloud.settle()
    return dict(json.loads(request.payload))


def renewal(cloud: Any) -> Renewal:
    return bind_tokens.renewal_of(cloud.database.call(devices.get, UUID))


def unbind(cloud: Any) -> None:
    cloud.database.call(devices.unbind, cloud.device.id, cloud.clock())


async def test_a_device_is_told_for_how_long_its_voice_is_kept(cloud: Any) -> None:
    cloud.gateway.family.voice_days = 30
    assert await told(cloud, await reading(cloud)) == {"voiceDays": 30}


async def test_other_firmware_is_told_nothing_and_the_operator_hears_of_it(cloud: Any) -> None:
    device = await cloud.register()
    await device.report({"device_info": {"uuid": UUID, "reads": ["deadline"]}})
    cloud.bind()
    unbind(cloud)
    cloud.gateway.family.note_change(UUID)
    await cloud.gateway.family.look()
    await cloud.settle()
    assert device.asked.empty()
    assert renewal(cloud) is Renewal.CANNOT


async def test_a_device_that_was_away_is_told_when_it_is_back(cloud: Any) -> None:
    first = await reading(cloud)
    await told(cloud, first)
    await first.close()
    cloud.bind()
    unbind(cloud)
    cloud.gateway.family.note_change(UUID)
    again = await told(cloud, await reading(cloud))
    assert (len(again["bindToken"]), again["since"]) == (32, cloud.clock())
    assert renewal(cloud) is Renewal.DONE
    assert cloud.database.call(devices.get, UUID).bind_token == again["bindToken"]


async def test_a_device_whose_card_takes_nothing_keeps_its_token_and_is_told_later(
    cloud: Any,
) -> None:
    device = await reading(cloud, FULL)
    await told(cloud, device)
    cloud.bind()
    unbind(cloud)
    await cloud.gateway.family.look()
    first = await told(cloud, device)
    assert renewal(cloud) is Renewal.WAITING
    await cloud.gateway.family.look()  # a short while later it is left alone
    await cloud.settle()
    assert device.asked.empty()
    device.answers["PUT", "family"] = TAKEN
    for _ in range(60):
        await cloud.gateway.family.look()
    assert await told(cloud, device) == first
    assert renewal(cloud) is Renewal.DONE


async def test_a_device_that_went_while_it_was_told_is_not_left_alone_when_it_is_back(
    cloud: Any,
) -> None:
    device = await reading(cloud, FULL)
    await told(cloud, device)
    cloud.bind()
    unbind(cloud)
    await cloud.gateway.family.look()
    await told(cloud, device)
    await device.close()
    back = await reading(cloud, FULL)
    first = await told(cloud, back)
    back.answers["PUT", "family"] = TAKEN
    await cloud.gateway.family.look()
    assert await told(cloud, back) == first
    assert renewal(cloud) is Renewal.DONE


async def test_a_device_that_shows_another_token_is_given_the_right_one(cloud: Any) -> None:
    """Its card was replaced: it shows the token of its profile."""
    device = await reading(cloud)
    await told(cloud, device)
    cloud.bind()
    unbind(cloud)
    cloud.gateway.family.note_change(UUID)
    new = (await told(cloud, device))["bindToken"]
    await device.report({"device_info": {"uuid": UUID, "bindToken": cloud.device.bind_token}})
    assert cloud.database.call(devices.get, UUID).bind_token_differs
    await cloud.gateway.family.look()
    assert (await told(cloud, device))["bindToken"] == new
    assert not cloud.database.call(devices.get, UUID).bind_token_differs


@pytest.mark.parametrize(
    ("is_done", "code"), [(True, Code.CHANGED), (False, Code.SERVICE_UNAVAILABLE)]
)
async def test_a_machine_hears_that_voice_is_erased_when_it_is(
    cloud: Any,
    is_done: bool,  # noqa: FBT001  # a column of the table
    code: Code,
) -> None:
    async def erase_rest() -> bool:
        return is_done

    cloud.gateway.erase_rest = erase_rest
    device = await cloud.register()
    answer = await device.report(erase_report([Spoken(10_001, cloud.clock())]))
    assert answer.code == code
