"""What the model really heard of the recognition set, and what is done: no row may get worse.

Each row of recorded.jsonl is a clip of `benchmarks.recognition_set` with Whisper's texts and scores
(``python -m benchmarks.recognition --record``), so the matching is tested without the model.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks.recognition import RIGHT, WRONG, action_of, verdict
from benchmarks.recognition_set import REFUSE, SPLITS, Split, catalogue, clips
from staging.recognition.candidates import LEADS, NOT_WANTED, SENTENCES, Candidate, shortlist
from staging.recognition.hearing import Hearing, Hypothesis
from staging.recognition.intents import Action, Intent, find_intent
from staging.recognition.phonetics import has_pinyin
from staging.recognition.titles import TitleIndex

ROWS = [
    json.loads(line)
    for line in (Path(__file__).parent / "recorded.jsonl").read_text("utf-8").splitlines()
]
# How many rows also have their candidates looked for again: it takes 50 ms for each.
EVERY = 40
SAID = ("titles", "near", "nonsense", "chatter", "negated")
VOICES = ("adults", "children")

needs_pinyin = pytest.mark.skipif(
    not has_pinyin(), reason="pypinyin is missing: pip install . './cloud[asr]'"
)


def hearing_of(row: dict[str, Any]) -> Hearing:
    texts = tuple(Hypothesis(text, score) for text, score in row["hypotheses"])
    return Hearing(texts, row["silence"])


def intent_of(phrase: str) -> Intent:
    if phrase.startswith(NOT_WANTED) and phrase not in SENTENCES:
        return Intent(Action.NOTHING)
    intent = find_intent(phrase) if phrase in SENTENCES else None
    if intent is None:
        lead = next(lead for lead in LEADS if phrase.startswith(lead))
        intent = Intent(Action.PLAY, phrase.removeprefix(lead))
    return intent


def candidate_of(
    phrase: str, distance: float, title_distance: float, worst: float, left_over: int
) -> Candidate:
    syllables = len(phrase)
    return Candidate(
        phrase, intent_of(phrase), distance, syllables, title_distance, worst, left_over
    )


def done(row: dict[str, Any]) -> str:
    """Return what is done; of its candidates the row has the eight that the sound fits best."""
    found = [candidate_of(phrase, *distances) for phrase, _, *distances in row["candidates"]]
    return action_of(hearing_of(row), found, [score for _, score, *_ in row["candidates"]])


def test_the_table_is_long_enough() -> None:
    assert len(ROWS) >= 200


def test_no_row_is_worse_than_it_was() -> None:
    order = (WRONG, "refused", RIGHT)
    worse = []
    for row in ROWS:
        now = done(row)
        before = verdict(row["wanted"], row["done"])
        if order.index(verdict(row["wanted"], now)) < order.index(before):
            worse.append(f"{row['text']} {row['noise']}: {now}, was {row['done']}")
    assert worse == []


@needs_pinyin
@pytest.mark.parametrize("split", SPLITS.values(), ids=lambda split: str(split.name))
def test_what_was_compared_is_found_again(split: Split) -> None:
    index = TitleIndex(catalogue(split))
    rows = [row for row in ROWS if row["split"] == split.name and row["candidates"]][::EVERY]
    assert rows or split.name not in {row["split"] for row in ROWS}
    for row in rows:
        phrase, _, distance, title_distance, worst, left_over = row["candidates"][0]
        found = {each.phrase: each for each in shortlist(hearing_of(row), index)}
        assert round(found[phrase].distance, 3) == distance
        assert round(found[phrase].title_distance, 3) == title_distance
        assert round(found[phrase].worst_syllable, 3) == worst
        assert found[phrase].left_over == left_over


def test_wrong_actions_are_rare_and_what_is_no_command_is_refused() -> None:
    verdicts = [(row, verdict(row["wanted"], done(row))) for row in ROWS]
    asked = [v for row, v in verdicts if row["wanted"] != REFUSE]
    other = [v for row, v in verdicts if row["kind"] in ("nonsense", "noise", "chatter", "negated")]
    assert asked.count(WRONG) / len(asked) < 0.04
    assert other.count(WRONG) / len(other) < 0.05


@pytest.mark.parametrize(
    ("asked", "child", "aim"), [(True, False, 0.95), (True, True, 0.9), (False, None, 0.95)]
)
def test_of_what_a_natural_voice_says_the_aims_hold(
    *, asked: bool, child: bool | None, aim: float
) -> None:
    rows = [
        row for row in ROWS
        if row["split"] == "natural" and (row["wanted"] != REFUSE) is asked and child in (None, row["child"])
    ]  # fmt: skip
    assert len(rows) > 30
    assert sum(done(row) == row["wanted"] for row in rows) / len(rows) >= aim


def test_the_splits_share_nothing_but_the_common_titles() -> None:
    for natural in (False, True):
        for name in (*SAID, *VOICES):
            lists = [getattr(split, name) for split in SPLITS.values() if split.natural is natural]
            assert len(set().union(*lists)) == sum(map(len, lists)), name
    for split in SPLITS.values():
        assert len(clips(split)) >= 200
        assert clips(split) == clips(split)
        assert not set(split.near) & set(catalogue(split))
