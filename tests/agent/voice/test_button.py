"""What the buttons of a machine do: the talk button as a table and with real ears, the others at the dispatch."""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import Mock

import pytest

from agent.voice import button as module
from agent.voice.button import Act, Buttons, Hand, Orders, talk
from agent.voice.hands import build_buttons
from base.backoff import Backoff
from machine.button_settings import ButtonSettings, Key
from machine.button_sources import Take
from machine.buttons import Sign
from machine.errors import UnavailableError
from machine.microphone_switch import MicrophoneSwitch
from resources.announce.cues import Cue
from resources.dispatch import Dispatch
from resources.points.child_lock import ChildLockPoint
from resources.points.microphone import MicrophonePoint
from resources.points.player import PlayerPoint
from resources.record import Record
from tests.agent.voice.ear_parts import Room, settled
from tests.machine.test_button_sources import Chip
from tests.moved_clock import Since, on_moved_clock
from tests.resources.parts import Bench
from wire.codes import Code
from wire.datapoints import Value
from wire.exchange import Answer, Request

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
ORDERS_MAX = 4
HOLD_SECONDS = 0.35
STUCK_SECONDS = 20.0

N, B, G = Hand.NOTHING, Hand.BEGUN, Hand.HOLDING


@pytest.mark.parametrize(
    ("hand", "sign", "listens", "then", "act"),
    [
        (N, Sign.PRESS, False, B, Act.LISTEN),
        (N, Sign.PRESS, True, N, Act.CANCEL),
        (B, Sign.TAP, True, N, None),
        (B, Sign.HOLD, True, G, Act.HOLD),
        (G, Sign.RELEASE, True, N, Act.RELEASE),
        (N, Sign.HOLD, False, N, None),  # of a press that has cancelled
        (N, Sign.RELEASE, False, N, None),
        (N, Sign.TAP, True, N, None),
        (B, Sign.FAULT, True, N, Act.CANCEL),
        (G, Sign.FAULT, True, N, Act.CANCEL),
        (N, Sign.FAULT, True, N, None),
    ],
)
def test_the_talk_buttons_table(
    hand: Hand, sign: Sign, then: Hand, act: Act | None, *, listens: bool
) -> None:
    assert talk(hand, sign, listens=listens) == (then, act)


def test_no_sequence_of_signs_holds_without_a_press() -> None:
    for signs in itertools.product(Sign, repeat=4):
        hand, listens = N, False
        for sign in signs:
            hand, act = talk(hand, sign, listens=listens)
            listens = {Act.LISTEN: True, Act.CANCEL: False, Act.RELEASE: False}.get(
                act or Act.HOLD, listens
            )
            assert listens or hand is N


class Panel:
    """A source whose buttons a test presses, on a clock of its own."""

    name = "panel"
    fault: str | None = None

    def __init__(self) -> None:
        self.take: Take | None = None
        self.now = 0.0
        self.levels: Mapping[Key, bool] = {}
        self.faults: list[Exception] = []
        self.closed = 0

    async def open(self, take: Take) -> Mapping[Key, bool]:
        if self.faults:
            raise self.faults.pop(0)
        self.take = take
        return self.levels

    def close(self) -> None:
        self.closed += 1

    def clock(self) -> float:
        return self.now


