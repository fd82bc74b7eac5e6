"""What faults do to bytes: rates, delays and their order, on a clock of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from staging.bench.board import Board
from staging.bench.shape import CLEAR, Pace, Shape, Way, shape_of

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PIECE_MIN = 16

UUID = "00830000000001"


def shapes(name: str, **values: object) -> list[Shape]:
    board = Board(lambda: 0.0)
    board.set(UUID, name, values)
    return [shape_of(board.active(UUID), way) for way in (Way.DOWN, Way.UP)]


def test_each_fault_has_its_shape_in_its_ways() -> None:
    assert shapes("cut") == [CLEAR, CLEAR]
    assert shapes("slow", bytes_per_second=10) == [Shape(rate=10)] * 2
    assert shapes("slow", way="to_cloud") == [CLEAR, Shape(rate=8000)]
    assert shapes("delay", ms=1500, jitter_ms=500) == [Shape(delay=1.5, jitter=0.5)] * 2
    assert shapes("half_open", way="to_device") == [Shape(held=True), CLEAR]
    assert CLEAR.is_clear
    assert not Shape(held=True).is_clear


def test_a_slow_link_takes_its_time_for_all_bytes() -> None:
    pace = Pace()
    pieces = list(pace.pieces(bytes(8000), Shape(rate=8000), now=10.0))
    assert round(pieces[-1][0], 6) == 11.0
    assert len(pieces) == 10
    assert next(pace.pieces(b"x", Shape(rate=8000), now=10.0))[0] > 11.0  # behind the others
    assert next(pace.pieces(bytes(800), Shape(rate=8000), now=20.0))[0] == 20.1


def test_a_delay_does_not_slow() -> None:
    pace = Pace()
    assert [at for at, _ in pace.pieces(bytes(99), Shape(delay=2.0), now=1.0)] == [3.0]
    assert [at for at, _ in pace.pieces(bytes(99), Shape(delay=2.0), now=1.5)] == [3.5]


@given(
    st.lists(st.tuples(st.binary(max_size=200), st.floats(0, 100)), max_size=20),
    st.integers(0, 1000),
    st.floats(0, 5),
    st.floats(0, 5),
)
def test_every_byte_arrives_once_in_order_and_not_before_it_was_sent(
    sent: list[tuple[bytes, float]], rate: int, delay: float, jitter: float
) -> None:
    pace, now, last, arrived = Pace(), 0.0, 0.0, b""
    shape = Shape(rate=rate, delay=delay, jitter=jitter)
    for data, pause in sent:
        now += pause
        for at, piece in pace.pieces(data, shape, now):
            assert at >= now
            assert at >= last
            last, arrived = at, arrived + piece
    assert arrived == b"".join(data for data, _ in sent)


def test_pieces_of_a_very_slow_link_are_few() -> None:
    assert {len(piece) for _, piece in Pace().pieces(bytes(160), Shape(rate=1), 0)} == {PIECE_MIN}
