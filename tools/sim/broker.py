"""A small MQTT 5 broker that does what the product relies on as mosquitto 2.0 does it (docs/simulation.md).

It runs on any event loop: `tests.tools.sim.test_broker` runs the same exchanges against it and against mosquitto.
Times are mosquitto's: whole seconds for what expires, and a look at silent connections every six.
"""

from __future__ import annotations

import asyncio
import math
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from staging.advise import mqtt_packets as mqtt
from staging.broker.settings import ACCESS, KEEPALIVE_MAX, PACKET_LIMIT, QUEUE_LIMIT
from tools.sim.broker_rules import Access, group_of, matches

# Reasons of MQTT 5 (2.4).
NOBODY, NO_SUBSCRIPTION, WITH_WILL, DENIED, TOO_LARGE = 16, 17, 4, 135, 149
# What it says of itself when it lets somebody in: its most topic aliases, and the longest packet.
GREETING = b"\x22\x00\x0a\x27" + PACKET_LIMIT.to_bytes(4, "big")
# Seconds between two looks at who is silent, and the keepalive of one who has not said who he is.
LOOK_SECONDS, STRANGER_SECONDS = 6.0, 60
MIDS = 65535
PONG = mqtt.packet(mqtt.PINGRESP)


@dataclass(slots=True)
class Message:
    """A message on its way to one client: until which second of the broker's, and whether it was sent before."""

    told: mqtt.Publish
    until: int | None
    again: bool = False


@dataclass(slots=True, eq=False)
class Session:
    """What is kept for one client, while it is there and for ``expiry`` seconds afterwards."""

    name: str
    user: str
    expiry: int = 0
    most: int = 65535
    filters: dict[str, int] = field(default_factory=dict)
    under_way: dict[int, Message] = field(default_factory=dict)
    waiting: deque[Message] = field(default_factory=deque)
    last_mid: int = 0
    ends_at: int = 0
    connection: BrokerConnection | None = None


