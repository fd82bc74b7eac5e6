"""Names by espeak-ng, as loud as the packaged prompts; and what is missing."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine import speech_program
from machine.errors import UnavailableError
from machine.speech_program import SpeechProgram, SpokenAs
from tools.sounds.loudness import loudness, read_mono
from tools.sounds.make import PROMPT_LUFS
from tools.speech import has_espeak

needs_espeak = pytest.mark.skipif(not has_espeak(), reason="espeak-ng is not installed")


@needs_espeak
@pytest.mark.parametrize(
    ("words", "spoken_as"),
    [
        ("xiao3 tu4 zi5 guai1 guai1", SpokenAs.PINYIN),
        ("The frog king", SpokenAs.LATIN),
        ("--version of it", SpokenAs.LATIN),  # no option of the program
    ],
)
async def test_a_name_sounds_as_loud_as_a_prompt(
    words: str, spoken_as: SpokenAs, tmp_path: Path
) -> None:
    path = tmp_path / "name.wav"
    await SpeechProgram().speak(words, spoken_as, path)
    samples = read_mono(path)
    assert len(samples) > 48000 * 0.7
    assert loudness(samples) == pytest.approx(PROMPT_LUFS, abs=3)


async def test_what_is_missing_or_fails_is_said(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    speech, path = SpeechProgram(), tmp_path / "x.wav"
    assert not speech.is_there
    with pytest.raises(UnavailableError, match="espeak-ng: not installed"):
        await speech.speak("a1", SpokenAs.PINYIN, path)
    program = tmp_path / "espeak-ng"
    program.write_text("#!/bin/sh\necho no such voice >&2\nexit 1\n")
    program.chmod(0o755)
    with pytest.raises(UnavailableError, match="espeak-ng: no such voice"):
        await speech.speak("a1", SpokenAs.PINYIN, path)
    program.write_text("#!/bin/sh\nexec /bin/sleep 600\n")
    monkeypatch.setattr(speech_program, "SPEAK_SECONDS", 0.2)
    with pytest.raises(UnavailableError, match=r"has not ended in 0\.2 s"):
        await speech.speak("a1", SpokenAs.PINYIN, path)
