"""The ledger's entries beside the segments: one for each utterance, whatever order, repetition or erasure comes."""

from __future__ import annotations

from typing import Any

import pytest

from staging.gateway.reports import decide
from staging.store import (
    Database,
    apps,
    devices,
    effects,
    family,
    history,
    utterances,
    voice_ledger,
)
from staging.store.effects import Wanted
from staging.store.models import Device, VoiceEntry
from wire.family import Spoken
from wire.utterance_times import UtteranceTimes
from wire.voice import HeaderStyle, Segmenter, VoiceSegment

UUID = "0083000000000a"
NOW = 1_495_000_000_000


def spoken(number: int, frames: int = 40, mark: bytes = b"x") -> list[VoiceSegment]:
    segmenter = Segmenter(number, 8000, HeaderStyle.LENGTH32)
    made = [segmenter.add(mark * 38) for _ in range(frames)]
    return [each for each in made if each is not None] + list(segmenter.finish())


class Store:
    """A device's reports and its ledger, on a clock of its own."""

    def __init__(self, database: Database) -> None:
        self.call = database.call
        self.id = database.call(devices.add, UUID, NOW).id
        self.parent = database.call(apps.account, "parent", NOW).id
        self.now = NOW

    def report(self, key: str, value: object) -> None:
        self.now += 300
        wanted = [Wanted(decide(UUID, {key: value}))]
        self.call(effects.apply_all, self.id, None, wanted, self.now)

    def say(self, number: int, **how: Any) -> None:
        for segment in spoken(number, **how):
            self.report("voice_control", segment.to_json())

    def entries(self) -> list[VoiceEntry]:
        found, _ = self.call(voice_ledger.page, self.id, None, 100)
        return found[::-1]

    def heard(self) -> list[int]:
        found, _ = self.call(utterances.page, self.id, None, 50)
        return [each.id for each in found[::-1]]

    def stored(self) -> list[str]:
        return [entry.key for entry in self.call(history.after, self.id, -1, 1000)]


@pytest.fixture
def store(database: Database) -> Store:
    return Store(database)


def test_an_utterance_is_one_entry_with_its_length_and_what_opened_the_microphone(
    store: Store,
) -> None:
    store.say(10_001)
    told = UtteranceTimes(10_001, "sent", {"opened": 0.4}, "button")
    store.report("utterance_times", told.to_json())
    store.say(10_002, frames=10)
    first, second = store.entries()
    assert (first.utterance, first.segments, first.frames, first.complete) == (10_001, 4, 40, True)
    assert (first.why, first.result, first.size) == ("button", "sent", 40 * 42)
    assert (voice_ledger.seconds(first), second.why) == (0.8, None)
    found = store.call(utterances.find, store.id, first.start, 10_001)
    assert found is not None


def test_an_erased_utterance_is_gone_and_its_entry_says_so(store: Store) -> None:
    store.say(10_001)
    store.report("utterance_times", UtteranceTimes(10_001, "sent", {}, "word").to_json())
    store.say(10_002)
    first = store.entries()[0]
    made = store.call(family.erase_entries, store.id, store.parent, [first.id], store.now)
    assert (made.utterances, made.row_count, made.kind) == (1, 5, "utterances")
    assert store.heard() == [10_002]
    assert "utterance_times" not in store.stored()
    assert [(e.utterance, e.erased_by) for e in store.entries()] == [
        (10_001, "utterances"), (10_002, None),
    ]  # fmt: skip


def test_what_still_comes_of_an_erased_utterance_is_not_stored(store: Store) -> None:
    first, *rest = spoken(10_001)
    store.report("voice_control", first.to_json())
    order = store.call(family.erase_spoken, store.id, [Spoken(10_001, store.now)], store.now)
    assert order is not None
    for segment in rest:
        store.report("voice_control", segment.to_json())
    store.report("utterance_times", UtteranceTimes(10_001, "sent", {}, "word").to_json())
    assert (store.heard(), store.stored()) == ([], [])
    store.say(10_002)
    assert store.heard() == [10_002]


