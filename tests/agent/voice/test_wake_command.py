"""``story-agent wake`` from files to a word that is listened for: wake_command, wake_card, wake_record, wake_texts."""

from __future__ import annotations

import json
import wave
from pathlib import Path

import pytest

from agent.cli import main
from agent.voice import wake_texts as texts
from agent.voice.wake_card import find_stories
from agent.voice.wake_record import read_files
from audio.wake_card import Card
from machine.wake_words import WakeWords
from resources.announce.settings import Language
from tests.audio.wake_speech import MANNERS, need_speech, said
from tests.machine.wake_parts import stored

WORD = "故事故事"


def wav(path: Path, sound: bytes) -> str:
    with wave.open(str(path), "wb") as file:
        file.setparams((1, 2, 16000, 0, "NONE", ""))
        file.writeframes(sound)
    return str(path)


@pytest.fixture
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("LC_ALL", "en_US.UTF-8")
    monkeypatch.setenv("STORY_AGENT_STATE", str(tmp_path))
    return tmp_path


def test_a_word_is_recorded_tried_listed_and_forgotten(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_speech()
    monkeypatch.setattr(
        "agent.voice.wake_card.neighbours", lambda _syllables: [("du4", "shi4") * 2]
    )
    takes = [wav(state / f"{n}.wav", said(WORD, *m, seed=n)) for n, m in enumerate(MANNERS[:3])]
    assert main(["wake", "enrol", WORD, "--takes", "3", "--wav", *takes]) == 0
    assert "no stories" in capsys.readouterr().out.lower()
    assert [each.doubts() for each in WakeWords(state).read_all()[0]] == [
        ["no other speech was played to it"]
    ]
    (state / "media").mkdir()
    wav(state / "media" / "a.wav", said("从前有一座山山上有一座庙"))
    assert main(["wake", "card", WORD]) == 0
    assert "is listened for" in capsys.readouterr().out
    assert main(["wake", "list", "--json"]) == 0
    (told,) = json.loads(capsys.readouterr().out).values()
    assert told["used"]
    assert told["false_alarms"] == 0
    assert told["hours"] > 0
    again = wav(state / "again.wav", said(WORD, *MANNERS[0], seed=40))
    assert main(["wake", "test", "--wav", again, wav(state / "o.wav", said("小兔子乖乖"))]) == 0
    heard = capsys.readouterr().out.splitlines()
    assert f"heard {WORD}" in heard[0]
    assert heard[1].endswith("nothing")
    assert main(["wake", "forget", WORD]) == 0
    assert WakeWords(state).read_all() == ([], {})


def test_a_microphone_that_is_off_is_not_opened(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_speech()
    (state / "microphone-off").touch()
    assert main(["wake", "enrol", WORD]) == 1
    assert "microphone is off" in capsys.readouterr().err


REFUSED = {
    "no name": (["enrol"], "expected the name"),
    "an unknown word": (["forget", "没有"], "no such wake word"),
    "no such card": (["card", "没有"], "no such wake word"),
    "no files to test": (["test"], "expected --wav"),
    "words that are no pinyin": (["enrol", "故事", "--pinyin", "hello world"], "got 'hello'"),
    "a file that is not there": (["test", "--wav", "/nowhere.wav"], "/nowhere.wav"),
}


@pytest.mark.parametrize(("words", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_said_in_one_line(
    state: Path, capsys: pytest.CaptureFixture[str], words: list[str], reason: str
) -> None:
    need_speech()
    assert main(["wake", *words, "--state", str(state)]) == 1
    error = capsys.readouterr().err
    assert reason in error
    assert len(error.splitlines()) == 1


def test_a_file_that_is_no_recording_is_named(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    need_speech()
    (state / "x.wav").write_bytes(b"RIFF")
    assert main(["wake", "test", "--wav", str(state / "x.wav")]) == 1
    assert f"{state / 'x.wav'}: not a WAV file" in capsys.readouterr().err


@pytest.mark.parametrize("hours", ["-1", "0", "nan", "inf", "1e9", "much"])
def test_hours_are_hours(state: Path, hours: str, capsys: pytest.CaptureFixture[str]) -> None:
    del state
    with pytest.raises(SystemExit):
        main(["wake", "card", WORD, "--hours", hours])
    assert "--hours" in capsys.readouterr().err


def test_a_list_says_why_a_word_is_not_used(
    state: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = WakeWords(state)
    words.save(stored("good"))
    words.save(stored("bare", card=None))
    (words.folder / "bad.json").write_text("{", "utf-8")
    assert main(["wake", "list"]) == 0
    lines = dict(line.split(": ", 1) for line in capsys.readouterr().out.splitlines())
    assert lines["good"] == "listened for"
    assert "no card" in lines["bare"]
    assert "damaged" in lines["bad.json"]


@pytest.mark.parametrize(
    ("card", "chinese", "english"),
    [
        (Card(3, 4, 1.0, 0), "4 遍里只听出 3 遍", "heard 3 of 4 takes: record it again"),
        (Card(4, 4, 1.0, 2), "1 小时里误听 2 次", "2 false alarms in 1 h: take another"),
        (Card(4, 4, 1.0, 0, {"du4": (1, 3)}), "du4", "taken for it: du4: "),
        (Card(4, 4, 0.0, 0), "还没有试听过故事", "no other speech was played to it: "),
        (None, "重新录", "record it again"),
    ],
)
def test_a_family_is_told_why_a_word_is_not_used_and_what_helps(
    card: Card | None, chinese: str, english: str
) -> None:
    assert chinese in texts.doubts_of(card, Language.CHINESE)
    assert english in texts.doubts_of(card, Language.ENGLISH)


def test_a_good_word_has_no_doubts() -> None:
    assert texts.doubts_of(Card(4, 4, 1.0, 0), Language.CHINESE) == ""


class Family:
    """Says good takes for as long as there are any, as the microphone would give them."""

    def __init__(self, *takes: bytes) -> None:
        self.takes = list(takes)

    def record(self) -> bytes:
        return self.takes.pop(0) if self.takes else b""

    def give_back(self) -> bool:
        return True


@pytest.mark.parametrize(("extra", "recalled"), [(2, "heard 2 of 5"), (0, "heard 1 of 3")])
def test_takes_that_do_not_hear_each_other_are_added_to(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch,
    extra: int, recalled: str,
) -> None:  # fmt: skip
    need_speech()
    assert list(state.iterdir()) == []
    takes = [said(WORD, *MANNERS[n % 4], seed=n) for n in range(3 + extra)]
    monkeypatch.setattr("agent.voice.wake_command.LentMicrophone", lambda *_: Family(*takes))
    monkeypatch.setattr("agent.voice.wake_card.neighbours", lambda _syllables: [])
    monkeypatch.setattr("agent.voice.wake_card.recalled", lambda found, _made: 1 + len(found) // 5)
    assert main(["wake", "enrol", WORD, "--takes", "3"]) == 0
    out = capsys.readouterr().out
    assert "1 of 3 takes would be heard; one more take helps." in out
    assert "4 of 4: say" in out
    assert ("5 of 5: say" in out) == (extra == 2)
    assert "could not be used" in out
    assert main(["wake", "list"]) == 0
    assert recalled in capsys.readouterr().out


def test_six_takes_are_the_most_that_a_family_is_asked_for(
    state: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    need_speech()
    family = Family(*(said(WORD, *MANNERS[n % 4], seed=n) for n in range(8)))
    monkeypatch.setattr("agent.voice.wake_command.LentMicrophone", lambda *_: family)
    monkeypatch.setattr("agent.voice.wake_card.neighbours", lambda _syllables: [])
    monkeypatch.setattr("agent.voice.wake_card.recalled", lambda _found, _made: 1)
    assert main(["wake", "enrol", WORD, "--takes", "5"]) == 0
    assert len(family.takes) == 2
    assert "6 of 6: say" in capsys.readouterr().out
    assert main(["wake", "list", "--state", str(state)]) == 0
    assert "heard 1 of 6" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "zh", "en"),
    [
        (["list"], "还没有录过唤醒词", "no word is recorded yet"),
        (["forget"], "缺少词的名字", "expected the name of a word"),
        (["card", "没有"], "没有叫“没有”的唤醒词；还没有录过", "没有: no such wake word; there are: none"),
        (["test"], "需要 --wav 和一个以上的 WAV 文件", "expected --wav and one or more WAV files"),
    ],
)  # fmt: skip
def test_what_a_command_says_is_in_the_language_that_is_asked_for(
    state: Path, capsys: pytest.CaptureFixture[str], words: list[str], zh: str, en: str
) -> None:
    assert state.is_dir()
    for language, expected in (("zh", zh), ("en", en)):
        main(["wake", *words, "--lang", language])
        assert expected in "".join(capsys.readouterr())


def test_only_recordings_are_stories(tmp_path: Path) -> None:
    for name in ("b.mp3", "a.WAV", "list.m3u", "cover.jpg"):
        (tmp_path / name).touch()
    assert [path.name for path in find_stories(tmp_path)] == ["a.WAV", "b.mp3"]


def test_files_of_another_rate_are_as_a_microphone_gives_them(tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "a.wav"), "wb") as file:
        file.setparams((2, 2, 44100, 0, "NONE", ""))
        file.writeframes(bytes(4 * 44100))
    (sound,) = read_files([tmp_path / "a.wav"])
    assert len(sound) == pytest.approx(32000, abs=640)
