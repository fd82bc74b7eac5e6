"""Which source a sound server gives to a process, from pactl's text."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from machine import capture_source
from machine.capture_source import find_source, read_source

TEXT = """\
Source Output #3
	Driver: protocol-native.c
	Owner Module: 1
	Client: 12
	Source: 1
	Sample Specification: s16le 1ch 16000Hz
	Properties:
		media.name = "Source: 99"
		application.process.id = "4711"

Source Output #4
	Source: 7
	Properties:
		application.process.id = "47"
"""


@pytest.mark.parametrize(
    ("process", "expected"), [(4711, "source 1"), (47, "source 7"), (471, ""), (1, "")]
)
def test_a_process_is_found_among_those_that_record(process: int, expected: str) -> None:
    assert find_source(TEXT, process) == expected


@pytest.mark.parametrize("text", ["", "Source Output #", "Source Output #1\n\tSource: x\n"])
def test_text_without_an_answer_gives_none(text: str) -> None:
    assert find_source(text, 4711) == ""


def write_pactl(folder: Path, script: str) -> None:
    program = folder / "pactl"
    program.write_text(f"#!/bin/sh\n{script}\n")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)


@pytest.mark.parametrize("script", ["exec sleep 600", "exit 1", "exec /nonexistent"])
async def test_who_does_not_answer_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str
) -> None:
    monkeypatch.setattr(capture_source, "PROGRAM_SECONDS", 0.2)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    write_pactl(tmp_path, script)
    assert await read_source(1) == ""


async def test_without_pactl_there_is_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    assert await read_source(1) == ""
