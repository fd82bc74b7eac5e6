"""Ready English words: heard where they are said, and used only with a card."""

from __future__ import annotations

import subprocess

import pytest

from audio.errors import AudioError
from audio.resample import resample
from audio.vad import RATE
from audio.wake_kinds import ReadyWord
from audio.wake_ready import Hearing, ReadyEar
from audio.wake_ready_cards import CARDS
from audio.wav import read_wav
from tests.audio.wake_speech import blocks
from tests.extras import require
from tools.speech import has_espeak


def test_what_comes_near_counts_from_six_tenths_of_what_a_hit_takes() -> None:
    hearing = object.__new__(Hearing)  # its model is a package of 4 MB, and is not asked here
    hearing._word, hearing._limit, hearing._highest = next(iter(ReadyWord)), 0.5, 0.0
    assert [hearing._judge(probability) for probability in (0.29, 0.0)] == [None, None]
    assert hearing._judge(0.31) is None
    near = hearing._judge(0.0)
    assert near is not None
    assert (near.hit, round(near.distance, 2)) == (False, 0.69)


def english(text: str) -> bytes:
    if not has_espeak():
        pytest.skip("espeak-ng is not installed")
    command = ["espeak-ng", "-v", "en-us", "-s", "140", "--stdout", text]
    read = read_wav(subprocess.run(command, capture_output=True, check=True, timeout=20).stdout)
    sound = bytes(32000) + resample(read.samples, read.rate, RATE) + bytes(32000)
    return sound[: len(sound) // 640 * 640]


def test_it_is_heard_once_and_another_is_not() -> None:
    require("pymicro_wakeword")
    hearing = Hearing(ReadyWord.OKAY_NABU)
    found = [f for block in blocks(english("okay nabu")) for f in hearing.add(block)]
    assert [f.hit for f in found if f.hit] == [True]
    hearing.reset()
    other = [f for block in blocks(english("hey jarvis")) for f in hearing.add(block)]
    assert not any(f.hit for f in other)


def test_every_ready_word_has_a_card_of_twelve_hours_and_of_what_is_like_it() -> None:
    assert set(CARDS) == {word for word in ReadyWord if word}
    for card in CARDS.values():
        assert card.hours >= 12
        assert card.spoken >= 40
        assert sum(total for _hits, total in card.near.values()) >= 48


@pytest.mark.parametrize("word", [w for w in ReadyWord if w])
def test_a_word_without_a_good_card_is_refused(word: ReadyWord) -> None:
    if word in CARDS and not CARDS[word].doubts():
        require("pymicro_wakeword")
        ReadyEar(word)
        return
    with pytest.raises(AudioError, match=word.value):
        ReadyEar(word)
