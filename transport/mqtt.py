"""One MQTT 5 connection in asyncio, on top of paho-mqtt; both the device and the cloud use it.

paho reads and writes the socket when the event loop says that it is ready; no thread is started.
Received messages are acknowledged by the caller, after its work is done. A publish tells the
broker's reason, because a publish that the broker denied must not count as delivered.

paho-mqtt is an extra of the device: this module is imported by those who use MQTT alone.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import math
import ssl
import time
from collections.abc import Callable, Sequence
from dataclasses import field
from typing import Any

from paho.mqtt.client import Client, MQTTMessage
from paho.mqtt.enums import CallbackAPIVersion, MQTTErrorCode, MQTTProtocolVersion
from paho.mqtt.exception import MalformedPacket
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties
from paho.mqtt.reasoncodes import ReasonCode
from paho.mqtt.subscribeoptions import SubscribeOptions

from transport.errors import RequestTimeoutError, StreamClosedError, TransportError
from transport.mqtt_bounds import has_place, has_too_many
from transport.mqtt_publish import Published, read_publish, write_properties
from wire.records import dataclass

# MQTT 5 section 3.4.2.1.
REASON_TOO_LARGE = 149
# Publishes that wait for the broker; more are refused, so that memory is bounded.
MAX_WAITING = 256
# Publishes of QoS 1 on their way at once; the others wait. As paho's default.
MAX_INFLIGHT = 20
# Bytes of a topic in the log.
TOPIC_SHOWN = 60
SUCCESS = MQTTErrorCode.MQTT_ERR_SUCCESS
# Packets read before other tasks of the event loop get their turn.
MAX_PACKETS = 32
# Bytes beside the payload in a PUBLISH; topic and properties of ours are below.
OVERHEAD = 8 * 1024
# Seconds between two looks at the keepalive, at least: else they come when something may be due.
MISC_SECONDS = 1.0
# Seconds beyond the keepalive without a byte of the broker after which it is given up: a ping goes out
# when nothing came for the keepalive, and paho would wait for its answer as long again.
PATIENCE_SECONDS = 7.0
# Seconds for the DISCONNECT to go out.
CLOSE_TIMEOUT = 2.0

_log = logging.getLogger(__name__)


class BrokerRefusedError(TransportError):
    """The broker answered with a reason of 128 or more, which is in ``reason``."""

    def __init__(self, what: str, reason: int, words: str) -> None:
        """Build the message from what was refused and the broker's reason, number and words."""
        super().__init__(f"{what}: the broker says {words} ({reason})")
        self.reason = reason


class BrokerFullError(TransportError):
    """Too many messages wait for the broker."""


@dataclass(frozen=True, slots=True)
class Will:
    """What the broker publishes when the connection ends without a farewell; QoS 1, retained."""

    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class MqttOptions:
    """How to connect; times in seconds."""

    client_id: str
    username: str = ""
    password: str = field(default="", repr=False)
    keepalive: int = 20
    clean_start: bool = True
    session_expiry: int = 0
    receive_maximum: int = 64
    """Messages of QoS 1 that the broker may send before the first is acknowledged."""
    will: Will | None = None


@dataclass(frozen=True, slots=True)
class MqttMessage:
    """A received message."""

    topic: str
    payload: bytes
    qos: int
    mid: int
    retain: bool
    response_topic: str
    correlation: bytes
    properties: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message to publish."""

    topic: str
    payload: bytes
    qos: int = 1
    retain: bool = False
    """Whether the broker keeps it for later subscribers."""
    expiry: int | None = None
    """Seconds after which the broker drops it."""
    response_topic: str = ""
    correlation: bytes = b""
    properties: Sequence[tuple[str, str]] = ()


class _Client(Client):
    """paho's client on a socket that is connected already, so that nothing blocks."""

    prepared: ssl.SSLSocket
    deliver: Callable[[MqttMessage], None]

    def _create_socket(self) -> Any:
        return self.prepared

    def _handle_publish(self) -> MQTTErrorCode:
        """Give a message on; one is dropped that cannot be read, or has so many properties that this would stop the event loop."""
        packet, first = self._in_packet["packet"], self._in_packet["command"]
        qos = first >> 1 & 3
        if has_too_many(packet, qos):
            return self._drop(packet, qos, "too many properties")
        found = read_publish(packet, qos) if qos < 2 else None
        if found is not None:
            # As paho has it: what is sent meanwhile goes out afterwards.
            with self._in_callback_mutex:
                self.deliver(_message(found, qos, retain=bool(first & 1)))
            return SUCCESS
        try:
            return super()._handle_publish()
        except MalformedPacket as error:
            if not has_place(packet, qos):
                raise
            # The broker took it of another client: that one must not end our connection by it, nor the
            # next one, should the broker hand the message over again.
            return self._drop(packet, qos, str(error))

    def _drop(self, packet: bytes | bytearray, qos: int, reason: str) -> MQTTErrorCode:
        end = 2 + int.from_bytes(packet[:2])
        name = bytes(packet[2:end][:TOPIC_SHOWN])
        _log.warning("a message on %r is dropped: %s", name, reason)
        return self.ack(int.from_bytes(packet[end : end + 2]), qos) if qos else SUCCESS


