"""Short exchanges with a broker, each told as what came: the same against mosquitto and the simulated one."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from staging.advise import mqtt_packets as mqtt
from staging.broker.settings import CLOUD_USER
from tests.authority import LOOPBACK
from tests.broker import CLOUD_PASSWORD, DEADLINE

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
PACKET_LIMIT = 131_072


DEVICE, OTHER = "a1b2c3d4e5f60718293a4b5c6d7e8f90", "0f1e2d3c4b5a69788796a5b4c3d2e1f0"
TOKENS = {DEVICE: "token-a", OTHER: "token-b"}
UP, DOWN = f"story/{DEVICE}/up", f"story/{DEVICE}/down"
LOST = mqtt.packet(mqtt.DISCONNECT, b"\4\0")
NAMES = {
    mqtt.CONNACK: "connack", mqtt.PUBLISH: "publish", mqtt.PUBACK: "puback", mqtt.SUBACK: "suback",
    mqtt.UNSUBACK: "unsuback", mqtt.PINGRESP: "pong", mqtt.DISCONNECT: "disconnect",
}  # fmt: skip


@dataclass
class Rig:
    """A broker that runs: its ports, and how to trust it."""

    port: int
    workers_port: int
    tls: ssl.SSLContext
    restart: Callable[[], Awaitable[None]]

    async def device(self, name: str = DEVICE, **options: Any) -> Client:
        """Connect as a device; the CONNACK is read."""
        return await self._open(
            self.port, {"password": TOKENS.get(name, ""), "name": name} | options
        )

    async def worker(self, name: str = "worker-1", **options: Any) -> Client:
        """Connect as one of the cloud's workers; the CONNACK is read."""
        told_by = {"user": CLOUD_USER, "password": CLOUD_PASSWORD, "keepalive": 10, "name": name}
        return await self._open(self.workers_port, told_by | options)

    async def _open(self, port: int, options: dict[str, Any]) -> Client:
        reader, writer = await asyncio.open_connection(LOOPBACK, port, ssl=self.tls)
        client = Client(reader, writer)
        client.write(connect({"user": options["name"]} | options))
        client.hello = await client.next()
        return client


