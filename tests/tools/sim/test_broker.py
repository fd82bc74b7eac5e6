"""The simulated broker answers as mosquitto does: the same exchanges with both, and what came is compared."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from staging.advise import mqtt_packets as mqtt
from staging.broker.settings import ACCESS, CLOUD_USER
from tests.authority import LOOPBACK, Authority
from tests.broker import CLOUD_PASSWORD, broker
from tests.tools.sim.broker_scripts import (
    DEVICE,
    OTHER,
    SCRIPTS,
    TOKENS,
    Rig,
    Script,
    connect,
    told,
)
from tools.sim.broker import Broker, BrokerConnection, next_look
from tools.sim.broker_rules import Access, group_of, matches


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


USERS = {CLOUD_USER: CLOUD_PASSWORD, **TOKENS}


async def with_mosquitto(work: Script, folder: Path, authority: Authority) -> list[Any]:
    async with broker(folder, authority, TOKENS) as made:

        async def restart() -> None:
            await made.stop(signal.SIGKILL)
            await made.start(USERS)

        ports = made.listeners.port, made.listeners.workers_port
        return await work(Rig(*ports, authority.client_context(), restart))


async def with_the_simulated(work: Script, authority: Authority) -> list[Any]:
    loop, context = asyncio.get_running_loop(), authority.server_context()
    current = [Broker(loop.time, USERS)]

    def welcome(*, is_device: bool) -> Callable[[], BrokerConnection]:
        return lambda: current[0].welcome(is_device=is_device)

    devices = await loop.create_server(welcome(is_device=True), LOOPBACK, 0, ssl=context)
    workers = await loop.create_server(welcome(is_device=False), LOOPBACK, 0, ssl=context)

    async def restart() -> None:
        dead, current[0] = current[0], Broker(loop.time, USERS)
        for connection in list(dead.connections):
            connection.end(with_will=False)

    ports = [server.sockets[0].getsockname()[1] for server in (devices, workers)]
    try:
        return await work(Rig(ports[0], ports[1], authority.client_context(), restart))
    finally:
        for connection in list(current[0].connections):
            connection.end(with_will=False)
        devices.close()
        workers.close()


@pytest.mark.parametrize("work", SCRIPTS, ids=lambda work: work.__name__)
async def test_what_comes_is_what_comes_from_mosquitto(
    work: Script, tmp_path: Path, authority: Authority
) -> None:
    expected = await with_mosquitto(work, tmp_path, authority)
    assert await with_the_simulated(work, authority) == expected


class Wire:
    """What a broker writes to one client."""

    def __init__(self, made: Broker, *, is_device: bool) -> None:
        self.said: list[tuple[Any, ...]] = []
        self.is_open = True
        self._decoder = mqtt.PacketDecoder()
        self.connection = made.welcome(is_device=is_device)
        self.connection.connection_made(self)  # type: ignore[arg-type]  # as much of one as is used

    def write(self, data: bytes) -> None:
        self.said += [told(packet) for packet in self._decoder.feed(data)]

    def close(self) -> None:
        self.is_open = False

    def is_closing(self) -> bool:
        return not self.is_open

    def say(self, *packets: bytes) -> list[tuple[Any, ...]]:
        """Send packets; return what has been said since the last time."""
        for packet in packets:
            self.connection.data_received(packet)
        said, self.said = self.said, []
        return said


def come(made: Broker, name: str, **options: Any) -> Wire:
    """Let a device, or a worker, connect."""
    is_device = name in TOKENS
    wire = Wire(made, is_device=is_device)
    user = name if is_device else CLOUD_USER
    told_by = {"name": name, "user": user, "password": USERS[user]} | options
    wire.connection.data_received(connect(told_by))
    return wire


def subscription(name: str) -> bytes:
    return mqtt.packet(mqtt.SUBSCRIBE, b"\0\1\0" + mqtt.field(name.encode()) + b"\1", 2)


def message(topic: str, payload: bytes, *, retain: bool = False, expiry: int | None = 100) -> bytes:
    return mqtt.write_publish(mqtt.Publish(topic, payload, 1, 1, retain, expiry=expiry))


def payloads(said: list[tuple[Any, ...]]) -> list[tuple[bytes, Any, bool]]:
    """Return the messages of what was said: payload, seconds that are left of it, and whether it came before."""
    found = [dict(one[1:]) for one in said if one[0] == "publish"]
    return [(one["payload"], one["expiry"], one["again"]) for one in found]


REQUEST, STATE = f"story/{DEVICE}/down/request", f"story/{DEVICE}/up/state"
PING = mqtt.packet(mqtt.PINGREQ)


# Seconds of a message, when its device came back, and the seconds that mosquitto 2.0.11 said were left; [] is nothing.
@pytest.mark.parametrize(
    ("expiry", "after", "left"),
    [(1, 0.5, [1]), (2, 1.1, [1]), (2, 2.1, [None]), (3, 2.9, [1]), (3, 3.3, [None]), (1, 2.2, []), (10, 11.5, [])],
)  # fmt: skip
async def test_what_is_too_old_is_not_handed_over(
    expiry: int, after: float, left: list[int | None]
) -> None:
    time = [100.0]
    made = Broker(lambda: time[0], USERS)
    device = come(made, DEVICE)
    device.say(subscription(REQUEST))
    device.connection.connection_lost(None)
    sent = come(made, "w").say(message(REQUEST, b"x", expiry=expiry))
    assert sent[1:] == [("puback", 1, 0)]
    time[0] += after
    assert [seconds for _, seconds, _ in payloads(come(made, DEVICE).say(PING))] == left


# Keepalive, and when mosquitto 2.0.11 ended a silent connection that began 2.4 s after one of its looks.
@pytest.mark.parametrize(
    ("keepalive", "end"),
    [(2, 3.6), (3, 9.6), (5, 9.6), (10, 15.6), (11, 21.6), (14, 21.6), (15, 27.6)],
)
def test_the_silent_are_looked_for_each_six_seconds(keepalive: int, end: float) -> None:
    began = 602.4
    assert next_look(began + 1.5 * keepalive) - began == pytest.approx(end)


async def test_a_session_ends_when_its_time_is_over() -> None:
    time = [100.0]
    made = Broker(lambda: time[0], USERS)
    device, worker = come(made, DEVICE, expiry=60), come(made, "w")
    device.say(subscription(REQUEST))
    device.connection.connection_lost(None)
    worker.say()
    time[0] += 59
    assert worker.say(message(REQUEST, b"x")) == [("puback", 1, 0)]
    time[0] += 3
    assert worker.say(message(REQUEST, b"x")) == [("puback", 1, 16)]
    assert come(made, DEVICE).say()[0][:2] == ("connack", False)


async def test_an_end_in_order_tells_the_wills_and_is_kept_by_a_broker_with_a_disk() -> None:
    # As of mosquitto 2.0.11 with `persistence true`, before and after a SIGTERM.
    made = Broker(lambda: 100.0, USERS)
    device, worker, other = come(made, DEVICE, will=b"gone"), come(made, "w"), come(made, OTHER)
    worker.say(subscription("story/+/up/state"))
    device.say(subscription(REQUEST), message(STATE, b"online", retain=True))
    others = f"story/{OTHER}/down/request"
    other.say(subscription(others))
    other.connection.connection_lost(None)
    worker.say(message(REQUEST, b"under way"), message(others, b"waits"))
    made.say_goodbye()
    assert payloads(worker.say()) == [(b"gone", None, False)]
    assert not worker.is_open
    assert not device.is_open
    later = Broker(lambda: 102.0, USERS)
    later.restore(made.keep())
    back = come(later, DEVICE).say()
    assert back[0][:3] == ("connack", True, 0)
    assert payloads(back) == [(b"under way", 98, True)]
    assert payloads(come(later, OTHER).say()) == [(b"waits", 98, True)]
    assert payloads(come(later, "w9").say(subscription("story/+/up/state"))) == [
        (b"gone", None, False)
    ]


async def test_one_that_stands_still_does_all_afterwards() -> None:
    made = Broker(lambda: 100.0, USERS)
    device, worker = come(made, DEVICE, will=b"gone"), come(made, "w")
    worker.say(subscription("story/+/up/#"))
    made.stand_still(still=True)
    assert device.say(message(f"story/{DEVICE}/up/report", b"1"))[1:] == []
    device.connection.connection_lost(None)
    assert worker.say() == []
    made.stand_still(still=False)
    assert [payload for payload, _, _ in payloads(worker.say())] == [b"1", b"gone"]


def test_filters_match_as_the_standard_says() -> None:
    # The examples of MQTT 5, section 4.7.1.
    tennis = "sport/tennis/player1"
    for pattern in (f"{tennis}/#", "sport/#", "#", "sport/+/player1", tennis):
        assert matches(pattern, tennis), pattern
    assert matches("sport/tennis/player1/#", f"{tennis}/ranking")
    assert matches("sport/+", "sport/")
    assert not matches("sport/+", "sport")
    assert not matches("#", "$SYS/monitor")
    assert not matches("sport/tennis", tennis)
    assert group_of("$share/cloud/story/+/up/report") == ("cloud", "story/+/up/report")
    assert group_of("story/#") == ("", "story/#")


def test_the_access_list_is_read_as_mosquitto_reads_it() -> None:
    access = Access(ACCESS)
    assert access.allows(DEVICE, "write", STATE)
    assert access.allows(DEVICE, "read", REQUEST)
    assert not access.allows(DEVICE, "read", STATE)
    assert not access.allows(OTHER, "write", STATE)
    assert not access.allows(DEVICE, "write", "story-cloud/members/x")
    assert access.allows(CLOUD_USER, "write", "story-cloud/members/x")
    with pytest.raises(ValueError, match="expected user, topic or pattern"):
        Access("topic deny story/#")


async def test_a_broker_that_ends_says_goodbye_in_the_order_in_which_clients_came() -> None:
    made, gone = Broker(lambda: 0.0, USERS), list[int]()

    class Last(Wire):
        def close(self) -> None:
            gone.append(number_of[self])
            super().close()

    wires = [Last(made, is_device=False) for _ in range(40)]
    number_of = {wire: number for number, wire in enumerate(wires)}
    made.say_goodbye()
    assert gone == list(range(40))
