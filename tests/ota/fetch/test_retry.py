"""Retries: the growing waits, and the wait that a server asks for."""

from __future__ import annotations

import threading
import time
from pathlib import Path
from typing import Any

import pytest

from ota.errors import FetchError
from ota.fetch.retry import Attempts, RetryLaterError, RetryPolicy
from tests.ota.fetch.rig import DATA, fetch


def test_back_off_doubles_up_to_its_cap_and_starts_afresh_after_progress() -> None:
    class NoChance:
        def random(self) -> float:
            return 0.0

    policy = RetryPolicy(attempts=100, total=100, first=1.0, longest=8.0)
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0)
            return False

    attempts = Attempts(policy, Stop(), NoChance())  # type: ignore[arg-type]
    for progressed in (False, False, False, False, False, True, False):
        attempts.failed(FetchError("x"), progressed=progressed)
    assert waits == [1.0, 2.0, 4.0, 8.0, 8.0, 1.0, 2.0]


def test_an_asked_wait_is_never_less_than_our_own_back_off() -> None:
    waits: list[float] = []

    class Stop(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return False

    attempts = Attempts(RetryPolicy(first=10.0), Stop())
    attempts.failed(RetryLaterError("x", 1.0))
    attempts.failed(RetryLaterError("x", 50.0))
    assert 5.0 <= waits[0] <= 10.0
    assert waits[1] == 50.0


@pytest.mark.parametrize("code", [429, 503])
def test_a_server_is_left_alone_as_long_as_it_asks_but_not_for_ever(
    server: Any, url: str, tmp_path: Path, code: int
) -> None:
    asked = [("Retry-After", "86400")]
    server.script.append(lambda handler, _d, _s: handler.answer(code, b"", asked))
    policy = RetryPolicy(attempts=3, first=0.001, longest=0.002, longest_asked=0.05)
    began = time.monotonic()
    assert fetch(url, tmp_path / "d", retry=policy).path.read_bytes() == DATA
    assert time.monotonic() - began >= 0.05  # the minimum of a wait, on any machine
