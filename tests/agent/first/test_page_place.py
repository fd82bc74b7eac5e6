"""Where the machine's page is, as the settings have it."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.first.page_place import page_address, page_line
from agent.settings import LocalSettings
from machine.network import NetworkInfo

AT_HOME = NetworkInfo("WIFI", "b8:27:eb:12:34:56", "192.168.1.7")
AWAY = NetworkInfo("", "", "")


@pytest.mark.parametrize(
    ("local", "network", "url"),
    [
        (LocalSettings(https_port=8443), AT_HOME, "https://192.168.1.7:8443/"),
        (LocalSettings(https_port=443), AT_HOME, "https://192.168.1.7/"),
        (LocalSettings(https_port=8443), AWAY, "https://box.local:8443/"),
        (LocalSettings(https_port=8443, announce=True), AT_HOME, "https://box-123456.local:8443/"),
        (LocalSettings(https_port=8443, https_address="10.0.0.2"), AT_HOME, "https://10.0.0.2:8443/"),
        (LocalSettings(https_port=8443, https_address="fd00::7"), AT_HOME, "https://[fd00::7]:8443/"),
        (LocalSettings(https_port=8443, https_address="fe80::1%eth0"), AT_HOME, "https://[fe80::1]:8443/"),
    ],
)  # fmt: skip
def test_the_address_is_one_that_a_phone_can_open(
    local: LocalSettings, network: NetworkInfo, url: str
) -> None:
    assert page_address(local, network, "box") == url


@pytest.mark.parametrize("text", ["", "[local]\nhttps_port = 0\n", "[local]\nhttps_port = -5\n"])
def test_a_page_that_is_off_is_not_named(tmp_path: Path, text: str) -> None:
    config = tmp_path / "agent.toml"
    config.write_text(text)
    assert page_line(config) is None
    assert page_line(None) is None


def test_a_page_that_is_on_is_named_in_both_languages(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('[local]\nhttps_port = 8443\nhttps_address = "10.0.0.2"\n')
    told = page_line(config)
    assert told is not None
    assert told.en == "device page: https://10.0.0.2:8443/ (log in by the bind token of the label)"
    assert "https://10.0.0.2:8443/" in told.zh
