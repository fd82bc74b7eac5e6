"""What the settings leave to the profile."""

from __future__ import annotations

from dataclasses import replace

from agent.config.origins import PROFILE, explain_settings
from agent.settings import Settings
from agent.settings_files import Layers
from tests.agent.parts import make_profile
from wire.profile import Profile


def shown(profile: Profile | None) -> dict[str, object]:
    told = explain_settings(Settings(), Layers(), profile)
    return {each.name: each.value for each in told if each.origin == PROFILE}


def test_the_profile_decides_what_the_settings_leave_open() -> None:
    made = {"link": "mqtt", "mqttPort": 9883, "otaRepository": "https://u:p@r/tuf", "x": 1}
    assert shown(replace(make_profile(1, "x"), configures=made)) == {
        "link.kind": "mqtt", "link.mqtt_port": 9883, "ota.repository": "https://[hidden]@r/tuf",
    }  # fmt: skip
    assert shown(None) == {}