def _message(found: Published, qos: int, *, retain: bool) -> MqttMessage:
    topic, payload, mid, response_topic, correlation, words = found
    return MqttMessage(topic, payload, qos, mid, retain, response_topic, correlation, words)


class MqttConnection:
    """One connection; it ends once and for all, and `ended` then has the reason."""

    def __init__(self, options: MqttOptions, deliver: Callable[[MqttMessage], None]) -> None:
        """Use `open`."""
        loop = asyncio.get_running_loop()
        self._loop = loop
        self._deliver = deliver
        self._waiting: dict[int, asyncio.Future[ReasonCode]] = {}
        self._subscribing: dict[int, asyncio.Future[list[ReasonCode]]] = {}
        self._connected: asyncio.Future[ReasonCode] = loop.create_future()
        self._misc: asyncio.TimerHandle | None = None
        self._heard = loop.time()
        self._silence = math.inf
        self._sock: ssl.SSLSocket | None = None
        self._has_reader = self._has_writer = False
        self._packet_limit = 0
        self.session_present = False
        self.end_code = 0
        """The broker's reason for the end, 0 if it gave none."""
        self.ended: asyncio.Future[str] = loop.create_future()
        self._client = self._make_client(options)

    @classmethod
    async def open(
        cls, sock: ssl.SSLSocket, options: MqttOptions, deliver: Callable[[MqttMessage], None]
    ) -> MqttConnection:
        """Connect on ``sock``, which is closed on every failure; the caller sets the deadline.

        ``deliver`` is called in the event loop with each message, and must not block or raise.

        Raises:
            BrokerRefusedError: the broker refused the connection.
            StreamClosedError: the connection ended before its answer.
        """
        made = cls(options, deliver)
        try:
            await made._start(sock, options)
        except BaseException:
            made.abort("not connected")
            sock.close()
            raise
        return made

    def _make_client(self, options: MqttOptions) -> _Client:
        client = _Client(
            CallbackAPIVersion.VERSION2,
            options.client_id,
            protocol=MQTTProtocolVersion.MQTTv5,
            manual_ack=True,
            reconnect_on_failure=False,
        )
        if options.username:
            client.username_pw_set(options.username, options.password or None)
        if options.will is not None:
            client.will_set(options.will.topic, options.will.payload, qos=1, retain=True)
        client.max_queued_messages_set(MAX_WAITING)
        client.on_connect = self._on_connect
        client.on_disconnect = self._on_disconnect
        client.on_message, client.deliver = self._on_message, self._take
        client.on_publish = self._on_publish
        client.on_subscribe = self._on_subscribe
        client.on_socket_register_write = self._want_write
        client.on_socket_unregister_write = lambda *_: self._drop_writer()
        # paho closes the socket itself; the event loop must have let go of it before.
        client.on_socket_close = lambda *_: self._let_go()
        return client

    async def _start(self, sock: ssl.SSLSocket, options: MqttOptions) -> None:
        properties = Properties(PacketTypes.CONNECT)
        properties.SessionExpiryInterval = options.session_expiry
        properties.ReceiveMaximum = options.receive_maximum
        self._client.prepared = self._sock = sock
        self._loop.add_reader(sock, self._read)
        self._has_reader = True
        # paho wants a host and a port, and uses neither.
        self._client.connect_async(
            "prepared", 1, options.keepalive, clean_start=options.clean_start, properties=properties
        )
        self._client.reconnect()
        self._look()
        reason = await self._connected
        if reason.is_failure:
            raise BrokerRefusedError("connection", reason.value, str(reason))

    # What callers do.

    async def publish(self, message: Outgoing, *, deadline: float) -> int:
        """Publish; returns the broker's reason (0, or 16: nobody subscribed), with QoS 0 at once.

        Raises:
            BrokerRefusedError: the broker did not take it; nobody gets it.
            BrokerFullError: too many publishes wait.
            RequestTimeoutError: no acknowledgement within ``deadline`` seconds; it may have arrived.
            StreamClosedError: the connection ended; it may have arrived.
        """
        self._check_room(message.payload)
        made: Any = _Properties(message)
        info = self._client.publish(
            message.topic, message.payload, message.qos, message.retain, made
        )
        if info.rc != MQTTErrorCode.MQTT_ERR_SUCCESS:
            raise StreamClosedError(f"not published: {info.rc.name}")
        reason = await self._wait(self._waiting, info.mid, deadline)
        if reason.is_failure:
            raise BrokerRefusedError("publish", reason.value, str(reason))
        return int(reason.value)

    def _check_room(self, payload: bytes) -> None:
        if self.ended.done():
            raise StreamClosedError(self.ended.result())
        if len(self._waiting) >= MAX_WAITING:
            raise BrokerFullError(f"{len(self._waiting)} messages wait for the broker already")
        if self._packet_limit and len(payload) + OVERHEAD > self._packet_limit:
            raise BrokerRefusedError("publish", REASON_TOO_LARGE, "Packet too large")

    async def subscribe(self, filters: Sequence[tuple[str, int]], *, deadline: float) -> None:
        """Subscribe to filters, each with its QoS; raises as `publish` does."""
        if self.ended.done():
            raise StreamClosedError(self.ended.result())
        wanted = [(text, SubscribeOptions(qos=qos)) for text, qos in filters]
        _, mid = self._client.subscribe(wanted)
        if mid is None:
            raise StreamClosedError("not subscribed: the connection is closed")
        for (text, _), reason in zip(
            filters, await self._wait(self._subscribing, mid, deadline), strict=True
        ):
            if reason.is_failure:
                raise BrokerRefusedError(f"subscription to {text}", reason.value, str(reason))

    def unsubscribe(self, filters: Sequence[str]) -> None:
        """Ask for no more messages of these filters; messages on their way still arrive."""
        if filters and not self.ended.done():
            self._client.unsubscribe(list(filters))

    def acknowledge(self, message: MqttMessage) -> None:
        """Acknowledge a message of QoS 1: the broker then forgets it."""
        if message.qos and not self.ended.done():
            self._client.ack(message.mid, message.qos)

    async def close(self, *, with_will: bool = False) -> None:
        """Say farewell and end; ``with_will`` has the broker publish the will."""
        if not self.ended.done():
            reason = ReasonCode(PacketTypes.DISCONNECT, identifier=4 if with_will else 0)
            self._client.disconnect(reason)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(CLOSE_TIMEOUT):
                    await asyncio.shield(self.ended)
        self.abort("closed by us")

    def abort(self, reason: str) -> None:
        """End at once."""
        self._end(reason)
        if self._sock is not None:
            self._sock.close()

    async def _wait(
        self, waiting: dict[int, asyncio.Future[Any]], mid: int, deadline: float
    ) -> Any:
        answer = waiting[mid] = self._loop.create_future()
        try:
            async with asyncio.timeout(deadline):
                return await answer
        except TimeoutError as error:
            raise RequestTimeoutError(f"no word of the broker within {deadline:g} s") from error
        finally:
            waiting.pop(mid, None)

    # What the event loop and paho call.

    def _read(self) -> None:
        if self._sock is None or self.ended.done():
            return
        try:
            for _ in range(MAX_PACKETS):
                if self._client.loop_read() or self.ended.done():
                    return
                self._heard = self._loop.time()
                # TLS may have read ahead, of which the event loop knows nothing.
                if not self._sock.pending():
                    return
        except Exception as error:  # noqa: BLE001  # paho raises anything on malformed packets
            self.abort(f"the broker sent what is not MQTT: {type(error).__name__}")
            return
        self._loop.call_soon(self._read)

    def _want_write(self, _client: Any, _data: Any, _sock: Any) -> None:
        # Most messages can be written at once; the socket is watched only when it is full.
        self._loop.call_soon(self._write)

    def _write(self) -> None:
        if self._sock is None or self.ended.done():
            return
        self._client.loop_write()
        if not self.ended.done() and self._client.want_write() and not self._has_writer:
            self._has_writer = True
            self._loop.add_writer(self._sock, self._write)

    def _drop_writer(self) -> None:
        if self._has_writer and self._sock is not None:
            self._has_writer = False
            self._loop.remove_writer(self._sock)

    def _let_go(self) -> None:
        self._drop_writer()
        if self._has_reader and self._sock is not None:
            self._has_reader = False
            self._loop.remove_reader(self._sock)

    def _look(self) -> None:
        if self._misc is not None:
            self._misc.cancel()
        if self._until_paho_acts() <= 0:
            self._client.loop_misc()
        # What has come meanwhile was read before: the event loop looks at sockets before timers.
        if self._loop.time() - self._heard > self._silence:
            self.abort(f"the broker is silent for {self._silence:g} s")
        due = self._until_due()
        if not self.ended.done() and due < math.inf:
            self._misc = self._loop.call_later(max(MISC_SECONDS, due), self._look)

    def _until_due(self) -> float:
        """Return the seconds until paho may have a ping to send or to miss, or the broker is silent for too long.

        What comes and goes meanwhile makes it later: nobody is woken each second to see that.
        """
        silent_at = self._heard + self._silence - self._loop.time()
        return min(self._until_paho_acts(), silent_at)

    def _until_paho_acts(self) -> float:
        """Return the seconds until paho sends a ping, or misses the answer to one."""
        client = self._client
        if not client.keepalive:
            return math.inf
        # It counts by this clock from the older of the two, and from a ping that is not answered.
        out, come, ping = client._last_msg_out, client._last_bytes_received, client._ping_t  # noqa: SLF001
        since: float = min(out, come, ping or math.inf)
        return since + float(client.keepalive) - time.monotonic()

    def _on_connect(self, _client: Any, _data: Any, flags: Any, reason: Any, got: Any) -> None:
        self.session_present = flags.session_present
        self._packet_limit = getattr(got, "MaximumPacketSize", 0)
        # A broker ends the connection of who has more on its way than it says (MQTT 5, 3.3.4). paho
        # does not look at it, and refuses to be told while a connection is there.
        limit = min(MAX_INFLIGHT, getattr(got, "ReceiveMaximum", MAX_INFLIGHT))
        self._client._max_inflight_messages = limit  # noqa: SLF001
        keepalive = self._client.keepalive  # the broker's word, if it has given one
        self._silence = keepalive + PATIENCE_SECONDS if keepalive else math.inf
        self._loop.call_soon(self._look)  # it may be sooner than was thought
        if not self._connected.done():
            self._connected.set_result(reason)

    def _on_disconnect(self, _client: Any, _data: Any, flags: Any, reason: Any, _got: Any) -> None:
        if flags.is_disconnect_packet_from_server:
            self._end(f"the broker ends the connection: {reason}", reason.value)
        else:
            self._end("the connection to the broker is lost")

    def _on_publish(self, _client: Any, _data: Any, mid: int, reason: Any, _got: Any) -> None:
        if (waiting := self._waiting.get(mid)) is not None and not waiting.done():
            waiting.set_result(reason)

    def _on_subscribe(self, _client: Any, _data: Any, mid: int, reasons: Any, _got: Any) -> None:
        if (waiting := self._subscribing.get(mid)) is not None and not waiting.done():
            waiting.set_result(reasons)

    def _take(self, message: MqttMessage) -> None:
        self._deliver(message)

    def _on_message(self, _client: Any, _data: Any, message: MQTTMessage) -> None:
        """Take one that `read_publish` leaves to paho."""
        properties: Any = message.properties
        try:
            topic = message.topic
        except UnicodeDecodeError:
            _log.warning("a message's topic is not UTF-8; it is dropped")
            self._client.ack(message.mid, message.qos)
            return
        self._deliver(
            MqttMessage(
                topic,
                bytes(message.payload),
                message.qos,
                message.mid,
                message.retain,
                getattr(properties, "ResponseTopic", ""),
                bytes(getattr(properties, "CorrelationData", b"")),
                tuple(getattr(properties, "UserProperty", ())),
            )
        )

    def _end(self, reason: str, code: int = 0) -> None:
        """Note the end; everything that waits fails with the reason."""
        if self.ended.done():
            return
        self.ended.set_result(reason)
        self.end_code = code
        if self._misc is not None:
            self._misc.cancel()
        self._let_go()
        every: list[asyncio.Future[Any]] = [
            self._connected, *self._waiting.values(), *self._subscribing.values()
        ]  # fmt: skip
        for waiting in every:
            if not waiting.done():
                waiting.set_exception(StreamClosedError(reason))
                waiting.exception()  # nobody may wait for it any more


class _Properties:
    """The properties of a PUBLISH, as far as paho asks for them."""

    __slots__ = ("_packed",)

    def __init__(self, message: Outgoing) -> None:
        """Encode those of ``message``."""
        self._packed = write_properties(
            message.expiry, message.response_topic, message.correlation, message.properties
        )

    def pack(self) -> bytes:
        """As paho's."""
        return self._packed
