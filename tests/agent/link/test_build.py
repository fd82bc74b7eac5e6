"""The one place where the kind of link is chosen."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from agent.link import LinkState
from agent.link.build import build_link, choose_kind
from agent.settings import LinkKind, LinkSettings
from base.clock import TrustedTime
from tests.agent.parts import make_profile
from tests.authority import Authority
from tools.architecture import graph
from wire.codes import Code
from wire.exchange import Answer, Request

ROOT = Path(__file__).parents[3]
SEAM, BUILD = "agent.link", "agent.link.build"
KINDS = {
    "agent.link.framed",
    "agent.link.mqtt",
    "agent.link.mqtt_requests",
    "agent.link.mqtt_session",
    "agent.link.reconnect",
}


async def refuse(_request: Request) -> Answer:
    return Answer(Code.NOT_FOUND)


async def test_the_link_is_to_the_profiles_cloud(authority: Authority) -> None:
    profile = make_profile(5683, authority.pem)
    link = build_link(profile, LinkSettings(), refuse, TrustedTime())
    assert (link.status.server, link.status.state) == ("127.0.0.1:5683", LinkState.STOPPED)


CHOICES: list[tuple[LinkKind, dict[str, object], LinkKind]] = [
    # the operator's setting, the profile's configures, the link
    (LinkKind.AUTO, {}, LinkKind.COAP),
    (LinkKind.AUTO, {"link": "mqtt"}, LinkKind.MQTT),
    (LinkKind.AUTO, {"link": "coap"}, LinkKind.COAP),
    (LinkKind.COAP, {"link": "mqtt"}, LinkKind.COAP),
    (LinkKind.MQTT, {"link": "coap"}, LinkKind.MQTT),
    (LinkKind.MQTT, {}, LinkKind.MQTT),
]


@pytest.mark.parametrize(("setting", "configures", "kind"), CHOICES)
def test_the_operator_and_then_the_profile_choose(
    authority: Authority, setting: LinkKind, configures: dict[str, object], kind: LinkKind
) -> None:
    profile = make_profile(5683, authority.pem, configures=configures)
    assert choose_kind(profile, LinkSettings(kind=setting)) is kind


@pytest.mark.parametrize("told", ["auto", "MQTT", "", 1, None, ["mqtt"], {"kind": "mqtt"}])
def test_a_profile_with_no_such_link_is_told_and_the_machine_plays(
    authority: Authority, told: object, caplog: pytest.LogCaptureFixture
) -> None:
    profile = make_profile(5683, authority.pem, configures={"link": told})
    assert choose_kind(profile, LinkSettings()) is LinkKind.COAP
    assert "configures.link" in caplog.text
    assert "expected coap or mqtt" in caplog.text


async def test_the_mqtt_link_is_to_the_brokers_port(authority: Authority) -> None:
    configures = {"link": "mqtt", "mqttPort": 9883}
    profile = make_profile(5683, authority.pem, configures=configures)
    link = build_link(profile, LinkSettings(), refuse, TrustedTime())
    assert link.status.server == "127.0.0.1:9883 (mqtt)"


@pytest.mark.parametrize(
    ("link", "library"), [("framed", "paho"), ("mqtt", "aiocoap")], ids=["framed", "mqtt"]
)
def test_a_link_does_not_load_the_others_library(link: str, library: str) -> None:
    """Each is 1.5 MB of a machine's memory."""
    code = f"import sys, agent.app, agent.link.{link}; print('{library}' in sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout.strip() == "False"


def test_only_this_place_imports_a_kind_of_link() -> None:
    edges = graph()
    assert {item.target for item in edges[BUILD]} & KINDS
    for module, imported in edges.items():
        if module not in {BUILD, *KINDS}:
            assert not {item.target for item in imported} & KINDS, module
