"""The system's words as causes; agent.words.remedies too."""

from __future__ import annotations

import os
import re
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

import agent.link
from agent.link import LinkError
from agent.words import Words
from agent.words.causes import _EXACT, _PATTERNS, _SYSTEM, explain, explain_error
from agent.words.remedies import CHINESE, remedy_of


@pytest.mark.parametrize(
    ("text", "zh", "en"),
    [
        ("cannot connect: Connection refused", "连不上：对方没有程序在这个端口（拒绝连接）",
         "cannot connect: nothing listens at this port (connection refused)"),
        ("cannot connect: cloud.example: Name or service not known",
         "连不上 cloud.example：没有这个域名", "cannot connect to cloud.example: there is no such name"),
        ("cannot connect: 1.2.3.4:5: Connection refused; [::1]:5: Network is unreachable",
         "连不上：1.2.3.4:5：对方没有程序在这个端口（拒绝连接）；[::1]:5：没有通往那里的网络",
         ("cannot connect: 1.2.3.4:5: nothing listens at this port (connection refused); "
         "[::1]:5: no network leads there")),
        ("cannot connect: no answer from 1.2.3.4:5684, [::1]:5684 within 15 s",
         "连不上：1.2.3.4:5684, [::1]:5684 在 15 秒内没有回应",
         "cannot connect: no answer from 1.2.3.4:5684, [::1]:5684 within 15 s"),
        ("the server's certificate is refused: unable to get local issuer certificate",
         "不接受服务器的证书：它不是身份文件里的 CA 签发的",
         "the server's certificate is refused: the CA of the profile has not signed it"),
        ("the server's certificate is refused: Hostname mismatch, certificate is not valid for 'a.b'.",
         "不接受服务器的证书：它是别的主机的，不是 a.b 的",
         "the server's certificate is refused: it is another host's, not that of a.b"),
        ("the server's certificate is refused: certificate has expired (on 2026-01-01 00:00 UTC)",
         "不接受服务器的证书：证书已过期（2026-01-01 00:00 UTC）",
         "the server's certificate is refused: it has expired (on 2026-01-01 00:00 UTC)"),
        ("settings /etc/a.toml: not TOML: Expected ']' at the end of a table declaration (at line 10, column 7)",
         "设置 /etc/a.toml：不是 TOML 格式：第 10 行第 7 列写错了：Expected ']' at the end of a table declaration",
         "settings /etc/a.toml: not TOML: line 10, column 7: Expected ']' at the end of a table declaration"),
        ("not TOML: Unclosed array (at end of document)", "不是 TOML 格式：最后一行没有写完：Unclosed array",
         "not TOML: the last line is not finished: Unclosed array"),
        ("Expecting value: line 1 column 1 (char 0)", "第 1 行第 1 列不是 JSON：Expecting value",
         "no JSON at line 1, column 1: Expecting value"),
        ("profile file: not JSON (Extra data at line 2, column 1)",
         "身份文件：不是 JSON（第 2 行第 1 列：Extra data）",
         "profile file: not JSON (Extra data at line 2, column 1)"),
        ("TLS failed: WRONG_VERSION_NUMBER", "TLS 失败：对方说的不是 TLS",
         "TLS failed: what answers there does not speak TLS"),
        ("volume: got 99, expected an integer from 0 to 16 in steps of 1",
         "volume：得到 99，应为 0 到 16 的整数，步长 1",
         "volume: got 99, expected an integer from 0 to 16 in steps of 1"),
        ("settings /etc/a.toml: Permission denied", "设置 /etc/a.toml：没有权限",
         "settings /etc/a.toml: Permission denied"),
        ("settings /etc/a.toml: voice.quality: got 11, expected an integer from 0 to 10",
         "设置 /etc/a.toml：voice.quality：得到 11，应为 0 到 10 的整数",
         "settings /etc/a.toml: voice.quality: got 11, expected an integer from 0 to 10"),
        ("play: got 'x', expected one of 3 titles, a URL or next",
         "play：没有 'x'；有 3 个标题，也可以是地址或 next、stop 之类的命令",
         "play: got 'x', expected one of 3 titles, a URL or next"),
        ("listen: fault: microphone: parec: the sound server or the device went away (exit code 1)",
         "聆听：麦克风出了故障：麦克风：parec：声音服务器或设备不见了（exit code 1）",
         "listen: fault: microphone: parec: the sound server or the device went away (exit code 1)"),
        ("sound server /run/x: Permission denied; sound card: it has no control, expected Master",
         "声音服务器 /run/x：没有权限；声卡：没有音量控制，应有 Master",
         "sound server /run/x: Permission denied; sound card: it has no control, expected Master"),
        ("volume: not stored: No space left on device", "volume：存不下来：存储卡满了",
         "volume: not stored: No space left on device"),
        ('the cloud refuses this device: 4.01 "wrong token"', "云不接受这台设备：4.01 密钥不对",
         'the cloud refuses this device: 4.01 "wrong token"'),
        ('uuid: got "zz", expected 14 hexadecimal digits', 'uuid：得到 "zz"，应为 14 位十六进制数字',
         'uuid: got "zz", expected 14 hexadecimal digits'),
        ("registration: no answer within 15 s", "注册：15 秒没有回答", "registration: no answer within 15 s"),
        ("what nobody has seen", "what nobody has seen", "what nobody has seen"),
    ],
)  # fmt: skip
def test_texts(text: str, zh: str, en: str) -> None:
    assert explain(text) == Words(zh, en)


def test_the_names_of_errors_are_those_of_this_system() -> None:
    for number in _SYSTEM:
        assert explain(os.strerror(number)).zh != os.strerror(number)
    with pytest.raises(socket.gaierror) as raised:
        socket.getaddrinfo("nowhere.invalid", 1)
    assert explain_error(raised.value).zh != str(raised.value.strerror)


def test_an_error_names_its_file() -> None:
    error = PermissionError(13, "Permission denied", "/x")
    assert explain_error(error) == Words("/x：没有权限", "/x: Permission denied")
    assert explain_error(OSError("odd")) == Words("odd", "odd")


@given(st.text(max_size=60))
def test_any_text_is_something(text: str) -> None:
    zh, en = explain(text)
    assert bool(zh) == bool(en) == bool(text)


def test_every_text_has_chinese() -> None:
    assert all(re.search("[一-鿿]", zh) for zh, _ in _EXACT.values())


def _kinds(kind: type[LinkError]) -> list[type[LinkError]]:
    return [kind, *(each for sub in kind.__subclasses__() for each in _kinds(sub))]


def test_every_remedy_of_the_link_has_chinese() -> None:
    ours = [kind for kind in _kinds(LinkError) if kind.__module__ == agent.link.__name__]
    assert len(ours) > 10
    for kind in ours:
        assert kind.remedy in CHINESE, kind
        assert remedy_of(kind.remedy).zh == CHINESE[kind.remedy]
    assert explain(agent.link.TWIN).zh != agent.link.TWIN


def test_no_pattern_is_there_twice() -> None:
    """The first one would hide the other, which somebody has written for a reason."""
    patterns = [pattern for pattern, _, _ in _PATTERNS]
    assert not {pattern for pattern in patterns if patterns.count(pattern) > 1}
