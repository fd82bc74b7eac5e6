"""The wire log as a capture, and what tshark with tools/wireshark/story.lua reads in one."""

from __future__ import annotations

import json
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from staging.wirelog.export import FORMAT
from tools.wireshark.capture import HEADER, SEGMENT_BYTES, Connection, checksum, main, pcap
from wire.framing import encode_frame

DISSECTOR = Path(__file__).parents[2] / "tools" / "wireshark" / "story.lua"


def get(name: str, number: int, more: bytes = b"") -> bytes:
    """Return a frame with a GET of one path segment, whose message id is ``number``."""
    path = bytes([0xB0 | len(name)]) + name.encode()
    return encode_frame(b"\x40\x01" + number.to_bytes(2, "big") + path + more)


def packets_of(capture: bytes) -> list[tuple[float, bytes]]:
    assert capture.startswith(HEADER)
    found, place = [], len(HEADER)
    while place < len(capture):
        whole, micro, size, _ = struct.unpack_from("<IIII", capture, place)
        found.append((whole + micro / 1e6, capture[place + 16 : place + 16 + size]))
        place += 16 + size
    return found


def is_sound(packet: bytes) -> bool:
    pseudo = packet[12:20] + struct.pack(">BBH", 0, 6, len(packet) - 20)
    return checksum(packet[:20]) == checksum(pseudo + packet[20:]) == b"\0\0"


def exported(folder: Path, *entries: dict[str, object]) -> Path:
    path = folder / "frames.jsonl"
    path.write_text("".join(json.dumps(line) + "\n" for line in ({"format": FORMAT}, *entries)))
    return path


def test_a_wire_log_becomes_a_capture_of_its_bytes(tmp_path: Path) -> None:
    long = encode_frame(bytes(range(256)) * 12 + b"x")
    said = [("up", long, 1), ("down", get("power", 7), 1), ("up", get("volume", 8), 2)]
    frames: list[dict[str, object]] = [
        {"at": 1.5, "way": way, "hex": data.hex(), "link": "coap", "connection": number}
        for way, data, number in said
    ]
    note: dict[str, object] = {"way": "note", "text": "connected"}
    target = tmp_path / "frames.pcap"
    assert main([str(exported(tmp_path, note, *frames)), str(target)]) == 0
    found = packets_of(target.read_bytes())
    assert {at for at, _ in found} == {1.5}
    assert all(is_sound(packet) for _, packet in found)
    assert b"".join(packet[40:] for _, packet in found) == b"".join(data for _, data, _ in said)
    ports = [struct.unpack_from(">HH", packet, 20) for _, packet in found]
    assert ports == [(49153, 9001)] * 3 + [(9001, 49153), (49154, 9001)]
    numbers = [struct.unpack_from(">II", packet, 24) for _, packet in found]
    sent = 1 + len(long)
    assert numbers[1:] == [(1 + SEGMENT_BYTES, 1), (1 + 2 * SEGMENT_BYTES, 1), (1, sent), (1, 1)]


def test_what_is_no_wire_log_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    target = tmp_path / "frames.pcap"
    source = exported(tmp_path, {"way": "sideways"})
    assert main([str(source), str(target)]) == 1
    assert f"{source}: line 2: way" in capsys.readouterr().err
    assert main([str(tmp_path / "missing"), str(target)]) == 1
    assert not target.exists()


def dissected(capture: Path, folder: Path) -> list[str]:
    """Return what tshark says of each packet: message ids, paths, lengths, and what is wrong."""
    fields = ("coap.mid", "coap.opt.uri_path", "story.length", "_ws.expert.message")
    run = subprocess.run(
        ["tshark", "-n", "-r", capture, "-X", f"lua_script:{DISSECTOR}", "-T", "fields",
         "-E", "separator=|", *(word for field in fields for word in ("-e", field))],
        capture_output=True, text=True, timeout=60, check=True,
        env={"HOME": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )  # fmt: skip
    assert "Lua" not in run.stderr, run.stderr
    return run.stdout.splitlines()


def test_tshark_reads_frames_however_the_stream_is_cut(tmp_path: Path) -> None:
    if shutil.which("tshark") is None:
        pytest.skip("tshark is not installed")
    one, bad = Connection(9001, 1), Connection(9001, 2)
    whole = get("play", 3, b"\xff" + b"x" * 300)
    stream = get("power", 1) + get("volume", 2) + whole[:5]
    sent = [
        one.packet("up", stream),  # two frames and the beginning of a third
        one.packet("up", whole[5:100]),
        one.packet("up", whole[100:] + get("switch", 4)),
        one.packet("down", get("power", 5)),
        bad.packet("up", get("power", 6) + b"GET / HTTP/1.1"),
        bad.packet("down", bytes.fromhex("beefdead 7fffffff 40010001")),
        bad.packet("down", encode_frame(b"\x4f\x01\x00\x01") + get("power", 8)),
    ]
    capture = tmp_path / "frames.pcap"
    capture.write_bytes(pcap(enumerate(sent)))
    *good, rest, length, no_coap = dissected(capture, tmp_path)
    assert good == ["1,2|power,volume|10,11|", "|||", "3,4|play,switch|310,11|", "5|power|10|"]
    assert rest == "6|power|10|No magic: nothing behind it can be told apart"
    assert length.startswith("|||The length is not from 4 to 16384")
    # One that cannot be read hides none behind it.
    assert no_coap.startswith("1,8|power|4,10|The message is no CoAP")
