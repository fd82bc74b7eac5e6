"""The whole path with real programs: story-cloud, a real story-agent, and sentences that are typed; spoken ones: test_spoken.py.

Tests staging.commands.sentences and staging.commands.title_lists too.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.local import SOCKET_NAME
from agent.local.client import LocalClient
from resources.titles.natural import natural_key
from staging.commands import cli
from staging.commands.asking import ask
from staging.recognition import model
from tests.conftest import write_tone
from tests.staging.recognition import speech
from tools.bench import Bench

BIN = Path(sys.executable).parent


class House(Bench):
    """A cloud, and an agent whose card has the catalogue's titles."""

    def run(self, *words: str | Path) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            [BIN / "story-cloud", *words, "--data", self.cloud_data],
            capture_output=True, text=True, timeout=50, check=False,
        )  # fmt: skip
        assert "Traceback" not in done.stderr
        return done

    def say(self, sentence: str) -> dict[str, Any]:
        """Do what `story-cloud say` does, without starting a process."""
        outcome = ask(self.cloud_data, "say", {"uuid": self.device["uuid"], "text": sentence})
        assert outcome["text"] == sentence
        return outcome

    def agent_get(self, name: str) -> str:
        return LocalClient(self.state / SOCKET_NAME).request("GET", f"/{name}").text


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory, pulse_server: str) -> Iterator[House]:
    # Longer than the 108 bytes of a Unix socket's address.
    folder = tmp_path_factory.mktemp("house") / ("deep-" * 20)
    folder.mkdir()
    made = House(folder)
    # The path of the agent's own socket has to be short.
    made.state = tmp_path_factory.mktemp("agent") / "state"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PULSE_SERVER", pulse_server)
        try:
            made.start_cloud(0, 0)
            made.flash_device()
            for title in speech.TITLES:
                write_tone(made.state / "media" / f"{title}.wav", seconds=30)
            titles = folder / "titles.txt"
            titles.write_text("\n".join(speech.TITLES))
            made.story_cloud("catalogue", "set", made.device["uuid"], titles)
            made.start_agent()
            yield made
        finally:
            made.stop()
    assert "Traceback" not in (folder / "cloud.log").read_text()


def test_typed_title(house: House) -> None:
    outcome = house.say("播放小兔子乖乖")
    assert outcome["intent"] == {"action": "play", "title": "小兔子乖乖"}
    assert [step["code"] for step in outcome["steps"]] == ["2.04"]
    assert house.agent_get("play") == "小兔子乖乖"


def test_typed_part_of_a_title_then_the_tracks_around_it(house: House) -> None:
    assert house.say("我想听两只老虎")["done"]
    order = sorted(speech.TITLES, key=natural_key)
    place = order.index("两只老虎")
    house.say("下一首")
    assert house.agent_get("play") == order[place + 1]
    house.say("上一首")
    assert house.agent_get("play") == "两只老虎"
    for sentence in ("暂停", "继续", "停止"):
        assert house.say(sentence)["done"]
    assert house.agent_get("play") == ""


def test_typed_volume(house: House) -> None:
    assert house.say("音量调到五")["done"]
    assert house.agent_get("volume") == "5"
    steps = house.say("调高音量")["steps"]
    assert [(s["method"], s["content"], s["code"]) for s in steps] == [
        ("GET", "", "2.05"),
        ("PUT", "7", "2.04"),
    ]
    assert house.agent_get("volume") == "7"


def test_the_commands(house: House) -> None:
    uuid = house.device["uuid"]
    done = house.run("say", uuid, "音量调到三")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "typed 音量调到三; volume-set; PUT volume 3 -> 2.04\n"
    assert house.run("heard", uuid, "--limit", "1").stdout.endswith(f"{uuid} {done.stdout}")
    (row,) = house.story_cloud("heard", uuid, "--limit", "1")["outcomes"]
    assert (row["text"], row["done"], row["source"]) == ("音量调到三", True, "typed")


def test_what_is_not_done_is_one_line(house: House, capsys: pytest.CaptureFixture[str]) -> None:
    house.say("停止")
    for sentence, message in {
        "下一首": "the device answered 4.00 play: nothing is playing",
        "你好": "there is no command in it",
        "播放世上只有妈妈好": "no title sounds like",
    }.items():
        words = ["say", house.device["uuid"], sentence, "--data", str(house.cloud_data)]
        assert cli.main(words) == 1
        out, error = capsys.readouterr()
        assert message in error
        assert (out, error.count("\n")) == ("", 1)


def test_mistakes_are_one_line(
    house: House, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    uuid, file = house.device["uuid"], tmp_path / "list"
    file.write_text("[1]")
    for words, message in (
        (("say", "0" * 14, "暂停"), "there is none"),
        (("say", uuid, " "), "expected 1 to 500 printable characters"),
        (("heard", "0" * 14), "there is none"),
        (("catalogue", "set", uuid, str(file)), "titles[0]: got 1"),
        (("catalogue", "set", uuid, str(tmp_path / "none")), "No such file"),
        (("catalogue", "set", "--product", "none", str(file)), "titles[0]: got 1"),
        (("catalogue", "show", "--product", "none"), "product none: there is none"),
        (("catalogue", "show", uuid, "--product", "story-machine"), "name either"),
        (("catalogue", "remove", "--product", "story-machine"), "there is no catalogue"),
    ):
        assert cli.main([*words, "--data", str(house.cloud_data)]) == 1, words
        error = capsys.readouterr().err
        assert message in error
        assert error.count("\n") == 1


def test_serve_recognise_without_the_extra(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(model.MODULES, "no_such_module", "no-such-package")
    assert cli.main(["serve", "--recognise", "--data", str(tmp_path / "data")]) == 1
    error = capsys.readouterr().err
    assert (
        "no-such-package missing; in the project's folder: pip install -e . -e './cloud[asr]'"
        in error
    )
    assert error.count("\n") == 1
    assert not (tmp_path / "data").exists()
