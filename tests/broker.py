"""A real mosquitto for tests, and a cloud behind it that is a script."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from trustme import LeafCert

from staging.broker.process import BrokerError, Mosquitto, find_program
from staging.broker.settings import CLOUD_USER, Listeners, TlsFiles
from tests.authority import LOOPBACK, Authority
from tests.extras import require
from tests.ports import free_port
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.reports import REGISTER_PATH, REPORT_PATH, parse_report
from wire.topics import (
    Kind,
    Topic,
    answer_properties,
    answer_topic,
    every,
    parse_answer,
    parse_topic,
)

CLOUD_PASSWORD = "the-workers-password"
# Only turns a hang into a failure.
DEADLINE = 60.0
PORT_TRIES = 3


def require_broker() -> None:
    """Skip the running test where paho-mqtt or mosquitto is missing."""
    require("paho")
    try:
        find_program()
    except BrokerError as error:
        pytest.skip(f"{error}; `make setup` installs mosquitto")


def tls_files(folder: Path, authority: Authority, leaf: LeafCert | None = None) -> TlsFiles:
    """Write a server certificate, by default a good one for loopback, into the folder, which is made."""
    folder.mkdir(exist_ok=True)
    leaf = leaf or authority.leaf()
    files = TlsFiles(folder / "ca.pem", folder / "server.pem", folder / "server.key")
    files.ca.write_text(authority.pem)
    files.certificate.write_bytes(b"".join(blob.bytes() for blob in leaf.cert_chain_pems))
    files.key.write_bytes(leaf.private_key_pem.bytes())
    return files


def free_ports() -> tuple[int, int]:
    """Return two ports that are free now."""
    return free_port(), free_port()


@asynccontextmanager
async def broker(
    folder: Path,
    authority: Authority,
    users: Mapping[str, str],
    leaf: LeafCert | None = None,
    **listen: Any,
) -> AsyncIterator[Mosquitto]:
    """Run a broker which these users, and the cloud's workers, may use; ``leaf`` as of `tls_files`."""
    require_broker()
    files = tls_files(folder, authority, leaf)
    for left in reversed(range(PORT_TRIES)):
        made = Mosquitto(folder / "broker", Listeners(LOOPBACK, *free_ports(), **listen), files)
        try:
            await made.start({CLOUD_USER: CLOUD_PASSWORD, **users})
            break
        except BrokerError:
            if not left:
                raise
    try:
        yield made
    finally:
        await made.stop()


async def connect(
    made: Mosquitto,
    context: ssl.SSLContext,
    user: str,
    password: str,
    deliver: Callable[[Any], None],
    *,
    as_worker: bool = False,
    **options: Any,
) -> Any:
    """Connect as a user; returns a MqttConnection."""
    from transport.mqtt import MqttConnection, MqttOptions
    from transport.tls_socket import open_tls

    port = made.listeners.workers_port if as_worker else made.listeners.port
    sock = await open_tls(LOOPBACK, port, context)
    settings = {"client_id": user} | options
    return await MqttConnection.open(
        sock, MqttOptions(username=user, password=password, **settings), deliver
    )


def accept(request: Request) -> Answer:
    """Accept a registration with 2.05 and a report with 2.04."""
    return Answer(Code.CONTENT if request.path == REGISTER_PATH else Code.CHANGED)


_PATHS = {Kind.REGISTER: REGISTER_PATH, Kind.REPORT: REPORT_PATH, Kind.VOICE: REPORT_PATH}


class MqttCloud:
    """A cloud at the broker; ``answer`` is the script, as of `tests.agent.parts.Cloud`."""

    WHO = "scripted"

    def __init__(self, made: Mosquitto, context: ssl.SSLContext) -> None:
        self._broker = made
        self._context = context
        self.requests: list[Request] = []
        self.states: list[bytes] = []
        self.answers: list[tuple[bytes, Answer]] = []
        self.answer: Callable[[Request], Answer | Awaitable[Answer]] = accept
        self._waiting: dict[bytes, asyncio.Future[Answer]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._count = 0
        self.uuid = ""
        self.connection: Any = None

    @property
    def reports(self) -> list[dict[str, object]]:
        return [parse_report(r.payload) for r in self.requests if r.path != REGISTER_PATH]

    async def start(self) -> None:
        self.connection = await connect(
            self._broker, self._context, CLOUD_USER, CLOUD_PASSWORD, self._deliver,
            as_worker=True, client_id=self.WHO,
        )  # fmt: skip
        kinds = [Kind.REGISTER, Kind.REPORT, Kind.STATE]
        filters = [(every(kind), 1) for kind in kinds]
        filters += [(every(Kind.VOICE, "+"), 0), (every(Kind.ANSWER, self.WHO), 1)]
        await self.connection.subscribe(filters, deadline=DEADLINE)

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self.connection is not None:
            await self.connection.close()

    async def ask(self, method: str, name: str, payload: bytes = b"", *query: str) -> Answer:
        """Send the device that registered last a request."""
        from wire.topics import request_properties

        self._count += 1
        correlation = self._count.to_bytes(8, "big")
        request = Request(method, tuple(name.split("/")), query, payload)
        return await self.send(request_properties(request), payload, correlation)

    async def send(
        self, properties: list[tuple[str, str]], payload: bytes, correlation: bytes
    ) -> Answer:
        """Send a request that has these properties."""
        from transport.mqtt import Outgoing

        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = answer
        message = Outgoing(
            str(Topic(self.uuid, Kind.REQUEST)), payload, expiry=10, properties=properties,
            response_topic=answer_topic(self.uuid, self.WHO), correlation=correlation,
        )  # fmt: skip
        await self.connection.publish(message, deadline=DEADLINE)
        async with asyncio.timeout(DEADLINE):
            return await answer

    def _deliver(self, message: Any) -> None:
        topic = parse_topic(message.topic)
        if topic.kind is Kind.ANSWER:
            got = parse_answer(message.properties, message.payload)
            self.answers.append((message.correlation, got))
            waiting = self._waiting.pop(message.correlation, None)
            if waiting is not None and not waiting.done():
                waiting.set_result(got)
        elif topic.kind is Kind.STATE:
            self.states.append(message.payload)
        else:
            task = asyncio.create_task(self._serve(topic, message))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
            return
        self.connection.acknowledge(message)

    async def _serve(self, topic: Topic, message: Any) -> None:
        from transport.mqtt import Outgoing

        self.uuid = topic.uuid
        request = Request("POST", _PATHS[topic.kind], (), message.payload)
        self.requests.append(request)
        answer = self.answer(request)
        made = answer if isinstance(answer, Answer) else await answer
        if message.response_topic:
            reply = Outgoing(
                message.response_topic, made.payload, qos=0, correlation=message.correlation,
                properties=answer_properties(made.code),
            )  # fmt: skip
            with contextlib.suppress(Exception):
                await self.connection.publish(reply, deadline=DEADLINE)
        self.connection.acknowledge(message)
