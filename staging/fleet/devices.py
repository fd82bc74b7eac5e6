"""Simulated devices: they register, report and have a volume, over framed CoAP or MQTT."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import ssl
from collections.abc import Awaitable, Callable
from typing import Any, Protocol

from staging.data_dir import Endpoints
from staging.store.products import DATA_POINTS
from transport.connection import Connection
from transport.errors import StreamClosedError, TransportError
from transport.framed import FramedEndpoint
from transport.mqtt import MqttConnection, MqttMessage, MqttOptions, Outgoing, Will
from transport.tls_socket import open_tls
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.fields import dump_object
from wire.reports import KEEPALIVE as KEEPALIVE_REPORT
from wire.reports import KEEPALIVE_SECONDS as ALIVE_SECONDS
from wire.reports import (
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    registration_payload,
    report_payload,
    report_query,
)
from wire.topics import (
    Kind,
    State,
    Topic,
    answer_properties,
    parse_answer,
    parse_request,
    state_payload,
)

# Seconds; a report that takes longer counts as lost.
DEADLINE = 20.0
KEEPALIVE = 15
# Seconds after which a report without an answer is sent again, as agents do.
RESEND_SECONDS = 5.0
_DESCRIPTION = dump_object(DATA_POINTS)


class FleetDevice(Protocol):
    """One simulated device."""

    async def connect(self) -> None:
        """Connect and register; raises OSError or TransportError."""

    async def report(self, data: dict[str, object]) -> Answer:
        """Send a report and return the cloud's answer; raises TransportError."""

    @property
    def connected(self) -> bool:
        """Whether the connection is still there."""

    async def close(self) -> None:
        """End the connection."""


Handler = Callable[[Request], Awaitable[Answer]]


async def answer_request(request: Request) -> Answer:
    """Answer as a machine that has a volume of 8, whatever it is set to."""
    if request.path == ("resource",):
        return Answer(Code.CONTENT, _DESCRIPTION)
    if request.path != ("volume",):
        return Answer(Code.NOT_FOUND)
    return Answer(Code.CONTENT, b"8") if request.method == "GET" else Answer(Code.CHANGED)


class CoapDevice:
    """A device on the framed link."""

    def __init__(
        self,
        who: Credentials,
        where: Endpoints,
        context: ssl.SSLContext,
        endpoint: FramedEndpoint,
        handler: Handler = answer_request,
    ) -> None:
        """Connect to ``where``; all devices of a process share one ``endpoint``; ``handler`` answers the cloud."""
        self._handler = handler
        self._who = who
        self._where = where
        self._context = context
        self._endpoint = endpoint
        self._connection: Connection | None = None
        self._serving: asyncio.Task[str] | None = None
        self._beating: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        """Connect and register."""
        reader, writer = await asyncio.open_connection(
            self._where.device_host, self._where.device_port, ssl=self._context
        )
        connection = self._connection = Connection(reader, writer)
        serving = self._endpoint.serve(connection, self._handler)
        self._serving = asyncio.create_task(serving)
        await asyncio.sleep(0)  # the endpoint has the connection once serve has begun
        answer = await self._endpoint.request(
            connection, "POST", REGISTER_PATH, registration_payload(self._who), deadline=DEADLINE
        )
        check_registered(answer)
        self._beating = asyncio.create_task(self._keep_alive())

    async def _keep_alive(self) -> None:
        """Report ``alive``, as machines do: a large fleet connects for longer than the cloud waits."""
        with contextlib.suppress(TransportError):
            while True:
                await asyncio.sleep(ALIVE_SECONDS)
                await self.report(dict(KEEPALIVE_REPORT))

    async def report(self, data: dict[str, object]) -> Answer:
        """Send a report."""
        if self._connection is None:
            raise StreamClosedError("not connected")
        return await self._endpoint.request(
            self._connection,
            "POST",
            REPORT_PATH,
            report_payload(data),
            query=report_query(self._who),
            deadline=DEADLINE,
        )

    @property
    def connected(self) -> bool:
        """Whether the connection is still there."""
        return self._serving is not None and not self._serving.done()

    async def close(self) -> None:
        """End the connection."""
        if self._beating is not None:
            self._beating.cancel()
        if self._connection is not None and self._serving is not None:
            self._connection.close("the fleet ends")
            await asyncio.wait([self._serving], timeout=DEADLINE)


