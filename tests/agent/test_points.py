"""The data points of a product, beside the document's four."""

from __future__ import annotations

import pytest

from agent.points import _product_points
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
    monkeypatch.setattr("importlib.metadata.entry_points", lambda group: entries if group else [])
    assert _product_points() == [good]
    assert "data point broken cannot be loaded" in caplog.text
    assert "data point odd is no resources.datapoint.DataPoint" in caplog.text
