"""Workers of the cloud behind a real broker, and devices with the agent's real MQTT link."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from staging.broker.gate import BrokerGate
from staging.broker.members import Members
from staging.broker.peers import BrokerPeer
from staging.broker.process import Mosquitto
from staging.broker.settings import CLOUD_USER, share_group
from staging.broker.worker import BrokerAddress, Worker
from staging.errors import DeviceOfflineError
from staging.gateway.ear import Ear
from staging.gateway.gateway import Gateway
from staging.gateway.silent import Pace
from staging.gateway.twins import TEXT, Twins
from staging.store import Database, devices, history, ota, releases
from staging.store.effects import VoiceSeen
from staging.store.models import UNVERIFIED, Device
from staging.store.products import DATA_POINTS
from staging.store.releases import Target
from tests.authority import Authority
from tests.broker import CLOUD_PASSWORD, DEADLINE, broker, connect
from tests.staging.conftest import API_URL, LIMITS, FakeClock
from tests.waiting import until
from transport.errors import TransportError
from wire.abilities import ANSWER, ANSWER_PATH, Abilities
from wire.answers import Result, UtteranceAnswer
from wire.answers import parse_answer as parse_utterance_answer
from wire.codes import Code
from wire.exchange import Answer, Request
from wire.fields import dump_object
from wire.ota import parse_order
from wire.reports import Credentials, registration_payload, report_payload
from wire.topics import (
    Kind,
    State,
    Topic,
    answer_properties,
    every,
    parse_answer,
    parse_request,
    run_properties,
    state_payload,
    voice_topic,
)
from wire.voice import VoiceSegment

pytestmark = pytest.mark.one_database

FRAME = (38).to_bytes(4, "little") + bytes(38)
UUIDS = [f"008300000000{number:02x}" for number in range(4)]


@dataclass
class Site:
    """A broker, a store, and workers."""

    made: Mosquitto
    authority: Authority
    database: Database
    clock: FakeClock
    devices: list[Device]
    ca: Path
    workers: dict[str, Gateway] = field(default_factory=dict)
    gates: dict[str, BrokerGate] = field(default_factory=dict)
    running: dict[str, asyncio.Task[None]] = field(default_factory=dict)
    things: list[Thing] = field(default_factory=list)

    async def work(self, who: str) -> Gateway:
        """Start a worker; returns when it takes part."""
        members = Members(who)
        gateway = Gateway(
            self.database, api_url=lambda: API_URL, limits=LIMITS, clock=self.clock,
            pace=Pace(scan=3600.0, again=0.2), owns=members.owns,
        )  # fmt: skip
        gateway.start_work()
        gate = BrokerGate(self.database, gateway, members)

        def address() -> BrokerAddress:
            port = self.made.listeners.workers_port
            return BrokerAddress("127.0.0.1", port, self.ca, CLOUD_PASSWORD)

        worker = Worker(gate, who, address)
        self.running[who] = asyncio.create_task(worker.run())
        await worker.ready.wait()
        self.workers[who], self.gates[who] = gateway, gate
        await until(
            lambda: all(len(g._members.others) == len(self.gates) - 1 for g in self.gates.values())
        )
        return gateway

    async def kill(self, who: str) -> None:
        """End a worker without a farewell."""
        connection = self.gates[who]._connection
        assert connection
        self.running[who].cancel()
        connection.abort("killed")
        await asyncio.gather(self.running.pop(who), return_exceptions=True)
        await self.workers.pop(who).stop()
        del self.gates[who]

    async def join(self, number: int = 0) -> Thing:
        thing = Thing(self.devices[number])
        await thing.connect(self)
        self.things.append(thing)
        return thing


class Thing:
    """A device with a volume, by the topics alone."""

    def __init__(self, device: Device) -> None:
        self.uuid, self.token = device.uuid, device.token
        self.volume = "8"
        self.told: list[UtteranceAnswer] = []
        self.connection: Any = None
        self.answers: dict[bytes, asyncio.Future[Answer]] = {}
        self.tasks: set[asyncio.Task[None]] = set()
        self.count = 0

    async def connect(self, site: Site) -> None:
        from transport.mqtt import Will

        state = str(Topic(self.uuid, Kind.STATE))
        self.connection = await connect(
            site.made, site.authority.client_context(), self.uuid, self.token, self.deliver,
            will=Will(state, state_payload(State(online=False))),
        )  # fmt: skip
        filters = [(f"story/{self.uuid}/down/#", 1)]
        await self.connection.subscribe(filters, deadline=DEADLINE)

    async def register(
        self,
        token: str | None = None,
        uuid: str | None = None,
        run: str = "",
        reads: Abilities = frozenset(),
    ) -> Answer:
        payload = registration_payload(Credentials(uuid or self.uuid, token or self.token))
        properties = run_properties(run) if run else []
        answer = await self.ask(Kind.REGISTER, payload, properties=properties)
        if answer.code == Code.CONTENT:
            state = state_payload(State(online=True, reads=reads, run=run))
            await self.say(str(Topic(self.uuid, Kind.STATE)), state, retain=True)
        return answer

    async def report(self, **data: object) -> Answer:
        return await self.ask(Kind.REPORT, report_payload(data))

    async def ask(
        self, kind: Kind, payload: bytes, response_topic: str | None = None, **options: Any
    ) -> Answer:
        self.count += 1
        correlation = str(self.count).encode()
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self.answers[correlation] = answer
        there = (
            str(Topic(self.uuid, Kind.CLOUD_ANSWER)) if response_topic is None else response_topic
        )
        topic = str(Topic(self.uuid, kind))
        await self.say(topic, payload, response_topic=there, correlation=correlation, **options)
        async with asyncio.timeout(DEADLINE):
            return await answer

    async def say(self, topic: str, payload: bytes, **options: Any) -> None:
        from transport.mqtt import Outgoing

        await self.connection.publish(Outgoing(topic, payload, **options), deadline=DEADLINE)

    def deliver(self, message: Any) -> None:
        if message.topic.endswith("down/answer"):
            answer = parse_answer(message.properties, message.payload)
            self.answers[message.correlation].set_result(answer)
        else:
            task = asyncio.create_task(self.answer(message))
            self.tasks.add(task)
            task.add_done_callback(self.tasks.discard)
        self.connection.acknowledge(message)

    async def answer(self, message: Any) -> None:
        made = self.decide(parse_request(message.properties, message.payload))
        await self.say(
            message.response_topic, made.payload, correlation=message.correlation,
            properties=answer_properties(made.code),
        )  # fmt: skip

    def decide(self, request: Request) -> Answer:
        if request.path == ANSWER_PATH:
            self.told.append(parse_utterance_answer(request.payload))
            return Answer(Code.CHANGED)
        if request.path == ("resource",):
            return Answer(Code.CONTENT, dump_object(DATA_POINTS))
        if request.path != ("volume",):
            return Answer(Code.NOT_FOUND)
        if request.method == "GET":
            return Answer(Code.CONTENT, self.volume.encode())
        self.volume = request.payload.decode()
        return Answer(Code.CHANGED)


@pytest.fixture
async def site(
    authority: Authority, tmp_path: Path, database: Database, clock: FakeClock
) -> AsyncIterator[Site]:
    made = [database.call(devices.add, uuid, clock()) for uuid in UUIDS]
    users = {device.uuid: device.token for device in made}
    async with broker(tmp_path / "b", authority, users) as running:
        prepared = Site(running, authority, database, clock, made, tmp_path / "b" / "ca.pem")
        yield prepared
        for thing in prepared.things:
            await thing.connection.close()
        for who in list(prepared.running):
            await prepared.kill(who)


@pytest.fixture(scope="module")
def authority() -> Authority:
    return Authority()


def stored(site: Site, device: Device) -> list[int]:
    """Return the volumes in a device's history, oldest first."""
    rows = site.database.call(history.reports, device.id, None, 100)
    return [int(row.value) for row in rows if row.key == "volume"]


