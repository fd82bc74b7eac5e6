"""Takes secrets out of frames before anybody keeps them: tokens, bind tokens and passwords become ``*``. No I/O.

A frame stays as long as it was, so that lengths and positions in it are right. Hidden is what has a secret's name, in
JSON, in a query and in a URL, what a CONNECT has for its password, and the known secrets of the device wherever they
stand, also where the border of a block cuts them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from staging.wirelog.coap_view import split_message
from staging.wirelog.mqtt_view import split_packet

_MASK = ord("*")
_NAME = rb"[A-Za-z_.-]{0,32}(?:token|passw(?:or)?d|secret|passphrase|psk|api_?key|private_?key)[A-Za-z_]{0,16}"
# A name, whatever stands between, and a value: in JSON, also in JSON within a text of JSON.
_JSON = re.compile(rb'(?i)\\?"' + _NAME + rb'\\?"\s*:\s*\\?"((?:[^"\\]|\\[^"])*)')
_QUERY = re.compile(rb"(?i)(?:^|[?&\s;\"'])" + _NAME + rb"=([^&\s\"';\x00-\x1f\x7f-\xff]+)")
_USER = re.compile(rb"(?i)[a-z][a-z0-9+.-]*://[^/\s:@\"]{0,255}:([^/\s@\"]{1,255})@")
_PEM = re.compile(rb"-----BEGIN [A-Z ]*PRIVATE KEY-----(.*?)(?:-----END|\Z)", re.DOTALL)
_ANYWHERE = (_JSON, _USER, _PEM)
_URI_QUERY = 15
# Characters of a known secret that are hidden at a border: fewer are in many words.
BORDER_MIN = 6
SECRET_MIN = 6


class Hider:
    """Hides a device's secrets; it learns those that it sees by their names."""

    def __init__(self, secrets: Iterable[str] = ()) -> None:
        """Hide ``secrets`` wherever they stand, in any case of letters."""
        self._secrets: set[bytes] = set()
        for secret in secrets:
            self.learn(secret)

    def learn(self, secret: str) -> None:
        """Hide one more secret."""
        if len(secret) >= SECRET_MIN:
            self._secrets.add(secret.lower().encode())

    def coap(self, frame: bytes) -> tuple[bytes, bool]:
        """Return a frame of framed CoAP without secrets, and whether there were any."""
        hidden = bytearray(frame)
        parts = split_message(frame)
        for number, start, end in parts.options:
            if number == _URI_QUERY and (found := _QUERY.search(frame[start:end])):
                _mask(hidden, start + found.start(1), end)
        return self._rest(frame, hidden, parts.payload or 0)

    def mqtt(self, packet: bytes) -> tuple[bytes, bool]:
        """Return an MQTT packet without secrets, and whether there were any."""
        hidden = bytearray(packet)
        for start, end in split_packet(packet).secrets:
            _mask(hidden, start, end)
        return self._rest(packet, hidden, 0)

    def _rest(self, frame: bytes, hidden: bytearray, payload: int) -> tuple[bytes, bool]:
        for pattern in _ANYWHERE:
            for found in pattern.finditer(frame):
                _mask(hidden, *found.span(1))
        for found in _QUERY.finditer(frame, payload):
            _mask(hidden, *found.span(1))
        lower = frame.lower()
        for secret in self._secrets:
            for found in re.finditer(re.escape(secret), lower):
                _mask(hidden, *found.span())
            for start, end in _borders(lower, payload, secret):
                _mask(hidden, start, end)
        return bytes(hidden), bytes(hidden) != frame


def _mask(hidden: bytearray, start: int, end: int) -> None:
    hidden[start:end] = bytes([_MASK]) * (end - start)


def _borders(frame: bytes, payload: int, secret: bytes) -> Iterable[tuple[int, int]]:
    """Yield where a frame's end has a secret's beginning, and its payload's beginning a secret's end."""
    for size in range(len(secret) - 1, BORDER_MIN - 1, -1):
        if frame.endswith(secret[:size]):
            yield len(frame) - size, len(frame)
            break
    for size in range(len(secret) - 1, BORDER_MIN - 1, -1):
        if frame.startswith(secret[-size:], payload):
            yield payload, payload + size
            break
