"""``story-agent config check|show``: all faults at once, and where each value comes from; the commands of agent.inspection."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli import main
from agent.exits import EX_FAILED, EX_OK

WRONG = """[voice]
qualty = 4
quality = 99
keepalive_seconds = 3
[playy]
[buttons]
talk = 5
next = 5
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "agent.toml").write_text(WRONG)
    (tmp_path / "agent.toml.d").mkdir()
    (tmp_path / "agent.toml.d" / "10.toml").write_text('[ota]\nchannel = ""\n')
    (tmp_path / "agent.toml.d" / "20.toml").write_text("[ota\n")
    return tmp_path / "agent.toml"


def test_check_tells_every_fault_with_its_place(
    file: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["config", "check", str(file)]) == EX_FAILED
    out, told = capsys.readouterr()
    assert out == ""
    folder = file.parent / "agent.toml.d"
    begun = [line.split(" (")[0] for line in told.splitlines()]
    assert begun == [
        f"{folder}/20.toml: not TOML: line 1, column 5: Expected ']' at the end of a table declaration",
        f"{file}:5: playy: got {{}}, expected play",
        f"{file}:2: voice.qualty: got 4, expected quality",
        f"{file}:3: voice.quality: got 99, expected an integer from 0 to 10",
        f"{file}:4: voice.keepalive_seconds: got 3, expected link.keepalive_seconds",
        f'{folder}/10.toml:2: ota.channel: got "", expected a string that is not empty, of printable characters',
        f"{file}:8: buttons.next: got 5, expected another line than buttons.talk",
    ]


def test_check_in_chinese_and_as_json(file: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["config", "check", "--config", str(file), "--lang", "zh"]) == EX_FAILED
    told = capsys.readouterr().err
    assert f"{file}:3: voice.quality：得到 99，应为 0 到 10 的整数\n" in told
    assert "playy：得到 {}，应为 play（以下之一：link, " in told
    assert main(["config", "check", "--config", str(file), "--json"]) == EX_FAILED
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], len(answer["faults"])) == (False, 7)
    assert answer["faults"][3]["line"] == 3


def test_check_of_what_is_well(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = tmp_path / "good.toml"
    good.write_text("[voice]\nquality = 5\n")
    assert main(["config", "check", str(good)]) == EX_OK
    assert capsys.readouterr().out == f"the settings are well: {good}\n"
    assert main(["config", "check", str(tmp_path / "none.toml")]) == EX_FAILED
    assert capsys.readouterr().err == f"{tmp_path}/none.toml: No such file or directory\n"


def test_what_does_nothing_is_told_and_is_no_fault(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "a.toml"
    file.write_text('[light]\nled = "listening"\ngpio = 13\n[buttons]\ntalk_code = 115\n')
    assert main(["config", "check", str(file)]) == EX_OK
    out, told = capsys.readouterr()
    assert out == ""
    assert f"{file}:3: light.gpio: got 13" in told
    assert f"{file}:5: buttons.talk_code: got 115" in told
    assert main(["config", "check", str(file), "--json"]) == EX_OK
    answer = json.loads(capsys.readouterr().out)
    assert (answer["ok"], [each["line"] for each in answer["doubts"]]) == (True, [3, 5])


def test_show_tells_where_from(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "a.toml"
    file.write_text(
        '[voice]\nquality = 5\npause_seconds = 99\n[ota]\nrepository = "https://me:geheim@x/y?token=geheim2"\n'
    )
    assert main(["config", "show", str(file), "--profile", str(tmp_path / "none")]) == EX_FAILED
    out, err = capsys.readouterr()
    told = {line.split(" ")[0]: line for line in out.splitlines()}
    assert told["voice.quality"].endswith(f"= 5    # {file}:2")
    assert told["voice.pause_seconds"].endswith("= 0.7    # default")
    assert told["ota.repository"].endswith(f'= "https://[hidden]@x/y?token=[hidden]"    # {file}:5')
    assert "voice.pause_seconds: got 99" in err
    assert main(["config", "show", str(file), "--json"]) == EX_FAILED
    shown = json.loads(capsys.readouterr().out)["settings"]
    assert shown["voice.quality"] == {"value": 5, "from": f"{file}:2"}
    assert shown["play.allow_networks"] == {"value": [], "from": "default"}
