"""A child chooses one of two titles that were offered, or none; and any other sentence means what it always means."""

from __future__ import annotations

import pytest

from staging.data_dir import DataDir
from staging.recognition.intents import Action, Intent
from staging.recognition.kinds import Kind
from staging.recognition.offers import Choice, Offers, choose, spoken_answers
from staging.recognition.service import Recognition
from staging.recognition.title_lists import TitleLists
from staging.store import Database
from tests.staging.recognition.conftest import UUID
from tests.staging.recognition.test_answer import heard
from tests.staging.recognition.test_service import Machine

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
OFFER_SECONDS = 30.0
OFFERS_LIMIT = 1_024

TWO = ("小兔子乖乖", "两只老虎")
NO = Choice.DECLINE


@pytest.mark.parametrize(
    ("sentence", "chosen"),
    [
        ("第一个", 0), ("第一个。", 0), ("我要第一个", 0), ("第一", 0), ("是的", 0), ("好", 0), ("对", 0), ("嗯！", 0),
        ("第二个", 1), ("要第二个", 1), ("第二个吧", 1), ("2", 1), ("小兔子", 0), ("两只老虎", 1),
        ("不要", NO), ("都不是", NO), ("不要了。", NO), ("不", NO), ("算了", NO),
        ("第三个", None), ("今天天气很好", None), ("停止", None), ("下一首", None), ("", None), ("播放春天在哪里", None),
        ("好的故事", None), ("大声一点", None), ("就第一个", 0), ("那就选第二个吧", 1), ("我要听第二个", 1), ("随便", 0), ("都可以", 0),
        ("不要小兔子乖乖", NO), ("不要第一个", NO), ("我不喜欢两只老虎", NO), ("不要第一个要第二个", 1), ("不听小兔子乖乖我要听两只老虎", 1),
        ("不听了", None), ("不要播放小兔子乖乖", None), ("不要，下一首", None),
    ],
)  # fmt: skip
def test_what_a_sentence_chooses(sentence: str, chosen: int | Choice | None) -> None:
    assert choose(sentence, TWO) == (TWO[chosen] if isinstance(chosen, int) else chosen)
    assert choose(sentence, ()) is None


def test_what_is_listened_for_after_an_offer_is_what_may_be_said() -> None:
    for sentence, intent in spoken_answers(TWO).items():
        chosen = choose(sentence.removeprefix("要"), TWO)
        assert intent == (
            Intent(Action.DECLINE) if chosen is NO else Intent(Action.PLAY, str(chosen))
        ), sentence
    assert {*TWO, "第一个", "第二个", "好的", "不要"} <= spoken_answers(TWO).keys()
    assert "第二个" not in spoken_answers(TWO[:1])
    assert spoken_answers(()) == {}


def test_of_one_title_there_is_no_second() -> None:
    assert choose("第二个", TWO[:1]) is None
    assert choose("是的", TWO[:1]) == TWO[0]


def test_an_offer_holds_for_the_next_sentence_and_for_a_while() -> None:
    offers = Offers()
    offers.add("a", TWO, 0.0)
    assert offers.take("a", OFFER_SECONDS) == TWO
    assert offers.take("a", OFFER_SECONDS) == ()
    offers.add("a", TWO, 0.0)
    assert offers.take("b", 1.0) == ()
    assert offers.take("a", OFFER_SECONDS + 0.1) == ()
    for number in range(OFFERS_LIMIT + 1):
        offers.add(str(number), TWO, 0.0)
    assert (offers.take("0", 0.0), offers.take("1", 0.0)) == ((), TWO)


@pytest.fixture
def machine() -> Machine:
    return Machine()


@pytest.fixture
def offering(database: Database, data: DataDir, machine: Machine) -> Recognition:
    TitleLists(data.root).set(["小兔子乖乖", "两只老虎"], uuid=UUID)
    return Recognition(database, machine.control, data)


async def offer(recognition: Recognition, number: int = 10000) -> list[str]:
    heard(recognition, number)
    outcome = await recognition.say(UUID, "播放世上只有妈妈好")
    assert outcome.kind is Kind.NOT_FOUND
    return list(outcome.nearest)


@pytest.mark.parametrize(("sentence", "place"), [("第一个", 0), ("第二个", 1), ("是的", 0)])
async def test_the_title_that_is_chosen_is_played(
    offering: Recognition, machine: Machine, sentence: str, place: int
) -> None:
    nearest = await offer(offering)
    assert len(nearest) == 2
    outcome = await offering.say(UUID, sentence)
    assert outcome.done
    assert outcome.intent == {"action": "play", "title": nearest[place]}
    assert machine.asked == [("PUT", "play", f"播放{nearest[place]}")]
    assert (await offering.say(UUID, sentence)).kind is Kind.NOT_UNDERSTOOD  # the offer is over


async def test_an_answer_to_an_offer_is_not_a_title_of_that_name(
    offering: Recognition, machine: Machine, data: DataDir
) -> None:
    nearest = await offer(offering)
    TitleLists(data.root).set([*nearest, "第二个"], uuid=UUID)
    assert (await offering.say(UUID, "第二个")).done
    assert machine.asked == [("PUT", "play", f"播放{nearest[1]}")]


async def test_who_wants_neither_is_asked_nothing_more(
    offering: Recognition, machine: Machine
) -> None:
    await offer(offering)
    outcome = await offering.say(UUID, "都不要")
    assert (outcome.kind, outcome.intent, outcome.error) == (Kind.DONE, {"action": "decline"}, None)
    assert machine.asked == []


async def test_a_command_is_a_command_and_ends_the_offer(
    offering: Recognition, machine: Machine
) -> None:
    await offer(offering)
    assert (await offering.say(UUID, "下一首")).done
    assert machine.asked == [("PUT", "play", "下一首")]
    assert (await offering.say(UUID, "好的")).kind is Kind.NOT_UNDERSTOOD


async def test_a_sentence_that_was_typed_for_nobody_offers_nothing(offering: Recognition) -> None:
    await offering.say(UUID, "播放世上只有妈妈好")
    assert (await offering.say(UUID, "第一个")).kind is Kind.NOT_UNDERSTOOD
