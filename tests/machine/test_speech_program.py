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


async def test_a_name_is_said_at_the_prompts_speed_and_pitch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the packaged ones are made: 145 words a minute, at a pitch of 60 of 99."""
    monkeypatch.setenv("PATH", str(tmp_path))
    program = tmp_path / "espeak-ng"
    program.write_text('#!/bin/sh\necho "$@" >"$(/usr/bin/dirname "$0")/asked"\n')
    program.chmod(0o755)
    await SpeechProgram().speak("a1", SpokenAs.PINYIN, tmp_path / "x.wav")
    asked = (tmp_path / "asked").read_text().split()
    told = {asked[at]: asked[at + 1] for at in range(0, len(asked) - 2, 2)}
    assert (told["-s"], told["-p"], told["-a"]) == ("145", "60", "40")


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
