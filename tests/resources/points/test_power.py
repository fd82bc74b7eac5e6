"""The battery, read from a tree like /sys/class/power_supply."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine.battery import find_battery
from resources.dispatch import Dispatch
from resources.points.power import PowerPoint
from wire.codes import Code
from wire.datapoints import Value
from wire.exchange import Answer


def supply(folder: Path, name: str, **attributes: str | bytes) -> Path:
    made = folder / name
    made.mkdir(parents=True)
    for attribute, text in attributes.items():
        data = text if isinstance(text, bytes) else f"{text}\n".encode()
        (made / attribute).write_bytes(data)
    return made


async def read(battery: Path | None) -> Answer:
    async def ignore(_name: str, _value: Value) -> None:
        return

    return await Dispatch([PowerPoint(battery)], ignore).request("GET", "power")


async def test_the_machines_battery_is_found_among_other_supplies(tmp_path: Path) -> None:
    supply(tmp_path, "AC", type="Mains", online="1")
    supply(tmp_path, "hid-mouse", type="Battery", scope="Device", capacity="12")
    supply(tmp_path, "a-gauge-without-charge", type="Battery", voltage_now="3700000")
    mine = supply(tmp_path, "rpi-battery", type="Battery", scope="System", capacity="75")
    assert find_battery(tmp_path) == mine
    assert await read(mine) == Answer.from_text(Code.CONTENT, "75")
    assert PowerPoint(mine).back_end == "battery: rpi-battery"


@pytest.mark.parametrize("supplies", [{}, {"type": "Mains", "online": "1"}, {"capacity": "5"}])
async def test_without_a_battery_the_machine_is_on_mains(
    tmp_path: Path, supplies: dict[str, str]
) -> None:
    if supplies:
        supply(tmp_path, "AC", **supplies)
    assert find_battery(tmp_path) is None
    assert await read(None) == Answer.from_text(Code.CONTENT, "100")
    assert "no battery found" in PowerPoint(None).back_end


@pytest.mark.parametrize(
    ("raw", "shown"), [("0", "0"), ("100", "100"), ("117", "100"), ("-3", "0")]
)
async def test_gauges_out_of_range_are_kept_in_it(tmp_path: Path, raw: str, shown: str) -> None:
    assert await read(supply(tmp_path, "b", type="Battery", capacity=raw)) == Answer.from_text(
        Code.CONTENT, shown
    )


@pytest.mark.parametrize("raw", ["", "full", b"\xff"])
async def test_a_gauge_that_answers_nonsense_is_5_03(tmp_path: Path, raw: str | bytes) -> None:
    answer = await read(supply(tmp_path, "b", type="Battery", capacity=raw))
    assert answer.code is Code.SERVICE_UNAVAILABLE
    assert answer.text.startswith("power: the battery cannot be read: ")


async def test_a_battery_that_was_taken_out_is_5_03(tmp_path: Path) -> None:
    assert (await read(tmp_path / "gone")).code is Code.SERVICE_UNAVAILABLE
