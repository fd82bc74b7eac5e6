"""Looks at one device's connection to the broker for the wire log."""

from __future__ import annotations

from collections.abc import Iterable

from staging.times import Clock, now_ms
from staging.wirelog.frames import MqttSplitter, Piece
from staging.wirelog.log import DOWN, MQTT, UP, WireLog


class MqttTap:
    """The wire log of one connection; the splitters run on while nobody looks, for a packet's beginning is not to be found."""

    def __init__(self, log: WireLog, peer: str, clock: Clock = now_ms) -> None:
        """Look at a connection of ``peer``, an address as text, for ``log``."""
        self._log = log
        self._number = log.next_connection()
        self._up, self._down = MqttSplitter(), MqttSplitter()
        self._early: list[Piece] = []
        self._opened = (clock(), f"connected from {peer}")
        self.uuid = ""

    def heard(self, data: bytes) -> None:
        """See bytes of the device."""
        self._take(UP, self._up.feed(data))

    def told(self, data: bytes) -> None:
        """See bytes of the broker."""
        self._take(DOWN, self._down.feed(data))

    def claim(self, uuid: str) -> None:
        """Take note of the user name in the CONNECT, which the broker believes or refuses."""
        self.uuid = uuid
        self._log.note(uuid, MQTT, self._number, self._opened[1], self._opened[0])
        early, self._early = self._early, []
        self._take(UP, early)

    def end(self, reason: str) -> None:
        """Take note of the connection's end."""
        self._take(UP, self._up.end())
        self._take(DOWN, self._down.end())
        if self.uuid:
            self._log.note(self.uuid, MQTT, self._number, f"ended: {reason}")

    def _take(self, way: str, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if self.uuid:
                self._log.add(self.uuid, way, MQTT, self._number, piece)
            else:
                self._early.append(piece)  # the CONNECT alone: whose it is, is known with it
