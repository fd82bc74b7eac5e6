"""What goes first: the table of lanes, and the rule on late values for any order of puts and deliveries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from agent.link.outbox_held import FIRST_ID
from agent.link.outbox_lanes import Lanes

KEYS = ["volume", "play", "ota_event"]


def filled(*keys: str) -> Lanes:
    lanes = Lanes()
    for row_id, key in enumerate(keys, 1):
        lanes.add(row_id, key)
    return lanes


def test_updates_come_first_then_the_newest_value_of_each_data_point() -> None:
    lanes = filled("volume", "volume", "play", "ota_event", "volume", "package_info")
    assert list(lanes.first(10)) == [4, 6, 3, 5]
    assert list(lanes.first(3)) == [4, 6, 3]
    assert lanes.waiting == 6


def test_behind_a_newer_value_the_others_are_late_until_none_is_left() -> None:
    lanes = filled("volume", "volume", "volume", "play")
    lanes.deliver(3, "volume")
    assert [lanes.is_late(n, "volume") for n in (1, 2, 4)] == [True, True, False]
    assert lanes.unsaved == {"volume": 3}
    lanes.deliver(1, "volume")
    lanes.deliver(2, "volume")
    assert lanes.unsaved == {"volume": None}
    assert not lanes.is_late(1, "volume")


def test_a_new_value_is_the_present_one_while_older_ones_still_wait() -> None:
    lanes = filled("volume", "volume")
    lanes.deliver(2, "volume")
    lanes.add(3, "volume")
    assert list(lanes.first(9)) == [3]


def test_a_single_value_leaves_nothing_to_remember() -> None:
    lanes = filled("volume")
    lanes.deliver(1, "volume")
    assert lanes.unsaved == {}
    assert lanes.waiting == 0


def test_what_memory_delivered_is_newer_than_the_file_and_older_than_what_comes() -> None:
    lanes = filled("volume", "volume")
    lanes.add(FIRST_ID, "volume")
    lanes.deliver(FIRST_ID, "volume")
    lanes.settle(last_id=2)
    assert lanes.is_late(2, "volume")
    assert not lanes.is_late(3, "volume")
    assert lanes.unsaved == {"volume": 3}


def test_a_moved_report_is_the_newest_at_its_new_place() -> None:
    lanes = filled()
    lanes.add(FIRST_ID, "volume")
    lanes.add(FIRST_ID + 1, "ota_event")
    lanes.move(FIRST_ID, "volume", 7)
    lanes.move(FIRST_ID + 1, "ota_event", 8)
    assert lanes.first(9) == {8: "ota_event", 7: "volume"}


def test_the_table_of_what_was_told_is_the_file_s_after_a_restart() -> None:
    lanes = Lanes()
    lanes.load({"volume": 2}, {}, {"volume": 2}, {"volume": 5})
    assert lanes.first(9) == {}  # both are older than what the cloud has
    assert lanes.is_late(2, "volume")


@given(st.lists(st.tuples(st.sampled_from(KEYS), st.booleans()), max_size=60))
def test_the_cloud_s_last_value_that_is_not_late_is_always_the_newest(
    steps: list[tuple[str, bool]],
) -> None:
    """Whatever is put and delivered in between, the present state at the cloud never goes back."""
    lanes, waiting, shown = Lanes(), {}, {}  # type: ignore[var-annotated]
    newest: dict[str, int] = {}
    events: list[int] = []

    def deliver() -> None:
        chosen = next(iter(lanes.first(1)), None) or min(waiting)
        key = waiting.pop(chosen)
        if key == "ota_event":
            events.append(chosen)
        elif not lanes.is_late(chosen, key):
            assert chosen > shown.get(key, 0)
            shown[key] = chosen
        lanes.deliver(chosen, key)

    for number, (key, is_delivered) in enumerate(steps, 1):
        lanes.add(number, key)
        waiting[number] = newest[key] = key  # type: ignore[assignment]
        newest[key] = number
        if is_delivered:
            deliver()
    while waiting:
        deliver()
    assert events == sorted(events)
    newest.pop("ota_event", None)
    assert shown == newest
    assert lanes.waiting == 0
