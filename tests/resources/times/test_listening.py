"""The rules of listening as the rest of the machine sees them: nothing of them is there before one is wanted."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from base.clock import TrustedTime
from resources.dispatch import Dispatch
from resources.points.listening import ListeningPoint
from resources.times.listening import ListeningTimes
from wire.codes import Code
from wire.datapoints import Value


def machine(folder: Path) -> tuple[ListeningTimes, Dispatch]:
    async def on_change(_name: str, _value: Value) -> None:
        """Report nothing."""

    times = ListeningTimes(TrustedTime(), folder)
    return times, Dispatch([ListeningPoint(times)], on_change)


async def test_it_is_off_and_open_before_the_first_order(tmp_path: Path) -> None:
    times, dispatch = machine(tmp_path)
    assert (await dispatch.request("GET", "listening")).text == "off"
    times.opened()
    times.closed()
    assert (times.refusal(), times.status(), times._budget) == (None, {}, None)
    await dispatch.close()


async def test_what_is_ordered_is_told_kept_and_refuses(tmp_path: Path) -> None:
    times, dispatch = machine(tmp_path)
    assert (await dispatch.request("PUT", "listening", "daily 0")).code is Code.CHANGED
    assert times.refusal() == "listening: today's 0 minutes are over"
    assert dispatch.points["listening"].back_end == times.refusal()
    await dispatch.close()
    times, dispatch = machine(tmp_path)
    assert (await dispatch.request("GET", "listening")).text == "daily 0"
    assert times.status()["leftMinutes"] == 0.0
    assert (await dispatch.request("PUT", "listening", "off")).code is Code.CHANGED
    assert times.refusal() is None
    assert not (tmp_path / "listening_rules.json").exists()


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("daily 1441", 'listening.daily: got "1441", expected minutes from 0 to 1440'),
        ("then finish", "expected off, or clauses such as"),
        ("tonight free", "expected off, or clauses such as"),
        ("daily 3; daily 4", 'listening.daily: got "daily 3; daily 4", expected one clause'),
        ("quiet 1:00-2:00,3:00-4:00,5:00-6:00,7:00-8:00,9:00-10:00", "expected at most 4 periods"),
        (
            "quiet 1:00-2:00; quiet 3:00-4:00",
            "expected one clause, its periods (at most 4) with commas",
        ),
        ("quiet 20:00-20:00", "listening.quiet: got "),
    ],
)
async def test_what_does_not_fit_is_refused_by_name(tmp_path: Path, text: str, reason: str) -> None:
    _, dispatch = machine(tmp_path)
    answer = await dispatch.request("PUT", "listening", text)
    assert answer.code is Code.BAD_REQUEST
    assert reason in answer.text
    assert not (tmp_path / "listening_rules.json").exists()


@pytest.mark.parametrize("order", ["off", "daily 5"])
async def test_rules_that_cannot_be_read_close_the_microphone_until_they_are_set_again(
    tmp_path: Path, order: str
) -> None:
    (tmp_path / "listening_rules.json").write_bytes(b"\0" * 99)
    for _ in range(2):  # a start of the machine changes nothing
        times, dispatch = machine(tmp_path)
        assert "cannot be read, so the microphone stays closed" in (times.refusal() or "")
        status = times.status()
        assert status["refusal"] == times.refusal()
        assert str(status["damaged"]).startswith("listening_rules.json: ")
        told = await dispatch.request("GET", "listening")
        assert (told.code, told.text) == (Code.SERVICE_UNAVAILABLE, times.refusal())
        answer = await dispatch.request("PUT", "listening", "bonus 5")
        assert answer.code is Code.BAD_REQUEST
        times.opened()
        times.closed()
        await dispatch.close()
    times, dispatch = machine(tmp_path)
    assert (await dispatch.request("PUT", "listening", order)).code is Code.CHANGED
    assert times.refusal() is None
    assert times.status()["damaged"] is None
    await dispatch.close()
    times, dispatch = machine(tmp_path)
    assert (await dispatch.request("GET", "listening")).text == order
    await dispatch.close()


async def test_run_waits_for_the_first_order(tmp_path: Path) -> None:
    times, dispatch = machine(tmp_path)
    running = asyncio.create_task(dispatch.points["listening"].run())
    await asyncio.sleep(0)
    await times.order("daily 5")
    async with asyncio.timeout(30):
        while not (tmp_path / "listening_played.json").exists():
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def test_a_machine_without_rules_imports_nothing_that_decides() -> None:
    text = "import resources.points.listening, sys; print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", text], capture_output=True, text=True, check=True, timeout=60
    )
    assert not {"resources.times.budget", "resources.times.rules", "wire.rules"} & set(
        done.stdout.split()
    )