def test_a_sentence_that_is_spoken_while_the_machine_is_unbound_is_cut_off(store: Store) -> None:
    first, *rest = spoken(10_001)
    store.report("voice_control", first.to_json())
    store.call(
        lambda s: family.cut(s, s.get_one(Device, store.id), family.Kind.UNBIND, None, store.now)
    )
    for segment in rest:
        store.report("voice_control", segment.to_json())
    assert (store.heard(), store.entries()) == ([], [])
    store.say(10_002)
    assert store.heard() == [10_002]
    assert [entry.utterance for entry in store.entries()] == [10_002]


def test_a_number_that_comes_again_is_another_utterance(store: Store) -> None:
    store.say(10_001, frames=20)
    store.now += 3_600_000
    store.say(10_001, frames=30)
    old, new = store.entries()
    found = store.call(voice_ledger.find, store.id, Spoken(10_001, store.now))
    assert found is not None
    assert (old.frames, new.frames, found.id) == (20, 30, new.id)
    assert store.call(family.erase_spoken, store.id, [Spoken(10_001, 1)], store.now) is None


def test_voice_that_is_too_old_goes_in_steps_and_what_is_younger_stays(store: Store) -> None:
    store.say(10_001)
    store.report("volume", 7)
    before = store.now + 1
    store.say(10_002)
    assert store.call(voice_ledger.with_voice_before, before, 10) == [store.id]
    steps = [store.call(voice_ledger.expire, store.id, before, 3, store.now) for _ in range(3)]
    assert steps == [3, 1, 0]
    assert store.call(voice_ledger.with_voice_before, before, 10) == []
    assert (store.heard(), store.stored()[0]) == ([10_002], "volume")
    assert [entry.erased_by for entry in store.entries()] == ["days", None]


@pytest.mark.parametrize(("later", "kept"), [(60_000, False), (60_001, True)])
def test_a_number_is_an_erased_utterances_for_a_minute_after_its_last_segment(
    store: Store, later: int, *, kept: bool
) -> None:
    first, second, *_ = spoken(10_001)
    store.report("voice_control", first.to_json())
    assert store.call(family.erase_spoken, store.id, [Spoken(10_001, store.now)], store.now)
    store.now += later - 300
    store.report("voice_control", second.to_json())
    assert (store.heard() == [10_001]) is kept


@pytest.mark.parametrize(("later", "kept"), [(60_000, False), (60_001, True)])
def test_what_was_said_a_minute_before_a_family_went_is_not_cut_off_any_more(
    store: Store, later: int, *, kept: bool
) -> None:
    """The next family's first sentence may have the number of the last one of the family before."""
    first, second, *_ = spoken(10_001)
    store.report("voice_control", first.to_json())
    store.now += later
    store.call(
        lambda s: family.cut(s, s.get_one(Device, store.id), family.Kind.UNBIND, None, store.now)
    )
    store.report("voice_control", second.to_json())
    assert (store.heard() == [10_001]) is kept


def test_is_gone_tells_what_must_not_be_recognised_any_more(store: Store) -> None:
    store.say(10_001)
    assert not store.call(voice_ledger.is_gone, UUID, 10_001, store.now)
    store.call(family.erase_spoken, store.id, [Spoken(10_001, store.now)], store.now)
    assert store.call(voice_ledger.is_gone, UUID, 10_001, store.now)
    store.say(10_002)
    arrived = store.now
    store.now += 10
    store.call(
        lambda s: family.cut(s, s.get_one(Device, store.id), family.Kind.ALL, None, store.now)
    )
    assert store.call(voice_ledger.is_gone, UUID, 10_002, arrived)
    assert not store.call(voice_ledger.is_gone, "f" * 14, 10_002, arrived)


def test_all_voice_goes_in_steps_and_nothing_else(
    store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(family, "STEP", 3)
    store.say(10_001)
    store.report("volume", 7)
    store.report("utterance_times", UtteranceTimes(10_001, "sent", {}, "word").to_json())
    made = store.call(family.erase_voice, store.id, store.parent, store.now)
    steps = [store.call(family.step, made.receipt) for _ in range(3)]
    assert (steps, made.utterances) == ([3, 2, 0], 1)
    assert (store.stored(), store.heard()) == (["volume"], [])
    assert [entry.erased_by for entry in store.entries()] == ["voice"]
    store.say(10_002)
    assert store.heard() == [10_002]
