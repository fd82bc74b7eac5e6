"""The QR code on a terminal, as a picture, and where the library is missing."""

from __future__ import annotations

import importlib.util
import io
import json
import sys
from pathlib import Path

import pytest

from agent.cli import main
from agent.first import pair
from tests.agent.first.parts import BIND_TOKEN, TOKEN, UUID, profile, profile_bytes
from tests.extras import require
from wire.pairing import pairing_text

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
QUIET = 4


@pytest.fixture
def path(tmp_path: Path) -> Path:
    made = tmp_path / "profile.json"
    made.write_bytes(profile_bytes())
    return made


def run(path: Path, capsys: pytest.CaptureFixture[str], *words: str) -> tuple[int, str, str]:
    code = main(["pair", "--profile", str(path), "--lang", "en", *words])
    said = capsys.readouterr()
    assert TOKEN not in said.out + said.err
    return code, said.out, said.err


def test_half_blocks_hold_the_modules() -> None:
    rows = [[1, 0, 1], [0, 1, 1], [1, 0, 0]]
    assert pair.on_terminal(rows, colours=False) == ["▀▄█", "▀  "]
    assert pair.on_terminal(rows, colours=True)[0] == "\033[30;107m▀▄█\033[0m"


def test_a_terminal_without_blocks_gets_two_characters_a_module(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(io.BytesIO(), encoding="ascii"))
    assert pair.on_terminal([[1, 0], [0, 1]], colours=True) == ["##  ", "  ##"]


def test_the_code_is_the_machines_with_a_quiet_zone(
    path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require("segno")
    rows = pair.modules(profile())
    assert len(rows) == 37 + 2 * QUIET
    assert not any(any(row) for row in rows[:QUIET])
    code, out, _ = run(path, capsys)
    assert code == 0
    assert "\n".join(pair.on_terminal(rows, colours=False)) in out
    assert f"device {UUID}, bind token {BIND_TOKEN}" in out


def test_pictures_and_json(path: Path, capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    code, out, _ = run(path, capsys, "--json")
    assert (code, json.loads(out)) == (0, {"deviceUuid": UUID, "token": BIND_TOKEN})
    require("segno")
    for kind, begin in (("png", b"\x89PNG"), ("svg", b"<?xml")):
        file = tmp_path / f"code.{kind}"
        assert run(path, capsys, f"--{kind}", str(file))[0] == 0
        assert file.read_bytes().startswith(begin)
        assert file.stat().st_mode & 0o777 == 0o600


def test_without_the_library_the_values_are_said(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)
    code, out, _ = run(path, capsys)
    assert code == 0
    assert "story-agent[qr]" in out
    assert BIND_TOKEN in out
    code, _, err = run(path, capsys, "--png", str(tmp_path / "x.png"))
    assert code == 1
    assert "segno is not installed" in err


def test_a_machine_without_an_identity(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path.write_text("{}")
    assert "is no profile that can be used" in run(path, capsys)[2]
    path.unlink()
    code, _, err = run(path, capsys)
    assert code == 1
    assert "the machine has no identity yet" in err


def test_a_picture_that_cannot_be_written_is_no_missing_identity(
    path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    require("segno")
    picture = tmp_path / "none" / "code.png"
    code, _, err = run(path, capsys, "--png", str(picture))
    assert (code, err) == (1, f"story-agent: {picture}: No such file or directory\n")


def test_the_page_has_what_an_app_sends() -> None:
    assert pair.to_json(profile()) == json.loads(pairing_text(UUID, BIND_TOKEN))
