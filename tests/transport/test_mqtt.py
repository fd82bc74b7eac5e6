"""The asyncio connection over paho, against a real mosquitto with TLS, passwords and the access list."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest

import transport.mqtt
from staging.broker.process import Mosquitto
from staging.broker.settings import render_config
from tests.authority import Authority
from tests.broker import CLOUD_PASSWORD, DEADLINE, broker, connect, require_broker
from transport.errors import StreamClosedError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PACKET_LIMIT = 131_072

A, B = "0083000000000a", "0083000000000b"
USERS = {A: "token-a", B: "token-b"}


@pytest.fixture
async def made(authority: Authority, tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with broker(tmp_path, authority, USERS) as running:
        yield running


class Peer:
    """One user's connection, which acknowledges what it gets unless told otherwise."""

    def __init__(self, *, acknowledge: bool = True) -> None:
        self.got: asyncio.Queue[Any] = asyncio.Queue()
        self.connection: Any = None
        self._acknowledge = acknowledge

    def deliver(self, message: Any) -> None:
        self.got.put_nowait(message)
        if self._acknowledge:
            self.connection.acknowledge(message)

    async def next(self) -> Any:
        async with asyncio.timeout(DEADLINE):
            return await self.got.get()


Join = Callable[..., Any]


@pytest.fixture
async def join(made: Mosquitto, authority: Authority) -> AsyncIterator[Join]:
    peers: list[Peer] = []

    async def start(user: str, *, acknowledge: bool = True, **options: Any) -> Peer:
        peer = Peer(acknowledge=acknowledge)
        password = {**USERS, "cloud": CLOUD_PASSWORD}[user]
        options.setdefault("as_worker", user == "cloud")
        peer.connection = await connect(
            made, authority.client_context(), user, password, peer.deliver, **options
        )
        peers.append(peer)
        return peer

    yield start
    for peer in peers:
        await peer.connection.close()


def message(topic: str, payload: bytes = b"{}", **options: Any) -> Any:
    from transport.mqtt import Outgoing

    return Outgoing(topic, payload, **options)


async def test_a_message_arrives_with_all_its_properties(join: Join) -> None:
    cloud, device = await join("cloud"), await join(A)
    await cloud.connection.subscribe([("story/+/up/report", 1)], deadline=DEADLINE)
    sent = message(
        f"story/{A}/up/report", b"\x00\xff" * 9000, response_topic=f"story/{A}/down/answer",
        correlation=b"\x00c", properties=[("path", "一"), ("path", "b"), ("path", "一")],
    )  # fmt: skip
    assert await device.connection.publish(sent, deadline=DEADLINE) == 0
    got = await cloud.next()
    assert (got.topic, got.payload, got.qos) == (sent.topic, sent.payload, 1)
    assert (got.response_topic, got.correlation) == (sent.response_topic, sent.correlation)
    assert got.properties == (("path", "一"), ("path", "b"), ("path", "一"))


async def test_no_word_of_a_device_takes_the_cloud_off_the_broker(join: Join) -> None:
    """mosquitto hands U+FEFF on, as MQTT has it, which paho takes for malformed."""
    cloud, device = await join("cloud"), await join(A)
    await cloud.connection.subscribe([("story/+/up/report", 1)], deadline=DEADLINE)
    topic = f"story/{A}/up/report"
    for words in ([("x", "\ufeff")], []):
        await device.connection.publish(message(topic, properties=words), deadline=DEADLINE)
    assert (await cloud.next()).properties == ()
    assert not cloud.connection.ended.done()


async def test_a_publish_that_nobody_reads_says_so(join: Join) -> None:
    device = await join(A)
    reason = await device.connection.publish(message(f"story/{A}/up/report"), deadline=DEADLINE)
    assert reason == 16


@pytest.mark.parametrize(
    "topic",
    [
        f"story/{B}/up/report",  # another device's
        f"story/{A}/down/request",  # what only the cloud may say
        "story-cloud/members/x",
        "other",
    ],
)
async def test_a_device_writes_below_its_own_up_alone(join: Join, topic: str) -> None:
    from transport.mqtt import BrokerRefusedError

    cloud, device = await join("cloud"), await join(A)
    filters = [("story/#", 1), ("story-cloud/#", 1), ("other", 1)]
    await cloud.connection.subscribe(filters, deadline=DEADLINE)
    with pytest.raises(BrokerRefusedError) as caught:
        await device.connection.publish(message(topic), deadline=DEADLINE)
    assert caught.value.reason == 135  # MQTT 5 section 3.4.2.1: not authorized
    await device.connection.publish(message(f"story/{A}/up/report"), deadline=DEADLINE)
    assert (await cloud.next()).topic == f"story/{A}/up/report"
    assert cloud.got.empty()


