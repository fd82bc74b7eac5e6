"""The data point ``microphone``: whether the machine may listen at all (docs/listening.md)."""

from __future__ import annotations

from typing import ClassVar

from machine.microphone_switch import MicrophoneSwitch
from resources.datapoint import DataPoint
from wire.datapoints import Value
from wire.story_points import MICROPHONE


class MicrophonePoint(DataPoint):
    """``false`` closes the microphone for good, also over restarts; ``true`` lets it be opened again."""

    description: ClassVar = MICROPHONE

    def __init__(self, switch: MicrophoneSwitch) -> None:
        """Turn ``switch``."""
        self.switch = switch

    @property
    def back_end(self) -> str:
        """Whether it is on; what records is looked for when somebody speaks."""
        return "may be opened" if self.switch.is_on else "off"

    async def get(self) -> bool:
        """Return whether the microphone may be opened."""
        return self.switch.is_on

    async def put(self, value: Value) -> None:
        """Turn it on or off; off returns when it is closed. Raises UnavailableError."""
        await self.switch.set(on=bool(value))
