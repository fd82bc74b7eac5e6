"""How often a machine does what was said: the recognition set through Speex, the model and the decision.

``python -m benchmarks.recognition [--split held-out] [--rate 16000] [--first M] [--every N] [--record FILE]`` prints
a table of right, refused and wrong by kind and speaker (docs/recognition.md), and the time for each
clip. ``--record`` also writes what the model heard and scored, one JSON object a line: the fixture of
tests/staging/recognition/test_recorded.py. The clips are made once, in build/recognition.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from benchmarks.recognition_set import (
    HELD_OUT,
    REFUSE,
    SPLITS,
    Clip,
    Split,
    catalogue,
    clips,
    sound_of,
)
from staging.recognition.candidates import Candidate, shortlist
from staging.recognition.decision import decide, fit
from staging.recognition.hearing import Hearing, SpeechModel
from staging.recognition.intents import Action, Intent
from staging.recognition.titles import TitleIndex
from staging.recognition.understanding import SILENCE_MAX, is_speech
from staging.recognition.whisper import load

# Candidates of a clip that are recorded: those that fit best.
RECORDED = 8
RIGHT, REFUSED, WRONG = "right", "refused", "wrong"


@dataclass(frozen=True, slots=True)
class Judged:
    """What became of one clip."""

    clip: Clip
    hearing: Hearing
    candidates: list[tuple[Candidate, float]]
    """Each with its score."""
    done: str
    """`spoken_action` of what would be done, or ``refuse``."""
    seconds: float

    @property
    def verdict(self) -> str:
        """Whether the right thing, nothing, or another thing is done."""
        return verdict(self.clip.wanted, self.done)


def spoken_action(intent: Intent | None) -> str:
    """Return an intent as `Clip.wanted` writes it."""
    if intent is None:
        return REFUSE
    if intent.action is Action.PLAY:
        return f"play {intent.title}"
    if intent.action is Action.VOLUME_SET:
        return f"volume-set {intent.amount}{'%' if intent.percent else ''}"
    return f"{intent.action} {intent.timer}".rstrip()


def verdict(wanted: str, done: str) -> str:
    """Compare what is wanted with what is done; a refusal of nonsense is right."""
    if wanted == done:
        return RIGHT
    return REFUSED if done == REFUSE else WRONG


def action_of(hearing: Hearing, found: list[Candidate], scores: list[float]) -> str:
    """Return what a machine does that heard this; sentences outside the grammar are not in the set."""
    if hearing.silence > SILENCE_MAX or not is_speech(found, scores):
        return REFUSE
    taken = decide(found, scores).taken
    return spoken_action(taken.intent if taken else None)


def judge(model: SpeechModel, split: Split, rate: int, first: int, every: int) -> Iterator[Judged]:
    """Yield what becomes of each clip."""
    index = TitleIndex(catalogue(split))
    folder = Path("build/recognition") / split.name
    for clip in clips(split)[first::every]:
        sound = sound_of(clip, rate, folder)
        started = time.monotonic()
        hearing = model.hear(sound)
        found = shortlist(hearing, index)
        scores = list(model.score([each.phrase for each in found]) or ()) if found else []
        seconds = time.monotonic() - started
        compared = list(zip(found, scores, strict=True))
        yield Judged(clip, hearing, compared, action_of(hearing, found, scores), seconds)


def table(judged: list[Judged]) -> Iterator[str]:
    """Yield the lines of the table."""
    groups: dict[tuple[str, str], Counter[str]] = {}
    for each in judged:
        who = "child" if each.clip.child else "adult"
        groups.setdefault((each.clip.kind, who), Counter())[each.verdict] += 1
    yield "| | | clips | right | refused | wrong |"
    yield "|---|---|---|---|---|---|"
    for (kind, who), count in groups.items():
        numbers = " | ".join(str(count[name]) for name in (RIGHT, REFUSED, WRONG))
        yield f"| {kind} | {who} | {count.total()} | {numbers} |"
    times = sorted(each.seconds for each in judged)
    load_now = os.getloadavg()[0]
    yield f"a clip: median {statistics.median(times):.2f} s, p95 {times[len(times) * 95 // 100]:.2f} s, load {load_now:.1f}"


def recorded(each: Judged, split: str) -> str:
    """Return a line of the fixture."""
    clip = each.clip
    best = sorted(each.candidates, key=lambda pair: -fit(pair[1], pair[0]))[:RECORDED]
    candidates = [
        [
            c.phrase,
            score,
            *(round(part, 3) for part in (c.distance, c.title_distance, c.worst_syllable)),
            c.left_over,
        ]
        for c, score in best
    ]
    row = {
        "split": split,
        "text": clip.text, "wanted": clip.wanted, "kind": clip.kind, "child": clip.child, "noise": clip.noise,
        "hypotheses": [[text.text, text.log_probability] for text in each.hearing.hypotheses],
        "silence": round(each.hearing.silence, 2), "candidates": candidates, "done": each.done,
    }  # fmt: skip
    return json.dumps(row, ensure_ascii=False, separators=(",", ":"))


def main() -> None:
    """Run one half of the set at one rate."""
    parser = argparse.ArgumentParser(description="Judge recognition by what is done.")
    parser.add_argument("--split", choices=SPLITS, default=HELD_OUT.name)
    parser.add_argument("--rate", type=int, choices=(8000, 16000), default=16000)
    parser.add_argument("--every", type=int, default=1, help="only each Nth clip")
    parser.add_argument("--first", type=int, default=0, help="of these, the first one's number")
    parser.add_argument("--record", type=Path)
    options = parser.parse_args()
    model = load(Path("build/models"))
    judged = list(judge(model, SPLITS[options.split], options.rate, options.first, options.every))
    print("\n".join(table(judged)))
    if options.record:
        options.record.write_text(
            "".join(recorded(each, options.split) + "\n" for each in judged), "utf-8"
        )


if __name__ == "__main__":
    main()
