"""The cloud's end of a connection over MQTT, where the advisor is broker and cloud at once (docs/mqtt.md)."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import secrets

from staging.advise import mqtt_packets as mqtt
from staging.advise.bench import Bench, Line
from staging.advise.peer import ANSWER_SECONDS, Peer
from staging.advise.record import ANSWERED, Arrival, Known, Probe, Trace
from wire.errors import WireError
from wire.exchange import Answer, Request
from wire.reports import REGISTER_PATH, REPORT_PATH
from wire.topics import (
    Kind,
    Topic,
    answer_properties,
    answer_topic,
    parse_answer,
    parse_topic,
    request_properties,
)

WHO = "advisor"
# Reasons of a CONNACK (3.2.2.2).
BAD_PASSWORD = 134
_PATHS = {Kind.REGISTER: REGISTER_PATH, Kind.REPORT: REPORT_PATH, Kind.VOICE: REPORT_PATH}
_KINDS = {
    Kind.REGISTER: "register", Kind.REPORT: "report", Kind.VOICE: "voice", Kind.STATE: "state",
}  # fmt: skip


class MqttPeer(Peer):
    """One connection over MQTT."""

    torn = b"\x32\x40\0\x05story"

    def __init__(self, bench: Bench, line: Line, known: Known, trace: Trace) -> None:
        super().__init__(bench, line, known, trace)
        self._decoder = mqtt.PacketDecoder()
        self._numbers = itertools.count(1)
        # A device answers a name that it has had before as it did then.
        self._prefix = secrets.token_bytes(4)
        self._waiting: dict[bytes, asyncio.Future[mqtt.Publish | None]] = {}

    # From the device.

    def take(self, data: bytes) -> None:
        """Read packets."""
        try:
            for packet in self._decoder.feed(data):
                self.trace.note_frame(
                    self.bench.now(), "<", bytes((packet.kind << 4,)) + packet.body
                )
                self._packet(packet)
        except (mqtt.PacketError, IndexError, UnicodeDecodeError) as error:
            self.trace.faults.append(f"MQTT: {error}")
            self.line.close()

    def _packet(self, packet: mqtt.Packet) -> None:
        match packet.kind:
            case mqtt.CONNECT:
                self._connect(mqtt.read_connect(packet))
            case mqtt.SUBSCRIBE:
                mid, filters = mqtt.read_subscribe(packet)
                self.line.write(mqtt.suback(mid, len(filters)))
            case mqtt.PUBLISH:
                self._published(mqtt.read_publish(packet))
            case mqtt.PINGREQ:
                self.line.write(mqtt.packet(mqtt.PINGRESP))
            case mqtt.DISCONNECT:
                self.line.close()
            case mqtt.PUBACK:
                pass
            case kind:
                self.trace.faults.append(f"MQTT: a packet of kind {kind}")

    def _connect(self, told: mqtt.Connect) -> None:
        self.trace.seen["connect"] = {
            "user": told.user, "keepalive": told.keepalive, "will": told.will_topic,
        }  # fmt: skip
        right = told.user == self.known.uuid and told.password == self.known.token.encode()
        self.line.write(mqtt.connack(0 if right else BAD_PASSWORD))

    def _published(self, message: mqtt.Publish) -> None:
        if message.qos:
            self.line.write(mqtt.puback(message.mid))
        try:
            topic = parse_topic(message.topic)
        except WireError as error:
            self.trace.faults.append(str(error))
            return
        if topic.kind is Kind.ANSWER:
            waiting = self._waiting.get(message.correlation)
            if waiting is not None and not waiting.done():
                waiting.set_result(message)
            return
        arrival = Arrival(
            self.bench.now(), self.number, _KINDS.get(topic.kind, "other"), message.qos > 0,
            "POST", _PATHS.get(topic.kind, ()), (), message.payload,
        )  # fmt: skip
        answer = self.arrive(arrival)
        if answer is None:
            self.held.append(lambda late: self.reply(message, late))
        else:
            self.reply(message, answer)

    # To the device.

    def reply(self, to: mqtt.Publish, answer: Answer) -> None:
        """Answer a message of the device that names where it is answered."""
        if not to.response:
            return
        users = tuple(answer_properties(answer.code))
        self._send(
            mqtt.Publish(to.response, answer.payload, correlation=to.correlation, users=users)
        )

    def _send(self, message: mqtt.Publish) -> None:
        data = mqtt.write_publish(message)
        self.trace.note_frame(self.bench.now(), ">", data)
        self.line.write(data)

    def fail_waiting(self) -> None:
        """End the waits for answers."""
        for waiting in self._waiting.values():
            if not waiting.done():
                waiting.set_result(None)

    async def ask(
        self,
        name: str,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        query: tuple[str, ...] = (),
        *,
        within: float = ANSWER_SECONDS,
        until_ms: int | None = None,
        key: bytes = b"",
    ) -> Probe:
        """Send a request and record its answer."""
        number = next(self._numbers)
        correlation = self._prefix + number.to_bytes(4, "big")
        asked = Request(method, path, query, payload, until_ms, key)
        since = self.bench.now()
        waiting = asyncio.get_running_loop().create_future()
        self._waiting[correlation] = waiting
        if self.ended.is_set():
            waiting.set_result(None)
        uuid = self.known.uuid
        self._send(
            mqtt.Publish(
                str(Topic(uuid, Kind.REQUEST)),
                payload,
                1,
                number & 0xFFFF or 1,
                response=answer_topic(uuid, WHO),
                correlation=correlation,
                users=tuple(request_properties(asked)),
            )
        )
        found: mqtt.Publish | None = None
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within):
                found = await waiting
        del self._waiting[correlation]
        if found is None:
            return self.keep(self.lost(name, since))
        seconds = self.bench.now() - since
        try:
            answer = parse_answer(found.users, found.payload)
        except WireError as error:
            self.trace.faults.append(str(error))
            return self.keep(self.lost(name, since))
        return self.keep(Probe(name, ANSWERED, answer.code, answer.payload, seconds))