class MqttDevice:
    """A device behind the broker."""

    def __init__(self, who: Credentials, where: Endpoints, context: ssl.SSLContext) -> None:
        """Connect to the broker of ``where``."""
        self._who = who
        self._where = where
        self._context = context
        self._connection: MqttConnection | None = None
        self._waiting: dict[bytes, asyncio.Future[Answer]] = {}
        self._numbers = itertools.count()
        self._tasks: set[asyncio.Task[None]] = set()

    async def connect(self) -> None:
        """Connect, subscribe, register, and say that it is online."""
        uuid = self._who.uuid
        state = str(Topic(uuid, Kind.STATE))
        options = MqttOptions(
            client_id=uuid,
            username=uuid,
            password=self._who.token,
            keepalive=KEEPALIVE,
            will=Will(state, state_payload(State(online=False))),
        )
        sock = await open_tls(self._where.device_host, self._where.mqtt_port, self._context)
        self._connection = await MqttConnection.open(sock, options, self._deliver)
        filters = [(str(Topic(uuid, Kind.CLOUD_ANSWER)), 0), (str(Topic(uuid, Kind.REQUEST)), 1)]
        await self._connection.subscribe(filters, deadline=DEADLINE)
        check_registered(await self._ask(Kind.REGISTER, registration_payload(self._who)))
        online = Outgoing(state, state_payload(State(online=True)), retain=True)
        await self._connection.publish(online, deadline=DEADLINE)

    async def report(self, data: dict[str, object]) -> Answer:
        """Send a report."""
        return await self.send_report(report_payload(data))

    async def send_report(self, payload: bytes) -> Answer:
        """Send what a report consists of; sent again if no answer comes, so it may arrive twice."""
        return await self._ask(Kind.REPORT, payload)

    async def _ask(self, kind: Kind, payload: bytes) -> Answer:
        if self._connection is None:
            raise StreamClosedError("not connected")
        correlation = next(self._numbers).to_bytes(4, "big")
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = answer
        message = Outgoing(
            str(Topic(self._who.uuid, kind)),
            payload,
            response_topic=str(Topic(self._who.uuid, Kind.CLOUD_ANSWER)),
            correlation=correlation,
        )
        try:
            for _ in range(round(DEADLINE / RESEND_SECONDS)):
                await self._connection.publish(message, deadline=DEADLINE)
                await asyncio.wait([answer], timeout=RESEND_SECONDS)
                if answer.done():
                    return answer.result()
            raise StreamClosedError("no answer in time")
        finally:
            del self._waiting[correlation]

    def _deliver(self, message: MqttMessage) -> None:
        if message.topic.endswith(Kind.CLOUD_ANSWER):
            waiting = self._waiting.get(message.correlation)
            if waiting is not None and not waiting.done():
                waiting.set_result(parse_answer(message.properties, message.payload))
        else:
            task = asyncio.get_running_loop().create_task(self._answer(message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        if self._connection is not None:
            self._connection.acknowledge(message)

    async def _answer(self, message: MqttMessage) -> None:
        made = await answer_request(parse_request(message.properties, message.payload))
        reply = Outgoing(
            message.response_topic,
            made.payload,
            correlation=message.correlation,
            properties=answer_properties(made.code),
        )
        if self._connection is not None:
            await self._connection.publish(reply, deadline=DEADLINE)

    @property
    def connected(self) -> bool:
        """Whether the connection is still there."""
        return self._connection is not None and not self._connection.ended.done()

    async def close(self) -> None:
        """End the connection."""
        if self._connection is not None:
            await self._connection.close(with_will=True)


def check_registered(answer: Answer) -> None:
    """Raise StreamClosedError if the cloud did not accept the registration."""
    if answer.code != Code.CONTENT:
        raise StreamClosedError(
            f"not registered: {answer.code >> 5}.{answer.code & 31:02} {answer.text}"
        )


def make(kind: str, who: Credentials, where: Endpoints, shared: dict[str, Any]) -> FleetDevice:
    """Return a device of the ``kind`` coap or mqtt; ``shared`` has the context and the endpoint."""
    if kind == "mqtt":
        return MqttDevice(who, where, shared["context"])
    return CoapDevice(who, where, shared["context"], shared["endpoint"])
