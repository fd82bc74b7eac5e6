"""The command ``story-agent sounds``."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli import main
from agent.exits import EX_CONFIG, EX_FAILED, EX_OK
from agent.sounds import table
from resources.announce.cues import Cue
from resources.announce.files import SoundFiles
from resources.announce.settings import Language, SoundsSettings


@pytest.fixture
def config(tmp_path: Path) -> Path:
    path = tmp_path / "agent.toml"
    path.write_text(f'[sounds]\nfolder = "{tmp_path}/mine"\nlanguage = "en"\nkinds = "tones"\n')
    return path


def test_the_table_has_every_cue_and_a_makers_file(
    config: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    mine = tmp_path / "mine" / "en" / "locked.ogg"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"sound")
    assert main(["sounds", "--config", str(config)]) == EX_OK
    head, *rows = capsys.readouterr().out.splitlines()
    assert head == f"language en, kinds tones, a maker's files in {tmp_path}/mine"
    assert [row.split()[0] for row in rows] == [*Cue]
    assert f"locked           prompt   {mine}" in rows
    assert "listen           tone     packaged" in rows


def test_a_cue_is_played_through_the_sound_server(
    config: Path, pulse_server: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PULSE_SERVER", pulse_server)
    assert main(["sounds", "--config", str(config), "--play", "listen"]) == EX_OK


def test_what_cannot_be_played_is_said_in_one_line(
    config: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["sounds", "--config", str(config), "--play", "moo"]) == EX_FAILED
    assert "got 'moo', expected one of not-found, " in capsys.readouterr().err
    monkeypatch.setenv("PATH", str(tmp_path))
    assert main(["sounds", "--config", str(config), "--play", "listen"]) == EX_FAILED
    assert capsys.readouterr().err.startswith("story-agent: sounds: listen: no player for cues")
    config.write_text('[sounds]\nkinds = "loud"\n')
    assert main(["sounds", "--config", str(config)]) == EX_CONFIG
    assert "sounds.kinds" in capsys.readouterr().err


def test_the_table_says_what_is_heard(tmp_path: Path) -> None:
    lines = table(SoundFiles(tmp_path, Language.CHINESE), SoundsSettings(folder=tmp_path))
    assert lines[0] == f"language zh, kinds all, a maker's files in {tmp_path}"