class Client:
    """One connection, packet by packet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._decoder = mqtt.PacketDecoder()
        self._found: list[mqtt.Packet] = []
        self._mid = 0
        self.hello: tuple[Any, ...] = ()

    def write(self, data: bytes) -> None:
        self._writer.write(data)

    async def next(self) -> tuple[Any, ...]:
        """Return what came next, in words; a connection that ended is ("end",)."""
        async with asyncio.timeout(DEADLINE):
            while not self._found:
                try:
                    data = await self._reader.read(65536)
                except OSError:
                    data = b""
                if not data:
                    return ("end",)
                self._found += self._decoder.feed(data)
        return told(self._found.pop(0))

    async def rest(self) -> list[tuple[Any, ...]]:
        """Return all that has come: until the answer to a ping, or the end."""
        self.write(mqtt.packet(mqtt.PINGREQ))
        found = []
        while (one := await self.next()) not in {("pong",), ("end",)}:
            found.append(one)
        return [*found, one] if one == ("end",) else found

    async def publish(self, topic: str, payload: bytes = b"x", qos: int = 1, **options: Any) -> Any:
        """Publish; with QoS 1 return what comes next, which is the answer if nothing else is on its way."""
        self._mid += 1
        sent = mqtt.Publish(topic, payload, qos, self._mid * qos, **options)
        self.write(mqtt.write_publish(sent))
        return await self.next() if qos else await self.rest()

    async def subscribe(self, *filters: str, qos: int = 1) -> list[tuple[Any, ...]]:
        """Subscribe; return the answer, and what else came."""
        self._mid += 1
        wanted = b"".join(mqtt.field(each.encode()) + bytes((qos,)) for each in filters)
        self.write(mqtt.packet(mqtt.SUBSCRIBE, self._mid.to_bytes(2, "big") + b"\0" + wanted, 2))
        return await self.rest()

    async def unsubscribe(self, name: str) -> list[tuple[Any, ...]]:
        """Unsubscribe; return the answer, and what else came."""
        self._mid += 1
        body = self._mid.to_bytes(2, "big") + b"\0" + mqtt.field(name.encode())
        self.write(mqtt.packet(mqtt.UNSUBSCRIBE, body, 2))
        return await self.rest()

    def acknowledge(self, message: tuple[Any, ...]) -> None:
        self.write(mqtt.puback(dict(message[1:])["mid"]))

    def cut(self) -> None:
        """End without a word."""
        self._writer.transport.abort()

    async def bye(self, reason: bytes = b"") -> None:
        """Say DISCONNECT, and wait for the end."""
        self.write(mqtt.packet(mqtt.DISCONNECT, reason))
        while await self.next() != ("end",):
            pass
        self._writer.close()


def connect(told_by: dict[str, Any]) -> bytes:
    """Write a CONNECT."""
    clean, expiry = told_by.get("clean", False), told_by.get("expiry", 300)
    most, will = told_by.get("receive_maximum", 16), told_by.get("will")
    flags = 0xC0 | clean << 1 | (0x2C if will else 0)
    head = b"\x11" + expiry.to_bytes(4, "big") + b"\x21" + most.to_bytes(2, "big")
    topic = told_by.get("will_topic", f"{UP}/state").encode()
    last = b"\0" + mqtt.field(topic) + mqtt.field(will) if will else b""
    return mqtt.packet(
        mqtt.CONNECT,
        mqtt.field(b"MQTT") + bytes((5, flags)) + told_by.get("keepalive", 15).to_bytes(2, "big")
        + mqtt.number(len(head)) + head + mqtt.field(told_by["name"].encode()) + last
        + mqtt.field(told_by["user"].encode()) + mqtt.field(told_by["password"].encode()),
    )  # fmt: skip


def told(packet: mqtt.Packet) -> tuple[Any, ...]:
    """Return a packet in words."""
    name, body = NAMES[packet.kind], packet.body
    if packet.kind == mqtt.PUBLISH:
        found = mqtt.read_publish(packet)
        shown = {
            "topic": found.topic, "payload": found.payload, "qos": found.qos, "mid": found.mid,
            "retain": found.retain, "again": bool(packet.flags & 8), "response": found.response,
            "correlation": found.correlation, "users": found.users, "expiry": found.expiry,
        }  # fmt: skip
        return (name, *((key, value) for key, value in shown.items() if value not in {"", b"", ()}))
    if packet.kind == mqtt.CONNACK:
        properties, _ = mqtt.read_properties(body, 2)
        return (name, bool(body[0]), body[1], sorted(properties))
    if packet.kind == mqtt.PUBACK:
        return (name, *mqtt.read_puback(packet))
    if packet.kind in {mqtt.SUBACK, mqtt.UNSUBACK}:
        return (name, int.from_bytes(body[:2], "big"), tuple(body[3:]))
    return (name, body[0] if body else 0) if packet.kind == mqtt.DISCONNECT else (name,)


Script = Callable[[Rig], Awaitable[list[Any]]]
SCRIPTS: list[Script] = []


def script(work: Script) -> Script:
    SCRIPTS.append(work)
    return work


@script
async def who_is_let_in(rig: Rig) -> list[Any]:
    device = await rig.device()
    slow = await rig.device(OTHER, keepalive=60)
    wrong = await rig.device(password="not-its-token")
    unknown = await rig.device("nobody", password="x")
    worker = await rig.worker()
    as_other = await rig.device("another name", user=DEVICE, password=TOKENS[DEVICE])
    return [each.hello for each in (device, slow, wrong, unknown, worker, as_other)] + [
        await wrong.next(), await unknown.next(), await device.rest(),
    ]  # fmt: skip


@script
async def who_gets_what(rig: Rig) -> list[Any]:
    device, worker = await rig.device(), await rig.worker()
    seen = [await device.publish(f"{UP}/report")]
    seen += await worker.subscribe("story/+/up/report", f"{DOWN}/#")
    seen += [await device.publish(f"{UP}/report", b"1"), await device.publish(f"{UP}/other")]
    seen += [
        await device.publish(f"story/{OTHER}/up/report"),
        await device.publish(f"{DOWN}/request"),
    ]
    seen += [await device.publish(f"story/{OTHER}/up/report", qos=0)]
    seen += [await device.publish(f"{UP}/report", b"2", qos=0)]
    return seen + await worker.rest()


@script
async def what_is_read_without_a_right(rig: Rig) -> list[Any]:
    device, worker = await rig.device(), await rig.worker()
    seen = await device.subscribe(f"story/{OTHER}/down/request", f"{UP}/report", "#")
    seen += [await worker.publish(f"story/{OTHER}/down/request")]
    seen += [await worker.publish(f"{UP}/report"), await worker.publish(f"{DOWN}/request", b"mine")]
    seen += await device.rest()
    return [*seen, await worker.publish("elsewhere"), await worker.publish("story-cloud/x")]


@script
async def what_is_kept(rig: Rig) -> list[Any]:
    device, worker = await rig.device(), await rig.worker()
    seen = [await device.publish(f"{UP}/state", b"online", retain=True)]
    seen += await worker.subscribe("story/+/up/state")
    seen += [await device.publish(f"{UP}/state", b"offline", retain=True)]
    seen += await worker.rest()
    seen += await worker.subscribe("story/+/up/state", qos=0)
    seen += [await device.publish(f"{UP}/state", b"", retain=True)]
    seen += await worker.rest()
    return seen + await worker.subscribe("story/+/up/state")


@script
async def a_session_outlives_its_connection(rig: Rig) -> list[Any]:
    device, worker = await rig.device(will=b"gone"), await rig.worker()
    await worker.subscribe("story/+/up/state")
    seen = await device.subscribe(f"{DOWN}/request")
    seen += [await worker.publish(f"{DOWN}/request", b"not acknowledged")]
    seen += await device.rest()
    device.cut()
    seen += [await worker.next()]
    seen += [await worker.publish(f"{DOWN}/request", b"waits")]
    seen += [await worker.publish(f"{DOWN}/request", b"live or not at all", qos=0)]
    device = await rig.device(receive_maximum=1)
    seen += [device.hello, *await device.rest()]
    return seen


@script
async def no_more_than_it_takes(rig: Rig) -> list[Any]:
    device, worker = await rig.device(receive_maximum=2), await rig.worker()
    await device.subscribe(f"{DOWN}/request")
    for number in range(4):
        await worker.publish(f"{DOWN}/request", b"%d" % number)
    first = await device.rest()
    device.acknowledge(first[1])
    second = await device.rest()
    device.acknowledge(first[0])
    return [first, second, await device.rest()]


@script
async def what_is_said_of_an_end(rig: Rig) -> list[Any]:
    worker = await rig.worker()
    await worker.subscribe("story/+/up/state")
    seen: list[Any] = []
    device = await rig.device(will=b"gone")
    await device.bye()
    seen += await worker.rest()
    device = await rig.device(will=b"gone")
    await device.bye(b"\4\0")
    seen += [await worker.next()]
    device = await rig.device(will=b"gone")
    device.cut()
    seen += [await worker.next()]
    denied = await rig.device(will=b"not mine", will_topic=f"story/{OTHER}/up/state")
    denied.cut()
    last = await rig.device(will=b"last")
    last.cut()
    return [*seen, denied.hello, await worker.next(), *await worker.rest()]


@script
async def a_name_is_taken_over(rig: Rig) -> list[Any]:
    worker = await rig.worker()
    await worker.subscribe("story/+/up/state")
    first = await rig.device(will=b"first")
    await first.subscribe(f"{DOWN}/request")
    second = await rig.device(will=b"second")
    seen = [second.hello, await end_of(first), await worker.rest()]
    third = await rig.device(will=b"third")
    seen += [third.hello, await end_of(second), await worker.rest()]
    seen += [await worker.publish(f"{DOWN}/request", b"to the last"), await third.rest()]
    clean = await rig.device(will=b"clean", clean=True)
    seen += [clean.hello, await end_of(third), await worker.rest()]
    return [*seen, await worker.publish(f"{DOWN}/request", b"to nobody")]


@script
async def a_name_without_a_session_is_taken_over(rig: Rig) -> list[Any]:
    worker = await rig.worker()
    await worker.subscribe("story/+/up/state")
    first = await rig.device(will=b"first", expiry=0)
    second = await rig.device(will=b"second", expiry=0)
    seen = [second.hello, await end_of(first), await worker.rest()]
    second.cut()
    return [*seen, await worker.next(), await worker.publish(f"{DOWN}/request")]


@script
async def a_message_has_its_properties(rig: Rig) -> list[Any]:
    device, worker = await rig.device(), await rig.worker()
    await worker.subscribe("story/+/up/#")
    pairs = (("code", "2.05"), ("again", "3"), ("code", "2.04"))
    named: dict[str, Any] = {"response": f"{DOWN}/answer", "correlation": b"\0\1", "users": pairs}
    seen = [await device.publish(f"{UP}/report", "路".encode(), expiry=100, **named)]
    return seen + await worker.rest()


@script
async def workers_share(rig: Rig) -> list[Any]:
    device, one, two = await rig.device(), await rig.worker(), await rig.worker("worker-2")
    for worker in (one, two):
        await worker.subscribe("$share/cloud/story/+/up/report")
    answers = [await device.publish(f"{UP}/report", b"%d" % number) for number in range(4)]
    got = sorted([len(await one.rest()), len(await two.rest())])
    two.cut()
    answers += [await device.publish(f"{UP}/state"), len(await one.rest())]
    return [*answers, got]


@script
async def one_that_leaves_gets_nothing(rig: Rig) -> list[Any]:
    device, worker = await rig.device(), await rig.worker(expiry=0)
    await worker.subscribe("story/+/up/report", "story/+/up/state")
    seen = await worker.unsubscribe("story/+/up/report")
    seen += await worker.unsubscribe("story/+/up/nothing")
    seen += [await device.publish(f"{UP}/report"), await device.publish(f"{UP}/state")]
    seen += await worker.rest()
    await worker.bye()
    return [*seen, await device.publish(f"{UP}/state")]


@script
async def what_is_too_large(rig: Rig) -> list[Any]:
    device = await rig.device()
    device.write(mqtt.write_publish(mqtt.Publish(f"{UP}/report", bytes(PACKET_LIMIT + 1), 1, 1)))
    return [await end_of(device)]


@script
async def a_broker_that_died_knows_nothing(rig: Rig) -> list[Any]:
    device, worker = await rig.device(will=b"gone"), await rig.worker()
    await device.subscribe(f"{DOWN}/request")
    await device.publish(f"{UP}/state", b"online", retain=True)
    await worker.publish(f"{DOWN}/request", b"waits")
    await rig.restart()
    seen: list[Any] = [await end_of(device, only_last=True)]
    worker = await rig.worker()
    seen += await worker.subscribe("story/+/up/state")
    seen += [await worker.publish(f"{DOWN}/request", b"to nobody")]
    device = await rig.device()
    return [*seen, device.hello, *await device.rest()]


async def end_of(client: Client, *, only_last: bool = False) -> list[tuple[Any, ...]]:
    """Return what comes until the end."""
    found = []
    while (one := await client.next()) != ("end",):
        found.append(one)
    return [one] if only_last else [*found, one]
