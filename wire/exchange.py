"""One request and its answer, the same for every protocol: framed CoAP, local CoAP and HTTP.

An answer's code is CoAP's (`wire.codes`), because the device document is written in them; a
protocol with codes of its own maps them at its border.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from wire.records import dataclass

# How the text of a 5.03 begins by which a device refuses a request after its deadline.
TOO_LATE = "too late"
# Bytes of one body, in either direction and on every way: fits a log of 200 lines; a self-description
# takes 2 kB.
BODY_LIMIT = 64 * 1024
# Of a recording, which is said on the machine itself alone: a minute of 48 kHz stereo. Longer sound is cut anyway (voice.max_seconds).
WAV_LIMIT = 12 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Request:
    """A request: method ("GET"), decoded path and query parts in order, and payload."""

    method: str
    path: tuple[str, ...]
    query: tuple[str, ...] = ()
    payload: bytes = b""
    until_ms: int | None = None
    """The cloud's time (Unix, milliseconds) after which it is not carried out; None: no deadline."""
    id: bytes = b""
    """The same in each repeat of a request, which is then carried out once; b"": it has none."""


@dataclass(frozen=True, slots=True)
class Terms:
    """What a sender adds to a request for a device that reads deadlines: see `Request`."""

    until_ms: int
    id: bytes = b""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: a CoAP code byte (`wire.codes` or any other) and its payload."""

    code: int
    payload: bytes = b""
    again: int | None = None
    """Of a 5.03: the seconds after which the same may be asked again (RFC 7252 section 5.9.3.4); None: it does not say."""

    @classmethod
    def from_text(cls, code: int, text: str) -> Answer:
        """Return an answer with ``text`` as its payload; lone surrogates become "?"."""
        return cls(code, text.encode(errors="replace"))

    @property
    def text(self) -> str:
        """The payload as text; bytes that are not UTF-8 become replacement characters."""
        return self.payload.decode(errors="replace")


Handler = Callable[[Request], Awaitable[Answer]]
"""Answers one request; an exception is the handler's bug and becomes 5.00."""