async def test_any_worker_reaches_a_device_that_registered_with_another(site: Site) -> None:
    a, b = await site.work("a"), await site.work("b")
    thing = await site.join()
    assert (await thing.register()).code == Code.CONTENT
    await until(lambda: a.is_online(thing.uuid) and b.is_online(thing.uuid))
    # The greeting's self-description is in the store, for both.
    for gateway, value in ((a, "3"), (b, "5")):
        assert await gateway.control(thing.uuid, "volume", "PUT", value) == ("2.04", "")
        assert thing.volume == value
    assert await b.control(thing.uuid, "volume", "GET", None) == ("2.05", "5")


async def test_any_worker_tells_a_device_what_became_of_an_utterance(site: Site) -> None:
    a, b = await site.work("a"), await site.work("b")
    thing, of_old = await site.join(0), await site.join(1)
    await thing.register(reads=frozenset({ANSWER}))
    await of_old.register()
    ears = [Ear(gateway.sessions) for gateway in (a, b)]
    await until(lambda: all(ear.reads(thing.uuid, ANSWER) for ear in ears))
    told = [UtteranceAnswer(10_001, Result.DONE), UtteranceAnswer(10_002, Result.NOT_UNDERSTOOD)]
    for ear, answer in zip(ears, told, strict=True):
        assert await ear.answer(thing.uuid, answer)
        assert not await ear.answer(of_old.uuid, answer)
    assert thing.told == told
    assert of_old.told == []


