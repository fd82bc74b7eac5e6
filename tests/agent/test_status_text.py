"""What a person reads of the agent's status, in both languages."""

from __future__ import annotations

import ast
import inspect
import textwrap
from collections.abc import Iterator

import pytest

from agent import status_text
from agent.link import LinkStatus
from agent.local.clients import EXTRA
from agent.status_text import headline, render
from agent.words import speaking

ONLINE = {"version": "1.0", "link": {"state": "online", "server": "c:1", "last_error": None}}
SETUP = {
    "setup": {
        "cause": {"zh": "没有身份文件", "en": "no profile"},
        "remedy": {"zh": "写入", "en": "put it"},
    },
    "link": {"state": "setup", "last_error": "no profile"},
}
REFUSED = {
    "link": {
        "state": "waiting", "last_error": "the server's certificate is refused: self-signed certificate",
        "remedy": "check serverAddr and rsaCaCrt in the profile, and the certificate of the cloud",
    }
}  # fmt: skip
TWIN = {
    "link": {
        "state": "online", "server": "c:1",
        "warning": "another machine uses this identity: flash a profile of its own to one of the two",
    }
}  # fmt: skip


@pytest.fixture
def chinese() -> Iterator[None]:
    with speaking(["--lang", "zh"]):
        yield


@pytest.mark.parametrize(
    ("status", "said"),
    [
        (ONLINE, "在线，已在 c:1 注册"),
        (SETUP, "机器还没有设置好：没有身份文件\n    → 写入"),
        (REFUSED, ("离线：不接受服务器的证书：它是自签的，不是身份文件里的 CA 签发的\n"
                  "    → 检查身份文件里的 serverAddr 和 rsaCaCrt，以及云的证书")),
        (TWIN, "在线，已在 c:1 注册：另一台机器用着同一个身份：给其中一台写入它自己的身份文件"),
        ({"link": {"state": "of a later version"}}, "离线"),
        ({}, "离线"),
    ],
)  # fmt: skip
@pytest.mark.usefixtures("chinese")
def test_the_headline_in_chinese(status: dict[str, object], said: str) -> None:
    assert headline(status) == said


def test_the_headline_in_english() -> None:
    assert headline(SETUP) == "the machine is not set up: no profile\n    → put it"
    assert headline(REFUSED).startswith(
        "it is offline: the server's certificate is refused: it is signed by itself"
    )


def test_what_is_empty_is_left_out_and_what_is_unknown_is_shown() -> None:
    told = {**ONLINE, "play": {"queue": [], "source": "", "count": 0}, "later": {"x": True}}
    assert render(told).splitlines()[1:] == [
        "version: 1.0", "link:", "  state: online", "  server: c:1", "play:", "  count: 0",
        "later:", "  x: True",
    ]  # fmt: skip


@pytest.mark.usefixtures("chinese")
def test_every_member_of_the_link_has_a_chinese_name() -> None:
    assert set(LinkStatus("c:1").to_json()) - {"meaning"} <= set(status_text._NAMES)


def test_the_names_are_those_of_the_agent() -> None:
    """The members of ``status`` that `agent.app` makes have names here."""
    from agent.app import Agent

    (function,) = ast.parse(textwrap.dedent(inspect.getsource(Agent.status))).body
    keys = {
        key.value for node in ast.walk(function) if isinstance(node, ast.Dict)
        for key in node.keys if isinstance(key, ast.Constant)
    }  # fmt: skip
    missing = keys - set(status_text._NAMES)
    assert not missing, f"give them Chinese names in agent/status_text.py: {missing}"


@pytest.mark.usefixtures("chinese")
def test_what_is_wrong_with_a_port_or_a_client_is_said_in_chinese() -> None:
    told = render({
        "link": ONLINE["link"],
        "faults": {"local.oscore_port": f"local.oscore_port: {EXTRA}"},
        "home_network": {"tv": {"state": "damaged", "fault": "No such file or directory"}},
    })  # fmt: skip
    assert "local.oscore_port：local.oscore_port：没有安装 cbor2 或 filelock" in told
    assert "No such file" not in told
