"""Settings in several files: what replaces what, where each member comes from, and files that cannot be read."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from agent.settings import SettingsError, load_settings
from agent.settings_files import Layers, drop_in_folder, layers_of, read_layers, watched_files


@pytest.fixture
def main(tmp_path: Path) -> Path:
    drop_in_folder(tmp_path / "agent.toml").mkdir()
    return tmp_path / "agent.toml"


def drop(main: Path, name: str, text: str) -> Path:
    file = drop_in_folder(main) / name
    file.write_text(text)
    return file


def test_a_later_file_replaces_single_members(main: Path) -> None:
    main.write_text("[voice]\nquality = 5\nmax_seconds = 20\n")
    drop(main, "20-b.toml", "[voice]\nquality = 7\n")
    drop(main, "10-a.toml", "[voice]\nquality = 6\n[link]\nretry_max_seconds = 9\n")
    for name in (".30-c.toml", "30-c.toml~", "30-c.conf"):
        drop(main, name, "[voice]\nquality = 1\n")
    settings = load_settings(main)
    assert (settings.voice.quality, settings.voice.max_seconds) == (7, 20)
    assert settings.link.retry_max_seconds == 9


def test_drop_ins_need_no_main_file(main: Path) -> None:
    assert load_settings(main).voice.quality == 8
    drop(main, "a.toml", "[voice]\nquality = 6\n")
    assert load_settings(main).voice.quality == 6


def test_without_either_the_named_file_is_missing(tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match=r"none\.toml: No such file or directory"):
        load_settings(tmp_path / "none.toml")


def test_a_fault_names_its_own_file(main: Path) -> None:
    main.write_text("[voice]\nquality = 5\n")
    file = drop(main, "10.toml", "[voice]\nquality = 50\n")
    with pytest.raises(SettingsError, match=f"settings {file}: voice.quality: got 50"):
        load_settings(main)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"[voice\n", "not TOML: "),
        (b"\xff", "not UTF-8 text"),
        (b"#" * 2_000_000, "more than 1048576 bytes"),
        (b"a = " + b"[" * 5000, "not TOML: "),
    ],
)
def test_files_that_cannot_be_read(main: Path, content: bytes, reason: str) -> None:
    main.write_text("")
    file = drop_in_folder(main) / "10.toml"
    file.write_bytes(content)
    (fault,) = read_layers(main).faults
    assert (fault.file, str(fault).startswith(reason)) == (file, True)
    (drop_in_folder(main) / "20.toml").mkdir()
    os.mkfifo(drop_in_folder(main) / "30.toml")
    assert [str(it) for it in read_layers(main).faults[1:]] == ["no regular file"] * 2


def test_a_mark_at_the_beginning_is_no_letter(main: Path) -> None:
    main.write_bytes("\ufeff[voice]\nquality = 5\n".encode())
    assert load_settings(main).voice.quality == 5


@pytest.mark.parametrize(
    ("text", "name", "line"),
    [
        ("[voice]\n# quality = 1\n quality=5", "voice.quality", 3),
        ("[link]\nquality = 1\n[ voice ]\n'quality' = 5", "voice.quality", 4),
        ("voice.quality = 5", "voice.quality", 1),
        ("voice = { quality = 5 }", "voice", 1),
        ("\n[playy]\n", "playy", 2),
        ("voice = { quality = 5 }", "voice.quality", 1),
        ('"voice" . "quality" = 5', "voice.quality", None),
    ],
)
def test_lines(text: str, name: str, line: int | None) -> None:
    (layer,) = layers_of(text).files
    assert layer.line_of(name) == line


def test_a_value_in_the_place_of_a_table_replaces_it() -> None:
    layers = Layers([*layers_of("[voice]\nquality = 5").files, *layers_of("voice = 3").files])
    assert layers.merged() == {"voice": 3}
    back = Layers([*reversed(layers.files)])
    assert back.merged() == {"voice": {"quality": 5}}
    assert back.origin("link.kind") is None


def test_set_up_mode_watches_them_all(main: Path) -> None:
    file = drop(main, "10.toml", "")
    assert watched_files(main) == [file.parent, file, main]
    assert watched_files(None) == []