async def test_a_worker_that_starts_later_knows_who_is_online(site: Site) -> None:
    await site.work("a")
    thing = await site.join()
    await thing.register()
    b = await site.work("b")
    await until(lambda: b.is_online(thing.uuid))
    assert (await b.control(thing.uuid, "volume", "GET", None))[0] == "2.05"


async def test_every_worker_knows_at_once_that_a_device_is_gone(site: Site) -> None:
    a, b = await site.work("a"), await site.work("b")
    thing = await site.join()
    await thing.register()
    await until(lambda: a.is_online(thing.uuid) and b.is_online(thing.uuid))
    thing.connection.abort("the power is cut")
    await until(lambda: not a.is_online(thing.uuid) and not b.is_online(thing.uuid))
    with pytest.raises(DeviceOfflineError):
        await b.control(thing.uuid, "volume", "GET", None)


async def test_reports_are_shared_out_and_each_is_stored_once(site: Site) -> None:
    await site.work("a")
    await site.work("b")
    heard: dict[str, int] = {"a": 0, "b": 0}
    for who, gateway in site.workers.items():
        gateway.listen(lambda _uuid, _effects, who=who: heard.update({who: heard[who] + 1}))  # type: ignore[misc]
    things = [await site.join(number) for number in range(4)]
    for thing in things:
        await thing.register()
    for value in range(5):
        answers = await asyncio.gather(*(thing.report(volume=value) for thing in things))
        assert {answer.code for answer in answers} == {Code.CHANGED}
    assert sum(heard.values()) == 20
    assert min(heard.values()) > 0
    for device in site.devices:
        assert stored(site, device) == [0, 1, 2, 3, 4]


async def test_a_device_cannot_take_the_messages_of_others_from_the_workers(site: Site) -> None:
    """A broker deals out to whoever joins a group, and drops what that may not read."""
    await site.work("a")
    thief, thing = await site.join(0), await site.join(1)
    names = [every(kind) for kind in (Kind.REGISTER, Kind.REPORT)]
    for group in ("cloud", share_group(site.devices[0].token)):
        filters = [(f"$share/{group}/{name}", 1) for name in names]
        await thief.connection.subscribe(filters, deadline=DEADLINE)
    await thing.register()
    assert [(await thing.report(volume=value)).code for value in range(4)] == [Code.CHANGED] * 4


async def test_all_segments_of_an_utterance_reach_one_worker_in_order(site: Site) -> None:
    await site.work("a")
    await site.work("b")
    heard: dict[str, list[tuple[str, int]]] = {"a": [], "b": []}

    def note(who: str) -> Callable[[str, Any], None]:
        def hear(uuid: str, effects: Any) -> None:
            heard[who] += [(uuid, e.segment.segment) for e in effects if isinstance(e, VoiceSeen)]

        return hear

    for who, gateway in site.workers.items():
        gateway.listen(note(who))
    things = [await site.join(number) for number in range(4)]
    for thing in things:
        await thing.register()
    for number in range(12):
        for thing in things:
            frames = b"" if number == 11 else FRAME
            segment = VoiceSegment(10_000, number, 8000, eof=number == 11, voice_data=frames)
            data = {"duer_voice": segment.to_json()}
            await thing.say(voice_topic(thing.uuid), report_payload(data), qos=0)
    await until(lambda: len(heard["a"]) + len(heard["b"]) == 48)
    for thing in things:
        [who] = [w for w in heard if any(uuid == thing.uuid for uuid, _ in heard[w])]
        assert site.gates[who]._members.owns(thing.uuid)
        assert [n for uuid, n in heard[who] if uuid == thing.uuid] == list(range(12))


