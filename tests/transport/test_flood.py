"""Who is heard while somebody sends without end: on a virtual clock."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from transport.flood import FloodGate

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
RATE = 30.0
ADDRESSES_LIMIT = 256
BURST = 60.0
KNOWN_BURST = 400.0
KNOWN_LIMIT = 32
KNOWN_RATE = 200.0
STRANGERS_BURST = 120.0
STRANGERS_RATE = 60.0


def test_one_address_has_its_burst_and_then_its_rate() -> None:
    gate = FloodGate(0.0)
    assert sum(gate.admit("a", 0.0) for _ in range(1000)) == BURST
    assert sum(gate.admit("a", 1.0) for _ in range(1000)) == RATE
    assert gate.dropped == 2000 - BURST - RATE
    assert gate.admit("b", 1.0)


def test_whoever_has_proved_a_key_may_ask_more() -> None:
    gate = FloodGate(0.0)
    assert gate.admit("phone", 0.0)
    gate.know("phone")
    assert 1 + sum(gate.admit("phone", 0.0) for _ in range(1000)) == KNOWN_BURST
    gate.know("phone")
    assert sum(gate.admit("phone", 1.0) for _ in range(1000)) == KNOWN_RATE


def test_many_invented_addresses_leave_a_known_one_its_place() -> None:
    gate = FloodGate(0.0)
    gate.know("phone")
    heard = sum(gate.admit(f"stranger {number}", 0.0) for number in range(5000))
    assert heard == STRANGERS_BURST
    assert gate.admit("phone", 0.0)
    assert not gate.admit("another stranger", 0.0)
    assert gate.admit("another stranger", 1.0)
    later = sum(gate.admit(f"later {number}", 1.0) for number in range(5000))
    assert 1 + later == STRANGERS_RATE


def test_who_is_remembered_is_bounded_and_the_known_stay() -> None:
    gate = FloodGate(0.0)
    for number in range(2 * KNOWN_LIMIT):
        gate.know(f"phone {number}")
    assert gate.admit(f"phone {2 * KNOWN_LIMIT - 1}", 0.0)
    used = gate._buckets[f"phone {2 * KNOWN_LIMIT - 1}"].level
    for number in range(3 * ADDRESSES_LIMIT):
        gate.admit(f"stranger {number}", 0.0)
    assert (len(gate._buckets), len(gate._known)) == (ADDRESSES_LIMIT, KNOWN_LIMIT)
    assert gate._buckets[f"phone {2 * KNOWN_LIMIT - 1}"].level == used


@given(
    st.lists(
        st.tuples(st.integers(0, 400), st.booleans(), st.floats(0, 2, allow_nan=False)),
        max_size=200,
    )
)
def test_no_order_of_packets_passes_more_than_the_rates(
    packets: list[tuple[int, bool, float]],
) -> None:
    gate, now, heard = FloodGate(0.0), 0.0, dict[str, int]()
    known: set[str] = set()
    for number, knows, wait in packets:
        now += wait
        address = str(number)
        if knows and len(known) < KNOWN_LIMIT:
            gate.know(address)
            known.add(address)
        heard[address] = heard.get(address, 0) + gate.admit(address, now)
    strangers = sum(count for address, count in heard.items() if address not in known)
    assert strangers <= STRANGERS_BURST + STRANGERS_RATE * now
    for address, count in heard.items():
        rate, burst = (KNOWN_RATE, KNOWN_BURST) if address in known else (RATE, BURST)
        assert count <= burst + rate * now
