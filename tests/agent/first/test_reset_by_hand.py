"""Buttons held while the machine starts: as a table of hands, and down to the wish on the disk."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.first import reset_by_hand
from agent.first.reset import Wish, load_wish, store_wish
from agent.first.reset_by_hand import ENV_DONE, ResetByHand
from agent.settings import SettingsError, load_settings
from agent.voice.button import Buttons, Orders
from agent.voice.hands import build_buttons
from machine.button_settings import ButtonSettings, Key
from machine.button_sources import Take
from machine.buttons import Held, HeldAtStart
from resources.announce.cues import Cue
from wire.exchange import Answer, Request

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
WARN_SECONDS = 2.0

DOWN, NEXT, TALK = Key.VOLUME_DOWN, Key.NEXT, Key.TALK
BOTH = frozenset({DOWN, NEXT})


def play(levels: Sequence[Mapping[Key, bool]], released: Mapping[float, Key]) -> list[Held]:
    """Let twelve seconds pass with these levels at the start, and these releases."""
    held: HeldAtStart[Key] = HeldAtStart(BOTH, 10)
    for each in levels:
        held.begin(each, 0)
    found = []
    for tenth in range(130):
        for at, key in released.items():
            if round(at * 10) == tenth:
                held.release(key)
        if (stage := held.tick(tenth / 10)) is not None:
            found.append(stage)
    return found


@pytest.mark.parametrize(
    ("levels", "released", "stages"),
    [
        ([{DOWN: True, NEXT: True}], {}, [Held.WARNED, Held.DONE]),
        ([{DOWN: True}, {NEXT: True}], {}, [Held.WARNED, Held.DONE]),  # lines, and an input device
        ([{DOWN: True, NEXT: True, TALK: False}], {3.0: TALK}, [Held.WARNED, Held.DONE]),
        ([{DOWN: True, NEXT: True}], {1.0: NEXT}, []),
        ([{DOWN: True, NEXT: True}], {5.0: NEXT}, [Held.WARNED]),
        ([{DOWN: True, NEXT: False}], {}, []),
        ([{DOWN: True, NEXT: False}, {NEXT: True}], {}, []),
        ([{DOWN: True}], {}, []),
        ([{TALK: True}], {}, []),
        ([], {}, []),
    ],
)
def test_only_all_of_them_for_the_whole_time(
    levels: Sequence[Mapping[Key, bool]], released: Mapping[float, Key], stages: list[Held]
) -> None:
    assert play(levels, released) == stages


@given(st.lists(st.tuples(st.floats(0, 9.8), st.sampled_from([DOWN, NEXT])), min_size=1))
def test_one_release_is_enough_to_keep_the_familys_things(
    releases: list[tuple[float, Key]],
) -> None:
    assert Held.DONE not in play([{DOWN: True, NEXT: True}], dict(releases))


def test_no_keys_are_never_held() -> None:
    held: HeldAtStart[Key] = HeldAtStart(frozenset(), 10)
    held.begin({DOWN: True}, 0)
    assert held.due() is None


async def test_a_hold_warns_and_then_leaves_the_wish_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(ENV_DONE, raising=False)
    monkeypatch.setattr(reset_by_hand, "CUE_SECONDS", 0)
    said: list[Cue] = []
    now = 0.0
    done = asyncio.Event()

    async def reset() -> None:
        store_wish(tmp_path, Wish(keep_profile=True))
        done.set()

    hand = ResetByHand(BOTH, 10, said.append, reset, lambda: now)
    hand.begin({DOWN: True, NEXT: True})
    for now in (WARN_SECONDS, 10.0):  # noqa: B007  # the clock that `hand` reads
        hand.tick()
    async with asyncio.timeout(20):
        await done.wait()
    assert said == [Cue.TIMER_SOON, Cue.DONE]
    assert load_wish(tmp_path) == Wish(keep_profile=True)
    hand.close()
    # The agent starts anew under hands that still hold.
    monkeypatch.setenv(ENV_DONE, "1")
    again = ResetByHand(BOTH, 10, said.append, reset, lambda: now)
    again.begin({DOWN: True, NEXT: True})
    now = 30.0
    again.tick()
    assert len(said) == 2


async def test_a_chip_that_is_plugged_in_later_is_no_start() -> None:
    now = 0.0
    said: list[Cue] = []

    async def reset() -> None:
        raise AssertionError("nobody has held anything")

    hand = ResetByHand(BOTH, 10, said.append, reset, lambda: now)
    now = 11.0
    hand.begin({DOWN: True, NEXT: True})
    now = 60.0
    hand.tick()
    assert said == []


@pytest.mark.parametrize(
    ("toml", "expected"),
    [
        ('volume_down = 5\nnext = 6\nreset = "volume_down+next"', None),
        ('input = "all"\nreset = "volume_down+next"', None),
        ('volume_down = 5\nreset = "volume_down+next"', "expected buttons of this machine"),
        ('volume_down = 5\nreset = "volume_down+loud"', "expected buttons of this machine"),
        ('volume_down = 5\nreset = "volume_down"', "two buttons or more"),
        ('volume_down = 5\nreset = "volume_down+volume_down"', "two buttons or more"),
        ('input = "all"\nreset = "+"', "two buttons or more"),
    ],
)
def test_the_setting_names_two_buttons_of_the_machine(
    tmp_path: Path, toml: str, expected: str | None
) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(f"[buttons]\n{toml}\n")
    if expected is None:
        assert len(load_settings(config).buttons.reset_keys()) == 2
        return
    with pytest.raises(SettingsError, match=expected):
        load_settings(config)


async def test_the_machines_buttons_tell_it_what_is_held_and_let_go() -> None:
    told: list[object] = []

    class Recorder:
        def begin(self, levels: Mapping[Key, bool]) -> None:
            told.append(dict(levels))

        def release(self, key: Key) -> None:
            told.append(key)

        def close(self) -> None:
            told.append("end")

    class Panel:
        name, fault = "panel", None

        async def open(self, take: Take) -> Mapping[Key, bool]:
            self.take = take
            return {DOWN: True, NEXT: True}

        def close(self) -> None:
            pass

    async def nobody(_request: Request) -> Answer:
        raise AssertionError("nothing is ordered here")

    panel = Panel()
    buttons = Buttons([panel], None, Orders(nobody, lambda _cue: None), at_start=Recorder())
    running = asyncio.create_task(buttons.run())
    async with asyncio.timeout(20):
        while not told:
            await asyncio.sleep(0)
    panel.take(TALK, 0.0, pressed=True)
    panel.take(NEXT, 0.0, pressed=False)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert told == [{DOWN: True, NEXT: True}, NEXT, "end"]


async def test_a_machine_without_the_setting_has_no_such_hand() -> None:
    async def reset() -> None:
        raise AssertionError("no button does that")

    async def nobody(_request: Request) -> Answer:
        raise AssertionError("nothing is ordered here")

    dispatch = SimpleNamespace(points={}, handle_local=nobody)
    for settings, has in (
        (ButtonSettings(next=5, volume_down=6), False),
        (ButtonSettings(next=5, volume_down=6, reset="next+volume_down"), True),
    ):
        made = build_buttons(settings, None, dispatch, asyncio.Event(), reset)  # type: ignore[arg-type]
        assert made is not None
        assert (made._at_start is not None) is has
