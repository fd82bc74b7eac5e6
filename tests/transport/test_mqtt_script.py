"""What a broker may say that no real one does, and what a connection makes of it; the broker is a script behind TLS."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

import pytest

from staging.advise import mqtt_packets as mqtt
from tests.authority import LOOPBACK, Authority
from tests.extras import module_needs
from transport.errors import RequestTimeoutError, StreamClosedError

module_needs("paho")
from paho.mqtt import MQTTException  # noqa: E402  # after the extra is found
from paho.mqtt.enums import MQTTErrorCode  # noqa: E402

from transport.mqtt import (  # noqa: E402
    BrokerRefusedError,
    MqttConnection,
    MqttMessage,
    MqttOptions,
    Outgoing,
)
from transport.tls_socket import open_tls  # noqa: E402

# MQTT 5 section 2.4.
NOT_AUTHORIZED, TAKEN_OVER = 0x87, 0x8E
# Only turns a hang into a failure.
DEADLINE = 60.0


class Script:
    """A broker of one client: what it answers to each kind of packet, and what it says of itself."""

    def __init__(self) -> None:
        self.packets: asyncio.Queue[mqtt.Packet] = asyncio.Queue()
        self.answers: dict[int, Callable[[mqtt.Packet], bytes]] = {
            mqtt.CONNECT: lambda _packet: mqtt.connack(),
            mqtt.PUBLISH: lambda packet: mqtt.puback(mqtt.read_publish(packet).mid),
        }
        self.writer: asyncio.StreamWriter

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.writer = writer
        decoder = mqtt.PacketDecoder()
        while data := await reader.read(65536):
            for packet in decoder.feed(data):
                self.packets.put_nowait(packet)
                if packet.kind in self.answers:
                    writer.write(self.answers[packet.kind](packet))

    def say(self, *packets: bytes) -> None:
        """Send packets at once."""
        self.writer.write(b"".join(packets))

    async def next(self, kind: int) -> mqtt.Packet:
        """Return the next packet of a kind that came."""
        async with asyncio.timeout(DEADLINE):
            while (packet := await self.packets.get()).kind != kind:
                pass
        return packet


@pytest.fixture
async def script() -> Script:
    return Script()


Dial = Callable[[], Awaitable[Any]]


@pytest.fixture
async def dial(script: Script, authority: Authority) -> AsyncIterator[Dial]:
    server = await asyncio.start_server(
        script.serve, LOOPBACK, 0, ssl=authority.server_context()
    )  # fmt: skip
    port = server.sockets[0].getsockname()[1]
    yield lambda: open_tls(LOOPBACK, port, authority.client_context())
    server.close()


class Client:
    """A connection to the script, and what came."""

    def __init__(self) -> None:
        self.got: list[MqttMessage] = []
        self.more = asyncio.Event()
        self.connection: Any = None

    def deliver(self, message: MqttMessage) -> None:
        self.got.append(message)
        self.more.set()
        self.connection.acknowledge(message)

    async def wait_for(self, count: int) -> None:
        async with asyncio.timeout(DEADLINE):
            while len(self.got) < count:
                self.more.clear()
                await self.more.wait()


@pytest.fixture
async def client(dial: Dial) -> AsyncIterator[Client]:
    made = Client()
    made.connection = await MqttConnection.open(await dial(), MqttOptions("x"), made.deliver)
    yield made
    made.connection.abort("the test is over")


def report(payload: bytes = b"{}", **options: Any) -> Outgoing:
    return Outgoing("story/a/up/report", payload, **options)


def said(payload: bytes, qos: int = 0, mid: int = 0, users: int = 0) -> bytes:
    pairs = (("a", "b"),) * users
    return mqtt.write_publish(mqtt.Publish("story/a/down/request", payload, qos, mid, users=pairs))


async def ended(client: Client) -> str:
    async with asyncio.timeout(DEADLINE):
        return str(await client.connection.ended)


async def test_a_subscription_that_is_refused_is_named(script: Script, client: Client) -> None:
    script.answers[mqtt.SUBSCRIBE] = lambda packet: mqtt.packet(
        mqtt.SUBACK, packet.body[:2] + b"\0\1\x87"
    )
    filters = [("story/a/down/#", 1), ("story/b/down/#", 1)]
    with pytest.raises(BrokerRefusedError, match="subscription to story/b/down/#") as caught:
        await client.connection.subscribe(filters, deadline=DEADLINE)
    assert caught.value.reason == NOT_AUTHORIZED


async def test_a_farewell_of_the_broker_tells_why_and_nothing_is_done_after_it(
    script: Script, client: Client
) -> None:
    script.say(said(b"1", 1, 7))
    await client.wait_for(1)
    script.say(mqtt.packet(mqtt.DISCONNECT, bytes((TAKEN_OVER, 0))))
    assert await ended(client) == "the broker ends the connection: Session taken over"
    assert client.connection.end_code == TAKEN_OVER
    with pytest.raises(StreamClosedError, match="Session taken over"):
        await client.connection.subscribe([("a", 1)], deadline=DEADLINE)
    with pytest.raises(StreamClosedError, match="Session taken over"):
        await client.connection.publish(report(), deadline=DEADLINE)
    client.connection.acknowledge(client.got[0])
    client.connection.unsubscribe(["a"])
    await client.connection.close()


async def test_an_answer_that_comes_too_late_is_passed_over(script: Script, client: Client) -> None:
    del script.answers[mqtt.PUBLISH]
    with pytest.raises(RequestTimeoutError, match=r"no word of the broker within 0\.01 s"):
        await client.connection.publish(report(), deadline=0.01)
    with pytest.raises(RequestTimeoutError):
        await client.connection.subscribe([("a", 1)], deadline=0.01)
    first = mqtt.read_publish(await script.next(mqtt.PUBLISH)).mid
    second, _ = mqtt.read_subscribe(await script.next(mqtt.SUBSCRIBE))
    script.say(mqtt.puback(first), mqtt.suback(second, 1), said(b"behind them"))
    await client.wait_for(1)
    assert not client.connection.ended.done()


async def test_filters_are_given_back(script: Script, client: Client) -> None:
    client.connection.unsubscribe([])
    client.connection.unsubscribe(["story/a/down/#"])
    packet = await script.next(mqtt.UNSUBSCRIBE)
    assert packet.body[2:] == b"\0" + mqtt.field(b"story/a/down/#")


async def test_a_message_expires_when_its_sender_says_so(script: Script, client: Client) -> None:
    assert await client.connection.publish(report(expiry=5), deadline=DEADLINE) == 0
    body = (await script.next(mqtt.PUBLISH)).body
    _, topic_end = mqtt.read_field(body, 0)
    properties, _ = mqtt.read_properties(body, topic_end + 2)
    assert properties == [(mqtt.EXPIRY, b"\0\0\0\5")]


async def test_a_topic_that_is_no_text_is_dropped_and_acknowledged(
    script: Script, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    body = mqtt.field(b"story/\xff") + b"\0\7" + b"\0" + b"payload"
    script.say(mqtt.packet(mqtt.PUBLISH, body, 1 << 1), said(b"the next one"))
    await client.wait_for(1)
    assert [message.payload for message in client.got] == [b"the next one"]
    assert (await script.next(mqtt.PUBACK)).body[:2] == b"\0\7"
    assert "a message's topic is not UTF-8" in caplog.text


async def test_a_message_of_too_many_properties_is_dropped_and_acknowledged_where_it_asks_for_that(
    script: Script, client: Client, caplog: pytest.LogCaptureFixture
) -> None:
    script.say(said(b"1", 0, users=100), said(b"2", 1, 9, users=100), said(b"3"))
    await client.wait_for(1)
    assert [message.payload for message in client.got] == [b"3"]
    assert (await script.next(mqtt.PUBACK)).body[:2] == b"\0\x09"
    assert caplog.text.count("b'story/a/down/request' is dropped: too many properties") == 2


@pytest.mark.parametrize(
    "properties",
    [
        b"\x08\x26\0\x01a\0\x02\xff\xfe",  # bytes that are no text
        b"\x09\x26\0\x01a\0\x03\xef\xbb\xbf",  # U+FEFF, which MQTT allows and paho does not
        b"\x01\x7e",  # a property that there is not
        b"\x04\x26\0\x01a",  # one that goes on behind them all
        b"\x0a\x02\0\0\0\x01\x02\0\0\0\x01",  # one twice
    ],
)
@pytest.mark.parametrize("qos", [0, 1])
async def test_a_message_that_cannot_be_read_does_not_end_the_connection_which_others_use(
    script: Script, client: Client, caplog: pytest.LogCaptureFixture, properties: bytes, qos: int
) -> None:
    """Another client of the broker has sent it; a broker would hand it over again after each connection."""
    mid = b"\0\x09" if qos else b""
    body = mqtt.field(b"story/a/up/report") + mid + properties + b"{}"
    script.say(mqtt.packet(mqtt.PUBLISH, body, qos << 1), said(b"the next one", 1, 10))
    await client.wait_for(1)
    assert [message.payload for message in client.got] == [b"the next one"]
    acknowledged = [(await script.next(mqtt.PUBACK)).body[:2] for _ in range(qos + 1)]
    assert acknowledged == [b"\0\x09", b"\0\x0a"][1 - qos :]
    assert "a message on b'story/a/up/report' is dropped" in caplog.text


async def test_a_packet_that_is_cut_inside_ends_the_connection(
    script: Script, client: Client
) -> None:
    script.say(mqtt.packet(mqtt.PUBLISH, mqtt.field(b"a")), said(b"behind it"))
    assert await ended(client) == "the connection to the broker is lost"
    assert client.got == []


async def test_an_error_of_the_library_s_own_ends_the_connection_with_its_name(
    script: Script, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise IndexError("what some version raises for some bytes")

    monkeypatch.setattr(client.connection._client, "loop_read", fail)
    script.say(said(b"1"))
    assert await ended(client) == "the broker sent what is not MQTT: IndexError"


async def test_packets_that_come_together_are_all_read(script: Script, client: Client) -> None:
    """TLS has them in its own buffer then, of which the event loop knows nothing."""
    payloads = [str(number).encode() for number in range(100)]
    script.say(*(said(payload) for payload in payloads))
    await client.wait_for(100)
    assert [message.payload for message in client.got] == payloads


async def test_after_the_end_nothing_more_of_them_is_read(
    script: Script, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("transport.mqtt.MAX_PACKETS", 5)
    loop, deliver = asyncio.get_running_loop(), client.connection._deliver

    def last(message: MqttMessage) -> None:
        deliver(message)
        if len(client.got) == 5:  # before the next five have their turn
            loop.call_soon(client.connection.abort, "enough")

    client.connection._deliver = last
    script.say(*(said(b"x") for _ in range(50)))
    assert await ended(client) == "enough"
    await asyncio.sleep(0)
    assert len(client.got) == 5


async def test_what_waits_to_be_written_goes_with_the_connection(
    script: Script, client: Client
) -> None:
    sending = asyncio.create_task(client.connection.publish(report(), deadline=DEADLINE))
    await asyncio.sleep(0)
    client.connection.abort("the power is cut")
    with pytest.raises(StreamClosedError, match="the power is cut"):
        await sending
    assert script.packets.qsize() <= 1  # the CONNECT


async def test_a_broker_that_reads_slowly_gets_everything(script: Script, client: Client) -> None:
    client.connection._sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
    transport: Any = script.writer.transport
    transport.pause_reading()
    payloads = [bytes([number]) * 100_000 for number in range(12)]
    sending = [
        asyncio.create_task(client.connection.publish(report(payload), deadline=DEADLINE))
        for payload in payloads
    ]
    async with asyncio.timeout(DEADLINE):
        while not client.connection._has_writer:
            await asyncio.sleep(0.001)
    transport.resume_reading()
    assert await asyncio.gather(*sending) == [0] * 12
    got = [mqtt.read_publish(await script.next(mqtt.PUBLISH)).payload for _ in payloads]
    assert got == payloads
    assert not client.connection._has_writer


async def test_a_second_welcome_changes_nothing(script: Script, client: Client) -> None:
    script.say(mqtt.connack(), said(b"behind it"))
    await client.wait_for(1)
    assert await client.connection.publish(report(), deadline=DEADLINE) == 0


async def test_options_that_mqtt_has_not_close_the_socket(dial: Dial) -> None:
    sock = await dial()
    with pytest.raises(MQTTException):
        await MqttConnection.open(sock, MqttOptions("x", receive_maximum=0), lambda _: None)
    assert sock.fileno() == -1


async def test_what_the_library_does_not_take_is_told(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its own connection has ended, and it has not said so yet."""
    gone = MQTTErrorCode.MQTT_ERR_NO_CONN
    library = client.connection._client
    monkeypatch.setattr(library, "publish", lambda *_: SimpleNamespace(rc=gone, mid=1))
    monkeypatch.setattr(library, "subscribe", lambda _filters: (gone, None))
    with pytest.raises(StreamClosedError, match="not published: MQTT_ERR_NO_CONN"):
        await client.connection.publish(report(), deadline=DEADLINE)
    with pytest.raises(StreamClosedError, match="not subscribed: the connection is closed"):
        await client.connection.subscribe([("a", 1)], deadline=DEADLINE)
