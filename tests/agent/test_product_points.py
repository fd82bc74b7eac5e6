"""The data points of other products: found where they are installed, and no start pays where they are not."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.product_points import GROUP, is_offered, product_points
from machine.battery import NoBattery
from resources.energy.meter import Meter
from resources.points.power import PowerPoint


class _Entry:
    def __init__(self, name: str, made: object) -> None:
        self.name, self._made = name, made

    def load(self) -> object:
        if isinstance(self._made, Exception):
            raise self._made
        return lambda: self._made


def test_a_products_broken_data_point_does_not_stop_the_others(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    good = PowerPoint(Meter(NoBattery()))
    entries = [_Entry("broken", ImportError("no module")), _Entry("odd", 7), _Entry("good", good)]
    monkeypatch.setattr("agent.product_points.is_offered", lambda _folders: True)
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: entries if group else [])
    assert product_points() == [good]
    assert "data point broken cannot be loaded" in caplog.text
    assert "data point odd is no resources.datapoint.DataPoint" in caplog.text


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
    assert [type(point) for point in product_points()] == [PowerPoint]


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
