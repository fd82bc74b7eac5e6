"""Keeps the cloud's requests from being carried out late, or twice (docs/adr/0033).

A request may carry a deadline in the cloud's time. The cloud tells its time when it accepts the
registration and with each answer to ``alive``; `CloudTime` knows from that the latest time that it
can be there now. A request that comes, or is still waiting, after its deadline is answered 5.03.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable

from base.clock import boot_ticks
from wire.codes import Code
from wire.exchange import TOO_LATE, Answer, Handler, Request

# Seconds for which one reading of the cloud's time counts: clocks drift by up to 0.1 s in them.
READING_SECONDS = 900.0
# Readings kept: those of 900 s at one a minute.
READINGS_LIMIT = 16
# Requests whose answers are remembered; the cloud lets 16 wait at once, each 10 s at most.
ANSWERS_LIMIT = 128


class CloudTime:
    """The cloud's time by this machine's ticks: never earlier than it really is."""

    def __init__(self, clock: Callable[[], float] = boot_ticks) -> None:
        """Start without a reading; ``clock`` counts seconds, also while the machine sleeps."""
        self.clock = clock
        # The best that counts comes first: one that a newer one is as good as counts no more.
        self._readings: deque[tuple[float, float]] = deque(maxlen=READINGS_LIMIT)

    def note(self, time_ms: int, asked: float) -> None:
        """Take the time of an answer (Unix, milliseconds) whose request was sent at ``asked``.

        The answer was made after that, so the cloud's clock is at most this much ahead of ours.
        """
        ahead = time_ms / 1000 - asked
        while self._readings and self._readings[-1][1] >= ahead:
            self._readings.pop()
        self._readings.append((asked, ahead))

    def remaining(self, until_ms: int) -> float | None:
        """Return the seconds until a time of the cloud (Unix, milliseconds), below zero after it.

        None: the cloud has not told its time.
        """
        readings, now = self._readings, self.clock()
        if not readings:
            return None
        while len(readings) > 1 and now - readings[0][0] > READING_SECONDS:
            readings.popleft()
        return until_ms / 1000 - (now + readings[0][1])


class Guard:
    """Passes requests on to a handler: in time only, and each once."""

    def __init__(self, handler: Handler) -> None:
        """Pass requests to ``handler``."""
        self._handler = handler
        self._answers: OrderedDict[bytes, asyncio.Future[Answer]] = OrderedDict()

    async def handle(self, request: Request, time: CloudTime) -> Answer:
        """Answer a request; one with an id that was seen before gets the answer of the first.

        ``time``: of the cloud that sent the request.
        """
        if not request.id:
            return await self._in_time(request, time)
        first = self._answers.get(request.id)
        if first is not None:
            return await asyncio.shield(first)
        answer = self._remember(request.id)
        try:
            answer.set_result(await self._in_time(request, time))
        finally:
            if not answer.done():
                answer.set_result(Answer(Code.SERVICE_UNAVAILABLE, b"broken off before its end"))
        return answer.result()

    def _remember(self, key: bytes) -> asyncio.Future[Answer]:
        answer = self._answers[key] = asyncio.get_running_loop().create_future()
        if len(self._answers) > ANSWERS_LIMIT:
            self._answers.popitem(last=False)
        return answer

    async def _in_time(self, request: Request, time: CloudTime) -> Answer:
        remaining = None if request.until_ms is None else time.remaining(request.until_ms)
        if remaining is None:
            return await self._handler(request)
        if remaining <= 0:
            return _too_late(request, f"it came {-remaining:.1f} s after its deadline")
        if request.method == "GET":  # one that waits changes nothing, and the caller has gone
            return await self._handler(request)
        try:
            # Whatever the handler waits for, such as another request's end, it waits no longer.
            async with asyncio.timeout(remaining):
                return await self._handler(request)
        except TimeoutError:
            return _too_late(request, "it was still waiting at its deadline")


def _too_late(request: Request, why: str) -> Answer:
    what = f"{request.method} /{'/'.join(request.path)}"
    return Answer.from_text(
        Code.SERVICE_UNAVAILABLE, f"{TOO_LATE}: {what}: {why}, and is not carried out"
    )
