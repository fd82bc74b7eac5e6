"""The memory of a peer's last requests: enough for its retransmissions, and bounded."""

from __future__ import annotations

from transport.messages import EXCHANGE_LIFETIME, MAX_RECENT, RecentRequests


def test_a_repeated_id_is_a_duplicate_until_its_exchange_ends() -> None:
    recent = RecentRequests()
    assert recent.add(7, now=100.0)
    assert not recent.add(7, now=100.0 + EXCHANGE_LIFETIME - 1)
    assert recent.add(7, now=100.0 + EXCHANGE_LIFETIME)
    assert not recent.add(7, now=101.0 + EXCHANGE_LIFETIME)


def test_the_answer_is_kept_for_the_duplicate_and_dropped_with_a_new_exchange() -> None:
    recent = RecentRequests()
    recent.add(7, now=0.0)
    assert recent.answer(7) == b""
    recent.keep_answer(7, b"answer")
    recent.keep_answer(8, b"to nothing")
    assert (recent.answer(7), recent.answer(8)) == (b"answer", b"")
    recent.add(7, now=EXCHANGE_LIFETIME)
    assert recent.answer(7) == b""


def test_the_oldest_are_forgotten_first() -> None:
    recent = RecentRequests()
    assert all(recent.add(mid, now=0.0) for mid in range(65536))
    assert len(recent) == MAX_RECENT
    assert not recent.add(65535, now=0.0)
    assert recent.add(0, now=0.0)
