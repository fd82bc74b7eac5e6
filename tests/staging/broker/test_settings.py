"""The broker's files: what they say. What they do is shown in tests/transport/test_mqtt.py."""

from __future__ import annotations

from pathlib import Path

import pytest

from staging.broker.settings import (
    ACCESS,
    Listeners,
    TlsFiles,
    render_config,
    render_passwords,
)

FILES = TlsFiles(Path("/ca"), Path("/certificate"), Path("/key"))


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("set_tcp_nodelay true", "a small answer would wait 40 ms"),
        ("allow_anonymous false", "strangers"),
        ("use_username_as_clientid true", "a device could end another one's connection"),
        ("max_keepalive 15", "a frozen device of another maker would be on line for minutes"),
        ("persistence false", "who is online would be stale after a crash"),
        ("listener 8883 0.0.0.0", "devices"),
        ("listener 18883 127.0.0.1", "workers, on loopback alone"),
    ],
)
def test_what_the_configuration_says(line: str, why: str) -> None:
    text = render_config(Path("/b"), Listeners("0.0.0.0", 8883, 18883), FILES, "story")
    assert line in text.splitlines(), why


@pytest.mark.parametrize("certificates", [False, True])
def test_client_certificates_are_asked_of_devices_alone(*, certificates: bool) -> None:
    listeners = Listeners("127.0.0.1", 1, 2, certificates=certificates)
    before, _, after = render_config(Path("/b"), listeners, FILES, "story").partition("listener 2 ")
    assert ("require_certificate true" in before) is certificates
    assert "require_certificate" not in after


def test_passwords_are_salted_hashes() -> None:
    lines = render_passwords({"a": "secret", "b": "secret"}).splitlines()
    assert [line.partition(":")[0] for line in lines] == ["a", "b"]
    hashes = [line.partition(":")[2] for line in lines]
    assert hashes[0] != hashes[1]
    assert all(text.startswith("$7$101$") and "secret" not in text for text in hashes)


def test_a_device_has_two_rules() -> None:
    patterns = [line for line in ACCESS.splitlines() if line.startswith("pattern")]
    assert patterns == ["pattern write story/%u/up/#", "pattern read story/%u/down/#"]
