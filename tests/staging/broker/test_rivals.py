"""Which runs of a device show a second machine, and which machine keeps its place."""

from __future__ import annotations

import pytest

from staging.broker import rivals
from staging.broker.rivals import Rivals

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PLACE_SECONDS = 120.0

UUID = "0083000000000a"


@pytest.mark.parametrize(
    ("runs", "signs"),
    [
        ("a", 0),
        ("aa", 0),  # the link broke and came back
        ("abcd", 0),  # the agent was started anew
        ("aba", 1),
        ("ababa", 3),
        ("abcabc", 3),  # three machines
        ("abca", 1),
    ],
)
def test_a_run_that_comes_back_after_another_is_a_sign(runs: str, signs: int) -> None:
    seen = Rivals()
    assert sum(seen.note_online(UUID, run) for run in runs) == signs


def test_a_device_that_names_no_runs_gives_no_sign_and_is_never_refused() -> None:
    seen = Rivals()
    assert not any(seen.note_online(UUID, run) for run in ("", "a", "", "", "a"))
    assert not seen.holds_another(UUID, "")


def test_the_last_one_keeps_its_place_while_it_is_there_and_for_a_while_after() -> None:
    now = [0.0]
    seen = Rivals(lambda: now[0])
    assert not seen.holds_another(UUID, "b")
    seen.note_online(UUID, "a")
    assert seen.holds_another(UUID, "b")
    assert not seen.holds_another(UUID, "a")
    seen.note_offline(UUID)
    now[0] = PLACE_SECONDS - 1
    seen.note_offline(UUID)  # the refused machine's farewell prolongs nothing
    assert seen.holds_another(UUID, "b")
    now[0] = PLACE_SECONDS
    assert not seen.holds_another(UUID, "b")


def test_devices_kept_in_mind_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rivals, "DEVICES_LIMIT", 2)
    seen = Rivals()
    for uuid in ("1", "2", "3"):
        seen.note_online(uuid, "a")
    assert [seen.holds_another(uuid, "b") for uuid in ("1", "2", "3")] == [False, True, True]
