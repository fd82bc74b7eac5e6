"""The whole path with real programs: story-cloud, a real story-agent, sentences typed and spoken.

Tests staging.commands.sentences and staging.commands.title_lists too.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.local import SOCKET_NAME
from agent.local.client import LocalClient
from audio.pcm import Pcm
from audio.wav import render_wav
from resources.titles.natural import natural_key
from staging.commands import cli
from staging.commands.asking import ask
from staging.errors import StagingError
from staging.recognition import model
from staging.recognition.model import SHA256, join_model, missing_packages, model_folder
from staging.recognition.outcomes import OutcomeLog
from tests.conftest import write_tone
from tests.staging.recognition import speech
from tools.bench import Bench
from tools.speech import sound_of

BIN = Path(sys.executable).parent
LACKING = speech.missing()
needs_speech = pytest.mark.skipif(bool(LACKING), reason=f"missing: {', '.join(LACKING)}")
needs_extra = pytest.mark.skipif(
    bool(missing_packages()), reason=f"missing: {', '.join(missing_packages())}"
)
# For assembling and loading the model, and the first clip, on a busy machine.
SPEECH_TIMEOUT = 50.0


class House(Bench):
    """A cloud, with recognition if installed, and an agent whose card has the catalogue's titles."""

    def start_cloud(
        self,
        api_port: int = 0,
        device_port: int = 0,
        *,
        recognise: bool = not LACKING,
        mqtt: bool = False,
        faults: bool = False,
    ) -> None:
        super().start_cloud(api_port, device_port, recognise=recognise, mqtt=mqtt, faults=faults)

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
            made.start_cloud()
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


# The sentences that are recognised from espeak-ng's Mandarin with some room, and the last request to the
# device; docs/recognition.md has the share of all.
SPOKEN = {
    16000: {"播放两只老虎": "播放两只老虎", "下一首": "下一首", "上一首": "上一首", "暂停播放": "暂停", "继续播放": "继续",
            "我想听春天在哪里": "播放春天在哪里"},
    8000: {"播放两只老虎": "播放两只老虎", "下一首": "下一首", "上一首": "上一首", "暂停播放": "暂停", "继续": "继续",
           "播放小兔子乖乖": "播放小兔子乖乖"},
}  # fmt: skip


@needs_speech
@pytest.mark.timeout(180)
@pytest.mark.parametrize("rate", SPOKEN)
def test_spoken_commands_reach_the_device(house: House, tmp_path: Path, rate: int) -> None:
    path = tmp_path / "said.wav"
    # The first sentence loads the model, which may take longer than the device waits for its answer.
    path.write_bytes(render_wav(sound_of("停止播放", rate)))
    _send(house, path)
    for sentence, content in SPOKEN[rate].items():
        path.write_bytes(render_wav(sound_of(sentence, rate)))
        outcome = _send(house, path)
        assert outcome["done"], json.dumps(outcome, ensure_ascii=False)
        assert outcome["steps"][-1]["content"] == content


@needs_speech
def test_silence_is_not_a_command(house: House, tmp_path: Path) -> None:
    path = tmp_path / "silence.wav"
    path.write_bytes(render_wav(Pcm(8000, bytes(8000 * 2 * 2))))
    outcome = _send(house, path)
    assert outcome["error"].startswith("no speech was heard")
    assert outcome["steps"] == []


def _send(house: House, path: Path) -> dict[str, Any]:
    said = LocalClient(house.state / SOCKET_NAME).request("POST", "/voice", path.read_bytes())
    number = json.loads(said.body)["id"]
    log = OutcomeLog(house.cloud_data)
    deadline = time.monotonic() + SPEECH_TIMEOUT
    while time.monotonic() < deadline:
        for row in log.recent(house.device["uuid"], limit=1):
            if row["utterance"] == number:
                return row
        time.sleep(0.05)
    raise AssertionError(f"utterance {number} has no outcome")


@needs_extra
class TestModel:
    def test_is_joined_whole_and_once(self, tmp_path: Path) -> None:
        leftover = tmp_path / ".joining-killed"
        leftover.mkdir()
        folder = join_model(tmp_path)
        assert folder == model_folder(tmp_path)
        assert (folder / "model.bin").stat().st_size == 145_217_532
        assert sorted(p.name for p in tmp_path.iterdir()) == [folder.name]
        inode = (folder / "model.bin").stat().st_ino
        join_model(tmp_path)
        assert (folder / "model.bin").stat().st_ino == inode

    def test_a_damaged_package_leaves_nothing(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(model, "SHA256", "0" * len(SHA256))
        with pytest.raises(StagingError, match="the two packages do not make it"):
            join_model(tmp_path)
        assert list(tmp_path.iterdir()) == []

    def test_a_disk_that_does_not_take_it_is_one_line(self, tmp_path: Path) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(StagingError, match="the speech model: Not a directory"):
            join_model(tmp_path / "file" / "models")
