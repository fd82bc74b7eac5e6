"""Every setting that is a number, of agent and cloud: its default lies within its limits, and the next value on each side is refused.

The settings are found by their definitions, so that a new one without limits fails here; the limits stand here as
docs/numbers.md has them.
"""

from __future__ import annotations

import argparse
import functools
import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import pytest

from agent.settings import Settings, parse_settings
from agent.settings_values import LIMITS as AGENTS_OWN
from staging import alarm_rules
from staging.commands import cli
from staging.rollouts.settings import FIELDS
from tools.mutation import PRODUCT
from tools.numbers import ROOT
from wire.errors import WireError

OF_AGENT: dict[str, tuple[float, float]] = {
    "link.mqtt_port": (0, 65_535),
    "link.keepalive_seconds": (1, 3600),
    "link.connect_timeout_seconds": (1, 300),
    "link.retry_max_seconds": (1, 3600),
    "link.refused_retry_seconds": (1, 86_400),
    "battery.bus": (0, 255),
    "battery.address": (0, 119),
    "battery.cells": (1, 8),
    "battery.shunt_ohms": (0.0001, 10),
    "battery.warn_percent": (0, 100),
    "battery.warn_again_percent": (0, 100),
    "battery.off_percent": (0, 50),
    "buttons.talk": (-1, 511),
    "buttons.mute": (-1, 511),
    "buttons.play_pause": (-1, 511),
    "buttons.next": (-1, 511),
    "buttons.previous": (-1, 511),
    "buttons.volume_up": (-1, 511),
    "buttons.volume_down": (-1, 511),
    "buttons.talk_code": (0, 767),
    "buttons.reset_seconds": (5, 60),
    "light.gpio": (-1, 511),
    "voice.quality": (0, 10),
    "voice.max_seconds": (1, 600),
    "voice.pause_seconds": (0.3, 3),
    "switch.idle_minutes": (0, 1440),
    "play.cache_bytes": (0, 1_099_511_627_776),
    "ota.confirm_timeout_seconds": (5, 3600),
    "ota.max_bytes_per_second": (0, 2_147_483_648),
    "health.chime_volume": (0, 100),
    "health.check_timeout_seconds": (1, 600),
    "outbox.max_bytes": (65_536, 2_147_483_648),
    "local.http_port": (0, 65_535),
    "local.coap_port": (0, 65_535),
    "local.https_port": (0, 65_535),
    "local.oscore_port": (0, 65_535),
}
OF_ALARMS: dict[str, tuple[float, float]] = {
    "offline_minutes": (0, 525_600),
    "battery_percent": (0, 90),
    "failing_percent": (0, 100),
    "failing_updates": (1, 1_000_000),
    "clone": (0, 1),
    "allow_private": (0, 1),
}
OF_ROLLOUTS: dict[str, tuple[float, float]] = {
    "soak": (0, 5_184_000),
    "sample": (1, 1_000_000),
    "success": (0, 100),
    "link": (0, 100),
    "hours": (0, 10_000_000),
    "sound": (0, 500),
    "open": (1, 1_000_000),
    "perMinute": (1, 1_000_000),
    "failing": (2, 90),
    "chance": (0.01, 20),
    "error": (0.01, 20),
}
OF_SERVE: dict[str, tuple[float, float]] = {
    "serve --voice-days": (0, 36_500),
    "serve --report-days": (0, 36_500),
    "serve --device-mb": (0, 36_500),
    "serve --api-port": (0, 65_535),
    "serve --device-port": (0, 65_535),
    "serve --mqtt-port": (0, 65_535),
    "worker --voice-days": (0, 36_500),
    "worker --api-port": (0, 65_535),
}
# Names and networks, which are read by functions of their own too.
NO_NUMBERS = {"--public-host", "--trusted-proxy"}
LIMITS = OF_AGENT | OF_ALARMS | OF_ROLLOUTS | OF_SERVE
# Records of settings that nobody writes: what makes them has judged each number, or it is a part's own default.
MADE = {
    "ota.settings.UpdaterSettings": "of the agent's [ota]",
    "ota.fetch.source.WebSettings": "a part's own defaults",
    "ota.fetch.source.DownloadSettings": "a part's own defaults",
    "ota.trust.client.TrustSettings": "of UpdaterSettings",
    "resources.online.opener.OnlineSettings": "of the agent's [play]",
    "staging.rollouts.settings.Settings": "of FIELDS",
}