class Machine:
    """Buttons, a panel, and ears among scripted parts."""

    def __init__(self, ask: Callable[[Request], object] | None = None) -> None:
        self.room = Room()
        self.said: list[Cue] = []
        self.panel = Panel()
        self.asked: list[Request] = []

        async def nobody(request: Request) -> Answer:
            self.asked.append(request)
            raise AssertionError("nothing is ordered here")

        self.buttons = Buttons(
            [self.panel], EarsOf(self.room), Orders(ask or nobody, self.said.append),  # type: ignore[arg-type]
            clock=self.panel.clock,
        )  # fmt: skip
        self.running: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self.running = asyncio.create_task(self.buttons.run())
        await settled()

    async def level(self, key: Key, *, pressed: bool) -> None:
        assert self.panel.take is not None
        self.panel.take(key, self.panel.now, pressed=pressed)
        await settled()

    async def wait(self, seconds: float) -> None:
        """Let time pass; the loop's timers are driven by hand, since its clock is real."""
        end = self.panel.now + seconds
        while True:
            dues = [button.due() for button in self.buttons._keys.values()]
            due = min((each for each in dues if each is not None and each <= end), default=None)
            if due is None:
                break
            self.panel.now = max(due, self.panel.now)
            self.buttons._tick()
            await settled()
        self.panel.now = end

    async def press(self, key: Key, seconds: float) -> None:
        await self.level(key, pressed=True)
        await self.wait(seconds)
        await self.level(key, pressed=False)
        await self.wait(0.1)

    async def end(self) -> None:
        assert self.running is not None
        self.running.cancel()
        await asyncio.gather(self.running, return_exceptions=True)


class EarsOf:
    """`Ears` on a room's listener."""

    def __init__(self, room: Room) -> None:
        self._listener = room.listener
        self.listen, self.cancel = room.listener.listen, room.listener.cancel
        self.hold, self.release, self.say = room.listener.hold, room.listener.release, room.say

    @property
    def listens(self) -> bool:
        return self._listener.busy


@pytest.fixture
async def machine() -> AsyncIterator[Machine]:
    made = Machine()
    await made.start()
    yield made
    await made.end()
    await made.room.listener.close()


async def open_microphone(machine: Machine) -> None:
    async with asyncio.timeout(30):
        while machine.room.microphone.take is None:
            await asyncio.sleep(0)
    await settled()


async def test_a_tap_listens_until_silence(machine: Machine) -> None:
    await machine.press(Key.TALK, 0.2)
    await open_microphone(machine)
    await machine.room.microphone.give("." * 20 + "#" * 50 + "." * 40)
    await machine.room.until("answering")


async def test_a_hold_listens_until_it_is_released(machine: Machine) -> None:
    await machine.level(Key.TALK, pressed=True)
    await machine.wait(HOLD_SECONDS + 0.1)
    await open_microphone(machine)
    await machine.room.microphone.give("." * 100)
    assert machine.room.listener.state == "speaking"
    await machine.level(Key.TALK, pressed=False)
    await machine.wait(0.1)
    await machine.room.until("answering")


async def test_a_press_in_any_state_cancels_and_its_release_means_nothing(machine: Machine) -> None:
    for script in ("", ".", "." * 20 + "#" * 30, "." * 20 + "#" * 50 + "." * 40):
        await machine.press(Key.TALK, 0.2)
        await open_microphone(machine)
        await machine.room.microphone.give(script)
        await machine.press(Key.TALK, 1.0)
        await settled()
        assert machine.room.listener.state == "idle"
        assert not machine.room.microphone.is_open
    assert machine.room.microphone.times_open == 4


async def test_who_sits_on_the_button_is_not_listened_to_for_ever(machine: Machine) -> None:
    await machine.level(Key.TALK, pressed=True)
    await machine.wait(1.0)
    await open_microphone(machine)
    await machine.wait(STUCK_SECONDS)
    await settled()
    assert machine.room.listener.state == "idle"
    assert machine.buttons.status()["faults"] == {"talk": "stuck"}
    await machine.wait(3600)
    assert machine.room.microphone.times_open == 1


async def test_a_button_that_is_pressed_at_the_start_opens_nothing() -> None:
    machine = Machine()
    machine.panel.levels = {Key.TALK: True}
    await machine.start()
    await machine.wait(60)
    assert machine.room.microphone.times_open == 0
    assert machine.buttons.status()["faults"] == {"talk": "stuck"}
    await machine.end()