async def test_a_device_reads_below_its_own_down_alone(join: Join) -> None:
    """mosquitto grants every subscription; what counts is what it delivers."""
    cloud, device, other = await join("cloud"), await join(A), await join(B)
    filters = [("#", 1), ("story/#", 1), (f"story/{B}/down/#", 1), ("story/+/down/request", 1)]
    await device.connection.subscribe(filters, deadline=DEADLINE)
    await other.connection.publish(message(f"story/{B}/up/report"), deadline=DEADLINE)
    for topic in (f"story/{B}/down/request", "story-cloud/members/x", f"story/{A}/down/request"):
        await cloud.connection.publish(message(topic), deadline=DEADLINE)
    assert (await device.next()).topic == f"story/{A}/down/request"


@pytest.mark.parametrize(("user", "password"), [(A, "token-b"), ("nobody", "token-a"), ("", "")])
async def test_a_stranger_gets_no_connection(
    made: Mosquitto, authority: Authority, user: str, password: str
) -> None:
    from transport.mqtt import BrokerRefusedError

    with pytest.raises(BrokerRefusedError, match="Not authorized"):
        await connect(made, authority.client_context(), user, password, lambda _: None)


async def test_a_device_cannot_end_another_ones_connection(join: Join) -> None:
    """By its client identifier, which the broker replaces by the user's name."""
    victim, attacker = await join(A), await join(B, client_id=A)
    await victim.connection.publish(message(f"story/{A}/up/report"), deadline=DEADLINE)
    await attacker.connection.publish(message(f"story/{B}/up/report"), deadline=DEADLINE)
    assert not victim.connection.ended.done()


async def test_one_identity_twice_ends_the_first_connection(join: Join) -> None:
    """mosquitto 2.0.11 hangs up without the reason that MQTT 5 has for it (142)."""
    first = await join(A)
    second = await join(A)
    async with asyncio.timeout(DEADLINE):
        await first.connection.ended
    assert not second.connection.ended.done()


async def test_what_was_not_acknowledged_comes_again(join: Join) -> None:
    options = {"clean_start": False, "session_expiry": 60}
    cloud, device = await join("cloud"), await join(A, acknowledge=False, **options)
    await device.connection.subscribe([(f"story/{A}/down/request", 1)], deadline=DEADLINE)
    await cloud.connection.publish(message(f"story/{A}/down/request", b"1"), deadline=DEADLINE)
    assert (await device.next()).payload == b"1"
    device.connection.abort("the power is cut")
    again = await join(A, acknowledge=False, **options)
    assert again.connection.session_present
    assert (await again.next()).payload == b"1"


async def test_the_broker_sends_no_more_than_the_receive_maximum(join: Join) -> None:
    cloud = await join("cloud")
    device = await join(A, acknowledge=False, receive_maximum=3)
    await device.connection.subscribe([(f"story/{A}/down/request", 1)], deadline=DEADLINE)
    for number in range(6):
        sent = message(f"story/{A}/down/request", str(number).encode())
        await cloud.connection.publish(sent, deadline=DEADLINE)
    first = [await device.next() for _ in range(3)]
    assert device.got.empty()
    for got in first:
        device.connection.acknowledge(got)
    assert [(await device.next()).payload for _ in range(3)] == [b"3", b"4", b"5"]


async def test_the_will_is_told_when_the_connection_breaks(join: Join) -> None:
    from transport.mqtt import Will

    cloud = await join("cloud")
    await cloud.connection.subscribe([("story/+/up/state", 1)], deadline=DEADLINE)
    for with_farewell in (False, True):
        device = await join(A, will=Will(f"story/{A}/up/state", b"gone"))
        if with_farewell:
            await device.connection.close(with_will=True)
        else:
            device.connection.abort("the power is cut")
        assert (await cloud.next()).payload == b"gone"


async def test_a_message_that_is_too_large_is_refused_here(join: Join) -> None:
    from transport.mqtt import BrokerRefusedError

    device = await join(A)
    sent = message(f"story/{A}/up/report", b"x" * PACKET_LIMIT)
    with pytest.raises(BrokerRefusedError) as caught:
        await device.connection.publish(sent, deadline=DEADLINE)
    assert caught.value.reason == 149  # MQTT 5 section 3.4.2.1: packet too large
    assert not device.connection.ended.done()


