"""A wake word said over a story that the machine tells, with and without echo cancellation (docs/wake.md).

``chrt -r 20 python -m benchmarks.wake_echo`` prints a table. The room is that of `benchmarks.echo`: a real PulseAudio whose
microphone hears its loudspeaker. A family says its takes in silence, and the word twelve times over a spoken story; what the
microphone (or the canceller) gives is recorded, and the ear of the wake word's child listens to it.
"""

from __future__ import annotations

import array
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from agent.voice.wake_card import learn
from audio.embedding import Embedder, Missing, find_models
from audio.vad import BLOCK_BYTES
from audio.wake_ear import FamilyEar
from audio.wake_match import Word
from audio.wake_take import Take, TakeError, find_word, take_of
from benchmarks.echo import CHILD, LEARNS, METHODS, RATE, STORY, Room
from benchmarks.wake import AGAIN, ENROLLED
from tools.speech import scaled, sound_of

WORD = "故事故事"
# The story is not heard at all: what the path alone does to the word.
SILENT = 90.0
# How much louder the family is in the microphone than the story, in dB.
RATIOS = (SILENT, 20.0, 10.0)
WANTED = ("none", "webrtc as in the recipe")
# Longer than the cooldown.
EVERY_SECONDS = 3.5


def said(manners: Sequence[Sequence[str]]) -> array.array[int]:
    """Return the word in each of these manners, with a pause after it."""
    sound = array.array("h")
    for manner in manners:
        one = scaled(array.array("h", sound_of(WORD, RATE, *manner).samples), CHILD)
        sound += one + array.array("h", bytes(2 * max(0, round(EVERY_SECONDS * RATE) - len(one))))
    return sound


def told(folder: Path, method: str, ratio: float) -> tuple[bytes, bytes, bytes]:
    """Return what the machine hears of the family's takes, of a story alone, and of the words over it."""
    room = Room(folder)
    room.start()
    try:
        if method:
            room.cancel(method)
        room.echo()
        sink, source = ("story_out", "story_mic") if method else ("bench", "mic.monitor")
        takes = heard(room, source, said(ENROLLED))
        tale = scaled(
            array.array("h", sound_of(STORY, RATE, "-p", "30").samples), CHILD / 10 ** (ratio / 20)
        )
        words = said(AGAIN)
        whole = len(words) / RATE + LEARNS + 5
        with room.plays(sink, tale * (round(whole * RATE) // len(tale) + 2)):
            alone = heard(room, source, array.array("h", bytes(2 * round(LEARNS * RATE))))
            return takes, alone, heard(room, source, words)
    finally:
        room.kill()


def heard(room: Room, source: str, sound: array.array[int]) -> bytes:
    """Play a sound into the room, and return what is recorded meanwhile."""
    file = room.folder / "heard.raw"
    with room.records(source, file), room.plays("mic", sound):
        time.sleep(len(sound) / RATE + 1)
    return file.read_bytes()


def hits(ear: FamilyEar, sound: bytes) -> int:
    """Return how often the word is heard."""
    ear.reset()
    starts = range(0, len(sound) - BLOCK_BYTES + 1, BLOCK_BYTES)
    return sum(found.hit for at in starts for found in ear.add(sound[at : at + BLOCK_BYTES]))


def learned(embedder: Embedder, sound: bytes) -> Word:
    """Return the word of recorded takes; those that cannot be used are left out, as at enrolment."""
    step, takes = round(EVERY_SECONDS * RATE) * 2, list[Take]()
    for at in range(len(ENROLLED)):
        piece = sound[at * step : (at + 1) * step]
        with suppress(TakeError):
            span = find_word(piece)
            embedder.reset()
            takes.append(take_of(embedder.add(piece), span))
    word, _card = learn(WORD, takes, {}, embedder)
    return word


def main() -> int:
    """Print the table."""
    models = find_models()
    if isinstance(models, Missing):
        sys.exit(models.reason)
    embedder = Embedder(models)
    print(
        "| echo cancellation | family / story | takes | heard | heard in the story alone |\n|---|---|---|---|---|"
    )
    for ratio in RATIOS:
        for method in WANTED:
            with tempfile.TemporaryDirectory() as folder:
                takes, alone, words = told(Path(folder), METHODS[method], ratio)
            word = learned(embedder, takes)
            ear = FamilyEar(models, [word])
            row = f"{ratio:+.0f} dB | {len(word.templates)} | {hits(ear, words)} / {len(AGAIN)} | {hits(ear, alone)}"
            print(f"| {method} | {row} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
