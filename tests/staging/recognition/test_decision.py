"""One candidate or none, as tables and properties; recorded hearings are in test_recorded.py."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.recognition.candidates import Candidate
from staging.recognition.decision import Decision, decide, fit
from staging.recognition.intents import Action, Intent

NEXT = Candidate("下一首", Intent(Action.NEXT), 0.05, 3)
OTHER_NEXT = Candidate("换一首", Intent(Action.NEXT), 0.3, 3)
STOP = Candidate("停止", Intent(Action.STOP), 0.1, 2)
DUCK = Candidate("播放数鸭子", Intent(Action.PLAY, "数鸭子"), 0.1, 5, 0.1)
DUCK_TOO = Candidate("我想听数鸭子", Intent(Action.PLAY, "数鸭子"), 0.4, 6, 0.1)
UGLY = Candidate("播放丑小鸭", Intent(Action.PLAY, "丑小鸭"), 0.6, 5, 0.6)
ALL = (NEXT, OTHER_NEXT, STOP, DUCK, DUCK_TOO, UGLY)


@pytest.mark.parametrize(
    ("scores", "taken"),
    [
        ((11, 9, 2, 1, 0, 0), NEXT),  # the rival asks for the same
        ((11, 0, 11, 1, 0, 0), None),  # the rival asks for something else
        ((-2, -2, 5, 1, 1, 5.5), STOP),  # a title that explains it as well is far from the texts
        ((-2, -2, 5, 5.5, 1, 1), None),  # this one is not
        ((1, 0, 0, 0, 0, 0), None),  # silence explains the sound nearly as well
        ((0, 0, 0, 22, 20, 2), DUCK),
        ((0, 0, 0, 2, 1, 7), None),  # it sounds different from all that was heard
        ((-9, -9, -9, -9, -9, -9), None),
    ],
)
def test_one_or_none(scores: tuple[float, ...], taken: Candidate | None) -> None:
    assert decide(ALL, scores).taken is taken


def test_a_command_that_is_not_wanted_is_none() -> None:
    negated = Candidate("不要下一首", Intent(Action.NOTHING), 0.0, 5)
    assert decide((NEXT, negated), (9, 19)) == Decision(None)
    assert decide((NEXT, negated), (9, -1)).taken is NEXT


def test_what_is_left_over_speaks_against_a_command_and_a_question_for_its_answer() -> None:
    assert decide((NEXT,), (7,)).taken is NEXT
    assert decide((replace(NEXT, left_over=4),), (7,)).taken is None
    weak = Candidate("好的", Intent(Action.PLAY, "数鸭子"), 0.3, 2, worst_syllable=0.3)
    assert decide((weak,), (2.4,)).taken is None
    assert decide((replace(weak, expected=True),), (2.4,)).taken is not None


def test_the_nearest_titles_are_named_if_a_title_was_asked_for() -> None:
    assert decide(ALL, (0, 0, 0, 10, 9, 14.5)) == Decision(None, ("数鸭子", "丑小鸭"))
    assert decide(ALL, (0, 0, 0, 1.4, 1, 1.5)) == Decision(None)
    assert decide((), ()) == Decision(None)


@given(scores=st.lists(st.floats(-30, 60), min_size=len(ALL), max_size=len(ALL)))
def test_only_the_best_is_taken_and_more_evidence_never_unmakes_it(scores: list[float]) -> None:
    decision = decide(ALL, scores)
    if decision.taken is None:
        return
    place = ALL.index(decision.taken)
    fits = [fit(*pair) for pair in zip(scores, ALL, strict=True)]
    assert fits[place] == max(fits)
    scores[place] += 1
    assert decide(ALL, scores).taken is decision.taken
