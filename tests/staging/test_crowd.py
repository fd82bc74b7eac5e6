"""Who waits, who goes in, who leaves: tables, and any order of events."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from staging.crowd import Crowd, DoorLimits, network_of

FEW = DoorLimits(
    open=8, silent=4, silent_each=2, ready_each=3, begun=3, begun_each=2, patience=10.0
)


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("10.0.0.1", "10.0.0.1"), ("::ffff:10.0.0.1", "10.0.0.1"), ("2001:db8::1", "2001:db8::/64"),
        ("2001:db8:0:1::1", "2001:db8:0:1::/64"), ("fe80::1%eth0", "fe80::/64"), ("", ""), ("peer", "peer"),
    ],
)  # fmt: skip
def test_what_counts_as_one_address(address: str, network: str) -> None:
    assert network_of(address) == network


def test_one_more_silent_one_of_an_address_takes_the_place_of_its_own_oldest() -> None:
    crowd: Crowd[str] = Crowd(FEW)
    assert crowd.arrive("other", "b", 0) == []
    assert [crowd.arrive(name, "a", 0) for name in ("1", "2", "3", "4")] == [[], [], ["1"], ["2"]]
    assert len(crowd) == 3


def test_silent_ones_of_many_addresses_push_out_the_oldest() -> None:
    crowd: Crowd[str] = Crowd(FEW)
    assert [crowd.arrive(name, name, 0) for name in "abcde"] == [[], [], [], [], ["a"]]


def test_a_door_that_is_full_of_settled_ones_takes_no_more() -> None:
    crowd: Crowd[int] = Crowd(FEW)
    for number in range(FEW.open):
        crowd.arrive(number, str(number), 0)
        crowd.speak(number)
        assert crowd.next() == number
        crowd.settle(number)
    assert crowd.arrive(99, "x", 0) == [99]
    crowd.leave(0)
    assert crowd.arrive(99, "x", 0) == []


def test_addresses_take_turns_and_none_begins_more_than_its_share() -> None:
    crowd: Crowd[str] = Crowd(DoorLimits(open=99, begun=4, begun_each=3))
    for name in ("a1", "a2", "a3", "a4", "b1"):
        crowd.arrive(name, name[0], 0)
        crowd.speak(name)
    assert [crowd.next() for _ in range(5)] == ["a1", "b1", "a2", "a3", None]
    crowd.settle("b1")
    assert crowd.next() is None  # a has its share
    crowd.leave("a1")
    assert crowd.next() == "a4"


def test_strangers_that_begin_and_say_no_more_keep_nobody_out_who_was_here() -> None:
    crowd: Crowd[str] = Crowd(DoorLimits(open=99, begun=16, begun_each=2))
    crowd.arrive("once", "home", 0)
    crowd.speak("once")
    assert crowd.next() == "once"
    crowd.settle("once")
    crowd.leave("once")
    for number in range(40):
        crowd.arrive(f"s{number}", f"net {number}", 0)
        crowd.speak(f"s{number}")
    begun = [crowd.next() for _ in range(20)]
    assert begun[:14] == [f"s{number}" for number in range(14)]
    assert begun[14:] == [None] * 6
    for name in ("again", "and again", "one too many"):
        crowd.arrive(name, "home", 0)
        crowd.speak(name)
    assert [crowd.next() for _ in range(3)] == ["again", "and again", None]
    crowd.leave("s3")
    assert crowd.next() == "s14"


def test_an_address_is_known_after_one_was_settled_alone() -> None:
    crowd: Crowd[str] = Crowd(DoorLimits(open=99, begun=1))
    for name in ("refused", "stranger", "refused again"):
        crowd.arrive(name, name.partition(" ")[0], 0)
        crowd.speak(name)
    assert crowd.next() == "refused"
    crowd.leave("refused")
    assert crowd.next() in {"stranger", "refused again"}


def test_who_waits_for_too_long_is_late_and_who_has_begun_is_not() -> None:
    crowd: Crowd[str] = Crowd(FEW)
    for name in ("silent", "ready", "begun"):
        crowd.arrive(name, name, 0)
    crowd.speak("begun")
    assert crowd.next() == "begun"
    crowd.speak("ready")
    assert crowd.late(FEW.patience - 1) == []
    assert crowd.late(FEW.patience) == ["silent", "ready"]
    assert crowd.has_begun("begun")
    assert crowd.waiting() == ["silent", "ready"]


def test_more_ready_ones_of_one_address_than_may_wait_are_refused() -> None:
    crowd: Crowd[int] = Crowd(DoorLimits(open=99, ready_each=3, begun=0))
    said = []
    for number in range(5):
        crowd.arrive(number, "a", 0)
        said.append(crowd.speak(number))
    assert said == [True, True, True, False, False]


@given(st.lists(st.tuples(st.sampled_from("aaabc"), st.integers(0, 4)), max_size=80))
def test_no_limit_is_ever_exceeded_and_nothing_is_left_behind(steps: list[tuple[str, int]]) -> None:
    crowd: Crowd[int] = Crowd(FEW)
    here: dict[int, str] = {}
    silent: list[int] = []
    for number, (network, what) in enumerate(steps):
        if what <= 1:
            dropped = crowd.arrive(number, network, 0)
            here[number] = network
            silent.append(number)
            for each in dropped:
                here.pop(each, None)
                silent = [one for one in silent if one != each]
        elif what == 2 and silent:
            key = silent.pop()
            if not crowd.speak(key):
                crowd.leave(key)
                del here[key]
        elif what == 3:
            crowd.next()
        elif here:
            key = next(iter(here))
            crowd.leave(key)
            del here[key]
            silent = [one for one in silent if one != key]
        assert len(crowd) == len(here) <= FEW.open
        assert crowd.begun <= FEW.begun
        assert all(
            sum(crowd.has_begun(key) for key, of in here.items() if of == net) <= FEW.begun_each
            for net in "abc"
        )
    for key in here:
        crowd.leave(key)
    assert (len(crowd), crowd.begun, crowd.waiting(), crowd.next()) == (0, 0, [], None)
