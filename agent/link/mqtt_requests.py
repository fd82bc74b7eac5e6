"""The cloud's requests over MQTT: in time, carried out once each, acknowledged after the work is done.

A broker hands a request over again when the connection broke before the acknowledgement, and one that
waited for this device may be late. `agent.link.guard.Guard`, which outlives a connection, sees to both.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.link.guard import CloudTime, Guard
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import BODY_LIMIT, Answer
from wire.topics import CORRELATION_LIMIT, Kind, TopicError, parse_request, parse_topic

if TYPE_CHECKING:
    from transport.mqtt import MqttMessage

# Requests at once; the next one is answered 5.03, as on the framed link. As many of these answers may
# wait for the broker; beyond them a request is dropped, and not carried out.
MAX_SERVING = 64

Reply = Callable[[str, bytes, Answer], Awaitable[None]]
"""Publishes an answer: the topic, the correlation data, the answer."""

_log = logging.getLogger(__name__)


class CloudRequests:
    """Serves one device's requests on one connection."""

    def __init__(self, uuid: str, guard: Guard, time: CloudTime, begun: asyncio.Event) -> None:
        """Pass requests to ``guard``; ``time`` is the cloud's, and known as well as ever once ``begun`` is set."""
        self._begun = begun
        self._uuid = uuid
        self._guard = guard
        self._time = time
        self._serving = 0

    async def serve(self, message: MqttMessage, reply: Reply) -> None:
        """Answer one message by ``reply``; one that is no request is dropped and logged."""
        try:
            self._check_answer_topic(message)
        except WireError as error:
            # Nobody could be told: only the log can.
            _log.warning("link: a request is dropped: %s", error)
            return
        if self._serving >= 2 * MAX_SERVING:
            _log.info("link: a request is dropped, %d wait for their answers", self._serving)
            return
        self._serving += 1
        try:
            answer = await self._answer(message)
            # It counts until the answer has gone: what was carried out must not lose its answer
            # because those of a flood fill the way to the broker.
            await reply(message.response_topic, message.correlation, answer)
        finally:
            self._serving -= 1

    def _check_answer_topic(self, message: MqttMessage) -> None:
        """Accept only this device's own topics for the answer; raises WireError."""
        topic = parse_topic(message.response_topic)
        if topic.uuid != self._uuid or topic.kind is not Kind.ANSWER:
            raise TopicError(f"response topic: got {topic}, expected {self._uuid}'s up/answer")
        if not 0 < len(message.correlation) <= CORRELATION_LIMIT:
            size = len(message.correlation)
            raise TopicError(f"correlation: got {size} bytes, expected 1 to {CORRELATION_LIMIT}")

    async def _answer(self, message: MqttMessage) -> Answer:
        if self._serving > MAX_SERVING:
            return Answer(Code.SERVICE_UNAVAILABLE, b"too many requests at once")
        if len(message.payload) > BODY_LIMIT:
            return Answer.from_text(Code.TOO_LARGE, f"at most {BODY_LIMIT} bytes")
        # A broker hands over at once what has waited for this device; whether it is too late is known after the
        # registration, which may be long after the deadline.
        await self._begun.wait()
        try:
            request = parse_request(message.properties, message.payload)
            # Also what has no id of its own is carried out once, should the broker repeat it.
            key = request.id or message.response_topic.encode() + b"\0" + message.correlation
            return await self._guard.handle(replace(request, id=key), self._time)
        except WireError as error:
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        except Exception:  # noqa: BLE001  # a handler's bug is answered, as on every link
            _log.exception("link: a request failed")
            return Answer(Code.INTERNAL_SERVER_ERROR)
