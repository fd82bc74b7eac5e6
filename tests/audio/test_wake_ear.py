"""The whole ear on speech: a word that was recorded four times, others, and silence."""

from __future__ import annotations

import array
import random
from collections.abc import Iterator

import pytest

from audio.embedding import Embedder, Missing, find_models
from audio.vad import BLOCK_BYTES
from audio.wake_ear import Activity, FamilyEar
from audio.wake_match import Found, Word
from audio.wake_take import Flaw, TakeError, check_like, recalled, templates
from tests.audio.wake_speech import MANNERS, blocks, models, need_speech, said, take

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
HANG_SECONDS = 1.0

WORD = "小故事小故事"
SILENCE = bytes(BLOCK_BYTES)


@pytest.fixture(scope="module")
def embedder() -> Iterator[Embedder]:
    need_speech()
    made = models()
    yield made
    made.close()


@pytest.fixture(scope="module")
def word(embedder: Embedder) -> Word:
    takes = [take(embedder, said(WORD, *manner, seed=n)) for n, manner in enumerate(MANNERS)]
    assert recalled(takes, templates(takes)) == len(takes)
    return Word(WORD, templates(takes))


def hear(word: Word, *sounds: bytes) -> list[Found]:
    folder = find_models()
    assert not isinstance(folder, Missing)
    ear = FamilyEar(folder, [word])
    return [f for sound in sounds for block in blocks(sound) for f in ear.add(block)]


def test_the_word_is_heard_in_each_manner_and_softly(word: Word) -> None:
    for number, manner in enumerate(MANNERS):
        sound = said(WORD, *manner, gain=0.15, seed=50 + number)
        assert [f.hit for f in hear(word, sound)] == [True], manner


@pytest.mark.parametrize("text", ["小箍筋小箍筋", "小兔子小兔子", "小故事", "从前有一座山"])
def test_another_word_is_not(word: Word, text: str) -> None:
    assert [f for f in hear(word, said(text)) if f.hit] == []


def test_a_take_of_another_word_is_found_out(embedder: Embedder) -> None:
    one = take(embedder, said(WORD))
    assert check_like(take(embedder, said(WORD, *MANNERS[2])), [one]) < 0.1
    with pytest.raises(TakeError) as refused:
        check_like(take(embedder, said("小兔子乖乖")), [one])
    assert refused.value.flaw is Flaw.UNLIKE


def test_silence_costs_no_points_and_what_follows_it_is_heard(word: Word) -> None:
    folder = find_models()
    assert not isinstance(folder, Missing)
    ear = FamilyEar(folder, [word])
    for _ in range(500):  # 10 s
        ear.add(SILENCE)
    assert ear.points <= HANG_SECONDS / 0.08 + 2
    sound = said(WORD, *MANNERS[0], seed=99)
    assert [f.hit for block in blocks(sound) for f in ear.add(block)] == [True]


def test_what_the_machine_left_out_breaks_a_word(word: Word) -> None:
    folder = find_models()
    assert not isinstance(folder, Missing)
    ear = FamilyEar(folder, [word])
    given = blocks(said(WORD, *MANNERS[0]))
    for at, block in enumerate(given):
        if at == len(given) // 2:
            ear.reset()
        assert ear.add(block) == []


def noise(level: float, seed: int = 3) -> bytes:
    rng = random.Random(seed)
    return array.array("h", (round(rng.gauss(0, level)) for _ in range(BLOCK_BYTES // 2))).tobytes()


def test_a_room_that_hums_is_as_quiet_as_a_silent_one() -> None:
    activity = Activity()
    told = [activity.add(noise(300, seed)) for seed in range(600)]
    assert not any(told[500:])
    assert activity.add(noise(3000))
    after = [activity.add(noise(300, seed)) for seed in range(100)]
    assert all(after[:45])
    assert not after[-1]
