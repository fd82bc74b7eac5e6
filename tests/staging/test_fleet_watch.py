"""What is counted of links and reports: starts, crashes, plays, presses."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest

from staging import fleet_watch
from staging.fleet_watch import Counter, FleetWatch, press_of, state_of
from staging.recognition.kinds import Kind
from staging.recognition.outcomes import TYPED, VOICE, Outcome
from staging.store.effects import OtaEventSeen, RunningVersion
from staging.store.health import Counts
from staging.store.history import HistoryPoint
from tests.moved_clock import on_moved_clock
from tests.staging.conftest import FakeClock
from wire.ota import OtaEvent, OtaEventReport

UUID = "a" * 14
START = [RunningVersion("1.0")]


@pytest.fixture
def counter(clock: FakeClock) -> Counter:
    return Counter(clock, lambda _uuid: False)


def taken(counter: Counter) -> Counts:
    return counter.take().get(UUID, Counts())


@pytest.mark.parametrize(("seconds", "crashes"), [(4, 1), (15, 1), (16, 0), (-1, 0)])
def test_a_start_soon_after_the_link_ended_is_a_crash(
    counter: Counter, clock: FakeClock, seconds: int, crashes: int
) -> None:
    counter.note_reports(UUID, START)
    assert taken(counter) == Counts(starts=1)
    counter.note_change(UUID)
    clock.now += seconds * 1000
    counter.note_reports(UUID, START)
    assert taken(counter) == Counts(starts=1, crashes=crashes)
    counter.note_reports(UUID, START)
    assert taken(counter) == Counts(starts=1)  # the same end counts once


def test_a_start_of_an_update_is_no_crash(counter: Counter, clock: FakeClock) -> None:
    done = OtaEventReport("1", OtaEvent.DOWNLOAD_COMPLETE)
    counter.note_reports(UUID, [OtaEventSeen(done)])
    counter.note_change(UUID)
    clock.now += 5000
    counter.note_reports(UUID, START)
    assert taken(counter) == Counts(starts=1, update_bytes=1)


def test_a_title_sounds_or_does_not(counter: Counter) -> None:
    def player(state: str) -> None:
        counter.note_reports(UUID, [HistoryPoint("player", f'{{"state": "{state}"}}')])

    for state in ("loading", "playing", "idle", "loading", "loading", "idle", "idle", "playing"):
        player(state)
    assert taken(counter) == Counts(plays=1, failed_plays=1)
    player("loading")
    player("waiting")
    player("playing")
    assert taken(counter) == Counts(plays=1)


def test_what_reports_say_is_read_with_care(counter: Counter) -> None:
    assert [state_of(v) for v in ('{"state": 3}', "[", None, 7, {"state": "idle"})] == [
        "",
        "",
        "",
        "",
        "idle",
    ]
    told = {"id": 1, "end": "sent", "why": "button", "seconds": {"opened": 0.1, "answered": 1.25}}
    assert press_of(told) == 1.25
    assert [press_of(told | {"why": "word"}), press_of(told | {"seconds": {}}), press_of(3)] == [
        None
    ] * 3
    counter.note_reports(UUID, [HistoryPoint("utterance_times", told)])
    assert taken(counter) == Counts(presses=1, press_time=1250, listened=1)


def test_what_listens_badly_is_counted(counter: Counter) -> None:
    for number, end, why, seconds in (
        (0, "fault", "button", {}),
        (10001, "lost", "word", {"began": 1.0}),
        (10002, "lost", "word", {"began": 1.0, "first_segment": 1.5}),
        (10003, "sent", "button", {"first_segment": 1.5}),
        (10004, "lost", "file", {}),
    ):
        told = {"id": number, "end": end, "why": why, "seconds": seconds}
        counter.note_reports(UUID, [HistoryPoint("utterance_times", told)])
    counter.note_reports(UUID, [HistoryPoint("utterance_times", "no times")])
    for kind, source in (("done", VOICE), ("not_understood", VOICE), ("not_understood", TYPED)):
        counter.note_outcome(Outcome(UUID, 1, source, kind=Kind(kind)))
    assert taken(counter) == Counts(
        listened=4, mic_faults=1, unsent=1, sentences=2, not_understood=1
    )


def test_what_could_not_be_stored_is_counted_later_and_bounded(
    counter: Counter, monkeypatch: pytest.MonkeyPatch
) -> None:
    counter.note_reports(UUID, START)
    kept = counter.take()
    counter.note_reports(UUID, START)
    counter.put_back(kept)
    assert taken(counter).starts == 2
    monkeypatch.setattr(fleet_watch, "DEVICES_LIMIT", 2)
    counter.put_back({str(n): Counts(starts=1) for n in range(5)})
    assert len(counter.take()) == 2
    for n in range(5):
        counter.note_change(str(n))
    assert len(counter._left._held) == 2


def test_a_value_that_is_nested_too_deep_has_no_state() -> None:
    """A device may report any text; it must not fail the report that tells it."""
    assert state_of("[" * 60_000) == ""
    assert state_of('{"state": ' * 20_000) == ""


@on_moved_clock
async def test_a_look_that_fails_is_followed_by_others(caplog: pytest.LogCaptureFixture) -> None:
    """The cloud, which devices need, would end with it."""
    gateway: Any = SimpleNamespace(
        sessions=None, is_online=lambda _uuid: True, has_twin=lambda _uuid: False,
        watch=lambda _told: None, listen=lambda _told: None,
    )  # fmt: skip
    looks = []

    class Failing(FleetWatch):
        async def store(self) -> None:
            looks.append(1)
            raise KeyError("a fault of ours")

    nothing: Any = None
    running = asyncio.create_task(Failing(nothing, gateway, lambda: 0, samples=False).run())
    await asyncio.sleep(3 * 20 + 1)
    running.cancel()
    assert len(looks) == 3
    assert "a look at the fleet failed" in caplog.text
