"""Why a link is down is told in Chinese: each text is one that the code has, and has Chinese."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from agent.words.causes import explain
from agent.words.links import EXACT, PATTERNS

ROOT = Path(__file__).parents[3]
HAN = re.compile(r"[\u4e00-\u9fff]")


def sources() -> str:
    rooms = ("agent/link", "transport", "wire", "staging/gateway", "staging/broker")
    paho = Path(pytest.importorskip("paho", reason="paho-mqtt is not installed").__path__[0])
    files = [path for room in rooms for path in (ROOT / room).rglob("*.py")]
    return "\n".join(path.read_text() for path in [*files, *paho.rglob("*.py")])


def test_no_text_is_of_a_code_that_is_gone() -> None:
    whole = sources()
    assert [text for text in EXACT if text not in whole] == []


def test_every_text_has_chinese() -> None:
    for text in EXACT:
        assert HAN.search(explain(text).zh), text
    for pattern, zh, _ in PATTERNS:
        assert re.compile(pattern)
        assert HAN.search(zh) or "{1!}" in zh, pattern


@pytest.mark.parametrize(
    ("text", "zh"),
    [
        ("the broker hung up before it answered: the connection to the broker is lost",
         "消息服务器没有回答就断开：与消息服务器的连接断了"),
        ("the broker does not answer within 5 s", "消息服务器 5 秒没有回答"),
        ("registration: no word of the broker within 10 s", "注册：消息服务器 10 秒没有回答"),
        ("registration: subscription to story/00/down/answer: the broker says Not authorized (135)",
         "注册：订阅 story/00/down/answer 被消息服务器拒绝：“没有权限”（135）"),
        ("registration: publish: the broker says Quota exceeded (151)",
         "注册：消息服务器不收这条消息：“超过了限额”（151）"),
        ("registration: 256 messages wait for the broker already", "注册：已有 256 条消息在等消息服务器"),
        ("the broker refuses this device: connection: the broker says Bad user name or password (134)",
         "消息服务器不接受这台设备：消息服务器说“用户名或密码不对”（134）"),
        ("the broker takes no connection now: connection: the broker says Server busy (137)",
         "消息服务器现在不接受连接：消息服务器说“服务器忙”（137）"),
        ("the broker ends the connection: Session taken over", "消息服务器断开了连接：另一个连接用了同一个身份"),
        ("the broker is silent for 22 s", "消息服务器 22 秒没有动静"),
        ("the broker sent what is not MQTT: IndexError", "对方发来的不是 MQTT（IndexError）"),
        ("a report failed: no word of the broker within 10 s", "一个报告没有送到：消息服务器 10 秒没有回答"),
        (("the broker denies reports, which are kept: let this device write below story/{uuid}/up and"
         " read below story/{uuid}/down in the broker's access list"),
         "消息服务器不收报告，报告先留着：在消息服务器的访问列表里，允许这台设备写 story/{uuid}/up、读 story/{uuid}/down"),
        ("silent for 26 s, and does not answer a ping", "26 秒没有动静，也不回答询问"),
        ("bad magic: got 0x48545450, expected 0xbeefdead", "对方发来的不是帧：开头是 0x48545450，应为 0xbeefdead"),
        ("frame length: got 70000 bytes, expected 4 to 16384", "帧长不对：70000 字节，应为 4 到 16384"),
        ("connection lost: Connection reset by peer", "连接断了：连接被对方断开"),
        ("link.client_certificate /x/a.pem: No such file or directory",
         "link.client_certificate /x/a.pem：没有这个文件或文件夹"),
        (("link.client_certificate /x/a.pem: expected a certificate and the key that belongs to it and /x/a.key,"
         " in PEM (KEY_VALUES_MISMATCH)"),
         "link.client_certificate /x/a.pem：应为 PEM 格式的证书和它的密钥 /x/a.key（KEY_VALUES_MISMATCH）"),
        ("paho-mqtt is missing: pip install 'story-agent[mqtt]', or set link.kind = \"coap\"",
         "没有安装 paho-mqtt：pip install 'story-agent[mqtt]'，或设 link.kind = \"coap\""),
    ],
)  # fmt: skip
def test_why_a_link_is_down_is_told_in_one_language(text: str, zh: str) -> None:
    assert explain(text).zh == zh
