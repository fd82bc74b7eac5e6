"""An intent to control requests of the same device, and what the device answered.

Which values a device understands is in its own self-description: the range of its volume, the paths
of its data points. The words for play are the document's (open API 3.1), which the agent and
firmware of 2017 both know.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from staging.recognition.intents import PERCENT_MAX, Action, Intent
from wire.datapoints import DataPointDescription, Range, parse_description
from wire.errors import WireError, show

PLAY, VOLUME = "play", "volume"
PLAY_PREFIX = "播放"
PLAY_WORDS = {
    Action.NEXT: "下一首",
    Action.PREVIOUS: "上一首",
    Action.PAUSE: "暂停",
    Action.RESUME: "继续",
    Action.STOP: "停止",
}
# The document's, for a device whose description gives none.
VOLUME_RANGE = Range(0, 16)

Control = Callable[[str, str, str, str], Awaitable[tuple[str, str]]]
"""`Gateway.control`: (uuid, method, uri, content) → ("2.05", content)."""


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
        """Whether the device did it."""
        return self.code.startswith("2.")

    def to_json(self) -> dict[str, object]:
        """Render for the console."""
        return {
            "method": self.method, "name": self.name, "content": self.content,
            "code": self.code, "answer": self.answer,
        }  # fmt: skip


class Device:
    """One device to be asked; ``steps`` grows with each answer, also when a later one fails."""

    def __init__(self, uuid: str, description: Mapping[str, Any], control: Control) -> None:
        """Ask through ``control``; ``description`` is the device's self-description."""
        self._uuid = uuid
        self._description = description
        self._control = control
        self.steps: list[Step] = []

    async def carry_out(self, intent: Intent) -> None:
        """Ask for what ``intent`` means; the title is one that the device has.

        Raises:
            ActionError: the device cannot do it, or did not say how loud it is.
            GatewayError, WireError: it could not be asked.
        """
        if intent.action is Action.PLAY:
            # With the prefix a title can be any word, also one that is a command.
            await self._ask("PUT", PLAY, PLAY_PREFIX + intent.title)
        elif intent.action in PLAY_WORDS:
            await self._ask("PUT", PLAY, PLAY_WORDS[intent.action])
        else:
            await self._turn(intent)

    async def _turn(self, intent: Intent) -> None:
        limits = self._point(VOLUME).pattern
        limits = limits if isinstance(limits, Range) else VOLUME_RANGE
        now = None
        if intent.action is not Action.VOLUME_SET:
            now = _level(await self._ask("GET", VOLUME))
        await self._ask("PUT", VOLUME, str(new_level(intent, now, limits)))

    async def _ask(self, method: str, name: str, content: str = "") -> Step:
        uri = self._point(name).uri
        code, answer = await self._control(self._uuid, method, uri, content)
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
    """Return the volume to set: within ``limits`` and on their step.

    Raises:
        ActionError: a level was named that the device does not have.
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
