"""The parents' hours and minutes of listening, over starts of the machine and whatever becomes of its clock."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from base.clock import TrustedTime
from machine.errors import UnavailableError
from resources.times.budget import ListeningBudget, build_budget
from resources.times.build import Clocks
from resources.times.store import TimesStore
from tests.moved_clock import Since, on_moved_clock
from tests.resources.times.world import World
from wire.errors import FieldError
from wire.rules import parse_listening

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
AHEAD_SECONDS = 35.0

OVER = "listening: today's 2 minutes are over"


class House:
    """A machine whose clocks the test moves; its disk is real."""

    def __init__(self, folder: Path, local: str = "2026-11-26 18:00") -> None:
        self.folder = folder
        self.world = World(local)
        self.start()

    def start(self, *, knows: bool = True) -> None:
        """Start the machine; nothing of the run before is written any more."""
        self.world.start(knows=knows)
        world = self.world
        self.trusted = TrustedTime(
            wall=lambda: world.true + world.ahead, ticks=lambda: world.ticks, boot=str(world.boots)
        )
        clocks = Clocks(lambda: world.ticks, str(world.boots), world.local, self.knows)
        self.budget: ListeningBudget = build_budget(self.trusted, self.folder, clocks)

    def knows(self) -> bool:
        return self.trusted.from_cloud or self.trusted.believes_clock

    def pass_by(self, seconds: float) -> None:
        self.world.true += seconds
        self.world.ticks += seconds

    async def order(self, text: str) -> None:
        await self.budget.order(parse_listening(text))

    async def listen(self, seconds: float) -> None:
        self.budget.opened()
        self.pass_by(seconds)
        self.budget.closed()
        await self.budget._write()


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


@on_moved_clock
async def test_minutes_are_stored_each_hour_and_a_half_minute_after_a_fault(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    budget, since, written = House(tmp_path).budget, Since(), []

    async def write() -> None:
        written.append(round(since.seconds))
        budget._fault = "full" if len(written) == 2 else None

    monkeypatch.setattr(budget, "_write", write)
    running = asyncio.create_task(budget.run())
    await asyncio.sleep(7231)
    running.cancel()
    assert written == [0, 3600, 3630, 7230]


async def test_without_rules_nothing_is_refused_and_nothing_is_stored(house: House) -> None:
    await house.listen(3600)
    assert house.budget.refusal() is None
    assert list(house.folder.iterdir()) == []


async def test_the_minutes_of_a_day_are_counted_and_come_again_tomorrow(house: House) -> None:
    await house.order("daily 2")
    await house.listen(60)
    house.pass_by(1800)  # it does not listen
    assert house.budget.refusal() is None
    assert house.budget.status()["leftMinutes"] == 1.0
    await house.listen(60)
    assert house.budget.refusal() == OVER
    assert house.budget.status()["refusal"] == OVER
    house.pass_by(86400)
    assert house.budget.refusal() is None


async def test_hours(house: House) -> None:
    await house.order("quiet 20:30-06:30")
    assert house.budget.refusal() is None
    house.pass_by(2.5 * 3600)
    assert house.budget.refusal() == "listening: quiet hours until 06:30"


async def test_a_bonus_is_for_today_and_needs_a_measure(house: House) -> None:
    with pytest.raises(FieldError, match=r'listening.bonus: got 5, expected a "daily" measure'):
        await house.order("bonus 5")
    await house.order("daily 2")
    await house.listen(120)
    await house.order("bonus 1")
    assert house.budget.refusal() is None
    assert str(house.budget.rules) == "daily 2; bonus 1"
    await house.listen(60)
    assert house.budget.refusal() == "listening: today's 3 minutes are over"


@pytest.mark.parametrize("knows", [True, False])
async def test_a_start_of_the_machine_gives_no_second_measure(house: House, *, knows: bool) -> None:
    await house.order("daily 2")
    await house.listen(120)
    house.start(knows=knows)
    assert house.budget.refusal() == OVER
    house.pass_by(600)
    house.start(knows=knows)
    assert house.budget.refusal() == OVER


async def test_a_battery_that_is_pulled_while_it_listens_gains_nothing(house: House) -> None:
    await house.order("daily 2")
    for _ in range(4):
        assert house.budget.refusal() is None
        house.budget.opened()
        await house.budget._write()  # as `run` does at once
        house.pass_by(AHEAD_SECONDS - 1)
        house.start()
    assert house.budget.refusal() == OVER


async def test_a_clock_that_is_set_back_gives_no_second_day(house: House) -> None:
    await house.order("daily 2; quiet 20:30-06:30")
    await house.listen(120)
    for step in (-3600.0, -86400.0, -9 * 86400.0):
        house.world.ahead += step
        assert house.budget.refusal() == OVER
    house.pass_by(3 * 3600)
    assert house.budget.refusal() == "listening: quiet hours until 06:30"


async def test_a_restart_without_the_time_keeps_the_hours(house: House) -> None:
    await house.order("quiet 17:00-19:00")
    await house.budget._write()
    house.start(knows=False)
    assert house.budget.refusal() == "listening: quiet hours until 19:00"


async def test_a_disk_that_takes_nothing_refuses_the_order_and_the_old_rules_hold(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await house.order("daily 2")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(TimesStore, "save_rules", full)
    with pytest.raises(UnavailableError, match="listening: not stored: No space left"):
        await house.order("daily 60")
    assert str(house.budget.rules) == "daily 2"


async def test_a_disk_that_takes_no_minutes_is_told_and_they_count_all_the_same(
    house: House, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    await house.order("daily 2")

    def full(*_: object, **__: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(TimesStore, "save_played", full)
        await house.listen(60)
        await house.listen(60)
        assert house.budget.refusal() == OVER
        assert house.budget.status()["notStored"] == "No space left on device"
        assert len(caplog.records) == 1
    await house.budget._write()
    assert house.budget.status()["notStored"] is None
    house.start()
    assert house.budget.refusal() == OVER


async def test_run_stores_at_the_opening(house: House) -> None:
    await house.order("daily 2")
    running = asyncio.create_task(house.budget.run())
    house.budget.opened()
    path = house.folder / "listening_played.json"
    async with asyncio.timeout(30):
        while not path.exists() or b'"seconds":35' not in path.read_bytes().replace(b" ", b""):
            await asyncio.sleep(0.001)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    await house.budget.close()
    house.start()
    assert house.budget.status()["listenedMinutes"] == 0.0


@settings(max_examples=30)
@given(
    st.lists(
        st.tuples(st.sampled_from(["listen", "wait", "back", "pull"]), st.integers(1, 30)),
        max_size=60,
    )
)
def test_whatever_is_pulled_or_set_a_day_has_one_measure(
    tmp_path_factory: pytest.TempPathFactory, steps: list[tuple[str, int]]
) -> None:
    async def live() -> None:
        house = House(tmp_path_factory.mktemp("house"))
        await house.order("daily 2")
        heard = 0.0
        for what, seconds in steps:
            match what:
                case "listen" if house.budget.refusal() is None:
                    await house.listen(seconds)
                    heard += seconds
                case "wait":
                    house.pass_by(seconds)
                case "back":
                    house.world.ahead -= seconds * 3600.0
                case "pull":
                    house.start(knows=seconds % 2 == 0)
                case _:
                    assert heard >= 120.0
        assert heard < 120.0 + 30.0

    asyncio.run(live())
