"""The bench's waiting for a machine, on a clock that nobody waits for."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from tools.bench import wait_online
from tools.processes import BenchError


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    monkeypatch.setattr("tools.bench.time", SimpleNamespace(monotonic=lambda: now[0], sleep=sleep))


@pytest.mark.parametrize("wanted", [True, False])
def test_it_waits_until_the_machine_is_so(*, wanted: bool) -> None:
    seen = iter([not wanted, not wanted, wanted])
    seconds = wait_online(lambda: next(seen), wanted=wanted, seconds=1)
    assert seconds == pytest.approx(0.2)


@pytest.mark.parametrize(("wanted", "words"), [(True, "not on line"), (False, "not off line")])
def test_it_gives_up(*, wanted: bool, words: str) -> None:
    with pytest.raises(BenchError, match=f"{words} within 5 s"):
        wait_online(lambda: not wanted, wanted=wanted, seconds=5)