async def test_when_a_worker_is_killed_the_other_takes_all(site: Site) -> None:
    a = await site.work("a")
    await site.work("b")
    thing = await site.join()
    await thing.register()
    await until(lambda: a.is_online(thing.uuid))
    await site.kill("b")
    await until(lambda: not site.gates["a"]._members.others)
    assert len(site.gates["a"]._members.owned) == 64
    for value in range(4):
        assert (await thing.report(volume=value)).code == Code.CHANGED
    assert (await a.control(thing.uuid, "volume", "GET", None))[0] == "2.05"


async def test_a_worker_tells_the_others_consoles_what_it_changed(site: Site) -> None:
    seen: dict[str, list[str]] = {"a": [], "b": []}
    a, b = await site.work("a"), await site.work("b")
    a.watch(seen["a"].append)
    b.watch(seen["b"].append)
    thing = await site.join()
    await thing.register()
    for value in range(3):
        before = {who: len(uuids) for who, uuids in seen.items()}
        assert (await thing.report(volume=value)).code == Code.CHANGED
        await until(lambda: all(len(seen[who]) > before[who] for who in seen))  # noqa: B023
    # A change is told once: what the other tells is no change of one's own.
    assert max(map(len, seen.values())) < 20


@pytest.mark.parametrize(
    ("told", "code"),
    [({"token": "wrong"}, Code.UNAUTHORIZED), ({"uuid": UUIDS[1]}, Code.BAD_REQUEST)],
)
async def test_the_cloud_checks_a_registration_itself(
    site: Site, told: dict[str, Any], code: Code
) -> None:
    a = await site.work("a")
    thing = await site.join()
    assert (await thing.register(**told)).code == code
    assert not a.is_online(thing.uuid)
    assert not a.is_online(UUIDS[1])


async def test_an_answer_goes_to_the_device_itself_alone(site: Site) -> None:
    """Or a device could let the cloud write to another one."""
    await site.work("a")
    thing, victim = await site.join(0), await site.join(1)
    await thing.register()
    elsewhere = str(Topic(victim.uuid, Kind.CLOUD_ANSWER))
    asking = asyncio.create_task(thing.ask(Kind.REPORT, report_payload({"volume": 1}), elsewhere))
    assert (await thing.report(volume=2)).code == Code.CHANGED
    assert not asking.done()
    asking.cancel()
    assert stored(site, site.devices[0]) == [2]


@pytest.mark.parametrize(
    ("topic", "payload"),
    [
        ("up/state", b"online"),
        ("up/state", b"\xff"),
        ("up/report", b"not json"),
        ("up/nothing", b"{}"),
        ("up/voice/99", b"{}"),
        ("up/answer/a", b"who asked?"),
        ("up/register", b""),
    ],
)
async def test_nonsense_does_not_end_the_worker(site: Site, topic: str, payload: bytes) -> None:
    await site.work("a")
    thing = await site.join()
    await thing.register()
    await thing.say(f"story/{thing.uuid}/{topic}", payload, qos=1)
    assert (await thing.report(volume=2)).code == Code.CHANGED


