"""From sound to what was said, with a stub of a recogniser."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from audio.pcm import Pcm
from staging.recognition.hearing import Hearing, Hypothesis
from staging.recognition.intents import Action, Intent
from staging.recognition.titles import TitleIndex
from staging.recognition.understanding import Understood, understand

SOUND = Pcm(16000, bytes(32000))
TITLES = TitleIndex(["两只老虎", "小兔子乖乖"])
# Something was said, and it was no candidate.
SPOKEN = {"停止": 2.5}
TIGERS = Intent(Action.PLAY, "两只老虎")


class Stub:
    """Hears what it is told; without scores it is a model that cannot compare."""

    def __init__(
        self,
        texts: Mapping[str, float],
        scores: Mapping[str, float] | None = None,
        silence: float = 0.1,
    ) -> None:
        hypotheses = tuple(Hypothesis(text, score) for text, score in texts.items())
        self._hearing, self._scores = Hearing(hypotheses, silence), scores

    async def hear(self, sound: Pcm) -> Hearing:
        assert sound is SOUND
        return self._hearing

    async def score(self, phrases: Sequence[str]) -> list[float] | None:
        if self._scores is None:
            return None
        return [self._scores.get(phrase, -5.0) for phrase in phrases]

    async def warm_up(self) -> None: ...

    async def rest_when_idle(self) -> None: ...

    async def close(self) -> None: ...


async def understood(
    stub: Stub, index: TitleIndex | None = TITLES, **answers: Intent
) -> Understood:
    return await understand(stub, SOUND, index, answers)


async def test_the_candidate_that_explains_the_sound_is_what_was_said() -> None:
    stub = Stub({"不放两句老虎": -0.8}, {"播放两只老虎": 25.0, "播放小兔子乖乖": 6.0})
    assert await understood(stub) == Understood("播放两只老虎", TIGERS, exact=True)


async def test_a_title_that_is_not_there_names_the_nearest() -> None:
    stub = Stub({"播放两只老鼠": -0.2}, {"播放两只老虎": 10.0, "播放小兔子乖乖": 15.5})
    found = await understood(stub)
    assert (found.intent, found.nearest) == (None, ("两只老虎", "小兔子乖乖"))
    assert found.error == "no title sounds like it; the nearest is 两只老虎"


@pytest.mark.parametrize(
    ("texts", "silence", "error"),
    [
        ({}, 0.1, "no speech was heard"), ({"继续": -0.1}, 0.2, "no speech was heard"), ({"下一首": -0.1}, 0.9, "no speech was heard"),
        ({"今天天气很好": -0.1}, 0.1, "there is no command in it"), ({"今天": -0.9}, 0.1, "not heard well enough"),
    ],
)  # fmt: skip
async def test_why_nothing_is_done(texts: dict[str, float], silence: float, error: str) -> None:
    found = await understood(Stub(texts, {} if "继续" in texts else SPOKEN, silence))
    assert found.intent is None
    assert error in (found.error or "")


async def test_a_sentence_that_is_no_candidate_counts_if_it_was_heard_surely() -> None:
    wanted = Intent(Action.VOLUME_UP, amount=3)
    assert (await understood(Stub({"调高三格": -0.1}, SPOKEN))).intent == wanted
    assert (await understood(Stub({"调高三格": -0.6}, SPOKEN))).intent is None


async def test_a_model_that_cannot_compare_is_believed() -> None:
    assert (await understood(Stub({"播放两只老虎。": -0.6}))).intent == TIGERS
    assert (await understood(Stub({"播放两只老虎。": -1.2}))).intent is None
    assert (await understood(Stub({"二十小时后停": -0.1}))).error


@pytest.mark.parametrize("probability", [-0.1, -0.6])
async def test_a_negated_command_is_not_carried_out(probability: float) -> None:
    scores = {"下一首": 7.0, "不要下一首": 19.0}
    found = await understood(Stub({"不要下一手": probability}, scores))
    assert found.intent is None
    assert (await understood(Stub({"下一手": probability}, {**scores, "不要下一首": 1.0}))).intent


async def test_a_title_alone_is_heard() -> None:
    stub = Stub({"兩隻老虎。": -0.4}, {"两只老虎": 15.0, "播放两只老虎": 6.0})
    assert await understood(stub) == Understood("两只老虎", TIGERS, exact=True)
    assert (await understood(Stub({"两只老虎。": -0.4}))).intent == TIGERS
    assert (await understood(Stub({"两只老鼠。": -0.4}))).nearest == ("两只老虎",)


async def test_a_command_in_the_middle_of_much_else_is_none() -> None:
    alone = Stub({"下一个": -0.5}, {"下一个": 8.4})
    assert (await understood(alone)).intent == Intent(Action.NEXT)
    among = Stub({"下一个路刻完做走": -0.5}, {"下一个": 8.4})
    assert (await understood(among)).intent is None


async def test_a_vague_wish_is_heard() -> None:
    found = await understood(Stub({"讲个故事": -0.4}, {"讲个故事": 14.0}))
    assert found.intent == Intent(Action.PLAY_ANY, "故事")


async def test_without_a_catalogue_the_device_knows_its_titles() -> None:
    stub = Stub({"播放海底世界": -0.6}, SPOKEN)
    assert (await understood(stub, None)).intent == Intent(Action.PLAY, "海底世界")


async def test_answers_are_heard_while_an_offer_is_open() -> None:
    stub = Stub({"第1个": -0.4}, {"第一个": 12.0})
    assert (await understood(stub, 第一个=TIGERS)).intent == TIGERS
    assert (await understood(stub)).intent is None
