"""The packaged sounds: what the recipe made is what the manifest says and what every cue needs."""

from __future__ import annotations

import array
import hashlib
import json
import math

import pytest

from resources.announce.cues import MANNERS, Cue
from tools.sounds.loudness import loudness, peak, read_mono
from tools.sounds.make import MANIFEST, SOUNDS, VOICES, to_pinyin
from tools.sounds.texts import PROMPTS, TONES

MADE = json.loads(MANIFEST.read_text("utf-8"))
FILE_LIMIT, LANGUAGE_LIMIT = 8 * 1024, 96 * 1024


def test_every_cue_is_a_prompt_or_a_tone_and_has_its_files() -> None:
    assert {*PROMPTS} == {cue for cue in Cue if MANNERS[cue].spoken}
    assert {*TONES} == {*Cue} - {*PROMPTS}
    wanted = {f"{language}/{cue}.opus" for cue in PROMPTS for language in VOICES}
    wanted |= {f"tones/{cue}.opus" for cue in TONES}
    assert {*MADE} == wanted
    assert {path.relative_to(SOUNDS).as_posix() for path in SOUNDS.rglob("*.opus")} == wanted


@pytest.mark.parametrize("name", MADE)
def test_a_file_is_small_and_the_one_of_the_manifest(name: str) -> None:
    data = (SOUNDS / name).read_bytes()
    assert hashlib.sha256(data).hexdigest() == MADE[name]["sha256"]
    assert len(data) <= FILE_LIMIT


@pytest.mark.parametrize("language", VOICES)
def test_a_language_is_small_and_says_the_recipes_words(language: str) -> None:
    assert sum(path.stat().st_size for path in (SOUNDS / language).iterdir()) <= LANGUAGE_LIMIT
    for cue, words in PROMPTS.items():
        text = words[[*VOICES].index(language)]
        told = MADE[f"{language}/{cue}.opus"]
        assert told["text"] == text
        assert told["said"] == (to_pinyin(text) if language == "zh" else text)


def test_the_tones_are_the_recipes_notes() -> None:
    for cue, notes in TONES.items():
        assert MADE[f"tones/{cue}.opus"]["notes"] == [[*note] for note in notes]


def test_the_prompts_are_equally_loud_and_the_tones_softer() -> None:
    prompts = [told["lufs"] for told in MADE.values() if "text" in told]
    assert max(prompts) - min(prompts) <= 2
    assert max(told["lufs"] for told in MADE.values() if "notes" in told) < min(prompts)


@pytest.mark.parametrize("name", ["zh/locked.opus", "tones/listen.opus"])
def test_the_manifests_loudness_is_that_of_the_file(name: str) -> None:
    samples = read_mono(SOUNDS / name)
    assert loudness(samples) == pytest.approx(MADE[name]["lufs"], abs=0.1)
    assert peak(samples) < -1


def test_pinyin_has_tone_numbers() -> None:
    assert to_pinyin("没有找到这个故事。").startswith("mei2 you3 zhao3 dao4 zhe4 ge5 gu4 shi4")


def test_loudness_is_that_of_the_standards_reference() -> None:
    """EBU Tech 3341, case 1, for one channel: a sine of 1 kHz at -23 dBFS is -26.0 LUFS in mono."""
    sine = array.array(
        "f", (10 ** (-23 / 20) * math.sin(2 * math.pi * 1000 * n / 48000) for n in range(48000))
    )
    assert loudness(sine) == pytest.approx(-26.0, abs=0.1)
    assert loudness(array.array("f", [0.0] * 48000)) == -math.inf
