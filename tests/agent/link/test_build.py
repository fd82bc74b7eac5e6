"""The one place where the kind of link is chosen."""

from __future__ import annotations

from agent.link import LinkState
from agent.link.build import build_link
from agent.settings import LinkSettings
from base.clock import TrustedTime
from tests.agent.parts import make_profile
from tests.authority import Authority
from tools.architecture import graph
from wire.codes import Code
from wire.exchange import Answer, Request

SEAM, BUILD = "agent.link", "agent.link.build"
KINDS = {"agent.link.framed", "agent.link.reconnect"}


async def refuse(_request: Request) -> Answer:
    return Answer(Code.NOT_FOUND)


async def test_the_link_is_to_the_profiles_cloud(authority: Authority) -> None:
    profile = make_profile(5683, authority.pem)
    link = build_link(profile, LinkSettings(), refuse, TrustedTime())
    assert (link.status.server, link.status.state) == ("127.0.0.1:5683", LinkState.STOPPED)


def test_only_this_place_imports_a_kind_of_link() -> None:
    for module, imported in graph().items():
        if module not in {BUILD, *KINDS}:
            assert not {item.target for item in imported} & KINDS, module
