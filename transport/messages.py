"""aiocoap's message layer, adapted to reliable streams and to possibly hostile peers.

For datagrams, aiocoap remembers each message for minutes, retransmits, and lets one unacknowledged
message block all others (NSTART, RFC 7252 section 4.7). On a stream TCP provides reliability; the
state here is bounded and discarded with its connection.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from aiocoap.messagemanager import MessageManager
from aiocoap.numbers.types import ACK, CON, RST

# Seconds that a message id is remembered. 2017 firmware retransmits a CON for up to 45 s.
EXCHANGE_LIFETIME = 60.0
# Message ids remembered per connection: three times the voice segments of those 45 s.
MAX_RECENT = 512


class RecentRequests:
    """The ids of a connection's latest requests and, once sent, their encoded answers."""

    def __init__(self) -> None:
        self._answers: OrderedDict[int, tuple[float, bytes]] = OrderedDict()

    def add(self, mid: int, now: float) -> bool:
        """Record a request's id at the time ``now`` (seconds); return False for a duplicate."""
        known = self._answers.get(mid)
        if known is not None and now - known[0] < EXCHANGE_LIFETIME:
            return False
        self._answers[mid] = (now, b"")
        self._answers.move_to_end(mid)
        if len(self._answers) > MAX_RECENT:
            self._answers.popitem(last=False)
        return True

    def keep_answer(self, mid: int, answer: bytes) -> None:
        """Store the encoded answer that duplicates of the request will get."""
        if mid in self._answers:
            self._answers[mid] = (self._answers[mid][0], answer)

    def answer(self, mid: int) -> bytes:
        """Return the stored answer, or b"" if there is none yet."""
        return self._answers.get(mid, (0.0, b""))[1]

    def __len__(self) -> int:
        return len(self._answers)


class StreamMessages(MessageManager):
    """A MessageManager without retransmission, backlog, or state that outlives a connection.

    It overrides private methods of aiocoap 0.4, so pyproject.toml requires a version below 0.5.
    """

    def _deduplicate_message(self, message: Any) -> bool:
        recent: RecentRequests = message.remote.recent
        if recent.add(message.mid, self.loop.time()):
            return False
        if message.mtype is CON and (answer := recent.answer(message.mid)):
            message.remote.send(answer)
        return True

    def _store_response_for_duplicates(self, message: Any) -> None:
        # Only ACK and RST carry the request's id; any other message has an id of our own.
        if message.mtype in {ACK, RST}:
            message.remote.recent.keep_answer(message.mid, message.encode())

    def _add_exchange(self, message: Any, messageerror_monitor: Callable[[], None]) -> None:
        # Only the sender of a request needs to know that the other side reset it.
        if not message.code.is_request():
            return
        request = (message.token, message.remote)

        def reset() -> None:
            # After the caller has given up, aiocoap would raise TypeError.
            if request in self.token_manager.outgoing_requests:
                messageerror_monitor()

        key = (message.remote, message.mid)
        if key in self._active_exchanges:  # the id was reused after 65,536 messages
            self._active_exchanges.pop(key)[1].cancel()
        end = self.loop.call_later(EXCHANGE_LIFETIME, self._end_exchange, key)
        self._active_exchanges[key] = (reset, end)

    def waits_for(self, remote: object, answer: bytes) -> bool:
        """Return whether a request of ours to ``remote`` has the id of an encoded ``answer``."""
        exchanges = self._active_exchanges or {}
        return (remote, int.from_bytes(answer[2:4], "big")) in exchanges

    def _end_exchange(self, key: tuple[Any, int]) -> None:
        # Never after the shutdown, which cancels the timers.
        self._active_exchanges.pop(key, None)

    def _continue_backlog(self, remote: Any) -> None:
        """Do nothing: there is no backlog."""
