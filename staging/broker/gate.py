"""The worker's side of the broker: what devices say goes to the gateway, what it asks to devices.

Reports and registrations are shared out by the broker (``$share/cloud/…``): whichever worker gets one
does it. Voice, and what nobody asked for (silent updates), is of the worker that owns the device's shard
(`staging.broker.members`). Who is online is the devices' retained state, which every worker reads.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import Counter
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

from sqlalchemy.exc import SQLAlchemyError

from staging.broker.members import Members
from staging.broker.peers import BrokerEndpoint, BrokerPeer
from staging.broker.rivals import Rivals
from staging.errors import StoreBusyError, level_of
from staging.gateway import twins
from staging.gateway.gateway import Gateway
from staging.store import Database, devices
from staging.store.devices import Identity
from transport.errors import TransportError
from wire.abilities import Abilities
from wire.codes import Code
from wire.errors import WireError, show
from wire.exchange import Answer, Request
from wire.reports import REGISTER_PATH, REPORT_PATH, Credentials, parse_registration, report_query
from wire.topics import (
    Kind,
    Topic,
    TopicError,
    answer_properties,
    every,
    parse_answer,
    parse_run,
    parse_state,
    parse_topic,
)

if TYPE_CHECKING:
    from transport.mqtt import MqttConnection, MqttMessage

MEMBERS = "story-cloud/members/"
CHANGED = "story-cloud/changed/"
# Messages of QoS 1 that the broker hands over before the first is done; the rest waits there.
RECEIVE_MAXIMUM = 256
# Voice segments being worked on; above, they are dropped: voice is live or not at all.
VOICE_LIMIT = 512
# Registrations and reports of one device at once, and its voice segments: an agent has a few, and may
# say a minute of speech at once. One device must not take what is there for all.
DEVICE_LIMIT = 16
DEVICE_VOICE_LIMIT = 256
# Devices whose identities one query reads.
BATCH = 500
# Seconds until the identities of devices that came online are read together.
GATHER_SECONDS = 0.05
SUBSCRIBE_TIMEOUT = 15.0
ANSWER_TIMEOUT = 10.0

if TYPE_CHECKING:
    Work = Callable[[Topic, MqttMessage], Coroutine[Any, Any, None]]

_log = logging.getLogger(__name__)


class BrokerGate:
    """One worker's traffic with devices, on one connection to the broker after another."""

    def __init__(self, database: Database, gateway: Gateway, members: Members) -> None:
        """Serve by ``gateway``; ``database`` has the devices' identities."""
        self._database = database
        self._gateway = gateway
        self._members = members
        self._connection: MqttConnection | None = None
        self._endpoint = BrokerEndpoint(members.who, lambda: self._connection)
        self._peers: dict[str, BrokerPeer] = {}
        self._online: dict[str, Abilities] = {}
        self._known: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._rivals = Rivals()
        # One for each device whose messages are worked on; those that wait hold it.
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()
        self._voices = 0
        self._busy: Counter[tuple[str, bool]] = Counter()
        self._doing: set[tuple[str, bytes]] = set()
        # Those that went while their messages were worked on; what these make of them ends with the last.
        self._gone: set[str] = set()
        self._told = ""
        self.dropped = 0
        gateway.watch(self._tell_change)

    # Life.

    async def begin(self, connection: MqttConnection, group: str) -> None:
        """Take part in what ``group`` shares: subscribe, then say so. Raises TransportError."""
        self._connection = connection
        shared = [f"$share/{group}/{every(kind)}" for kind in (Kind.REGISTER, Kind.REPORT)]
        filters = [
            *((text, 1) for text in shared),
            (every(Kind.ANSWER, self._members.who), 1),
            (every(Kind.STATE), 1),
            (f"{MEMBERS}+", 1),
            (f"{CHANGED}+", 0),
            *((every(Kind.VOICE, str(shard)), 0) for shard in sorted(self._members.owned)),
        ]
        await connection.subscribe(filters, deadline=SUBSCRIBE_TIMEOUT)
        await self._publish(MEMBERS + self._members.who, b"here", qos=1, retain=True)

    async def end(self, reason: str) -> None:
        """Forget every device: without the broker nothing is known of them."""
        self._connection = None
        if self._known is not None:
            self._known.cancel()
            self._known = None
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for peer in list(self._peers.values()):
            self._gateway.leave(peer, reason)
        self._peers.clear()
        self._online.clear()
        self._gone.clear()

    # What the broker hands over.

    def deliver(self, message: MqttMessage) -> None:
        """Take a message; called in the event loop."""
        try:
            if message.topic.startswith(MEMBERS):
                self._note_member(message)
            elif message.topic.startswith(CHANGED):
                self._note_change(message)
            elif self._deliver(parse_topic(message.topic), message):
                return  # acknowledged when the work is done
        except WireError as error:
            _log.warning("%s: a message is dropped: %s", _sender(message.topic), error)
        self._acknowledge(message)

    def _deliver(self, topic: Topic, message: MqttMessage) -> bool:
        """Take a device's message; return whether it is worked on in the background.

        Raises TopicError for one that the broker has kept: it would come again at each start.
        """
        if message.retain and topic.kind is not Kind.STATE:
            raise TopicError(f"{topic}: kept by the broker, expected a live message")
        match topic.kind:
            case Kind.STATE:
                self._note_state(topic.uuid.lower(), message.payload)
            case Kind.ANSWER:
                answer = parse_answer(message.properties, message.payload)
                self._endpoint.settle(topic.uuid, message.correlation, answer)
            case Kind.REGISTER | Kind.REPORT:
                return self._begin(topic.uuid, self._serve, topic, message)
            case Kind.VOICE if self._voices < VOICE_LIMIT:
                return self._begin(topic.uuid, self._hear, topic, message)
            case Kind.VOICE:
                self.dropped += 1
        return False

    def _begin(self, uuid: str, work: Work, topic: Topic, message: MqttMessage) -> bool:
        """Begin the work on a message; return whether it was begun, which a flood's is not."""
        asked = (uuid, message.correlation)
        if message.correlation and asked in self._doing:
            return False  # sent again because it takes long: its answer is on the way
        lane = (uuid.lower(), topic.kind is Kind.VOICE)
        limit = DEVICE_VOICE_LIMIT if topic.kind is Kind.VOICE else DEVICE_LIMIT
        if self._busy[lane] >= limit:
            # Nothing is answered: a flood's answers would be one too. A device asks again after 5 s.
            _log.warning("device %s: more than %d messages at once: dropped", uuid, limit)
            self.dropped += 1
            return False
        self._busy[lane] += 1
        self._doing.add(asked)
        self._gone.discard(lane[0])  # what comes after its going is of a connection anew
        task = self._spawn(work(topic, message))
        task.add_done_callback(lambda _done: self._release(lane, asked))
        return True

    def _release(self, lane: tuple[str, bool], asked: tuple[str, bytes]) -> None:
        self._doing.discard(asked)
        self._busy[lane] -= 1
        if not self._busy[lane]:
            del self._busy[lane]
        if lane[0] in self._gone and not self._is_busy(lane[0]):
            self._gone.remove(lane[0])
            self._leave(lane[0])

    def _is_busy(self, uuid: str) -> bool:
        return (uuid, False) in self._busy or (uuid, True) in self._busy

    def _note_member(self, message: MqttMessage) -> None:
        who = message.topic.removeprefix(MEMBERS)
        before = self._members.owned
        if self._members.note(who, is_there=bool(message.payload)):
            _log.info("worker %s %s", who, "is there" if message.payload else "is gone")
            self._spawn(self._share_out(before))

    async def _share_out(self, before: frozenset[int]) -> None:
        """Take the voice of the shards that are this worker's now, and leave that of the others."""
        connection, owned = self._connection, self._members.owned
        if connection is None:
            return
        connection.unsubscribe([every(Kind.VOICE, str(shard)) for shard in before - owned])
        if new := sorted(owned - before):
            filters = [(every(Kind.VOICE, str(shard)), 0) for shard in new]
            await connection.subscribe(filters, deadline=SUBSCRIBE_TIMEOUT)

    def _note_change(self, message: MqttMessage) -> None:
        if message.payload.decode(errors="replace") == self._members.who:
            return
        self._told = message.topic.removeprefix(CHANGED)
        try:
            self._gateway.note_change(self._told)
        finally:
            self._told = ""

    def _tell_change(self, uuid: str) -> None:
        """Tell the other workers, whose consoles may show this device."""
        # What another worker told must not be told again, or two would never end.
        if uuid != self._told and self._members.others and self._connection is not None:
            self._spawn(self._publish(CHANGED + uuid, self._members.who.encode()))

    # Who is online.

    def _note_state(self, uuid: str, payload: bytes) -> None:
        state = parse_state(payload)
        if not state.online:
            self._rivals.note_offline(uuid)
            self._online.pop(uuid, None)
            if self._is_busy(uuid):
                self._gone.add(uuid)
            self._leave(uuid)
            return
        self._gone.discard(uuid)
        if self._rivals.note_online(uuid, state.run):
            self._gateway.twins.note(uuid)
        session = self._gateway.sessions.find(uuid)
        if session is not None and session.connection is self._peers.get(uuid):
            self._gateway.note_abilities(session, state.reads)
            return
        self._online[uuid] = state.reads
        if self._known is None or self._known.done():
            self._known = asyncio.get_running_loop().create_task(self._get_to_know())

    def _leave(self, uuid: str) -> None:
        peer = self._peers.pop(uuid, None)
        if peer is not None:
            self._gateway.leave(peer, "the device went offline")

    async def _get_to_know(self) -> None:
        """Read the identities of devices that came online, many at a time."""
        await asyncio.sleep(GATHER_SECONDS)
        while self._online:
            uuids = list(self._online)[:BATCH]
            try:
                found = await self._database.read(devices.identities, uuids)
            except (StoreBusyError, SQLAlchemyError) as error:
                _log.log(level_of(error), "devices that came online are looked up later: %s", error)
                await asyncio.sleep(1)
                continue
            for identity in found:
                if identity.uuid in self._online and identity.uuid not in self._peers:
                    known = self._know(identity, identity.uuid)
                    self._gateway.note_abilities(known, self._online[identity.uuid])
            for uuid in uuids:
                self._online.pop(uuid, None)

    def _know(self, identity: Identity, written: str) -> Any:
        peer = self._peers[identity.uuid] = BrokerPeer(written)
        return self._gateway.know(identity, peer, self._endpoint)

    # What devices ask.

    async def _serve(self, topic: Topic, message: MqttMessage) -> None:
        """Do a registration or a report, answer, and only then acknowledge."""
        try:
            if message.response_topic != str(Topic(topic.uuid, Kind.CLOUD_ANSWER)):
                _log.warning("device %s: its answer has no place: it is not done", topic.uuid)
                return
            await self._answer(message, await self._work(topic, message))
        finally:
            self._acknowledge(message)

    async def _work(self, topic: Topic, message: MqttMessage) -> Answer:
        if topic.kind is Kind.REPORT:
            return await self._report(topic.uuid, message.payload)
        try:
            run = parse_run(message.properties)
        except WireError as error:
            return Answer.from_text(Code.BAD_REQUEST, str(error))
        if await self._is_taken(topic.uuid.lower(), run):
            return Answer.from_text(Code.CONFLICT, twins.TEXT)
        return await self._register(topic.uuid, message.payload)

    async def _is_taken(self, uuid: str, run: str) -> bool:
        """Return whether another machine is there with an identity that two machines use."""
        if not (self._rivals.holds_another(uuid, run) and await self._gateway.twins.knows(uuid)):
            return False
        self._gateway.twins.note(uuid)
        return True

    async def _answer(self, message: MqttMessage, answer: Answer) -> None:
        await self._publish(
            message.response_topic,
            answer.payload,
            correlation=message.correlation,
            properties=answer_properties(answer.code, answer.again),
        )

    async def _register(self, uuid: str, payload: bytes) -> Answer:
        """Register a device; the topic is proven by the broker, and the payload must agree."""
        with contextlib.suppress(WireError):
            if parse_registration(payload).uuid.lower() != uuid.lower():
                payload = b""  # answered as the invalid registration that it is
        peer = BrokerPeer(uuid)
        self._gateway.join(peer, self._endpoint)
        previous = self._peers.get(uuid.lower())
        answer = await self._gateway.serve(peer, Request("POST", REGISTER_PATH, (), payload))
        if self._gateway.sessions.on(peer) is None:
            self._gateway.leave(peer, "not registered")
            return answer
        self._peers[uuid.lower()] = peer
        if previous is not None:
            self._gateway.leave(previous, "replaced by a newer registration of the same device")
        return answer

    async def _report(self, uuid: str, payload: bytes) -> Answer:
        # Its turn is taken before anything else is waited for, so that a device's messages stay in
        # order also while it is looked up.
        turn = self._turns.setdefault(uuid.lower(), asyncio.Lock())
        async with turn:
            return await self._report_in_turn(uuid, payload)

    async def _report_in_turn(self, uuid: str, payload: bytes) -> Answer:
        session = self._gateway.sessions.find(uuid.lower())
        peer = self._peers.get(uuid.lower())
        if session is None or peer is None or session.connection is not peer:
            row = await self._database.find(devices.IDENTITY, uuid=uuid.lower())
            if row is None:
                return Answer(Code.UNAUTHORIZED, b"unknown device")
            identity = Identity(*row)
            peer = self._peers.get(identity.uuid)
            session = self._gateway.sessions.find(identity.uuid)
            if peer is None or session is None or session.connection is not peer:
                session = self._know(identity, uuid)
                peer = self._peers[identity.uuid]
        # The broker has proven who it is, by the same token.
        proof = report_query(Credentials(session.identity.uuid, session.identity.token))
        return await self._gateway.serve(peer, Request("POST", REPORT_PATH, proof, payload))

    async def _hear(self, topic: Topic, message: MqttMessage) -> None:
        self._voices += 1
        try:
            answer = await self._report(topic.uuid, message.payload)
            # An utterance's last segment asks for an answer.
            if message.response_topic == str(Topic(topic.uuid, Kind.CLOUD_ANSWER)):
                await self._answer(message, answer)
        finally:
            self._voices -= 1
            self._acknowledge(message)

    # Help.

    def _acknowledge(self, message: MqttMessage) -> None:
        if self._connection is not None:
            self._connection.acknowledge(message)

    async def _publish(
        self, topic: str, payload: bytes, *, qos: int = 0, retain: bool = False, **options: Any
    ) -> None:
        from transport.mqtt import Outgoing  # noqa: PLC0415  # needed with a broker alone

        if self._connection is not None:
            message = Outgoing(topic, payload, qos=qos, retain=retain, **options)
            await self._connection.publish(message, deadline=ANSWER_TIMEOUT)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.get_running_loop().create_task(self._guard(work))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task

    async def _guard(self, work: Coroutine[Any, Any, None]) -> None:
        try:
            await work
        except TransportError as error:
            _log.info("an answer to a device is lost: %s", error)
        except StoreBusyError as error:
            _log.debug("a device's message failed: %s", error)  # the store says what it lacks
        except SQLAlchemyError as error:
            _log.error("a device's message failed: %s", error)


def _sender(topic: str) -> str:
    """Return whose topic it is, for the log."""
    parts = topic.split("/")
    return f"device {show(parts[1])}" if parts[0] == "story" and len(parts) > 1 else "broker"
