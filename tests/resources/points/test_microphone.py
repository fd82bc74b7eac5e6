"""The data point ``microphone``: a switch that is off when it says so."""

from __future__ import annotations

from pathlib import Path

from machine.microphone_switch import MicrophoneSwitch
from resources.dispatch import Dispatch
from resources.points.microphone import MicrophonePoint
from wire.codes import Code
from wire.datapoints import Value


async def ignore(_name: str, _value: Value) -> None:
    """Report nothing."""


async def test_it_is_turned_and_read_and_what_is_read_can_be_put_back(tmp_path: Path) -> None:
    closed: list[bool] = []
    switch = MicrophoneSwitch(tmp_path / "microphone-off")

    async def close(*, on: bool) -> None:
        closed.append(on)

    switch.close_first = close
    point = MicrophonePoint(switch)
    dispatch = Dispatch([point], ignore)
    for text in ("true", "false", "true"):
        assert (await dispatch.request("PUT", "microphone", text)).code is Code.CHANGED
        assert (await dispatch.request("GET", "microphone")).text == text
    assert closed == [True, False, True]
    assert point.back_end == "may be opened"
    await point.put(value=False)
    assert MicrophonePoint(MicrophoneSwitch(tmp_path / "microphone-off")).back_end == "off"


async def test_a_value_of_another_kind_is_refused(tmp_path: Path) -> None:
    dispatch = Dispatch([MicrophonePoint(MicrophoneSwitch(tmp_path / "off"))], ignore)
    answer = await dispatch.request("PUT", "microphone", "aus")
    assert answer.code is Code.BAD_REQUEST
    assert "microphone" in answer.text
