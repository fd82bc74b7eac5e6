"""The way to a device's ear, over real TLS: only to devices that read it, once, and never in anybody's way."""

from __future__ import annotations

from typing import Any

import pytest

from staging.errors import DeviceOfflineError, NotSupportedError
from staging.gateway import ear as module
from staging.gateway.ear import Ear
from wire.answers import Result, UtteranceAnswer, parse_answer
from wire.codes import Code
from wire.exchange import Answer

UUID = "0083000000000a"
DONE = UtteranceAnswer(10001, Result.DONE)


async def reading(cloud: Any, *names: str, **answers: Answer) -> Any:
    """Register a device that says that it reads ``names``."""
    table = {tuple(key.split("_")): answer for key, answer in answers.items()}
    device = await cloud.register(answers=table)
    await device.report({"device_info": {"uuid": UUID, "reads": list(names)}})
    return device


async def test_a_device_that_reads_it_is_answered(cloud: Any) -> None:
    device = await reading(cloud, "answer", PUT_answer=Answer(Code.CHANGED))
    assert await Ear(cloud.gateway.sessions).answer(UUID, DONE)
    request = await device.expect("PUT", "answer")
    assert parse_answer(request.payload) == DONE


async def test_other_firmware_is_sent_nothing(cloud: Any) -> None:
    device = await reading(cloud, "listen")
    ear = Ear(cloud.gateway.sessions)
    assert not await ear.answer(UUID, DONE)
    assert not await ear.answer("0" * 14, DONE)
    assert device.asked.empty()
    assert (
        ear.reads(UUID, "listen"),
        ear.reads(UUID, "answer"),
        ear.reads("0" * 14, "answer"),
    ) == (True, False, False)


async def test_a_device_that_refuses_or_is_silent_costs_a_line_in_the_log(
    cloud: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    device = await reading(cloud, "answer")
    ear = Ear(cloud.gateway.sessions)
    assert not await ear.answer(UUID, DONE)
    assert "the answer is refused: 4.04" in caplog.text
    monkeypatch.setattr(module, "ANSWER_SECONDS", 0.05)
    device.silent.set()
    assert not await ear.answer(UUID, DONE)
    assert "utterance 10001: the answer is lost" in caplog.text


async def test_the_cloud_lets_a_machine_listen_that_allows_it(cloud: Any) -> None:
    device = await reading(cloud, "listen", POST_listen=Answer(Code.FORBIDDEN, b"listen: muted"))
    ear = Ear(cloud.gateway.sessions)
    assert await ear.listen(UUID, "start") == ("4.03", "listen: muted")
    assert (await device.expect("POST", "listen")).payload == b"start"
    await device.report({"device_info": {"uuid": UUID, "reads": ["answer"]}})
    with pytest.raises(NotSupportedError, match=r"voice\.remote_listen"):
        await ear.listen(UUID, "start")
    with pytest.raises(DeviceOfflineError):
        await ear.listen("0" * 14, "start")
    assert device.asked.empty()
