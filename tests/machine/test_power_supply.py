"""Batteries and chargers, read from a tree like /sys/class/power_supply."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine.battery import MAINS, Charge
from machine.power_supply import SystemBattery, is_powered


def supply(folder: Path, name: str, **attributes: str | bytes) -> Path:
    made = folder / name
    made.mkdir(parents=True, exist_ok=True)
    for attribute, text in attributes.items():
        data = text if isinstance(text, bytes) else f"{text}\n".encode()
        (made / attribute).write_bytes(data)
    return made


def battery(folder: Path, name: str = "bat", **attributes: str | bytes) -> Path:
    return supply(folder, name, type="Battery", **attributes)


@pytest.mark.parametrize(
    "supplies", [{}, {"type": "Mains", "online": "1"}, {"capacity": "5"}, {"type": b"\xff\xfe"}]
)
def test_without_a_battery_it_is_mains(tmp_path: Path, supplies: dict[str, str]) -> None:
    if supplies:
        supply(tmp_path, "AC", **supplies)
    found = SystemBattery(tmp_path)
    assert found.read() == MAINS
    assert found.name == "no battery found: power is answered as 100 (mains)"


def test_no_sysfs_at_all(tmp_path: Path) -> None:
    assert SystemBattery(tmp_path / "none").read() == MAINS


def test_a_battery_that_the_settings_require_is_unknown_without_it(tmp_path: Path) -> None:
    found = SystemBattery(tmp_path, required=True)
    assert found.read() == Charge(None, None, "no battery found")
    assert found.name == "no battery found: power is unknown"


def test_a_battery_that_comes_late_is_found_and_one_that_goes_is_unknown(tmp_path: Path) -> None:
    found = SystemBattery(tmp_path)
    assert found.read() == MAINS
    made = battery(tmp_path, capacity="75")
    assert found.read() == Charge(75, None)
    assert found.name == "battery: bat"
    (made / "present").write_text("0\n")
    supply(tmp_path, "AC", type="Mains", online="1")
    assert found.read() == Charge(None, powered=True, fault="the battery bat is gone")


def test_other_devices_batteries_do_not_count(tmp_path: Path) -> None:
    supply(tmp_path, "AC", type="Mains", online="0")
    battery(tmp_path, "hid-mouse", scope="Device", capacity="12")
    battery(tmp_path, "a-gauge-without-charge", voltage_now="3700000")
    broken = supply(tmp_path, "a-broken", capacity="5")
    (broken / "type").mkdir()  # reading it is an error, as after a gauge was removed
    odd = battery(tmp_path, "mine", capacity="60")
    (odd / "scope").mkdir()
    assert SystemBattery(tmp_path).read() == Charge(60, powered=False)


@pytest.mark.parametrize(
    ("attributes", "percent"),
    [
        ({"capacity": "0"}, 0),
        ({"capacity": "100"}, 100),
        ({"capacity": "117"}, 100),
        ({"capacity": "-3"}, None),
        ({"capacity": "255"}, None),
        ({"capacity": "65535"}, None),
        ({"capacity": ""}, None),
        ({"capacity": "full"}, None),
        ({"capacity": b"\xff"}, None),
        ({"energy_now": "9000000", "energy_full": "36000000"}, 25),
        ({"charge_now": "1100000", "charge_full": "2200000"}, 50),
        ({"capacity": "", "charge_now": "1100000", "charge_full": "2200000"}, 50),
        ({"charge_now": "5", "charge_full": "0", "capacity": "7"}, 7),
        ({"charge_full": "2200000"}, None),
        ({"charge_now": "-1", "charge_full": "2200000"}, None),
        ({"charge_now": "9" * 400, "charge_full": "2200000"}, None),
    ],
)
def test_a_charge(tmp_path: Path, attributes: dict[str, str], percent: int | None) -> None:
    battery(tmp_path, **attributes)
    fault = "" if percent is not None else "the battery bat tells no charge"
    assert SystemBattery(tmp_path).read() == Charge(percent, None, fault)


@pytest.mark.parametrize("broken", ["type", "charge_full", "energy_full", "capacity"])
def test_what_cannot_be_read_at_first_is_unknown_until_it_can(tmp_path: Path, broken: str) -> None:
    """Never mains: it would hide a battery for good."""
    folder = battery(tmp_path, charge_now="1100000", charge_full="2200000")
    if broken != "charge_full":
        (folder / "charge_full").unlink()
    (folder / broken).unlink(missing_ok=True)
    (folder / broken).mkdir()  # reading it is an error
    found = SystemBattery(tmp_path)
    assert found.read().percent is None
    (folder / broken).rmdir()
    (folder / "type").write_text("Battery\n")
    (folder / "charge_full").write_text("2200000\n")
    assert found.read() == Charge(50, None)


def test_several_batteries_count_by_their_sizes(tmp_path: Path) -> None:
    battery(tmp_path, "a", capacity="100", energy_full="10000000")
    battery(tmp_path, "b", capacity="20", energy_full="30000000")
    found = SystemBattery(tmp_path)
    assert found.read() == Charge(40, None)
    assert found.name == "battery: a, b"


def test_several_batteries_without_one_unit_are_the_mean(tmp_path: Path) -> None:
    battery(tmp_path, "a", capacity="100", energy_full="10000000")
    battery(tmp_path, "b", capacity="20", charge_full="3000000")
    assert SystemBattery(tmp_path).read() == Charge(60, None)


def test_one_of_several_without_a_charge_makes_it_unknown(tmp_path: Path) -> None:
    battery(tmp_path, "a", capacity="100", status="Charging")
    battery(tmp_path, "b", capacity="-1")
    unknown = Charge(None, powered=True, fault="the battery b tells no charge")
    assert SystemBattery(tmp_path).read() == unknown


def test_one_of_several_that_was_taken_out_does_not_count(tmp_path: Path) -> None:
    battery(tmp_path, "a", capacity="30", present="1")
    battery(tmp_path, "b", capacity="0", present="0")
    assert SystemBattery(tmp_path).read() == Charge(30, None)


@pytest.mark.parametrize(
    ("statuses", "online", "powered"),
    [
        (["Charging"], None, True),
        (["Charging"], False, True),
        (["Discharging"], None, False),
        (["Discharging"], True, False),  # a charger too weak for the machine
        (["Discharging", "Charging"], None, True),
        (["Full"], None, True),
        (["Full"], False, False),
        (["Not charging"], None, None),
        (["Not charging"], True, True),
        (["Unknown"], False, False),
        ([""], None, None),
        ([""], True, True),
    ],
)
def test_external_power(statuses: list[str], online: bool | None, powered: bool | None) -> None:  # noqa: FBT001
    assert is_powered(statuses, online=online) is powered


@pytest.mark.parametrize(("kind", "online", "powered"), [
    ("Mains", "1", True), ("USB", "0", False), ("USB", "2", True), ("Wireless", "1", True),
    ("UPS", "1", None), ("Mains", "", None),
])  # fmt: skip
def test_a_charger(tmp_path: Path, kind: str, online: str, powered: bool | None) -> None:  # noqa: FBT001
    battery(tmp_path, capacity="50", status="Unknown")
    supply(tmp_path, "charger", type=kind, online=online)
    assert SystemBattery(tmp_path).read() == Charge(50, powered)
