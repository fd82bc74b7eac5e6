"""What a session does with requests that are not answered, or not in time."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from staging.errors import AnswerLostError, DeviceOfflineError, DeviceSilentError
from staging.gateway.gateway import Limits
from wire.codes import Code
from wire.exchange import Answer
from wire.reports import parse_alive_answer

UUID = "0083000000000a"
SHORT = Limits(registration=30, control=0.2, idle=30)


async def reading_deadlines(cloud: Any, **options: Any) -> Any:
    device = await cloud.register(**options)
    await device.report({"device_info": {"uuid": UUID, "reads": ["deadline"]}})
    return device


async def put(cloud: Any) -> tuple[str, str]:
    answer: tuple[str, str] = await cloud.gateway.control(UUID, "volume", "PUT", "5")
    return answer


@pytest.mark.parametrize("limits", [Limits(registration=30, control=7, idle=30)])
async def test_a_device_that_reads_deadlines_is_told_one_in_the_time_that_it_was_told(
    cloud: Any,
) -> None:
    changed = {("PUT", "volume"): Answer(Code.CHANGED)}
    device = await reading_deadlines(cloud, answers=changed)
    told = parse_alive_answer((await device.report({"alive": 0})).payload)
    assert told is not None
    assert told.time_ms >= cloud.clock.now
    assert not told.twin
    cloud.clock.now += 86_400_000  # our clock is set: no deadline moves
    await put(cloud)
    await put(cloud)
    first, second = await device.expect("PUT", "volume"), await device.expect("PUT", "volume")
    assert told.time_ms <= first.until_ms - 7000 < told.time_ms + 60_000
    assert len(first.id) == len(second.id) == 8
    assert first.id != second.id


async def test_older_firmware_is_sent_what_the_document_has(cloud: Any) -> None:
    device = await cloud.register(answers={("PUT", "volume"): Answer(Code.CHANGED)})
    assert (await device.report({"alive": 0})).payload == b""
    await put(cloud)
    request = await device.expect("PUT", "volume")
    assert (request.until_ms, request.id) == (None, b"")


@pytest.mark.parametrize("limits", [SHORT])
async def test_a_connection_that_leaves_a_put_unanswered_is_dropped(cloud: Any) -> None:
    device = await cloud.register()
    device.silent.set()
    with pytest.raises(DeviceSilentError, match=r"^sent, no answer: .* is silent"):
        await put(cloud)
    await device.ended()
    with pytest.raises(DeviceOfflineError):
        await put(cloud)


@pytest.mark.parametrize("limits", [SHORT])
async def test_a_read_that_is_not_answered_changes_nothing_and_drops_nothing(cloud: Any) -> None:
    device = await cloud.register()
    device.silent.set()
    with pytest.raises(DeviceSilentError):
        await cloud.gateway.control(UUID, "volume", "GET", None)
    assert cloud.gateway.is_online(UUID)


async def test_an_answer_that_a_cut_lost_is_told_as_such(cloud: Any) -> None:
    device = await cloud.register()
    device.silent.set()
    asked = asyncio.create_task(put(cloud))
    await device.expect("PUT", "volume")
    device.connection.abort()
    with pytest.raises(AnswerLostError, match=r"^sent, no answer: .* after the request was sent"):
        await asked


async def test_what_a_device_refuses_as_too_late_is_a_device_that_did_not_answer(
    cloud: Any,
) -> None:
    late = Answer(Code.SERVICE_UNAVAILABLE, b"too late: PUT /volume: it came 3 s after")
    await reading_deadlines(cloud, answers={("PUT", "volume"): late})
    with pytest.raises(DeviceSilentError, match="too late"):
        await put(cloud)
    assert cloud.gateway.is_online(UUID)


async def test_since_when_a_device_is_not_asked_is_told_of_one_that_answers_no_questions(
    cloud: Any,
) -> None:
    assert cloud.gateway.sessions.unasked_since(UUID) is None  # it is not here
    device = await cloud.register()
    registered = cloud.clock.now
    assert cloud.gateway.sessions.unasked_since(UUID) == registered
    cloud.clock.now += 60_000
    await device.report({"device_info": {"uuid": UUID, "reads": ["deadline"]}})
    assert cloud.gateway.sessions.unasked_since(UUID) == registered
    await device.report({"device_info": {"uuid": UUID, "reads": ["deadline", "ping"]}})
    assert cloud.gateway.sessions.unasked_since(UUID) is None