@dataclass(frozen=True)
class Setting:
    """One setting that is a number."""

    name: str
    kind: type
    default: float | None
    take: Callable[[float], object]
    """Takes a value, or raises."""


def of_agent() -> Iterator[Setting]:
    defaults = Settings()
    for table in fields(Settings):
        values = getattr(defaults, table.name)
        for each in fields(values):
            default = getattr(values, each.name)
            if type(default) in {int, float}:
                name = f"{table.name}.{each.name}"
                yield Setting(name, type(default), default, taker(table.name, each.name))


def taker(table: str, key: str) -> Callable[[float], object]:
    # A machine must not power off before it has warned.
    beside = "warn_percent = 100\n" if (table, key) == ("battery", "off_percent") else ""

    def take(value: float) -> None:
        taken = parse_settings(f"[{table}]\n{beside}{key} = {value!r}")
        assert getattr(getattr(taken, table), key) == value

    return take


def of_alarms() -> Iterator[Setting]:
    defaults = alarm_rules.Settings()
    for each in fields(defaults):
        yield Setting(
            each.name, int, getattr(defaults, each.name),
            functools.partial(alarm_rules.check_setting, each.name),
        )  # fmt: skip


def of_rollouts() -> Iterator[Setting]:
    for name, field in FIELDS.items():
        yield Setting(
            name, int if field.whole else float, field.default,
            functools.partial(field.check, name),
        )  # fmt: skip


def of_serve() -> Iterator[Setting]:
    """Yield what a running cloud is told by its command line."""
    for command in ("serve", "worker"):
        for action in options(cli.build_parser(cli.needed_subjects([command])), command):
            default = action.default if isinstance(action.default, int) else None
            yield Setting(
                f"{command} {action.option_strings[0]}", int, default,
                read_by(action),
            )  # fmt: skip


def read_by(action: argparse.Action) -> Callable[[float], object]:
    read = action.type
    assert callable(read)
    return lambda value: read(str(value))


def options(parser: argparse.ArgumentParser, command: str) -> Iterator[argparse.Action]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for own in action.choices[command]._actions:
                if own.type not in {None, str, Path} and own.option_strings[0] not in NO_NUMBERS:
                    yield own


FOUND = [*of_agent(), *of_alarms(), *of_rollouts(), *of_serve()]


def test_every_setting_that_is_a_number_has_limits_here() -> None:
    assert len({each.name for each in FOUND}) == len(FOUND) > 60
    assert {each.name for each in FOUND} == set(LIMITS)
    # Nor is a limit left of a setting that is gone.
    assert (set(AGENTS_OWN), set(alarm_rules.LIMITS)) == (set(OF_AGENT), set(OF_ALARMS))


@pytest.mark.parametrize("setting", FOUND, ids=lambda setting: setting.name)
def test_its_default_and_its_limits_are_taken_and_the_next_value_on_each_side_is_refused(
    setting: Setting,
) -> None:
    low, high = (setting.kind(limit) for limit in LIMITS[setting.name])
    assert setting.default is None or low <= setting.default <= high
    for value in (low, high, *([] if setting.default is None else [setting.default])):
        setting.take(value)
    whole = setting.kind is int
    below, above = (
        (low - 1, high + 1) if whole else (math.nextafter(low, -math.inf), math.nextafter(high, math.inf))
    )  # fmt: skip
    for value in (below, above):
        with pytest.raises((WireError, argparse.ArgumentTypeError)):
            setting.take(value)


def test_every_record_of_settings_is_looked_at() -> None:
    """One that is added has its numbers above, or is made of what is."""
    found = {
        f"{'.'.join(path.relative_to(ROOT).with_suffix('').parts)}.{name}"
        for room in PRODUCT
        for path in (ROOT / room).rglob("*.py")
        for name in re.findall(r"^class (\w*Settings)\b", path.read_text("utf-8"), re.MULTILINE)
    }
    tables: list[type] = [type(getattr(Settings(), table.name)) for table in fields(Settings)]
    known = [Settings, *tables, alarm_rules.Settings]
    assert found == {f"{each.__module__}.{each.__qualname__}" for each in known} | set(MADE)