async def test_what_a_device_lets_the_broker_keep_is_no_live_message(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    """Or each worker that starts would hear it again."""
    thing = await site.join()
    payload = report_payload({"duer_voice": {"id": 1}})
    await thing.say(voice_topic(thing.uuid), payload, qos=1, retain=True)
    await site.work("a")
    await thing.register()
    assert (await thing.report(volume=2)).code == Code.CHANGED
    assert "kept by the broker" in caplog.text


async def test_after_the_brokers_death_all_come_back(site: Site) -> None:
    import signal

    a = await site.work("a")
    thing = await site.join()
    await thing.register()
    await until(lambda: a.is_online(thing.uuid))
    await site.made.stop(signal.SIGKILL)
    await until(lambda: not a.is_online(thing.uuid))
    users = {device.uuid: device.token for device in site.devices}
    await site.made.start({CLOUD_USER: CLOUD_PASSWORD, **users})
    await thing.connect(site)
    async with asyncio.timeout(DEADLINE):
        while True:
            try:
                async with asyncio.timeout(1):
                    assert (await thing.register()).code == Code.CONTENT
                break
            except (TimeoutError, TransportError):
                continue
    await until(lambda: a.is_online(thing.uuid))


async def test_what_was_ordered_while_a_worker_was_without_its_broker_is_sent_when_it_is_back(
    site: Site,
) -> None:
    """The device was there all the time, and does not register again."""
    a = await site.work("a")
    thing = await site.join()
    await thing.register()
    await until(lambda: a.is_online(thing.uuid))
    ordered: asyncio.Queue[bytes] = asyncio.Queue()

    def decide(request: Request) -> Answer:
        if request.path != ("newfirmware",):
            return Answer(Code.NOT_FOUND)
        ordered.put_nowait(request.payload)
        return Answer(Code.CHANGED)

    thing.decide = decide  # type: ignore[method-assign]
    target = Target("1.1.tar", 521, "0" * 32, "0" * 64)
    package = site.database.call(releases.add_package, "1.1", target, "", 0, status=UNVERIFIED)
    task = site.database.call(ota.order_verification, thing.uuid, package.id, 0)
    connection = site.gates["a"]._connection
    assert connection
    connection.abort("the network is gone")
    async with asyncio.timeout(DEADLINE):
        order = parse_order(await ordered.get())
    assert order.transaction == str(task.id)


def test_a_device_behind_the_broker_is_shown_by_its_uuid() -> None:
    assert UUIDS[0] in repr(BrokerPeer(UUIDS[0]))


async def take_turns(site: Site, gateway: Gateway) -> tuple[Thing, Thing]:
    """Let two machines of one identity take turns until a gateway knows them; the first one is there then."""
    first, second = await site.join(), Thing(site.devices[0])
    for turn, thing in enumerate([first, second, first, second, first]):
        if turn:
            await thing.connect(site)  # which ends the other's connection
        assert (await thing.register(run=f"run-{thing is first}")).code == Code.CONTENT
    await until(lambda: gateway.has_twin(first.uuid))
    return first, second


async def test_two_machines_with_one_identity_are_told_and_the_second_is_refused(
    site: Site,
) -> None:
    gateway = await site.work("a")
    first, second = await take_turns(site, gateway)
    await second.connect(site)
    answer = await second.register(run="run-False")
    assert (answer.code, answer.text) == (Code.CONFLICT, TEXT)
    await first.connect(site)
    assert (await first.register(run="run-True")).code == Code.CONTENT


async def test_a_worker_that_has_seen_none_of_it_refuses_the_second_machine_too(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The broker chooses who serves a registration, and the worker that saw them take turns may be gone."""
    gateway = await site.work("a")
    first, second = await take_turns(site, gateway)
    await gateway.twins.save()
    await site.kill("a")
    # It became certain since the new one has looked: so it looks when it decides.
    monkeypatch.setattr(Twins, "run", lambda _self: asyncio.Event().wait())
    new = await site.work("b")
    await until(lambda: new.is_online(first.uuid))
    await second.connect(site)
    answer = await second.register(run="run-False")
    assert (answer.code, answer.text) == (Code.CONFLICT, TEXT)


async def test_a_run_that_is_no_word_is_refused(site: Site) -> None:
    await site.work("a")
    thing = await site.join()
    answer = await thing.register(run="a b")
    assert (answer.code, answer.text[:11]) == (Code.BAD_REQUEST, 'run: got "a')


async def test_segments_stay_in_order_while_their_device_is_looked_up(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    gateway = await site.work("a")
    heard: list[int] = []
    gateway.listen(
        lambda _uuid, effects: heard.extend(
            effect.segment.segment for effect in effects if isinstance(effect, VoiceSeen)
        )
    )
    reads, read = [0], site.database.read
    free = asyncio.Event()

    async def slow_at_first(query: Any, *arguments: Any) -> Any:
        reads[0] += 1
        if reads[0] == 1:
            await free.wait()
        else:
            asyncio.get_running_loop().call_later(0.01, free.set)
        return await read(query, *arguments)

    monkeypatch.setattr(site.gates["a"]._database, "read", slow_at_first)
    asyncio.get_running_loop().call_later(0.05, free.set)
    thing = await site.join()
    for number in range(3):
        segment = VoiceSegment(1, number, 8000, eof=number == 2, voice_data=FRAME)
        payload = report_payload({"duer_voice": segment.to_json()})
        await thing.say(voice_topic(thing.uuid), payload, qos=0)
    await until(lambda: len(heard) == 3)
    assert heard == [0, 1, 2]
