"""Recordings as samples, by the real mpv."""

from __future__ import annotations

import shutil
import wave
from pathlib import Path

import pytest

from machine.decode import decode, decode_command
from machine.errors import UnavailableError


def recording(path: Path, seconds: float = 1.0, rate: int = 44100) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setparams((2, 2, rate, 0, "NONE", ""))
        file.writeframes(b"\x10\x20" * 2 * round(seconds * rate))
    return path


def test_a_recording_of_another_rate_is_sixteen_thousand_a_second(tmp_path: Path) -> None:
    samples = b"".join(decode(recording(tmp_path / "a.wav")))
    assert len(samples) == pytest.approx(32000, abs=1600)


def test_what_is_none_gives_nothing_and_ends(tmp_path: Path) -> None:
    (tmp_path / "a.mp3").write_text("no sound", "utf-8")
    assert list(decode(tmp_path / "a.mp3")) == []
    assert list(decode(tmp_path / "not there.mp3")) == []


def test_a_list_does_not_lead_to_another_file(tmp_path: Path) -> None:
    recording(tmp_path / "a.wav")
    (tmp_path / "a.m3u").write_text("a.wav\n", "utf-8")
    assert list(decode(tmp_path / "a.m3u")) == []


def test_who_stops_reading_leaves_no_program(tmp_path: Path) -> None:
    pieces = decode(recording(tmp_path / "a.wav", seconds=60))
    assert next(pieces)
    pieces.close()  # type: ignore[attr-defined]


def test_a_name_that_looks_like_an_option_is_a_name() -> None:
    assert decode_command("mpv", Path("--script=x"))[-2:] == ["--", "--script=x"]


def test_without_mpv_it_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "which", lambda _name: None)
    with pytest.raises(UnavailableError, match="mpv: not installed"):
        next(decode(tmp_path / "a.wav"))
