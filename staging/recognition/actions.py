"""Turns an intent into control requests to the same device, and records the answers.

The device's self-description gives the data points that it has, and the range of its volume. The
words for play are those of open API 3.1, which both the agent and the firmware of 2017
understand.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from staging.recognition.intents import PERCENT_MAX, Action, Intent
from wire.datapoints import DataPointDescription, Range, parse_description
from wire.errors import WireError, show
from wire.story_points import VOLUME_RANGE
from wire.volume import parse_refusal

PLAY, VOLUME, SLEEP_TIMER = "play", "volume", "sleep_timer"
PLAY_PREFIX = "播放"
PLAY_WORDS = {
    Action.NEXT: "下一首",
    Action.PREVIOUS: "上一首",
    Action.PAUSE: "暂停",
    Action.RESUME: "继续",
    Action.STOP: "停止",
    # Of agents alone; a firmware of 2017 refuses it.
    Action.RESTART: "从头",
}

Control = Callable[[str, str, str, str], Awaitable[tuple[str, str]]]
"""`Gateway.control`: (uuid, name, method, value) → ("2.05", content)."""


class ActionError(Exception):
    """An intent cannot be carried out on this device; the message says why."""


@dataclass(frozen=True, slots=True)
class Step:
    """One control request and its answer; ``content`` is "" for a GET."""

    method: str
    name: str
    content: str
    code: str
    answer: str

    @property
    def succeeded(self) -> bool:
        """Whether the answer is a success code (2.xx)."""
        return self.code.startswith("2.")

    def to_json(self) -> dict[str, object]:
        """Return the JSON object for the console."""
        return {
            "method": self.method, "name": self.name, "content": self.content,
            "code": self.code, "answer": self.answer,
        }  # fmt: skip


class Device:
    """Sends requests to one device; ``steps`` has each answer, even if a later request fails."""

    def __init__(self, uuid: str, description: Mapping[str, Any], control: Control) -> None:
        """Send through ``control``; ``description`` is the device's self-description."""
        self._uuid = uuid
        self._description = description
        self._control = control
        self.steps: list[Step] = []

    async def carry_out(self, intent: Intent) -> None:
        """Send the requests for ``intent``, whose title must be one that the device has.

        Raises:
            ActionError: the device cannot do it, or did not report its volume.
            GatewayError, WireError: the request could not be sent.
        """
        if intent.action is Action.PLAY:
            # With the prefix a title can be any word, even one that is a command.
            await self._ask("PUT", PLAY, PLAY_PREFIX + intent.title)
        elif intent.action is Action.PLAY_ANY:
            await self._play_any(intent.title)
        elif intent.action in PLAY_WORDS:
            await self._ask("PUT", PLAY, PLAY_WORDS[intent.action])
        elif intent.action is Action.SLEEP_TIMER:
            await self._ask("PUT", SLEEP_TIMER, intent.timer)
        else:
            await self._turn(intent)

    async def _play_any(self, kind: str) -> None:
        """Play a folder of that name, else what was heard last: the cloud knows none of its titles."""
        if kind and (await self._ask("PUT", PLAY, PLAY_PREFIX + kind)).succeeded:
            return
        await self._ask("PUT", PLAY, PLAY_WORDS[Action.RESUME])

    async def _turn(self, intent: Intent) -> None:
        limits = self._point(VOLUME).pattern
        # A device whose description gives no range has the document's.
        limits = limits if isinstance(limits, Range) else VOLUME_RANGE
        now = None
        if intent.action is not Action.VOLUME_SET:
            now = _level(await self._ask("GET", VOLUME))
        level = new_level(intent, now, limits)
        step = await self._ask("PUT", VOLUME, str(level))
        allowed = parse_refusal(step.answer)
        if allowed is None or not is_as_far_as_possible(intent):
            return
        nearest = min(max(level, allowed[0]), allowed[1])
        if nearest not in {level, now}:
            await self._ask("PUT", VOLUME, str(nearest))

    async def _ask(self, method: str, name: str, content: str = "") -> Step:
        self._point(name)  # the device must have it
        code, answer = await self._control(self._uuid, name, method, content)
        step = Step(method, name, content, code, answer)
        self.steps.append(step)
        return step

    def _point(self, name: str) -> DataPointDescription:
        for entry in self._description.get("resources", []):
            if isinstance(entry, Mapping) and entry.get("name") == name:
                try:
                    return parse_description(entry, "resources.")
                except WireError as error:
                    raise ActionError(f"the device's description of {name}: {error}") from error
        raise ActionError(f"the device has no data point {name}")


def new_level(intent: Intent, now: int | None, limits: Range) -> int:
    """Return the volume to set, within ``limits`` and on one of their steps.

    ``now`` is the present volume, in the device's units; not used to set an absolute level.

    Raises:
        ActionError: ``intent`` names a level that the device does not have.
    """
    amount = intent.amount or 0
    if intent.action is Action.VOLUME_SET:
        if not intent.percent:
            if not limits.low <= amount <= limits.high:
                raise ActionError(f"volume: got {amount}, expected {limits}")
            return _on_step(amount, limits)
        span = limits.high - limits.low
        return _on_step(limits.low + round(span * amount / PERCENT_MAX), limits)
    sign = 1 if intent.action is Action.VOLUME_UP else -1
    return _on_step((now or 0) + sign * amount * limits.step, limits)


def is_as_far_as_possible(intent: Intent) -> bool:
    """Return whether ``intent`` is for more, less, all or nothing, not for a certain level."""
    extremes = {0, PERCENT_MAX} if intent.percent else {0}
    return intent.action is not Action.VOLUME_SET or intent.amount in extremes


def _on_step(level: int, limits: Range) -> int:
    clamped = min(max(level, limits.low), limits.high)
    return clamped - (clamped - limits.low) % limits.step


def _level(step: Step) -> int:
    if not step.succeeded:
        raise ActionError(f"the device did not say its volume: {step.code} {step.answer}".rstrip())
    try:
        return int(step.answer)
    except ValueError as error:
        raise ActionError(f"volume: got {show(step.answer)}, expected an integer") from error
