"""What a data point is: a description and two coroutines."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

from wire.datapoints import DataPointDescription, Value


class DataPoint(ABC):
    """One data point of the device.

    ``put`` is only called with a value that passed the description's type and pattern, and only if
    the description lists PUT. Both may raise RefusedError or UnavailableError.
    """

    description: ClassVar[DataPointDescription]

    @abstractmethod
    async def get(self) -> Value:
        """Return the present value."""

    async def put(self, value: Value) -> None:
        """Make ``value`` the present one."""
        raise AssertionError(f"{self.description.name} takes no value, yet got {value!r}")

    @property
    def back_end(self) -> str:
        """Say in one line what the data point drives, for status and log."""
        return "built in"

    async def close(self) -> None:
        """Let go of devices; the agent ends."""
        return