async def test_the_brokers_death_ends_everything_that_waits(made: Mosquitto, join: Join) -> None:
    import signal

    device = await join(A)
    # A frozen broker acknowledges nothing.
    assert made._process
    made._process.send_signal(signal.SIGSTOP)
    waiting = asyncio.create_task(
        device.connection.publish(message(f"story/{A}/up/report"), deadline=DEADLINE)
    )
    await asyncio.sleep(0)
    await made.stop(signal.SIGKILL)
    with pytest.raises(StreamClosedError):
        await waiting
    with pytest.raises(StreamClosedError):
        await device.connection.publish(message(f"story/{A}/up/report"), deadline=DEADLINE)


async def test_publishes_beyond_the_limit_are_refused(made: Mosquitto, join: Join) -> None:
    import signal

    from transport.mqtt import MAX_WAITING, BrokerFullError

    device = await join(A)
    assert made._process
    made._process.send_signal(signal.SIGSTOP)

    async def publish() -> int:
        return int(
            await device.connection.publish(message(f"story/{A}/up/report"), deadline=DEADLINE)
        )

    tasks = [asyncio.create_task(publish()) for _ in range(MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(BrokerFullError):
        await publish()
    made._process.send_signal(signal.SIGCONT)
    assert set(await asyncio.gather(*tasks)) == {16}


async def test_what_is_not_mqtt_ends_the_connection_with_a_reason(authority: Authority) -> None:
    require_broker()
    from transport.mqtt import MqttConnection, MqttOptions
    from transport.tls_socket import open_tls

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 503 Service Unavailable\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=authority.server_context())
    port = server.sockets[0].getsockname()[1]
    sock = await open_tls("127.0.0.1", port, authority.client_context())
    with pytest.raises(StreamClosedError):
        await MqttConnection.open(sock, MqttOptions("x"), lambda _: None)
    server.close()


async def test_a_frozen_broker_is_given_up_and_a_quiet_one_is_kept(
    made: Mosquitto, join: Join, monkeypatch: pytest.MonkeyPatch
) -> None:
    import signal

    monkeypatch.setattr(transport.mqtt, "PATIENCE_SECONDS", 30.0)
    monkeypatch.setattr(transport.mqtt, "MISC_SECONDS", 0.02)
    connection = (await join(A, keepalive=1)).connection
    before = connection._heard
    async with asyncio.timeout(DEADLINE):
        while connection._heard == before:  # until the answer to a ping
            await asyncio.sleep(0.02)
        assert not connection.ended.done()
        assert made._process
        made._process.send_signal(signal.SIGSTOP)
        assert connection._silence == 31.0
        connection._silence = (
            1.2  # a broker that lives may take its time; this one would take forever
        )
        connection._look()  # the next one was to come when it was 31 s
        try:
            assert await connection.ended == "the broker is silent for 1.2 s"
        finally:
            made._process.send_signal(signal.SIGCONT)


async def test_a_quiet_connection_is_looked_at_when_something_is_due_and_not_each_second(
    join: Join,
) -> None:
    connection = (await join(A)).connection
    client, loop = connection._client, asyncio.get_running_loop()
    client._keepalive, connection._silence = 200, 207.0  # the broker grants a few seconds

    def due(*, out: float = 0, come: float = 0, ping: float = 0, heard: float = 0) -> float:
        """Return the seconds until the next look when each was so many seconds ago; a ping 0: none is out."""
        now = time.monotonic()
        client._last_msg_out, client._last_bytes_received = now - out, now - come
        client._ping_t = now - ping if ping else 0.0
        connection._heard = loop.time() - heard
        connection._look()
        return float(connection._misc.when() - loop.time())

    # Within DEADLINE, which a machine that stands still in these lines may lose.
    assert 200 - DEADLINE < due() <= 200
    assert 100 - DEADLINE < due(out=100) <= 100
    assert 100 - DEADLINE < due(come=100) <= 100
    assert 90 - DEADLINE < due(ping=110) <= 90
    assert 107 - DEADLINE < due(heard=100) <= 107
    client._ping_t, client._keepalive, connection._silence = 0.0, 0, math.inf
    assert connection._until_due() == math.inf
    assert not connection.ended.done()


async def test_no_more_is_on_its_way_than_the_broker_takes(
    authority: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cluster's limit may be 10; paho would send 20, and be thrown out with reason 147."""
    monkeypatch.setattr(
        "staging.broker.process.render_config",
        lambda *given: render_config(*given).replace("messages 0", "messages 3"),
    )
    async with broker(tmp_path, authority, USERS) as made:
        context, got = authority.client_context(), list[Any]()
        device = await connect(made, context, A, USERS[A], got.append)
        assert device._client._max_inflight_messages == 3
        topic = message(f"story/{A}/up/report")
        sending = [device.publish(topic, deadline=DEADLINE) for _ in range(40)]
        assert set(await asyncio.gather(*sending)) == {16}
        await device.close()
