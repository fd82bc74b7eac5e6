"""Makes a wake word's card: how often it is heard where it was said, and where it was not.

The box's own stories are played to it faster than real time, since they are what the microphone hears all day; and
sounds that are like it, where something that speaks is installed (espeak-ng).
"""

from __future__ import annotations

import shutil
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from audio.embedding import Embedder, Point
from audio.errors import AudioError
from audio.pinyin_near import neighbours
from audio.resample import resample
from audio.vad import RATE
from audio.wake_card import Card
from audio.wake_match import Matcher, Word
from audio.wake_take import Take, recalled, stricter, templates
from audio.wav import read_wav
from machine.decode import decode
from wire.media import SOUND_ENDINGS
from wire.records import dataclass

SAMPLE_BYTES = 2
# Two voices, two pitches: what they say alike is alike for many.
VOICES = (("cmn-latn-pinyin", "50"), ("cmn-latn-pinyin", "75"), ("cmn-latn-pinyin+f2", "55"))
SPEECH_RATE = "120"
SPEAK_SECONDS = 20.0
# Between two sounds: what came before is no part of what comes.
GAP = bytes(RATE * SAMPLE_BYTES)

Progress = Callable[[float, int], None]
"""Called with the hours played so far, and how often the word was heard in them."""


@dataclass(slots=True)
class Heard:
    """What was played, and how often the word was heard in it."""

    seconds: float = 0.0
    hits: int = 0
    files: int = 0


class Trial:
    """Plays sounds to one word."""

    def __init__(self, embedder: Embedder, word: Word) -> None:
        """Listen for ``word`` alone."""
        self._embedder = embedder
        self._word = word

    def heard_in(self, pieces: Iterable[bytes]) -> Iterator[tuple[float, int]]:
        """Play one sound; yield for each piece its seconds and how often the word was heard in it."""
        self._embedder.reset()
        matcher = Matcher([self._word])
        for piece in pieces:
            yield len(piece) / SAMPLE_BYTES / RATE, hits(matcher, self._embedder.add(piece))

    def is_heard_in(self, points: Iterable[Point]) -> bool:
        """Return whether the word is heard in the points of one sound."""
        return hits(Matcher([self._word]), points) > 0


def hits(matcher: Matcher, points: Iterable[Point]) -> int:
    """Return how often a word is heard in points."""
    return sum(found is not None and found.hit for found in map(matcher.step, points))


def play_stories(trial: Trial, files: Iterable[Path], hours: float, tell: Progress) -> Heard:
    """Play files until ``hours`` are over or all were played; raises UnavailableError without a decoder."""
    heard = Heard()
    for path in files:
        heard.files += 1
        for seconds, count in trial.heard_in(decode(path)):
            heard.seconds += seconds
            heard.hits += count
            if heard.seconds >= hours * 3600:
                return heard
        tell(heard.seconds / 3600, heard.hits)
    return heard


def find_stories(folder: Path) -> list[Path]:
    """Return the recordings of the media folder, in an order of their names."""
    endings = {f".{ending}" for ending in SOUND_ENDINGS}
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in endings)


def speak_near(syllables: Sequence[str]) -> dict[str, list[bytes]]:
    """Return sounds like the word, each in several voices; nothing without espeak-ng."""
    if not syllables or shutil.which("espeak-ng") is None:
        return {}
    texts = [" ".join(other) for other in neighbours(syllables)]
    return {text: [speak(text, voice, pitch) for voice, pitch in VOICES] for text in texts}


def points_of(embedder: Embedder, sound: bytes) -> list[Point]:
    """Return the points of one sound by itself."""
    embedder.reset()
    return embedder.add(GAP + sound + GAP)


def speak(pinyin: str, voice: str, pitch: str) -> bytes:
    """Return spoken pinyin as samples; silence if espeak-ng fails."""
    command = ["espeak-ng", "-v", voice, "-p", pitch, "-s", SPEECH_RATE, "--stdout", pinyin]
    try:
        done = subprocess.run(command, capture_output=True, check=True, timeout=SPEAK_SECONDS)  # noqa: S603  # pinyin that split() has read
        read = read_wav(done.stdout)
    except (OSError, subprocess.SubprocessError, AudioError):
        return b""
    return resample(read.samples, read.rate, RATE)


Near = Mapping[str, Sequence[Sequence[Point]]]
"""Sounds that are like a word: the points of each, by what was said."""


def near_points(embedder: Embedder, syllables: Sequence[str]) -> Near:
    """Return the points of what `speak_near` says."""
    return {
        text: [points_of(embedder, sound) for sound in sounds]
        for text, sounds in speak_near(syllables).items()
    }


def learn(name: str, takes: Sequence[Take], near: Near, embedder: Embedder) -> tuple[Word, Card]:
    """Return the word of these takes, stricter than the sounds that are like it, and its card without hours."""
    made = stricter(templates(takes), [points for each in near.values() for points in each])
    word = Word(name, made)
    trial = Trial(embedder, word)
    taken = {
        text: (sum(trial.is_heard_in(points) for points in each), len(each))
        for text, each in near.items()
    }
    return word, Card(recalled(takes, made), len(takes), 0.0, 0, taken)


def with_stories(
    card: Card, trial: Trial, files: Sequence[Path], hours: float, tell: Progress, corpus: str
) -> Card:
    """Return the card with the false alarms in these files; raises UnavailableError without a decoder."""
    heard = play_stories(trial, files, hours, tell)
    return replace(
        card, hours=round(heard.seconds / 3600, 4), false_alarms=heard.hits,
        corpus=f"{corpus}: {heard.files} files", made=time.strftime("%Y-%m-%d"),
    )  # fmt: skip
