"""The data points of other products: found where they are installed, and no start pays where they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agent.guarded_point import GuardedPoint
from agent.product_points import GROUP, add_all, is_offered, product_points
from resources.datapoint import DataPoint
from wire.datapoints import DataPointDescription, DataType, Method


class _Entry:
    def __init__(self, name: str, made: object) -> None:
        self.name, self._made = name, made

    def load(self) -> object:
        if isinstance(self._made, BaseException):
            raise self._made
        return lambda: self._made


class Room(DataPoint):
    """A data point as a package has it; keywords change its description."""

    def __init__(self, **changes: Any) -> None:
        described = {
            "name": "room",
            "type": DataType.INT,
            "label": "室温",
            "description": "",
            "methods": (Method.GET,),
        }
        self.description = DataPointDescription(**{**described, **changes})  # type: ignore[misc]

    async def get(self) -> int:
        return 21


class Undescribed(DataPoint):
    async def get(self) -> int:
        return 1


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (ImportError("no module"), "no module"),
        (SystemExit(3), "3"),
        (7, "resources.datapoint.DataPoint"),
        (None, "resources.datapoint.DataPoint"),
        (Undescribed(), "description"),
        (Room(name="volume"), "name: got"),
        (Room(name="status"), "name: got"),
        (Room(name="package_info"), "name: got"),
        (Room(name="Room"), "1 to 32 of a-z"),
        (Room(name="a/b"), "1 to 32 of a-z"),
        (Room(name=""), "1 to 32 of a-z"),
        (Room(name=5), "1 to 32 of a-z"),
        (Room(path="/volume"), "path: got"),
        (Room(methods=()), "method"),
        (Room(methods=(Method.PUT,)), "GET among them"),
        (Room(type="float"), "type: got"),
        (Room(label=5), "label"),
    ],
)  # fmt: skip
def test_one_that_cannot_be_used_is_left_out_and_named(
    made: object, why: str, caplog: pytest.LogCaptureFixture
) -> None:
    entries: Any = [_Entry("broken", made), _Entry("good", Room()), _Entry("twin", Room())]
    added = add_all(entries, ["volume"])
    assert [type(point) for point in added.points] == [GuardedPoint]
    assert added.points[0].description.name == "room"
    assert {*added.faults} == {"broken", "twin"}
    assert why in added.faults["broken"]
    assert "name: got" in added.faults["twin"]
    assert "data point broken of a package is left out" in caplog.text


def test_a_distribution_on_the_path_offers_its_data_points(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert not is_offered([str(tmp_path)])
    info = tmp_path / "lamp-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: lamp\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[{GROUP}]\nlamp = lamp_point:make\n")
    (tmp_path / "lamp_point.py").write_text(
        "from machine.battery import NoBattery\n"
        "from resources.energy.meter import Meter\n"
        "from resources.points.power import PowerPoint\n"
        "def make():\n    return PowerPoint(Meter(NoBattery()))\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    assert [point.description.name for point in product_points().points] == ["power"]
    assert [*product_points(["power"]).faults] == ["lamp"]


@pytest.mark.parametrize(
    "damaged",
    [
        f"[{GROUP}]\nlamp = \xb9\xca".encode("latin-1"),
        f"[{GROUP}]\nno entry".encode(),
        f"[{GROUP}]\nlamp = ::".encode(),
        f"[{GROUP}]\nlamp = lamp_point:make".encode() + b"\0" * 99,
    ],
)
def test_a_distribution_whose_files_are_damaged_ends_no_start(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damaged: bytes
) -> None:
    for name, content in (("broken", damaged), ("good", f"[{GROUP}]\nroom = good_point:Room".encode())):  # fmt: skip
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_bytes(content)
    (tmp_path / "good_point.py").write_text("from tests.agent.test_product_points import Room\n")
    monkeypatch.syspath_prepend(tmp_path)
    added = product_points()
    assert [point.description.name for point in added.points] == ["room"]
    assert len(added.faults) == 1


@pytest.mark.parametrize("name", ["console_scripts", "other"])
def test_distributions_with_other_entry_points_offer_none(tmp_path: Path, name: str) -> None:
    info = tmp_path / "tool-1.0.dist-info"
    info.mkdir()
    (info / "entry_points.txt").write_text(f"[{name}]\ntool = tool:main\n")
    assert not is_offered(["", "no such folder", str(tmp_path)])


def test_what_cannot_be_looked_into_may_offer_some(tmp_path: Path) -> None:
    wheel = tmp_path / "lamp-1.0-py3-none-any.whl"
    wheel.touch()
    assert is_offered([str(wheel)])
    (tmp_path / "lamp-1.0.dist-info" / "entry_points.txt").mkdir(parents=True)
    assert is_offered([str(tmp_path)])
