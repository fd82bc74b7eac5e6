"""What can record on this machine: PortAudio in a child, parec, arecord, or a stand-in that says so."""

from __future__ import annotations

import importlib.util
import os
import shutil
import sys
from collections.abc import Callable, Mapping

from machine import capture_child
from machine.capture_child import RATE
from machine.capture_kinds import BackEndKind
from machine.microphone import BackEnd, FaultKind

CHILD = "machine.capture_child"
# Microseconds: one block, and the buffer that a busy core may fall behind.
PERIOD, BUFFER = 20_000, 100_000

_CHILD_EXITS: Mapping[int, FaultKind] = {
    capture_child.EXIT_NO_DEVICE: FaultKind.NO_DEVICE,
    capture_child.EXIT_NOT_OPENED: FaultKind.NO_DEVICE,
    capture_child.EXIT_NO_PORTAUDIO: FaultKind.NO_BACK_END,
    capture_child.EXIT_BEHIND: FaultKind.BEHIND,
}
# Of libpulse and ALSA, in English, which the child's environment asks for.
# (No source has a name that libpulse does not take, one in Chinese for instance.)
_PAREC_SAYS: Mapping[str, FaultKind] = {
    "No such entity": FaultKind.NO_DEVICE,
    "Stream error: Invalid argument": FaultKind.NO_DEVICE,
}
_ARECORD_SAYS: Mapping[str, FaultKind] = {
    "No such file or directory": FaultKind.NO_DEVICE,
    "No such device": FaultKind.NO_DEVICE,
    "Sample format non available": FaultKind.NO_DEVICE,
}


def find_back_end(device: str = "", kind: BackEndKind = BackEndKind.AUTO) -> BackEnd:
    """Return what records from ``device``; without anything, a stand-in whose command is empty.

    Args:
        device: the name or index of a device or of a sound server's source, "" for the default.
        kind: which program is to record.
    """
    wanted = list(_FINDERS) if kind is BackEndKind.AUTO else [kind]
    for candidate in wanted:
        found = _FINDERS[candidate](device)
        if found is not None:
            return found
    tried = ", ".join(wanted)
    return BackEnd(f"no microphone: {tried} not installed, so nothing is heard", ())


def _find_sounddevice(device: str) -> BackEnd | None:
    # Looked for and never imported: it loads PortAudio.
    if importlib.util.find_spec("sounddevice") is None:
        return None
    command = (sys.executable, "-P", "-m", CHILD, device)
    return BackEnd(
        f"sounddevice: {device or 'default'}", command, exits=_CHILD_EXITS,
        keep=("PULSE_SOURCE", "PYTHONPATH"),
    )  # fmt: skip


def _find_parec(device: str) -> BackEnd | None:
    program = shutil.which("parec")
    if program is None or not _has_server():
        return None
    command = (
        program, "--raw", f"--rate={RATE}", "--channels=1", "--format=s16ne", "--latency-msec=20",
        "--client-name=story-agent", *([f"--device={device}"] if device else []),
    )  # fmt: skip
    return BackEnd(
        f"parec: {device or 'default'}", command, says=_PAREC_SAYS, keep=("PULSE_SOURCE",)
    )


def _has_server() -> bool:
    """Return whether this user has, or is told of, a PulseAudio server; it may be away just now."""
    if "PULSE_SERVER" in os.environ:
        return True
    folder = os.environ.get("PULSE_RUNTIME_PATH") or os.environ.get("XDG_RUNTIME_DIR", "")
    return bool(folder)


def _find_arecord(device: str) -> BackEnd | None:
    program = shutil.which("arecord")
    if program is None:
        return None
    # plughw converts what the card has; a number alone is a card.
    name = f"plughw:{device}" if device.isdecimal() else device or "default"
    form = "S16_LE" if sys.byteorder == "little" else "S16_BE"
    command = (
        program, "-q", "-D", name, "-t", "raw", "-f", form, "-r", str(RATE), "-c", "1",
        "-F", str(PERIOD), "-B", str(BUFFER),
    )  # fmt: skip
    return BackEnd(f"arecord: {name}", command, says=_ARECORD_SAYS, keep=("PULSE_SOURCE",))


_FINDERS: Mapping[BackEndKind, Callable[[str], BackEnd | None]] = {
    BackEndKind.SOUNDDEVICE: _find_sounddevice,
    BackEndKind.PAREC: _find_parec,
    BackEndKind.ARECORD: _find_arecord,
}
