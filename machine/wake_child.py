"""Listens for wake words in a process of its own: blocks on standard input, what was heard on standard output.

The models, and whatever library brings them, are loaded here and never in the daemon; this process may hang,
grow or die. What both say to each other: `machine.wake_protocol`.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import BinaryIO, Final

from audio.embedding import Missing, find_models
from audio.errors import AudioError
from audio.wake_ear import Ear, FamilyEar
from audio.wake_match import Found, Word
from machine.wake_protocol import EXIT_NO_MODELS, EXIT_NO_WORDS, MESSAGE_BYTES, RESET
from machine.wake_words import WakeWords, usable

# Of 1000: when memory is short, this process goes before the daemon and the story.
OOM_SCORE: Final = "500"


def main(words: Sequence[str]) -> int:
    """Listen for the words of the state folder, the first argument, and the ready word that the second names."""
    _go_first()
    state, ready = Path(words[0]), words[1] if len(words) > 1 else ""
    try:
        ears, told = make_ears(state, ready)
    except AudioError as error:
        _tell({"kind": "fault", "text": str(error)})
        return EXIT_NO_MODELS
    _tell({"kind": "ready", **told})
    if not ears:
        return EXIT_NO_WORDS
    listen(sys.stdin.buffer, ears)
    return 0


def make_ears(state: Path, ready: str) -> tuple[list[Ear], dict[str, object]]:
    """Return what listens, and what is told about it; raises AudioError."""
    stored, faults = WakeWords(state).read_all()
    taken = usable(stored)
    unused = {each.word.name: "; ".join(each.doubts()) for each in stored if each.doubts()}
    ears: list[Ear] = []
    names = [word.name for word in taken]
    if taken:
        ears.append(_family_ear(taken))
    if ready:
        try:
            ears.append(_ready_ear(ready))
            names.append(ready)
        except AudioError as error:  # it costs the family's words nothing
            faults = {**faults, ready: str(error).removeprefix(f"{ready}: ")}
    return ears, {"words": names, "unused": {**unused, **faults}}


def _ready_ear(word: str) -> Ear:
    from audio.wake_ready import ReadyEar  # noqa: PLC0415  # few machines have one

    return ReadyEar(word)


def _family_ear(taken: Sequence[Word]) -> Ear:
    folder = find_models()
    if isinstance(folder, Missing):
        raise AudioError(folder.reason)
    return FamilyEar(folder, taken)


def listen(source: BinaryIO, ears: Sequence[Ear]) -> None:
    """Read messages until ``source`` ends; tell what each block completes."""
    number = 0
    while len(message := source.read(MESSAGE_BYTES)) == MESSAGE_BYTES:
        if message[:1] == RESET:
            for ear in ears:
                ear.reset()
            continue
        number += 1
        for ear in ears:
            for found in ear.add(message[1:]):
                _tell(render(found, number))


def render(found: Found, number: int) -> Mapping[str, object]:
    """Return the message about what block ``number`` (from 1) has completed."""
    return {
        "kind": "hit" if found.hit else "near", "word": found.word, "block": number,
        "distance": round(found.distance, 4), "share": round(found.share, 3),
    }  # fmt: skip


def _tell(message: Mapping[str, object]) -> None:
    sys.stdout.write(json.dumps(message, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def _go_first() -> None:
    try:
        Path("/proc/self/oom_score_adj").write_text(OOM_SCORE, "ascii")
    except OSError:  # no such kernel; the daemon is then as likely to go
        return


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BrokenPipeError:
        os._exit(0)
