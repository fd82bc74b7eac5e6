"""Writes a file of the wire log as a capture that Wireshark opens (docs/wire-log.md).

    story-cloud wire UUID --export frames.jsonl
    python -m tools.wireshark.capture frames.jsonl frames.pcap
    wireshark -X lua_script:tools/wireshark/story.lua frames.pcap

What was inside TLS is there as plain TCP, with the secrets hidden as in the file. Addresses, ports and the numbers of TCP
are made up; times count from the file's first entry.
"""

from __future__ import annotations

import argparse
import struct
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from base.files import write_atomically
from staging.wirelog.export import Replayed, read
from wire.errors import WireError

# The format of libpcap's files, 2.4, in microseconds; LINKTYPE_RAW: each packet begins with its IP header.
HEADER = struct.pack("<IHHiIII", 0xA1B2C3D4, 2, 4, 0, 0, 262_144, 101)
# Of TEST-NET-1 (RFC 5737), which no machine has.
DEVICE, CLOUD = bytes([192, 0, 2, 1]), bytes([192, 0, 2, 2])
# The cloud's ports: the default for framed CoAP, and the one by which Wireshark knows MQTT.
PORTS = {"coap": 9001, "mqtt": 1883}
FIRST_PORT, PORTS_OF_DEVICE = 49_152, 16_384
SEGMENT_BYTES = 1_400
PUSH_ACK = 0x18
TCP = 6


class Connection:
    """One TCP connection, whose beginning was not captured."""

    def __init__(self, port: int, number: int) -> None:
        """Between a port of the device's, from its number, and the cloud's ``port``."""
        self._cloud = (CLOUD, port)
        self._device = (DEVICE, FIRST_PORT + number % PORTS_OF_DEVICE)
        self._sent = {"up": 1, "down": 1}

    def packet(self, way: str, data: bytes) -> bytes:
        """Return the IPv4 packet that takes ``data`` "up" to the cloud or "down" to the device."""
        up = way == "up"
        source, target = (self._device, self._cloud) if up else (self._cloud, self._device)
        numbers = (self._sent[way], self._sent["down" if up else "up"])
        self._sent[way] = (self._sent[way] + len(data)) % 2**32
        return _packet(source, target, numbers, data)


def _packet(
    source: tuple[bytes, int], target: tuple[bytes, int], numbers: tuple[int, int], data: bytes
) -> bytes:
    size = 20 + len(data)
    tcp = struct.pack(
        ">HHIIBBHHH", source[1], target[1], *numbers, 5 << 4, PUSH_ACK, 65_535, 0, 0
    )  # fmt: skip
    pseudo = source[0] + target[0] + struct.pack(">BBH", 0, TCP, size)
    tcp = tcp[:16] + checksum(pseudo + tcp + data) + tcp[18:]
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + size, 0, 0, 64, TCP, 0) + source[0] + target[0]
    return ip[:10] + checksum(ip) + ip[12:] + tcp + data


def checksum(data: bytes) -> bytes:
    """Return the Internet checksum (RFC 1071) of ``data``; of what has its own already, two zeros."""
    even = data + bytes(len(data) % 2)
    total = sum(struct.unpack(f">{len(even) // 2}H", even))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return struct.pack(">H", total ^ 0xFFFF)


def packets(frames: Iterable[Replayed]) -> Iterator[tuple[float, bytes]]:
    """Yield when, in seconds since the first entry, and the packet, for each segment of the frames."""
    connections: dict[tuple[str, int], Connection] = {}
    for frame in frames:
        key = (frame.link, frame.connection)
        if key not in connections:
            connections[key] = Connection(PORTS.get(frame.link, PORTS["coap"]), frame.connection)
        for start in range(0, len(frame.data), SEGMENT_BYTES):
            piece = frame.data[start : start + SEGMENT_BYTES]
            yield frame.at, connections[key].packet(frame.way, piece)


def pcap(timed: Iterable[tuple[float, bytes]]) -> bytes:
    """Return a file of packets, each with its seconds."""
    parts = [HEADER]
    for seconds, packet in timed:
        whole, micro = divmod(round(seconds * 1_000_000), 1_000_000)
        parts += [struct.pack("<IIII", whole, micro, len(packet), len(packet)), packet]
    return b"".join(parts)


def main(words: Sequence[str] | None = None) -> int:
    """Write the capture; return the exit code."""
    parser = argparse.ArgumentParser(description="A file of the wire log, as a capture.")
    parser.add_argument("source", type=Path, help="from story-cloud wire UUID --export")
    parser.add_argument("target", type=Path, help="the capture to write")
    options = parser.parse_args(words)
    try:
        with options.source.open(encoding="utf-8") as lines:
            capture = pcap(packets(read(lines)))
        write_atomically(options.target, capture, mode=0o600)
    except OSError as error:
        print(f"capture: {error}", file=sys.stderr)
        return 1
    except (UnicodeDecodeError, WireError) as error:
        print(f"capture: {options.source}: {error}", file=sys.stderr)
        return 1
    print(f"wrote {options.target}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
