"""The data point ``play`` hands its orders to the teller, whose tests show what they do."""

from __future__ import annotations

from pathlib import Path

from tests.resources.parts import Bench


async def test_the_point_tells_the_title_and_the_player(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "media", "a")
    assert await bench.point.get() == ""
    await bench.point.put("a")
    assert await bench.point.get() == "a"
    assert bench.point.back_end == "scripted"
    assert bench.changes.empty()  # the dispatch reports what a request sets
    await bench.teller.stop()
    assert await bench.change() == ""
    await bench.point.close()
    assert bench.player.played[-1] == "(close)"
