"""SIGHUP: what is in force at once, what wants a restart, and settings that cannot be read."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest

from agent.reload import AT_ONCE, differences, reload, take
from agent.settings import Settings, SettingsError, parse_settings
from agent.voice.sender import VoiceSender
from tests.agent.memory_link import MemoryLink

AFTER = "[voice]\nquality = 5\npause_seconds = 1\n[health]\nchime_volume = 0\n"


def test_members_that_differ() -> None:
    assert differences(Settings(), parse_settings(AFTER)) == [
        "voice.quality", "voice.pause_seconds", "health.chime_volume"
    ]  # fmt: skip
    assert differences(Settings(), Settings()) == []


def test_parts_see_what_was_taken() -> None:
    """A part holds the table itself, as `VoiceSender` does."""
    settings = Settings()
    link: Any = MemoryLink()
    sender = VoiceSender(link, settings.voice)
    now, later = take(settings, parse_settings(AFTER))
    assert (now, later) == (["voice.quality", "health.chime_volume"], ["voice.pause_seconds"])
    assert sender._settings.quality == 5
    assert settings.voice.pause_seconds == 0.7
    assert take(settings, parse_settings(AFTER)) == ([], ["voice.pause_seconds"])


def test_what_is_taken_at_once_is_read_at_each_use() -> None:
    """No part copies one of these out of its table when it is made."""
    root = Path(__file__).parents[2]
    for folder in ("agent/voice", "agent/link", "agent/updates"):
        files = list((root / folder).glob("*.py"))
        assert len(files) > 2, folder
        for file in files:
            text = file.read_text("utf-8")
            for name in AT_ONCE:
                member = name.partition(".")[2]
                assert f"self._{member} = settings.{member}" not in text, f"{file}: {member}"


async def test_one_line_says_what_happened(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    settings = Settings()
    assert await reload(settings, lambda: parse_settings(AFTER)) == (
        "settings reloaded: in force now: voice.quality, health.chime_volume; "
        "after story-agent restart: voice.pause_seconds"
    )
    assert await reload(Settings(), Settings) == "settings reloaded: nothing has changed"

    def fails() -> Settings:
        raise SettingsError("settings /a: not TOML")

    assert await reload(settings, fails) == "settings not reloaded: settings /a: not TOML"
    assert settings.voice.quality == 5
    assert caplog.records[-1].levelname == "ERROR"


async def test_hours_are_judged_in_the_new_zone_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    used: list[str] = []
    monkeypatch.setattr("agent.reload.zone.use", used.append)
    settings = Settings()
    told = await reload(settings, lambda: parse_settings('[clock]\nzone = "Asia/Shanghai"'))
    assert told == "settings reloaded: in force now: clock.zone"
    assert used == ["Asia/Shanghai"]
