"""``story-agent lan`` against what answers on the socket: the keys alone are its output."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from agent import lan_command
from agent.cli import main
from agent.local import client as client_module
from agent.local.client import LocalAnswer
from agent.local.clients import EXTRA
from agent.local.lan_routes import OFF
from agent.words.causes import explain

KEYS = {"name": "phone", "uri": "coap://192.0.2.7:5683", "secret_hex": "00ff"}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    seen: list[tuple[str, str]] = []
    answers = {
        ("GET", "/lan"): (200, {}), ("PUT", "/lan/phone"): (200, KEYS),
        ("POST", "/lan/phone"): (200, KEYS), ("DELETE", "/lan/phone"): (200, {"removed": "phone"}),
    }  # fmt: skip

    def request(_self: object, method: str, target: str, _body: bytes = b"") -> LocalAnswer:
        seen.append((method, target))
        status, told = answers.get((method, target), (404, "lan: no client of that name has keys"))
        return LocalAnswer(
            status, told.encode() if isinstance(told, str) else json.dumps(told).encode()
        )

    monkeypatch.setattr(client_module.LocalClient, "request", request)
    return seen


def run(*words: str) -> int:
    return main(["lan", *words, "--state", "/nowhere"])


@pytest.mark.parametrize("action", ["add", "renew"])
def test_the_keys_go_to_a_file_and_the_warning_to_the_terminal(
    asked: list[tuple[str, str]], capsys: pytest.CaptureFixture[str], action: str
) -> None:
    assert run(action, "phone", "--lang", "en") == 0
    told = capsys.readouterr()
    assert json.loads(told.out) == KEYS
    assert told.err.startswith("These are the keys of phone, shown this once")
    assert run(action, "phone", "--lang", "zh") == 0
    assert "只显示这一次" in capsys.readouterr().err
    assert asked[0] == ("PUT" if action == "add" else "POST", "/lan/phone")


@pytest.mark.parametrize(
    ("words", "code", "out", "err"),
    [
        ((), 0, "There are no clients. Add one", ""),
        (("list", "--json"), 0, "{}", ""),
        (("remove", "phone"), 0, "phone is removed", ""),
        (("remove", "phone", "--json"), 0, '{"removed": "phone"}', ""),
        (("remove",), 1, "", "story-agent: Give the client's name: story-agent lan remove NAME"),
        (("remove", "tablet"), 1, "", "story-agent: lan: no client of that name"),
        (
            ("add", "手机 /x"),
            1,
            "",
            'story-agent: lan: name: got "手机 /x", expected 1 to 32 of a-z',
        ),
        (("remove", "../volume"), 1, "", 'story-agent: lan: name: got "../volume", expected'),
    ],
)
def test_what_it_says(
    asked: list[tuple[str, str]], capsys: pytest.CaptureFixture[str],
    words: Any, code: int, out: str, err: str,
) -> None:  # fmt: skip
    assert run(*words, "--lang", "en") == code
    told = capsys.readouterr()
    assert told.out.startswith(out)
    assert told.err.startswith(err)
    assert not asked or asked[-1][1].isascii()


def test_clients_are_listed_with_what_to_do(
    asked: list[tuple[str, str]],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    told = {
        "mum": {"state": "heard", "seconds": 3.2}, "script": {"state": "not heard"},
        "old": {"state": "damaged", "fault": "No such file or directory"},
    }  # fmt: skip
    answer = LocalAnswer(200, json.dumps(told).encode())
    monkeypatch.setattr(client_module.LocalClient, "request", lambda *_: answer)
    assert run("list", "--lang", "en") == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["mum: heard 3 s ago", "script: not heard since the start"]
    assert lines[2].startswith("old: its files are damaged (")
    assert lines[2].endswith("): story-agent lan renew old")
    assert run("--lang", "zh") == 0
    assert "mum: 3 秒前有消息" in capsys.readouterr().out
    assert asked == []


def test_without_an_agent_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["lan", "--state", str(tmp_path), "--lang", "en"]) == 1
    assert "no agent runs on" in capsys.readouterr().err
    assert lan_command._METHODS.keys() == {"add", "renew", "remove"}


@pytest.mark.parametrize(
    ("text", "chinese"),
    [
        (f"{OFF}", "lan：CoAP（OSCORE）没有打开：在 agent.toml 里设 local.oscore_port（一般用 5683），再重启代理"),
        ("lan: phone has keys already: renew them, or remove it first", "lan：phone 已有密钥：更换它，或先删除它"),
        ("lan: 16 clients have keys already: remove one first", "lan：已有 16 个客户端：请先删除一个"),
        ("lan: tablet: no client of that name has keys", "lan：没有名为 tablet 的客户端"),
        ("lan: the keys are not stored: Read-only file system", "lan：密钥存不下来：存储卡是只读的"),
        ("lan: name: got A, expected 1 to 32 of a-z, 0-9, - and _, no - or _ first",
         "lan：name：得到 A，应为 1 到 32 个 a-z、0-9、-、_，不以 - 或 _ 开头"),
        (f"lan: {EXTRA}", "lan：没有安装 cbor2 或 filelock：pip install 'story-agent[oscore]'，或设 local.oscore_port = 0"),
        ("CoAP on 0.0.0.0:5683: Address already in use", "CoAP（0.0.0.0:5683）：端口已被别的程序占用"),
        ("local.https_port 443 on 0.0.0.0: Address already in use", "local.https_port 443：端口已被别的程序占用"),
    ],
)  # fmt: skip
def test_refusals_are_said_in_chinese(text: str, chinese: str) -> None:
    assert explain(text).zh == chinese
