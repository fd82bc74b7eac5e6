"""Devices behind a broker, as the gateway sees them: peers without a connection of their own."""

from __future__ import annotations

import asyncio
import itertools
import secrets
from collections.abc import Callable
from typing import TYPE_CHECKING

from transport.errors import NotSentError, RequestTimeoutError, StreamClosedError
from wire.exchange import Answer, Request, Terms
from wire.topics import REQUEST_EXPIRY, Kind, Topic, answer_topic, request_properties

if TYPE_CHECKING:
    from transport.mqtt import MqttConnection

# MQTT 5: the broker has no subscriber, so the device has never been there, or long ago.
_NO_SUBSCRIBERS = 16


class BrokerPeer:
    """One registration of a device; compared by identity, so that a later one inherits nothing."""

    def __init__(self, uuid: str) -> None:
        """Represent the device as it writes its ``uuid`` in topics."""
        self.uuid = uuid
        self.gone = ""
        self.waiting: set[asyncio.Future[Answer]] = set()

    def __repr__(self) -> str:
        return f"<device {self.uuid} behind the broker>"

    def close(self, reason: str) -> None:
        """Fail what waits for this registration's answers; the broker keeps the connection."""
        self.gone = self.gone or reason
        for answer in self.waiting:
            if not answer.done():
                answer.set_exception(StreamClosedError(reason))
                answer.exception()  # nobody may wait for it any more

    def reset(self, reason: str) -> None:
        """Do nothing: a request that was not answered expires at the broker, and at the device."""


class BrokerEndpoint:
    """Sends requests to devices through the worker's connection to the broker."""

    def __init__(self, who: str, connection: Callable[[], MqttConnection | None]) -> None:
        """Send as the worker ``who`` on what ``connection`` returns, None while there is none."""
        self._who = who
        self._connection = connection
        # By the device too, which knows its own numbers, and from them those of the others.
        self._waiting: dict[tuple[str, bytes], asyncio.Future[Answer]] = {}
        self._numbers = itertools.count()
        # Answers to a worker of this name that was killed must not match.
        self._prefix = secrets.token_bytes(4)

    async def request(
        self,
        peer: BrokerPeer,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        *,
        query: tuple[str, ...] = (),
        deadline: float,
        terms: Terms | None = None,
    ) -> Answer:
        """Send a request and return the answer, as `transport.framed.FramedEndpoint.request`.

        Raises:
            RequestTimeoutError: no answer within ``deadline`` seconds.
            NotSentError: the device or the broker is not there.
            StreamClosedError: the device or the broker went before the answer.
            BrokerRefusedError: the broker denied it.
            TopicError: path or query cannot be written.
        """
        request = Request(method, path, query, payload)
        if terms is not None:
            request = Request(method, path, query, payload, terms.until_ms, terms.id)
        properties = request_properties(request)
        correlation = self._prefix + next(self._numbers).to_bytes(4, "big")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        asked = (peer.uuid.lower(), correlation)
        self._waiting[asked] = answer
        peer.waiting.add(answer)
        try:
            async with asyncio.timeout(deadline):
                await self._publish(peer, payload, properties, correlation, deadline)
                return await answer
        except TimeoutError as error:
            raise RequestTimeoutError(f"no answer within {deadline:g} s") from error
        finally:
            del self._waiting[asked]
            peer.waiting.discard(answer)

    async def _publish(
        self,
        peer: BrokerPeer,
        payload: bytes,
        properties: list[tuple[str, str]],
        correlation: bytes,
        deadline: float,
    ) -> None:
        from transport.mqtt import Outgoing  # noqa: PLC0415  # needed with a broker alone

        connection = self._connection()
        if connection is None or peer.gone:
            raise NotSentError(peer.gone or "the broker is away")
        message = Outgoing(
            str(Topic(peer.uuid, Kind.REQUEST)),
            payload,
            expiry=REQUEST_EXPIRY,
            response_topic=answer_topic(peer.uuid, self._who),
            correlation=correlation,
            properties=properties,
        )
        if await connection.publish(message, deadline=deadline) == _NO_SUBSCRIBERS:
            raise NotSentError("the broker does not know this device")

    def watch(self, peer: BrokerPeer, quiet: float) -> None:
        """Do nothing: the broker tests the device's connection, and tells its end."""

    def settle(self, uuid: str, correlation: bytes, answer: Answer) -> None:
        """Hand over an answer of the device ``uuid``; one that it was not asked for is ignored."""
        waiting = self._waiting.get((uuid.lower(), correlation))
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)