class Broker:
    """All clients, their sessions, and what is kept for later subscribers."""

    def __init__(self, now: Callable[[], float], users: Mapping[str, str]) -> None:
        """Let ``users`` in, by their passwords; ``now`` counts seconds."""
        self.now, self.users = now, users
        self.access = Access(ACCESS)
        self.sessions: dict[str, Session] = {}
        self.retained: dict[str, Message] = {}
        self.connections: dict[BrokerConnection, None] = {}
        """In the order in which they came: a set has them by their addresses, so that a seed would not be the same again."""
        self.stands_still = False
        self._turns: dict[str, int] = {}

    def welcome(self, *, is_device: bool) -> BrokerConnection:
        """Return the protocol of a connection on the devices' port, or on that of the cloud's workers."""
        return BrokerConnection(self, is_device=is_device)

    def second(self) -> int:
        """Return the broker's second."""
        return math.floor(self.now())

    # Clients.

    def take_in(self, told: mqtt.Connect, name: str, to: BrokerConnection) -> tuple[Session, bool]:
        """Return the session of a client that comes, and whether it was there; another connection of its name ends."""
        self._forget_old()
        found = self.sessions.get(name)
        if found is not None and found.connection is not None:
            other, found.connection = found.connection, None
            # A will is told only where the session ends too.
            other.end(with_will=told.clean or not found.expiry)
        is_kept = found is not None and not told.clean and found.expiry > 0
        session = found if found is not None and is_kept else Session(name, told.user)
        session.user, session.expiry, session.most = told.user, told.expiry, told.receive_maximum
        session.connection = to
        self.sessions[name] = session
        return session, is_kept

    def leave(self, session: Session) -> None:
        """Note that a client is gone."""
        session.connection = None
        session.ends_at = self.second() + session.expiry
        if not session.expiry:
            self.sessions.pop(session.name, None)

    def _forget_old(self) -> None:
        now = self.second()
        for session in [each for each in self.sessions.values() if each.connection is None]:
            if now > session.ends_at:
                del self.sessions[session.name]

    # Messages.

    def publish(self, user: str, told: mqtt.Publish) -> int:
        """Give a message to all who want it; return the reason that its sender is told."""
        if not self.access.allows(user, "write", told.topic):
            return DENIED
        self._forget_old()
        until = None if told.expiry is None else self.second() + told.expiry
        if told.retain:
            if told.payload:
                self.retained[told.topic] = Message(told, until)
            else:
                self.retained.pop(told.topic, None)
        live = replace(told, retain=False)
        wanted = self._who_wants(told.topic)
        for session, qos in wanted:
            self._give(session, Message(replace(live, qos=min(qos, told.qos)), until))
        return 0 if wanted else NOBODY

    def _who_wants(self, topic: str) -> list[tuple[Session, int]]:
        """Return who gets a message, and at most with which QoS: of a group one, in turn."""
        found: dict[str, tuple[Session, int]] = {}
        groups: dict[str, list[tuple[Session, int]]] = {}
        for session in self.sessions.values():
            for name, qos in session.filters.items():
                group, pattern = group_of(name)
                if not matches(pattern, topic):
                    continue
                if group:
                    groups.setdefault(name, []).append((session, qos))
                else:
                    found[session.name] = (
                        session,
                        max(qos, found.get(session.name, (session, 0))[1]),
                    )
        for name, members in groups.items():
            turn = self._turns[name] = self._turns.get(name, -1) + 1
            session, qos = members[turn % len(members)]
            found.setdefault(session.name, (session, qos))
        return list(found.values())

    def _give(self, session: Session, message: Message) -> None:
        if not self.access.allows(session.user, "read", message.told.topic):
            return
        if message.told.qos:
            if len(session.waiting) < QUEUE_LIMIT:
                session.waiting.append(message)
            self.send_waiting(session)
        elif session.connection is not None:
            self._send(session, message, 0)

    def send_waiting(self, session: Session) -> None:
        """Send as much as the client takes at once."""
        while session.connection and session.waiting and len(session.under_way) < session.most:
            message = session.waiting.popleft()
            session.last_mid = session.last_mid % MIDS + 1
            if self._send(session, message, session.last_mid):
                session.under_way[session.last_mid] = message

    def send_again(self, session: Session) -> None:
        """Send what a client that is back has not acknowledged."""
        for mid, message in list(session.under_way.items()):
            message.again = True
            if not self._send(session, message, mid):
                del session.under_way[mid]
        self.send_waiting(session)

    def _send(self, session: Session, message: Message, mid: int) -> bool:
        """Send a message; return whether it was not too old."""
        left = None if message.until is None else message.until - self.second()
        if session.connection is None or (left is not None and left < 0):
            return False
        told = replace(message.told, mid=mid, expiry=left or None)
        session.connection.write(mqtt.write_publish(told, again=message.again))
        return True

    def subscribe(self, session: Session, name: str, qos: int) -> None:
        """Subscribe: what a client may not read is granted too, and not delivered."""
        session.filters[name] = qos
        group, pattern = group_of(name)
        for topic, message in list(self.retained.items()):
            if not group and matches(pattern, topic):
                told = replace(message.told, qos=min(qos, message.told.qos))
                self._give(session, Message(told, message.until))

    # Its own end.

    def say_goodbye(self) -> None:
        """End in order: tell all wills, and then end."""
        for connection in list(self.connections):
            connection.tell_will()
        for connection in list(self.connections):
            connection.end(with_will=False)

    def keep(self) -> Kept:
        """Return what a broker that writes its state to the disk has after an end in order."""
        for session in self.sessions.values():
            session.connection = None
            for message in [*session.under_way.values(), *session.waiting]:
                message.again = True  # mosquitto's, also of what was not sent yet
        return Kept({k: s for k, s in self.sessions.items() if s.expiry}, self.retained)

    def restore(self, kept: Kept) -> None:
        """Begin with what an earlier one kept."""
        self.sessions, self.retained = kept.sessions, kept.retained

    def stand_still(self, *, still: bool) -> None:
        """Do nothing for a while, as a process that gets no processor, or go on."""
        self.stands_still = still
        for connection in list(self.connections):
            if not still:
                connection.go_on()


@dataclass(frozen=True, slots=True)
class Kept:
    """What a broker has on its disk."""

    sessions: dict[str, Session]
    retained: dict[str, Message]


def next_look(due: float) -> float:
    """Return when a broker looks next that looks each six seconds, ``due`` at the earliest."""
    return math.ceil(due / LOOK_SECONDS) * LOOK_SECONDS


