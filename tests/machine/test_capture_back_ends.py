"""Which program records on a machine, and with which arguments."""

from __future__ import annotations

import importlib.util
import shutil
import sys

import pytest

from machine.capture_back_ends import find_back_end
from machine.capture_kinds import BackEndKind
from machine.microphone import FaultKind


def installed(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: name if name in names else None)
    monkeypatch.setattr(shutil, "which", lambda name: f"/usr/bin/{name}" if name in names else None)
    monkeypatch.setenv("PULSE_SERVER", "unix:/run/pulse")


@pytest.mark.parametrize(
    ("names", "name"),
    [
        (("sounddevice", "parec", "arecord"), "sounddevice: default"),
        (("parec", "arecord"), "parec: default"),
        (("arecord",), "arecord: default"),
        ((), "no microphone: sounddevice, parec, arecord not installed, so nothing is heard"),
    ],
)
def test_the_first_that_is_installed_records(
    monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], name: str
) -> None:
    installed(monkeypatch, *names)
    assert find_back_end().name == name
    assert bool(find_back_end().command) == bool(names)


def test_one_that_was_asked_for_is_not_replaced_by_another(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "arecord")
    found = find_back_end("", BackEndKind.PAREC)
    assert (found.name, found.command) == (
        "no microphone: parec not installed, so nothing is heard",
        (),
    )


def test_parec_is_for_users_of_a_sound_server(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "parec", "arecord")
    for name in ("PULSE_SERVER", "PULSE_RUNTIME_PATH", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    assert find_back_end().name == "arecord: default"
    monkeypatch.setenv("XDG_RUNTIME_DIR", "/run/user/1000")
    assert find_back_end().name == "parec: default"


@pytest.mark.parametrize(
    ("kind", "device", "words"),
    [
        ("sounddevice", "usb", ("-m", "machine.capture_child", "usb")),
        ("sounddevice", "", ("-m", "machine.capture_child", "")),
        ("parec", "mic.monitor", ("--device=mic.monitor",)),
        ("arecord", "1", ("-D", "plughw:1")),
        ("arecord", "hw:CARD=mic", ("-D", "hw:CARD=mic")),
        ("arecord", "", ("-D", "default")),
    ],
)
def test_a_device_is_an_argument(
    monkeypatch: pytest.MonkeyPatch, kind: str, device: str, words: tuple[str, ...]
) -> None:
    installed(monkeypatch, kind)
    assert set(words) <= set(find_back_end(device, BackEndKind(kind)).command)


def test_arecord_gives_a_block_of_20_ms_and_may_fall_100_ms_behind(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    installed(monkeypatch, "arecord")
    words = find_back_end().command
    told = {words[at]: words[at + 1] for at in range(2, len(words), 2)}
    assert (told["-F"], told["-B"], told["-r"]) == ("20000", "100000", "16000")


def test_the_daemon_looks_for_portaudio_without_loading_it() -> None:
    find_back_end("", BackEndKind.SOUNDDEVICE)
    assert "sounddevice" not in sys.modules


def test_the_exit_codes_of_the_child_have_meanings(monkeypatch: pytest.MonkeyPatch) -> None:
    installed(monkeypatch, "sounddevice")
    explain = find_back_end().explain
    assert [explain(code, "")[0] for code in (0, 1, 3, 4, 5, 6, -9)] == [
        FaultKind.ENDED, FaultKind.ENDED, FaultKind.NO_DEVICE, FaultKind.NO_BACK_END,
        FaultKind.NO_DEVICE, FaultKind.BEHIND, FaultKind.ENDED,
    ]  # fmt: skip
    assert "PortAudio is not installed" in explain(4, "")[1]
