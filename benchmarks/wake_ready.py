"""Makes the cards of the ready English wake words (`audio.wake_ready_cards`, docs/wake.md).

``python -m benchmarks.wake_ready play FILE --hours 12 [--text BOOK.txt]`` lets espeak-ng read children's stories that
it makes up, or a book's sentences, plays them to all words faster than real time, and adds a line to FILE for each
text: a run that is stopped loses nothing. ``python -m benchmarks.wake_ready cards FILE`` says the words and what is
like them, and prints the table and the cards.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np

from agent.voice.wake_card import VOICES as NEAR_VOICES
from agent.voice.wake_card import speak as speak_pinyin
from audio.pinyin_near import neighbours
from audio.resample import resample
from audio.vad import BLOCK_BYTES, RATE
from audio.wake_card import Card
from audio.wake_kinds import ReadyWord
from audio.wake_ready import Hearing
from audio.wav import read_wav
from benchmarks.wake import ROOM, VOICES, book, in_room, stories

WORDS = tuple(word for word in ReadyWord if word)
SPOKEN: Mapping[ReadyWord, str] = {
    ReadyWord.OKAY_NABU: "okay nabu", ReadyWord.HEY_JARVIS: "hey jarvis",
    ReadyWord.HEY_MYCROFT: "hey mycroft", ReadyWord.ALEXA: "alexa",
}  # fmt: skip
# As a family says it that speaks no English; what is like it has one of these syllables changed.
MANDARIN: Mapping[ReadyWord, tuple[str, ...]] = {
    ReadyWord.OKAY_NABU: ("ou1", "kei1", "na4", "bu4"),
    ReadyWord.HEY_JARVIS: ("hei1", "jia3", "wei2", "si1"),
    ReadyWord.HEY_MYCROFT: ("hei1", "mai4", "ke4", "luo2", "fu2", "te4"),
    ReadyWord.ALEXA: ("a1", "lei2", "ke4", "sa4"),
}
ENGLISH_NEAR: Mapping[ReadyWord, tuple[str, ...]] = {
    ReadyWord.OKAY_NABU: ("okay now boo", "okay nancy", "okay naboth", "hey nabu", "okay then", "not a boo"),
    ReadyWord.HEY_JARVIS: ("hey travis", "hey james", "hey harvest", "hey java", "okay jarvis", "hey chavez"),
    ReadyWord.HEY_MYCROFT: ("hey michael", "hey my craft", "hey microsoft", "my croft", "hey bancroft", "hey minecraft"),
    ReadyWord.ALEXA: ("alexander", "a lexus", "election", "a letter", "alaska", "electric"),
}  # fmt: skip
ACCENTS = ("en-us", "en-gb", "en-gb-x-rp", "en-gb-scotland", "en-029")
PEOPLE = (
    "f1", "f2", "f3", "f4", "f5", "m1", "m2", "m3", "m4", "m5", "m6", "m7", "Annie", "belinda", "Andy", "aunty",
    "max", "linda", "adam", "pablo",
)  # fmt: skip
ADULTS, CHILDREN = 40, 80
"""Pitches of espeak-ng, of its 0 to 99."""
SNR = 10.0
LOUD = 0.4
# Silence around a word, in samples.
AROUND = RATE


class Ears:
    """All ready words at once."""

    def __init__(self) -> None:
        """Load the models."""
        self._hearings = {word: Hearing(word) for word in WORDS}

    def hits(self, sound: bytes, words: Sequence[ReadyWord] = WORDS) -> dict[ReadyWord, int]:
        """Return how often each word is heard in one sound, which begins anew."""
        return {word: self._hits(self._hearings[word], sound) for word in words}

    @staticmethod
    def _hits(hearing: Hearing, sound: bytes) -> int:
        hearing.reset()
        starts = range(0, len(sound) - BLOCK_BYTES + 1, BLOCK_BYTES)
        return sum(f.hit for at in starts for f in hearing.add(sound[at : at + BLOCK_BYTES]))


def play(out: Path, texts: Iterator[str], hours: float, rng: random.Random) -> None:
    """Play texts until ``out`` holds so many hours, and add a line to it for each."""
    ears, (seconds, _hits) = Ears(), read(out)
    with out.open("a", encoding="ascii") as file:
        for text in texts:
            if seconds >= hours * 3600:
                return
            manner = ("-v", f"cmn-latn-pinyin+{rng.choice(VOICES)}", "-p", str(rng.randint(20, 95)))
            rate = ("-s", str(rng.choice((110, 120, 130, 145, 160))))
            gain, noise = 10 ** rng.uniform(-1, 0), rng.choice((2, 10, 40))
            sound = in_room(text, *manner, *rate, gain=gain, noise=noise)
            length = len(sound) / 2 / RATE
            told = {str(word): count for word, count in ears.hits(sound).items() if count}
            print(json.dumps({"seconds": round(length, 2), "hits": told}), file=file, flush=True)
            seconds += length


def read(file: Path) -> tuple[float, dict[ReadyWord, int]]:
    """Return the seconds of a file of `play`, and how often each word was heard in them."""
    lines = (
        [json.loads(line) for line in file.read_text("ascii").splitlines()] if file.exists() else []
    )
    hits = {word: sum(line["hits"].get(str(word), 0) for line in lines) for word in WORDS}
    return sum(line["seconds"] for line in lines), hits


def english(text: str, voice: str, pitch: int) -> bytes:
    """Return a spoken English phrase as samples."""
    command = ["espeak-ng", "-v", voice, "-p", str(pitch), "-s", "140", "--stdout", text]
    got = read_wav(subprocess.run(command, capture_output=True, check=True, timeout=20).stdout)
    return resample(got.samples, got.rate, RATE)


def placed(sound: bytes, seed: int, snr: float | None = None) -> bytes:
    """Return a sound in a quiet room, or with white noise so many dB below it."""
    clean = np.pad(np.frombuffer(sound, np.int16) * LOUD, AROUND)
    level = ROOM if snr is None else float(np.sqrt(np.mean(clean**2))) / 10 ** (snr / 20)
    heard = clean + np.random.default_rng(seed).normal(0, level, len(clean))
    return bytes(np.clip(heard, -32768, 32767).astype(np.int16).tobytes())


def people(text: str, pitch: int) -> list[bytes]:
    """Return a phrase as twenty people say it."""
    return [
        english(text, f"{ACCENTS[n % len(ACCENTS)]}+{person}", pitch + 7 * n % 20)
        for n, person in enumerate(PEOPLE)
    ]


def mandarin(syllables: Sequence[str]) -> list[bytes]:
    """Return syllables as twenty people say them."""
    said = " ".join(syllables)
    return [
        speak_pinyin(said, f"cmn-latn-pinyin+{person}", str(ADULTS + 7 * n % 45))
        for n, person in enumerate(PEOPLE)
    ]


def near_of(word: ReadyWord) -> dict[str, list[bytes]]:
    """Return what is like a word: its pinyin with one syllable changed, and English phrases."""
    near = {
        " ".join(other): [speak_pinyin(" ".join(other), *how) for how in NEAR_VOICES]
        for other in neighbours(MANDARIN[word])
    }
    for text in ENGLISH_NEAR[word]:
        near[text] = [english(text, voice, pitch) for voice, pitch in (("en-us", 45), ("en-gb+f2", 60), ("en-us+f3", 85))]  # fmt: skip
    return near


def make_card(word: ReadyWord, ears: Ears, file: Path) -> tuple[str, Card]:
    """Return the table's row of a word, and its card."""

    def count(sounds: Sequence[bytes], snr: float | None = None) -> int:
        heard = (ears.hits(placed(s, n, snr), [word])[word] for n, s in enumerate(sounds))
        return sum(hits > 0 for hits in heard)

    adults, children = people(SPOKEN[word], ADULTS), people(SPOKEN[word], CHILDREN)
    quiet = (count(adults), count(children))
    row = [f"{quiet[0]} / {len(adults)}", f"{quiet[1]} / {len(children)}", f"{count(adults, SNR)} / {len(adults)}",
           f"{count(mandarin(MANDARIN[word]))} / {len(PEOPLE)}"]  # fmt: skip
    seconds, hits = read(file)
    near = {name: (count(sounds), len(sounds)) for name, sounds in near_of(word).items()}
    made = Card(
        sum(quiet), len(adults) + len(children), round(seconds / 3600, 2), hits[word], near,
        "espeak-ng: made-up stories and reviews", time.strftime("%Y-%m-%d"),
    )  # fmt: skip
    taken = sum(hit for hit, _ in near.values())
    row += [
        f"{made.false_alarms} in {made.hours:.1f} h",
        f"{taken} / {sum(t for _, t in near.values())}",
    ]
    return f"| {' | '.join([str(word), *row, '; '.join(made.doubts()) or 'used'])} |", made


def main() -> int:
    """Play, or print cards."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("what", choices=["play", "cards"])
    parser.add_argument("file", type=Path)
    parser.add_argument("--hours", type=float, default=12.0)
    parser.add_argument(
        "--text", type=Path, help="a text in Chinese; without it, stories are made up"
    )
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    if options.what == "play":
        # A run that goes on says other sentences than it did before.
        rng = random.Random(f"{options.seed} {read(options.file)[0]}")
        texts = stories(rng) if options.text is None else book(options.text, rng)
        play(options.file, texts, options.hours, rng)
        return 0
    ears, cards = Ears(), []
    for word in WORDS:
        row, card = make_card(word, ears, options.file)
        cards.append((word, card))
        print(row, flush=True)
    for word, card in cards:
        print(f"ReadyWord.{word.name}: {card!r},")
    return 0


if __name__ == "__main__":
    sys.exit(main())
