"""The wake word's child as a process: what it says about real speech, and how it ends."""

from __future__ import annotations

import io
import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from audio.wake_match import Found, Word
from audio.wake_take import templates
from machine.wake_child import listen, make_ears, render
from machine.wake_process import wake_command
from machine.wake_protocol import BLOCK, EXIT_NO_MODELS, EXIT_NO_WORDS, RESET
from machine.wake_words import StoredWord, WakeWords
from tests.audio.wake_speech import MANNERS, blocks, models, need_speech, said, take
from tests.machine.wake_parts import GOOD, stored

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
MESSAGE_BYTES = 641


WORD = "小故事小故事"
SECONDS = 60


def run(state: Path, sound: bytes, ready: str = "", **variables: str) -> tuple[list[Any], int]:
    done = subprocess.run(
        wake_command(state, ready), input=b"".join(BLOCK + block for block in blocks(sound)),
        capture_output=True, timeout=SECONDS, env={**os.environ, **variables}, check=False,
    )  # fmt: skip
    return [json.loads(line) for line in done.stdout.splitlines()], done.returncode


@pytest.fixture
def state(tmp_path: Path) -> Path:
    need_speech()
    embedder = models()
    takes = [take(embedder, said(WORD, *manner)) for manner in MANNERS[:2]]
    embedder.close()
    WakeWords(tmp_path).save(StoredWord(Word(WORD, templates(takes)), GOOD))
    return tmp_path


def test_it_says_that_it_is_ready_and_when_the_word_was_said(state: Path) -> None:
    WakeWords(state).save(stored("坏", card=None))
    sound = said(WORD, *MANNERS[0], seed=9)
    told, code = run(state, sound)
    assert code == 0
    assert told[0] == {
        "kind": "ready", "words": [WORD], "unused": {"坏": "it has no card: story-agent wake card"},
    }  # fmt: skip
    (hit,) = [each for each in told[1:] if each["kind"] == "hit"]
    assert hit["word"] == WORD
    assert len(blocks(sound)) // 2 < hit["block"] <= len(blocks(sound))
    assert 0 <= hit["share"] <= 1


def test_without_a_word_it_ends_and_says_why(tmp_path: Path) -> None:
    WakeWords(tmp_path).save(stored("坏", card=None))
    told, code = run(tmp_path, b"")
    assert code == EXIT_NO_WORDS
    assert told[0]["words"] == []
    assert "坏" in told[0]["unused"]


def test_without_the_extra_it_ends_and_says_what_to_install(state: Path) -> None:
    """-S hides the packages, the project's folder is given by PYTHONPATH."""
    command = [wake_command(state)[0], "-S", *wake_command(state)[1:]]
    done = subprocess.run(
        command, input=b"", capture_output=True, timeout=SECONDS, check=False,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )  # fmt: skip
    assert done.returncode == EXIT_NO_MODELS
    assert "pip install" in json.loads(done.stdout)["text"]


def test_a_ready_word_that_may_not_be_used_costs_the_family_s_words_nothing(
    state: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("audio.wake_ready.CARDS", {})
    ears, told = make_ears(state, "hey_jarvis")
    assert len(ears) == 1
    assert told == {"words": [WORD], "unused": {"hey_jarvis": "it has no card"}}


class Counting:
    def __init__(self) -> None:
        self.log = ""

    def add(self, block: bytes) -> list[Found]:
        self.log += chr(block[0])
        return [Found("w", hit=True, distance=0.0, share=0.0)] if block[:1] == b"!" else []

    def reset(self) -> None:
        self.log += "|"


def test_messages_are_read_to_the_end_and_half_of_one_is_none(
    capsys: pytest.CaptureFixture[str],
) -> None:
    ear = Counting()
    size = MESSAGE_BYTES - 1
    source = b"".join(
        [BLOCK + b"a" * size, RESET + bytes(size), BLOCK + b"!" * size, BLOCK + b"b" * 10]
    )
    listen(io.BytesIO(source), [ear])
    assert ear.log == "a|!"
    assert json.loads(capsys.readouterr().out)["block"] == 2


def test_what_is_told_has_no_more_than_status_shows() -> None:
    told = render(Found("w", hit=False, distance=0.123456, share=1.23456), 7)
    assert told == {"kind": "near", "word": "w", "block": 7, "distance": 0.1235, "share": 1.235}
