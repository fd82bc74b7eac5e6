"""Who decides whether the microphone may be opened, beside its switch: every way to begin listening asks.

The listener asks before each session and tells when the microphone opened and closed. What listens for a
wake word asks before it opens a microphone of its own and each minute while it is open, and counts nothing: the
minutes are those of sessions.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol


class Gate(Protocol):
    """Parents' hours and minutes of listening, for example."""

    def refusal(self) -> str | None:
        """Return why the microphone must stay closed now, for people; None if it may be opened."""

    def opened(self) -> None:
        """Note that a session opens the microphone now."""

    def closed(self) -> None:
        """Note that it is closed again."""

    def status(self) -> Mapping[str, object]:
        """Return what is shown in ``status``."""


class OpenGate:
    """Refuses nothing."""

    def refusal(self) -> str | None:
        """Return None."""
        return None

    def opened(self) -> None:
        """Count nothing."""

    def closed(self) -> None:
        """Count nothing."""

    def status(self) -> Mapping[str, object]:
        """Return nothing."""
        return {}
