"""PortAudio in a process of its own: microphone blocks on standard output.

The daemon never loads PortAudio: after its sound server's second death libportaudio 19.6.0 was seen to
hang in ``Pa_AbortStream`` and to write 600 MB of messages in a minute (PortAudio issues 1037, 1074).
Here it may do so: whoever reads kills this process, and nothing of it is aborted or closed in order.

The contract, which `machine.microphone` reads and other programs keep as well: mono samples, signed
16 bit, native-endian, 16,000 a second, in writes of 640 bytes (20 ms), until standard input ends.
"""

from __future__ import annotations

import array
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NoReturn

from wire.records import dataclass

RATE = 16000
BLOCK_BYTES = 640
BLOCK_SECONDS = 0.020
# PortAudio's buffer in seconds: blocks arrive evenly, and a busy core loses none.
LATENCY_SECONDS = 0.1
# The input that reaches PulseAudio and PipeWire through ALSA (Debian's libasound2-plugins).
SERVER_DEVICE = "pulse"

EXIT_ENDED = 1
"""The stream ended: the server died or the device was unplugged."""
EXIT_NO_DEVICE = 3
EXIT_NO_PORTAUDIO = 4
EXIT_NOT_OPENED = 5
"""The device is there, and neither its own rate nor 16,000 samples/s can be opened."""
EXIT_BEHIND = 6
"""Nobody read for so long that the pipe is full: what comes now would be late."""

Device = Mapping[str, Any]
"""One entry of ``sounddevice.query_devices()``."""


@dataclass(frozen=True, slots=True)
class Choice:
    """A PortAudio device; ``source`` is a source of the sound server behind it, "" for its default."""

    index: int | None
    source: str = ""


def choose(devices: Sequence[Device], wanted: str) -> Choice | None:
    """Return the device that ``wanted`` names, None without one.

    Args:
        devices: PortAudio's, in its order; those without inputs are never chosen.
        wanted: an index, a name or a part of one (any case), the name of a source of the sound
            server, or "" for the default.
    """
    inputs = {n: str(d["name"]) for n, d in enumerate(devices) if d["max_input_channels"] > 0}
    server = next((n for n, name in inputs.items() if name == SERVER_DEVICE), None)
    if not wanted:
        return Choice(server) if inputs else None
    if wanted.isdecimal():
        return Choice(int(wanted)) if int(wanted) in inputs else None
    for fits in (str.__eq__, str.__contains__):
        for number, name in inputs.items():
            if fits(name.casefold(), wanted.casefold()):
                return Choice(number)
    return None if server is None else Choice(server, wanted)


def shapes(device: Device) -> list[tuple[int, int]]:
    """Return the pairs of rate and channels to try: ours first, then what the device has."""
    own = round(device["default_samplerate"])
    rates = [RATE] if own == RATE else [RATE, own]
    channels = [1] if device["max_input_channels"] == 1 else [1, 2]
    return [(rate, count) for rate in rates for count in channels]


def mix(samples: bytes, channels: int) -> bytes:
    """Return the mean of all channels: which one has the microphone depends on the board."""
    if channels == 1:
        return samples
    taken = array.array("h", samples)
    parts = (taken[channel::channels] for channel in range(channels))
    return array.array(
        "h", (sum(group) // channels for group in zip(*parts, strict=True))
    ).tobytes()


class Blocks:
    """Cuts converted samples into blocks and writes each at once."""

    def __init__(self, write: Callable[[bytes], object], rate: int, channels: int) -> None:
        """Convert from ``rate`` and ``channels``; ``write`` takes one block."""
        self._write = write
        self._channels = channels
        self._rest = b""
        self._convert: Callable[[bytes], bytes] = bytes
        if rate != RATE:
            from audio.resample import Resampler  # noqa: PLC0415  # most devices give our rate

            self._convert = Resampler(rate, RATE).convert

    def add(self, samples: bytes) -> None:
        """Take what the device gave."""
        self._rest += self._convert(mix(samples, self._channels))
        while len(self._rest) >= BLOCK_BYTES:
            block, self._rest = self._rest[:BLOCK_BYTES], self._rest[BLOCK_BYTES:]
            self._write(block)


def write_block(block: bytes) -> None:
    """Write to the pipe without waiting; end the process if nobody reads any more."""
    try:
        os.write(1, block)
    except BlockingIOError:
        os._exit(EXIT_BEHIND)
    except OSError:
        os._exit(0)


def main(words: Sequence[str]) -> NoReturn:
    """Capture from the device that the first word names until standard input ends."""
    os.set_blocking(1, False)
    try:
        import sounddevice  # noqa: PLC0415  # its absence is an exit code
    except (ImportError, OSError):  # the package, or the library that it loads
        os._exit(EXIT_NO_PORTAUDIO)
    found = _find(sounddevice, words[0] if words else "")
    if found is None:
        os._exit(EXIT_NO_DEVICE)
    stream = _open(sounddevice, found)
    if stream is None:
        os._exit(EXIT_NOT_OPENED)
    sys.stdin.buffer.read()
    os._exit(0)


def _find(library: Any, wanted: str) -> Choice | None:
    try:
        devices = list(library.query_devices())
    except library.PortAudioError:
        return None
    found = choose(devices, wanted)
    if found is not None and found.source:
        os.environ["PULSE_SOURCE"] = found.source
    return found


def _open(library: Any, found: Choice) -> Any:
    """Return a started stream, None if the device can be opened in no shape."""
    try:
        device = library.query_devices(found.index, "input")
    except (library.PortAudioError, ValueError):
        return None
    for rate, channels in shapes(device):
        blocks = Blocks(write_block, rate, channels)
        try:
            stream = library.RawInputStream(
                samplerate=rate, channels=channels, dtype="int16", device=found.index,
                blocksize=round(rate * BLOCK_SECONDS), latency=LATENCY_SECONDS,
                callback=lambda data, _frames, _time, _status, to=blocks: to.add(bytes(data)),
                finished_callback=lambda: os._exit(EXIT_ENDED),
            )  # fmt: skip
            stream.start()
        except library.PortAudioError:
            continue
        return stream
    return None


if __name__ == "__main__":
    main(sys.argv[1:])
