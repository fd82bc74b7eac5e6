"""The base class of data points: a description and two coroutines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from wire.datapoints import DataPointDescription, Value


class DataPoint(ABC):
    """One data point of the device.

    ``put`` is called only with values that match the description's type and pattern, and only if
    the description lists PUT. ``get`` and ``put`` may raise RefusedError or UnavailableError.
    """

    description: ClassVar[DataPointDescription]

    @abstractmethod
    async def get(self) -> Value:
        """Return the current value."""

    async def put(self, value: Value) -> None:
        """Set the current value to ``value``."""
        raise AssertionError(f"{self.description.name} takes no value, yet got {value!r}")

    @property
    def is_polled(self) -> bool:
        """Whether a text, too, is looked at once a minute, since nobody tells when it changes."""
        return False

    @property
    def back_end(self) -> str:
        """One line for status and log: what the data point controls."""
        return "built in"

    async def run(self) -> None:
        """Work in the background until cancelled, or return if there is none to do."""
        return

    def check_local(self, name: str) -> str | None:
        """Return why a PUT of the data point ``name`` from the machine itself is refused, or None.

        Every data point is asked, whichever is set; orders from the cloud are not asked about.
        """
        del name
        return None

    def note_local(self) -> None:
        """Note that a PUT from the machine itself, a knob or a button, has succeeded."""
        return

    async def close(self) -> None:
        """Release devices; called when the agent stops."""
        return
