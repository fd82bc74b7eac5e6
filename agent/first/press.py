"""The self-test's buttons: somebody is asked to press each one. A running agent has their lines, and counts presses."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

from agent.doctor.findings import Finding, bad, good, skipped
from agent.doctor.patient import Patient
from agent.first.unit import ask_status
from agent.words import Words
from machine.button_settings import ButtonSettings, Key
from machine.button_sources import Source, find_source
from machine.errors import UnavailableError
from machine.input_keys import InputSource

Tell = Callable[[Words], None]
POLL_SECONDS = 0.3
REMEDY = Words(
    "检查按键和连线；story-agent doctor", "check the button and its wire; story-agent doctor"
)

NAMES = {
    Key.TALK: Words("说话", "talk"), Key.MUTE: Words("静音", "mute"), Key.PLAY_PAUSE: Words("播放/暂停", "play or pause"),
    Key.NEXT: Words("下一首", "next"), Key.PREVIOUS: Words("上一首", "previous"),
    Key.VOLUME_UP: Words("音量加", "volume up"), Key.VOLUME_DOWN: Words("音量减", "volume down"),
}  # fmt: skip


class Presses:
    """Which keys have been pressed since the beginning."""

    def __init__(self) -> None:
        """Begin with none."""
        self.seen: set[Key] = set()
        self._changed = asyncio.Event()

    def take(self, key: Key, at: float, *, pressed: bool) -> None:  # noqa: ARG002  # as `Take` has it
        """Take a key's level."""
        if pressed:
            self.note(key)

    def note(self, key: Key) -> None:
        """Note that a key was pressed."""
        self.seen.add(key)
        self._changed.set()

    async def wait_for(self, key: Key, seconds: float) -> bool:
        """Return whether ``key`` is pressed within ``seconds``, or was before."""
        try:
            async with asyncio.timeout(seconds):
                while key not in self.seen:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return False
        return True


def keys_to_press(settings: ButtonSettings) -> list[Key]:
    """Return the buttons that the machine has; of an input device only those that are sure to be there."""
    keys = [key for key, _line in settings.lines()]
    if settings.input and Key.TALK not in keys:
        keys.append(Key.TALK)
    return keys


async def ask_for_buttons(patient: Patient, seconds: float, tell: Tell) -> Finding:
    """Ask for each button in turn; ``seconds`` for each."""
    settings = patient.settings.buttons
    keys = keys_to_press(settings)
    if not keys:
        return skipped("buttons", "没有设置按键", "no buttons are set")
    presses = Presses()
    if patient.status is not None and patient.says("buttons") is not None:
        watching = asyncio.create_task(_watch_agent(patient, presses))
        try:
            return await _ask(keys, presses, seconds, tell)
        finally:
            watching.cancel()
    lines = find_source(settings)
    sources = [s for s in (lines, InputSource(settings) if settings.input else None) if s]
    try:
        await _open(sources, presses)
        return await _ask(keys, presses, seconds, tell)
    except (UnavailableError, OSError) as error:
        return bad("buttons", Words(f"按键读不到：{error}", f"the buttons cannot be read: {error}"), REMEDY)  # fmt: skip
    finally:
        for source in sources:
            source.close()


async def _open(sources: Sequence[Source], presses: Presses) -> None:
    for source in sources:
        await source.open(presses.take)


async def _ask(keys: Sequence[Key], presses: Presses, seconds: float, tell: Tell) -> Finding:
    missing = []
    for key in keys:
        name = NAMES[key]
        tell(
            Words(
                f"请按「{name.zh}」（{seconds:g} 秒内）", f"press {name.en} (within {seconds:g} s)"
            )
        )
        if not await presses.wait_for(key, seconds):
            missing.append(key)
    if missing:
        zh, en = ("、".join(NAMES[k].zh for k in missing), ", ".join(NAMES[k].en for k in missing))
        return bad("buttons", Words(f"没有按到：{zh}", f"no press of: {en}"), REMEDY)
    return good("buttons", f"{len(keys)} 个按键都有反应", f"all {len(keys)} buttons answer")


async def _watch_agent(patient: Patient, presses: Presses) -> None:
    """Note the keys whose count in the agent's status grows."""
    first = _counts(patient.status)
    while True:
        now = _counts(await asyncio.to_thread(ask_status, patient.state))
        for key in Key:
            if now.get(key, 0) > first.get(key, 0):
                presses.note(key)
        await asyncio.sleep(POLL_SECONDS)


def _counts(status: Mapping[str, object] | None) -> dict[str, int]:
    buttons = (status or {}).get("buttons")
    counts = buttons.get("counts") if isinstance(buttons, Mapping) else None
    return dict(counts) if isinstance(counts, Mapping) else {}
