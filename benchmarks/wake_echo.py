"""A wake word said over a story that the machine tells, with and without echo cancellation (docs/wake.md).

``chrt -r 20 python -m benchmarks.wake_echo`` prints a table. The room is that of `benchmarks.echo`: a real PulseAudio whose
microphone hears its loudspeaker. A family's word is said twelve times over a spoken story, what the microphone (or the
canceller) gives is recorded, and the ear of the wake word's child listens to the recording.
"""

from __future__ import annotations

import array
import sys
import tempfile
import time
from pathlib import Path

from agent.voice.wake_card import learn
from audio.embedding import Missing, find_models
from audio.vad import BLOCK_BYTES
from audio.wake_ear import FamilyEar
from audio.wake_match import Word
from benchmarks.echo import CHILD, LEARNS, METHODS, RATE, STORY, Room
from benchmarks.wake import AGAIN, _embedder, record
from tools.speech import scaled, sound_of

WORD = "故事故事"
# How much louder the family is in the microphone than the story, in dB.
RATIOS = (10.0, 0.0)
WANTED = ("none", "webrtc as in the recipe")
# Longer than the cooldown.
EVERY_SECONDS = 3.5


def words() -> array.array[int]:
    """Return the word as it is said again, in twelve ways, with a pause after each."""
    said = array.array("h")
    for manner in AGAIN:
        one = scaled(array.array("h", sound_of(WORD, RATE, *manner).samples), CHILD)
        said += one + array.array("h", bytes(2 * max(0, round(EVERY_SECONDS * RATE) - len(one))))
    return said


def told(folder: Path, method: str, ratio: float) -> tuple[bytes, int]:
    """Return what the machine hears, and where in it the words begin (bytes); a story plays all the time."""
    said, room = words(), Room(folder)
    whole = len(said) / RATE + LEARNS + 1
    room.start()
    try:
        if method:
            room.cancel(method)
        room.echo()
        sink, source = ("story_out", "story_mic") if method else ("bench", "mic.monitor")
        tale = scaled(
            array.array("h", sound_of(STORY, RATE, "-p", "30").samples), CHILD / 10 ** (ratio / 20)
        )
        story, file = tale * (round(whole * RATE) // len(tale) + 2), folder / "heard.raw"
        with room.records(source, file), room.plays(sink, story):
            time.sleep(LEARNS)
            alone = file.stat().st_size
            with room.plays("mic", said):
                time.sleep(whole - LEARNS)
        return file.read_bytes(), alone
    finally:
        room.kill()


def hits(ear: FamilyEar, sound: bytes) -> int:
    """Return how often the word is heard."""
    ear.reset()
    starts = range(0, len(sound) - BLOCK_BYTES + 1, BLOCK_BYTES)
    return sum(found.hit for at in starts for found in ear.add(sound[at : at + BLOCK_BYTES]))


def family() -> tuple[Path, Word]:
    """Return the models' folder, and the word as a family has recorded it in a quiet room."""
    folder = find_models()
    if isinstance(folder, Missing):
        sys.exit(folder.reason)
    embedder = _embedder()
    word, _card = learn(WORD, record(embedder, WORD), {}, embedder)
    embedder.close()
    return folder, word


def main() -> int:
    """Print the table."""
    models, word = family()
    print(
        "| echo cancellation | family / story | heard | heard in the story alone |\n|---|---|---|---|"
    )
    for ratio in RATIOS:
        for method in WANTED:
            with tempfile.TemporaryDirectory() as folder:
                sound, alone = told(Path(folder), METHODS[method], ratio)
            ear = FamilyEar(models, [word])
            heard, false = hits(ear, sound[alone:]), hits(ear, sound[:alone])
            print(f"| {method} | {ratio:+.0f} dB | {heard} / {len(AGAIN)} | {false} |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