class BrokerConnection(asyncio.Protocol):
    """One client's connection."""

    def __init__(self, broker: Broker, *, is_device: bool) -> None:
        """Serve by ``broker``; a device's client identifier is its user name, whatever it says."""
        self._broker, self._is_device = broker, is_device
        self._decoder = mqtt.PacketDecoder()
        self._transport: Any = None
        self._session: Session | None = None
        self._will: mqtt.Publish | None = None
        self._held: list[bytes] = []
        self._keepalive = STRANGER_SECONDS
        self._heard = broker.now()
        self._timer: asyncio.TimerHandle | None = None
        self._is_lost = False

    @property
    def is_stranger(self) -> bool:
        """Whether it has not said who it is."""
        return self._session is None

    # What the event loop says.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a CONNECT."""
        self._transport = transport
        self._broker.connections[self] = None
        self._wait_for_silence()

    def data_received(self, data: bytes) -> None:
        """Do what the packets say."""
        if self._broker.stands_still:
            self._held.append(data)
            return
        self._heard = self._broker.now()
        try:
            for packet in self._decoder.feed(data):
                if len(packet.body) > PACKET_LIMIT:
                    self.write(mqtt.packet(mqtt.DISCONNECT, bytes((TOO_LARGE, 0))))
                    self.end(with_will=True)
                elif not self._transport.is_closing():
                    self._do(packet)
        except (mqtt.PacketError, IndexError, UnicodeDecodeError):
            self.end(with_will=True)

    def eof_received(self) -> bool:
        """End: a connection has no half."""
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the will of a client that has gone without a word."""
        del exc
        self._is_lost = True
        if not self._broker.stands_still:
            self.end(with_will=True)

    def go_on(self) -> None:
        """Do what came while the broker stood still."""
        held, self._held = self._held, []
        for data in held:
            self.data_received(data)
        if self._is_lost:
            self.end(with_will=True)

    def write(self, data: bytes) -> None:
        """Send."""
        if not self._transport.is_closing():
            self._transport.write(data)

    def end(self, *, with_will: bool) -> None:
        """End, once."""
        if self not in self._broker.connections:
            return
        del self._broker.connections[self]
        if self._timer is not None:
            self._timer.cancel()
        self._transport.close()
        if self._session is not None and self._session.connection is self:
            self._broker.leave(self._session)
        if with_will:
            self.tell_will()

    def tell_will(self) -> None:
        """Publish the will, once."""
        will, self._will = self._will, None
        if self._session is not None and will is not None:
            self._broker.publish(self._session.user, will)

    # Keepalive.

    def _wait_for_silence(self) -> None:
        """Look when the time that a client may be silent is over, at one of the broker's looks."""
        if not self._keepalive:
            return
        now = self._broker.now()
        at = next_look(max(self._heard + 1.5 * self._keepalive, now + 0.001))
        self._timer = asyncio.get_running_loop().call_later(at - now, self._look)

    def _look(self) -> None:
        if (
            self._broker.now() - self._heard >= 1.5 * self._keepalive
            and not self._broker.stands_still
        ):
            self.end(with_will=True)
        else:
            self._wait_for_silence()

    # Packets.

    def _do(self, packet: mqtt.Packet) -> None:
        session = self._session
        if session is None:
            self._connect(mqtt.read_connect(packet))
            return
        match packet.kind:
            case mqtt.PUBLISH:
                self._take(session, mqtt.read_publish(packet))
            case mqtt.PUBACK:
                session.under_way.pop(mqtt.read_puback(packet)[0], None)
                self._broker.send_waiting(session)
            case mqtt.SUBSCRIBE:
                self._subscribe(session, packet)
            case mqtt.UNSUBSCRIBE:
                mid, names = mqtt.read_unsubscribe(packet)
                reasons = bytes(0 if name in session.filters else NO_SUBSCRIPTION for name in names)
                for name in names:
                    session.filters.pop(name, None)
                self.write(mqtt.answer(mqtt.UNSUBACK, mid, reasons))
            case mqtt.PINGREQ:
                self.write(PONG)
            case mqtt.DISCONNECT:
                self.end(with_will=packet.body[:1] == bytes((WITH_WILL,)))
            case kind:
                raise mqtt.PacketError(f"a packet of kind {kind}")

    def _connect(self, told: mqtt.Connect) -> None:
        if self._broker.users.get(told.user) != told.password.decode(errors="replace"):
            self.write(mqtt.connack(DENIED))
            self.end(with_will=False)
            return
        self._keepalive = min(told.keepalive or KEEPALIVE_MAX, KEEPALIVE_MAX)
        limit = (
            b""
            if self._keepalive == told.keepalive
            else b"\x13" + self._keepalive.to_bytes(2, "big")
        )
        name = told.user if self._is_device else told.client
        self._session, is_kept = self._broker.take_in(told, name, self)
        if told.will_topic:
            self._will = mqtt.Publish(told.will_topic, told.will, 1, 0, told.will_retain)
        self.write(mqtt.connack(present=is_kept, properties=GREETING + limit))
        self._broker.send_again(self._session)
        if self._timer is not None:
            self._timer.cancel()
        self._wait_for_silence()

    def _take(self, session: Session, told: mqtt.Publish) -> None:
        reason = self._broker.publish(session.user, told)
        if told.qos:
            self.write(mqtt.puback(told.mid, reason))

    def _subscribe(self, session: Session, packet: mqtt.Packet) -> None:
        mid, filters = mqtt.read_filters(packet)
        self.write(mqtt.answer(mqtt.SUBACK, mid, bytes(min(qos, 1) for _, qos in filters)))
        for name, qos in filters:
            self._broker.subscribe(session, name, min(qos, 1))
