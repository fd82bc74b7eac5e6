"""What each setting may be: limits, forms and conversions, by the member's name ("voice.quality")."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeGuard

from base.zone import check_zone
from machine.battery import parse_curve
from machine.button_settings import Key, check_led
from ota.restart import parse_window
from wire.errors import FieldError
from wire.names import check_product
from wire.support import parse_day
from wire.text import is_printable, kept

# -1: there is none. Chips of the boards that are meant have 54 to 512 lines.
LINES = (-1, 511)
LIMITS: Mapping[str, tuple[float, float]] = {
    "link.mqtt_port": (0, 65535),
    "link.keepalive_seconds": (1, 3600),
    "link.connect_timeout_seconds": (1, 300),
    "link.retry_max_seconds": (1, 3600),
    "link.refused_retry_seconds": (1, 86400),
    "battery.bus": (0, 255),
    "battery.address": (0, 0x77),  # and `_check_address`
    "battery.cells": (1, 8),
    "battery.shunt_ohms": (0.0001, 10),
    "battery.warn_percent": (0, 100),
    "battery.warn_again_percent": (0, 100),
    "battery.off_percent": (0, 50),
    **{f"buttons.{key}": LINES for key in Key},
    "buttons.talk_code": (0, 767),
    "buttons.reset_seconds": (5, 60),
    "light.gpio": LINES,
    "voice.quality": (0, 10),
    "voice.max_seconds": (1, 600),
    "voice.pause_seconds": (0.3, 3),
    "switch.idle_minutes": (0, 1440),
    "play.cache_bytes": (0, 2**40),
    "ota.confirm_timeout_seconds": (5, 3600),
    "ota.max_bytes_per_second": (0, 2**31),
    "health.chime_volume": (0, 100),
    "health.check_timeout_seconds": (1, 600),
    "outbox.max_bytes": (64 * 1024, 2**31),
    "local.http_port": (0, 65535),
    "local.coap_port": (0, 65535),
    "local.https_port": (0, 65535),
    "local.oscore_port": (0, 65535),
}

PRODUCT = "ota.product"
NOT_EMPTY = frozenset({PRODUCT, "ota.channel"})
# Strings with their own format, and the parsers that check them; an empty string means none.
FORMS: Mapping[str, Callable[[str, str], object]] = {
    "clock.zone": check_zone,
    "ota.window": parse_window,
    "ota.support_end": parse_day,
    "battery.curve": parse_curve,
    "light.led": check_led,
}


def convert(name: str, kind: type[Any], value: object) -> object:
    """Convert a TOML value to the member's type; raises FieldError."""
    low, high = LIMITS.get(name, (0, 0))
    match value:
        case bool() if kind is bool:
            return value
        case int() | float() if kind in (int, float) and not isinstance(value, bool):
            if (kind is float or isinstance(value, int)) and low <= value <= high:
                return kind(value)
        case str() if kind is Path and value and is_printable(value):
            return Path(value)
        case str() if name in FORMS:
            if value:
                FORMS[name](value, name)
            return value
        case str() if kind is str and is_printable(value) and (value or name not in NOT_EMPTY):
            return check_product(kept(value), name) if name == PRODUCT else kept(value)
        case str() if is_enum(kind) and value in set(kind):
            return kind(value)
    if name in NOT_EMPTY:
        raise FieldError(name, value, "a string that is not empty, of printable characters")
    raise FieldError(name, value, expectation(kind, low, high))


def expectation(kind: type[Any], low: float, high: float) -> str:
    """Return what a member of a type expects."""
    if is_enum(kind):
        return "one of " + ", ".join(kind)
    if kind in (int, float):
        return f"{'an integer' if kind is int else 'a number'} from {low} to {high}"
    return {bool: "true or false", Path: "a path"}.get(kind, "a string of printable characters")


def is_enum(kind: type[Any]) -> TypeGuard[type[StrEnum]]:
    """Return whether a type is one of named values."""
    return isinstance(kind, type) and issubclass(kind, StrEnum)


def convert_networks(name: str, _kind: type[Any], value: object) -> tuple[str, ...]:
    """Return a list of networks as it stands; raises FieldError that names the one that is none."""
    if not isinstance(value, list):
        raise FieldError(name, value, 'a list of networks such as ["192.168.1.0/24"]')
    if value:
        from resources.online.policy import parse_networks  # noqa: PLC0415  # few machines list any

        parse_networks(value, name)
    return tuple(value)
