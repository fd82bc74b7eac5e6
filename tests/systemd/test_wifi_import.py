"""wifi.txt on the boot partition: what is taken, what is told, and that no password stays or is told."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.base.recorded import REMOVE, RENAME, SYNC, Recorder

PROGRAM = Path(__file__).parents[2] / "systemd/image/wifi_import.py"


def load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("wifi_import", PROGRAM)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


WIFI = load()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"name=Home\npassword=12345678\n", ("Home", "12345678", "CN")),
        # Windows' editor: a byte order mark, and its line ends.
        (b"\xef\xbb\xbfname=Home\r\npassword=12345678\r\ncountry=de\r\n", ("Home", "12345678", "DE")),
        ("ssid=故事屋\npsk=12345678".encode("utf-16"), ("故事屋", "12345678", "CN")),
        (b"# ours\n\n NAME = Home \npassword= with spaces \n", ("Home", " with spaces ", "CN")),
        (b"name=Cafe\n", ("Cafe", "", "CN")),
        (b"name=a=b\npassword=c=d=e=f=g\n", ("a=b", "c=d=e=f=g", "CN")),
    ],
)  # fmt: skip
def test_what_a_family_writes_is_understood(text: bytes, expected: tuple[str, str, str]) -> None:
    assert tuple(WIFI.parse(text).values()) == expected


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (b"password=12345678", "name=: 0 bytes"),
        (b"name=" + b"x" * 33, "name=: 33 bytes, expected 1 to 32"),
        (b"name=H\npassword=secret7", "password=: 7 characters, expected 8 to 63"),
        (b"name=H\npassword=" + b"s" * 65, "password=: 65 characters"),
        (b"name=H\nmy-secret-password", "line 2: expected name="),
        (b"name=H\ncountry=China", "expected two letters"),
        (b"\xd6\xd0\xb9\xfa=\xff", "save it as UTF-8"),
        (b"x" * 5000, "too large"),
    ],
)
def test_what_is_wrong_is_told_in_both_languages_without_the_password(
    text: bytes, told: str
) -> None:
    with pytest.raises(WIFI.WifiError) as error:
        WIFI.parse(text)
    assert told in str(error.value)
    assert any("\u4e00" <= it <= "\u9fff" for it in str(error.value))
    assert "secret" not in str(error.value)


@given(st.binary(max_size=5000))
def test_any_bytes_are_taken_or_refused(data: bytes) -> None:
    try:
        wanted = WIFI.parse(data)
    except WIFI.WifiError:
        return
    text = WIFI.render(wanted)
    assert text.count("network={") == 1
    assert text.isascii()


def test_the_key_is_the_standards() -> None:
    """IEEE 802.11i's own test vector."""
    text = WIFI.render({"name": "IEEE", "password": "password", "country": "CN"})
    assert "psk=f42c6fc52df0ebef9ebb4b90b38a5f902e83fe1b135a70e23aed762e9710a12e" in text
    assert f"ssid={b'IEEE'.hex()}" in text
    assert "password" not in text


def test_the_file_is_taken_once_and_its_bytes_are_gone(tmp_path: Path) -> None:
    boot, target = tmp_path / "boot", tmp_path / "data" / "wpa.conf"
    boot.mkdir()
    target.parent.mkdir()
    wifi = boot / "WiFi.TXT"
    wifi.write_bytes(b"name=Home\npassword=12345678\n")
    kept = tmp_path / "kept"
    kept.hardlink_to(wifi)
    (boot / "wifi-error.txt").write_text("of before")
    assert "deleted" in WIFI.take(boot, target)
    assert list(boot.iterdir()) == []
    assert kept.read_bytes().strip(b"\0") == b""
    assert target.stat().st_mode & 0o777 == 0o600
    assert [it.name for it in target.parent.iterdir()] == ["wpa.conf"]
    assert WIFI.take(boot, target) == "no wifi.txt"


def test_the_new_wifi_is_on_the_card_before_the_file_s_bytes_go_and_these_before_its_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    boot, target = tmp_path / "boot", tmp_path / "data" / "wpa.conf"
    boot.mkdir()
    target.parent.mkdir()
    (boot / "wifi.txt").write_bytes(b"name=Home\npassword=12345678\n")
    size = (boot / "wifi.txt").stat().st_size
    recorder = Recorder(tmp_path, monkeypatch)
    WIFI.take(boot, target)
    made = target.stat().st_size
    assert recorder.calls == [
        (SYNC, "data/wpa.conf.new", made), (RENAME, "data/wpa.conf.new", "data/wpa.conf", made), (SYNC, "data", None),
        (SYNC, "boot/wifi.txt", size), (REMOVE, "boot/wifi.txt"), (SYNC, "boot", None),
    ]  # fmt: skip


def test_a_bad_file_stays_with_a_word_beside_it_and_the_old_wifi_too(tmp_path: Path) -> None:
    target = tmp_path / "wpa.conf"
    target.write_text("old")
    boot = tmp_path / "boot"
    boot.mkdir()
    (boot / "wifi.txt").write_text("name=Home\npassword=short\n")
    with pytest.raises(WIFI.WifiError):
        WIFI.take(boot, target)
    assert (boot / "wifi.txt").exists()
    assert "8" in (boot / "wifi-error.txt").read_text("utf-8-sig")
    assert target.read_text() == "old"
