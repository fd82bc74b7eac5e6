"""The cloud's requests over MQTT: carried out once each, acknowledged after the work is done.

A broker hands a request over again when the connection broke before the acknowledgement. So answers
are remembered for a while, also beyond a connection.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer, Handler
from wire.topics import CORRELATION_LIMIT, Kind, TopicError, parse_request, parse_topic

if TYPE_CHECKING:
    from transport.mqtt import MqttMessage

# Requests at once; the next one is answered 5.03, as on the framed link.
MAX_SERVING = 64
# Answers that are remembered, and for how many seconds: longer than a broker keeps a request.
MAX_REMEMBERED = 256
REMEMBER_SECONDS = 60.0
# Seconds that handlers have to end when the link does.
END_TIMEOUT = 2.0

Reply = Callable[[str, bytes, Answer], Awaitable[None]]
"""Publishes an answer: the topic, the correlation data, the answer."""

_log = logging.getLogger(__name__)


class CloudRequests:
    """Serves one device's requests, over any number of connections after each other."""

    def __init__(
        self, uuid: str, handler: Handler, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Pass requests to ``handler``; ``clock`` gives seconds."""
        self._uuid = uuid
        self._handler = handler
        self._clock = clock
        self._answers: OrderedDict[bytes, tuple[float, asyncio.Task[Answer]]] = OrderedDict()
        self._serving = 0

    async def serve(self, message: MqttMessage, reply: Reply) -> None:
        """Answer one message by ``reply``; one that is no request is dropped and logged."""
        try:
            topic = self._answer_topic(message)
        except WireError as error:
            # Nobody could be told: only the log can.
            _log.warning("link: a request is dropped: %s", error)
            return
        await reply(topic, message.correlation, await self._answer(message))

    def _answer_topic(self, message: MqttMessage) -> str:
        """Return the topic for the answer; only this device's own topics are accepted."""
        topic = parse_topic(message.response_topic)
        if topic.uuid != self._uuid or topic.kind is not Kind.ANSWER:
            raise TopicError(f"response topic: got {topic}, expected {self._uuid}'s up/answer")
        if not 0 < len(message.correlation) <= CORRELATION_LIMIT:
            size = len(message.correlation)
            raise TopicError(f"correlation: got {size} bytes, expected 1 to {CORRELATION_LIMIT}")
        return message.response_topic

    async def _answer(self, message: MqttMessage) -> Answer:
        key = message.response_topic.encode() + b"\0" + message.correlation
        self._forget_old()
        known = self._answers.get(key)
        if known is None:
            if self._serving >= MAX_SERVING:
                return Answer(Code.SERVICE_UNAVAILABLE, b"too many requests at once")
            known = (self._clock(), asyncio.create_task(self._carry_out(message)))
            self._answers[key] = known
        return await asyncio.shield(known[1])

    async def _carry_out(self, message: MqttMessage) -> Answer:
        self._serving += 1
        try:
            return await self._handler(parse_request(message.properties, message.payload))
        except WireError as error:
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        except Exception:  # noqa: BLE001  # a handler's bug is answered, as on every link
            _log.exception("link: a request failed")
            return Answer(Code.INTERNAL_SERVER_ERROR)
        finally:
            self._serving -= 1

    def _forget_old(self) -> None:
        old = self._clock() - REMEMBER_SECONDS
        for key, (begun, task) in list(self._answers.items()):
            if begun > old and len(self._answers) <= MAX_REMEMBERED:
                break  # they are in order of their beginning
            if task.done():
                del self._answers[key]

    async def end(self) -> None:
        """Give the running handlers a moment to end, then cancel them."""
        running = [task for _begun, task in self._answers.values() if not task.done()]
        if running:
            _done, late = await asyncio.wait(running, timeout=END_TIMEOUT)
            for task in late:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await task