async def test_a_muted_machine_says_that_it_does_not_listen(machine: Machine) -> None:
    await machine.room.listener.mute(muted=True)
    await machine.press(Key.TALK, 0.2)
    assert machine.room.log == ["not-listening"]
    assert machine.room.microphone.times_open == 0


async def test_the_buttons_are_read_until_the_agent_ends(machine: Machine) -> None:
    await settled()
    assert machine.panel.closed == 0
    await machine.end()
    assert machine.panel.closed == 1


async def test_a_source_that_fails_is_told_once_and_tried_again(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(module, "RETRY_FIRST", 0.001)
    monkeypatch.setattr(module, "RETRY_MAX", 0.002)
    machine = Machine()
    machine.panel.faults = [UnavailableError("/dev/gpiochip0 line 17: busy") for _ in range(3)]
    await machine.start()
    assert machine.buttons.status()["from"] == "/dev/gpiochip0 line 17: busy"
    assert machine.buttons.status()["unread"] == ["/dev/gpiochip0 line 17: busy"]
    async with asyncio.timeout(30):
        while machine.panel.take is None:
            await asyncio.sleep(0.001)
    assert machine.buttons.status()["from"] == "panel"
    assert machine.buttons.status()["unread"] == []
    machine.panel.fault = "unplugged"
    assert machine.buttons.status()["unread"] == ["unplugged"]
    warnings = [r.getMessage() for r in caplog.records if r.levelname == "WARNING"]
    assert warnings == ["buttons: /dev/gpiochip0 line 17: busy"]
    await machine.end()


async def test_a_press_on_a_line_of_the_kernels_opens_the_microphone_and_the_next_one_closes_it(
    tmp_path: Path,
) -> None:
    room, chip = Room(), Chip(tmp_path)

    async def nobody(_request: Request) -> Answer:
        raise AssertionError("nothing is ordered here")

    buttons = Buttons([chip.source], EarsOf(room), Orders(nobody, lambda _: None))  # type: ignore[arg-type]
    running = asyncio.create_task(buttons.run())
    async with asyncio.timeout(30):
        while not chip.asked:
            await asyncio.sleep(0)
        for pressed in (True, False, True):
            chip.kernel.edge(17, rising=pressed, at=time.monotonic())
            while buttons._keys[0, Key.TALK]._level.pressed is not pressed:
                await asyncio.sleep(0.001)
            while pressed and room.microphone.times_open == 0:
                await asyncio.sleep(0)
        while room.listener.busy:
            await asyncio.sleep(0.001)
    assert room.microphone.times_open == 1
    assert buttons.status()["counts"] == {"talk": 2}
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


# The other buttons.


class House:
    """A machine with a story, a lock and a microphone's switch."""

    def __init__(self, folder: Path) -> None:
        self.bench = Bench(folder / "media", "a", "b")
        self.switch = MicrophoneSwitch(folder / "off")
        self.lock = ChildLockPoint(Record(None))

        async def changed(_name: str, _value: Value) -> None:
            """Report nothing."""

        self.dispatch = Dispatch(
            [self.bench.point, PlayerPoint(self.bench.teller, changed), self.lock,
             MicrophonePoint(self.switch)],
            changed,
        )  # fmt: skip
        self.machine = Machine(self.dispatch.handle_local)

    async def press(self, key: Key) -> None:
        await self.machine.press(key, 0.1)
        async with asyncio.timeout(30):
            while self.machine.buttons._waiting:
                await asyncio.sleep(0.001)


@pytest.fixture
async def house(tmp_path: Path) -> AsyncIterator[House]:
    made = House(tmp_path)
    await made.machine.start()
    yield made
    await made.machine.end()
    await made.bench.teller.close()


async def test_the_story_is_turned_by_buttons(house: House) -> None:
    await house.bench.point.put("a")
    await house.press(Key.NEXT)
    assert house.bench.teller.title == "b"
    await house.press(Key.PREVIOUS)
    assert house.bench.teller.title == "a"
    await house.press(Key.PLAY_PAUSE)
    assert house.bench.player.paused
    await house.press(Key.PLAY_PAUSE)
    assert not house.bench.player.paused


async def test_the_mute_button_closes_the_microphone_and_opens_it_again(house: House) -> None:
    await house.press(Key.MUTE)
    assert await house.dispatch.points["microphone"].get() is False
    await house.press(Key.MUTE)
    assert await house.dispatch.points["microphone"].get() is True
    assert house.machine.said == [Cue.HEARD, Cue.LISTEN]


async def test_the_child_lock_holds_for_buttons(house: House) -> None:
    await house.bench.point.put("a")
    await house.lock.put(value=True)
    for key in (Key.NEXT, Key.MUTE):
        await house.press(key)
    assert house.bench.teller.title == "a"
    assert house.switch.is_on


class Knob:
    """A dispatch that has a volume alone."""

    def __init__(self) -> None:
        self.volume = 14

    async def __call__(self, request: Request) -> Answer:
        if request.method == "GET":
            return Answer.from_text(Code.CONTENT, str(self.volume))
        asked = int(request.payload)
        if not 0 <= asked <= 16:
            return Answer.from_text(Code.BAD_REQUEST, "volume: too loud")
        self.volume = asked
        return Answer(Code.CHANGED)


async def test_the_volume_goes_by_steps_and_says_its_end() -> None:
    knob = Knob()
    machine = Machine(knob)
    await machine.start()
    for _ in range(3):
        await machine.press(Key.VOLUME_UP, 0.1)
    assert (knob.volume, machine.said) == (16, [Cue.LIMIT])
    await machine.press(Key.VOLUME_DOWN, 0.1)
    assert knob.volume == 15
    await machine.end()


async def test_the_volume_goes_on_while_the_button_is_held(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REPEAT_SECONDS", 0.001)
    knob = Knob()
    machine = Machine(knob)
    await machine.start()
    await machine.level(Key.VOLUME_DOWN, pressed=True)
    await machine.wait(HOLD_SECONDS + 0.1)
    async with asyncio.timeout(30):
        while knob.volume > 5:
            await asyncio.sleep(0.001)
    await machine.level(Key.VOLUME_DOWN, pressed=False)
    await machine.wait(0.1)
    async with asyncio.timeout(30):
        while machine.buttons._waiting:
            await asyncio.sleep(0.001)
    assert not machine.buttons._repeats
    await machine.end()


async def test_who_drums_on_a_button_makes_no_queue() -> None:
    gate = asyncio.Event()
    asked = 0

    async def hangs(_request: Request) -> Answer:
        nonlocal asked
        asked += 1
        await gate.wait()
        return Answer(Code.CHANGED)

    machine = Machine(hangs)
    await machine.start()
    for _ in range(20):
        await machine.press(Key.NEXT, 0.05)
    gate.set()
    await settled()
    assert asked == ORDERS_MAX
    await machine.end()


def test_a_machine_without_buttons_has_none(tmp_path: Path) -> None:
    house = House(tmp_path)
    assert build_buttons(ButtonSettings(), None, house.dispatch, asyncio.Event()) is None
    made = build_buttons(
        ButtonSettings(talk=17, input="all"), None, house.dispatch, asyncio.Event()
    )
    assert made is not None
    assert len(made._sources) == 2


@on_moved_clock
async def test_a_line_that_is_busy_is_asked_for_after_five_seconds_and_then_each_minute(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    since, asked = Since(), list[int]()

    async def busy(_take: object) -> None:
        asked.append(round(since.seconds))
        raise OSError("busy")

    monkeypatch.setattr(module, "Backoff", partial(Backoff, jitter=0.0))
    source: Any = Mock(open=busy)
    opening = asyncio.create_task(Buttons([], Mock(), Mock())._keep_open(0, source))
    await asyncio.sleep(196)
    opening.cancel()
    assert asked == [0, 5, 15, 35, 75, 135, 195]
