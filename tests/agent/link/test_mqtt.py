"""The MQTT link through a real mosquitto to a scripted cloud: trust, phases, reports, requests, its end."""

from __future__ import annotations

import asyncio
import builtins
import datetime as dt
import signal
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    PrivateFormat,
    load_pem_private_key,
)

import agent.link.mqtt_requests
import agent.link.mqtt_session
from agent.link import (
    ClientCertificateError,
    CloudBusyError,
    ConnectError,
    Link,
    LinkState,
    LostError,
    MissingExtraError,
    RegisterError,
    RegistrationRefusedError,
    ReportRejectedError,
    TlsError,
)
from agent.link.build import build_link
from agent.link.guard import CloudTime, Guard
from agent.link.mqtt import MqttConnector, client_context, profile_port
from agent.link.mqtt_session import MqttSession
from agent.settings import LinkKind, LinkSettings
from base.clock import TrustedTime
from staging.broker.process import Mosquitto
from staging.broker.settings import ACCESS
from tests.agent.parts import DEADLINE, TOKEN, UUID, make_profile, until
from tests.agent.voice.test_cloud import handler as ear_handler
from tests.authority import Authority
from tests.broker import MqttCloud, broker
from tests.extras import require
from wire.abilities import DEVICE_READS
from wire.answers import Result, UtteranceAnswer
from wire.codes import Code
from wire.exchange import TOO_LATE, Answer, Request
from wire.reports import REGISTER_PATH, registration_answer
from wire.topics import State, parse_state

pytestmark = pytest.mark.usefixtures("no_blocking")

# Seconds: how seldom mosquitto 2.0 looks for silent clients (src/keepalive.c).
MOSQUITTO_LOOKS = 6
OTHER = "0083000000000b"
NOW_MS = 1_800_000_000_000


@pytest.fixture
async def made(authority: Authority, tmp_path: Path) -> AsyncIterator[Mosquitto]:
    async with broker(tmp_path, authority, {UUID: TOKEN, OTHER: "other"}) as running:
        yield running


@pytest.fixture
async def cloud(made: Mosquitto, authority: Authority) -> AsyncIterator[MqttCloud]:
    scripted = MqttCloud(made, authority.client_context())
    await scripted.start()
    yield scripted
    await scripted.stop()


async def volume(request: Request) -> Answer:
    if request.path == ("volume",) and request.method == "GET":
        return Answer(Code.CONTENT, b"8")
    return Answer(Code.NOT_FOUND)


def settings(made: Mosquitto, **changes: Any) -> LinkSettings:
    plain: dict[str, Any] = {
        "kind": LinkKind.MQTT, "mqtt_port": made.listeners.port, "keepalive_seconds": 30,
        "connect_timeout_seconds": 5, "retry_max_seconds": 0.02, "refused_retry_seconds": 3600,
    }  # fmt: skip
    return LinkSettings(**(plain | changes))


Run = Callable[..., Awaitable[Link]]


@pytest.fixture
async def run(made: Mosquitto, authority: Authority) -> AsyncIterator[Run]:
    tasks: list[asyncio.Task[None]] = []

    async def start(handler: Any = volume, *, wait: bool = True, **changes: Any) -> Link:
        profile = make_profile(1, authority.pem, **changes.pop("profile", {}))
        link = build_link(profile, settings(made, **changes), handler, TrustedTime())
        tasks.append(asyncio.create_task(link.run()))
        if wait:
            async with asyncio.timeout(DEADLINE):
                await link.registered.wait()
        return link

    yield start
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def failure(link: Link) -> str:
    """Return why the link waits."""
    await until(lambda: link.status.state is LinkState.WAITING)
    return link.status.last_error


# Registration.


async def test_it_registers_and_tells_that_it_is_online(run: Run, cloud: MqttCloud) -> None:
    cloud.answer = lambda _: Answer(
        Code.CONTENT, registration_answer(NOW_MS, frozenset({"number"}))
    )
    link = await run()
    assert [request.path for request in cloud.requests] == [REGISTER_PATH]
    await until(lambda: cloud.states)
    state = parse_state(cloud.states[-1])
    assert state == State(online=True, reads=DEVICE_READS, run=state.run)
    assert state.run
    assert link.cloud_abilities == {"number"}
    assert link.status.state is LinkState.ONLINE
    assert link.status.server.endswith("(mqtt)")


async def test_its_end_is_told_at_once(run: Run, cloud: MqttCloud) -> None:
    await run()
    await until(lambda: len(cloud.states) == 1)
    # A clean end too: the broker publishes the will.
    for task in asyncio.all_tasks():
        if task.get_coro().__qualname__.endswith("ReconnectingLink.run"):  # type: ignore[union-attr]
            task.cancel()
    await until(lambda: len(cloud.states) == 2)
    assert parse_state(cloud.states[-1]) == State(online=False)


async def test_a_cloud_that_refuses_is_asked_again_much_later(run: Run, cloud: MqttCloud) -> None:
    cloud.answer = lambda _: Answer(Code.UNAUTHORIZED, b"wrong token")
    link = await run(wait=False)
    assert "the cloud refuses this device: 4.01" in await failure(link)
    assert link.status.next_try is not None
    await until(lambda: cloud.states)
    assert not any(parse_state(state).online for state in cloud.states)


async def test_a_cloud_that_cannot_now_is_asked_again_soon(run: Run, cloud: MqttCloud) -> None:
    answers = [Answer(Code.SERVICE_UNAVAILABLE, b"later"), Answer(Code.CONTENT)]
    cloud.answer = lambda _: answers.pop(0)
    link = await run()
    assert link.status.tries == 2


async def test_without_a_cloud_at_the_broker_the_link_says_so(run: Run) -> None:
    link = await run(wait=False)
    assert "no cloud listens" in await failure(link)


@pytest.mark.parametrize("token", ["other", "wrong"])
async def test_a_broker_that_refuses_the_token(run: Run, token: str) -> None:
    link = await run(wait=False, profile={"token": token})
    text = await failure(link)
    assert "the broker refuses this device" in text
    assert token not in text


async def connect(
    made: Mosquitto, pem: str, clock: TrustedTime | None = None, **profile: Any
) -> None:
    connector = MqttConnector(
        make_profile(1, pem, **profile), settings(made), volume, clock or TrustedTime()
    )
    async with connector.connect(lambda _: None):
        pass


async def test_another_ca_is_refused_before_the_token_is_sent(made: Mosquitto) -> None:
    with pytest.raises(TlsError):
        await connect(made, Authority().pem)


async def test_another_host_is_refused(made: Mosquitto, authority: Authority) -> None:
    with pytest.raises(TlsError, match="localhost"):
        await connect(made, authority.pem, server_addr="localhost")


async def test_an_expired_certificate_is_refused(made: Mosquitto, authority: Authority) -> None:
    class Later(TrustedTime):
        def certificate_time(self) -> float:
            return dt.datetime.now(dt.UTC).timestamp() + 7200

    with pytest.raises(TlsError, match="expired"):
        await connect(made, authority.pem, Later())


async def test_no_broker_at_the_port(made: Mosquitto, authority: Authority) -> None:
    await made.stop()
    with pytest.raises(ConnectError):
        await connect(made, authority.pem)


async def test_a_frozen_broker_is_given_up(made: Mosquitto, authority: Authority) -> None:
    assert made._process
    made._process.send_signal(signal.SIGSTOP)
    connector = MqttConnector(
        make_profile(1, authority.pem), settings(made, connect_timeout_seconds=0.2), volume,
        TrustedTime(),
    )  # fmt: skip
    with pytest.raises(TlsError, match=r"no answer within 0\.2 s"):
        async with connector.connect(lambda _: None):
            pass
    made._process.send_signal(signal.SIGCONT)


async def test_without_paho_the_link_says_what_to_install(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = builtins.__import__

    def missing(name: str, *arguments: Any, **options: Any) -> Any:
        if name == "transport.mqtt":
            raise ImportError("No module named 'paho'")
        return real(name, *arguments, **options)

    monkeypatch.setattr(builtins, "__import__", missing)
    link = await run(wait=False)
    assert "pip install 'story-agent[mqtt]'" in await failure(link)
    assert link.status.phase == "connect"
    assert "story-agent[mqtt]" in link.status.remedy
    assert MissingExtraError.slow


async def test_a_client_certificate_stands_in_for_the_token(
    authority: Authority, tmp_path: Path
) -> None:
    folder = tmp_path / "mutual"
    async with broker(folder, authority, {}, certificates=True) as made:
        cloud = MqttCloud(made, authority.client_context())
        await cloud.start()
        own = authority._ca.issue_cert("device.local", common_name=UUID)
        file = folder / "device.pem"
        own.private_key_and_cert_chain_pem.write_to_path(str(file))
        chosen = settings(made, client_certificate=str(file))
        link = build_link(make_profile(1, authority.pem), chosen, volume, TrustedTime())
        running = asyncio.create_task(link.run())
        async with asyncio.timeout(DEADLINE):
            await link.registered.wait()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await cloud.stop()


async def test_a_client_certificate_that_cannot_be_read_is_named(run: Run, tmp_path: Path) -> None:
    link = await run(wait=False, client_certificate=str(tmp_path / "none.pem"))
    assert "none.pem: No such file or directory" in await failure(link)
    assert "link.client_certificate" in link.status.remedy


@pytest.mark.parametrize("what", ["neither", "locked", "other"])
def test_a_client_certificate_that_is_none_is_refused_at_once(
    authority: Authority, tmp_path: Path, what: str
) -> None:
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    own, other = (authority._ca.issue_cert(f"{name}.local") for name in ("own", "other"))
    made = own.cert_chain_pems[0].bytes()
    key.write_bytes(other.private_key_pem.bytes())
    if what == "locked":
        loaded = load_pem_private_key(own.private_key_pem.bytes(), None)
        locked = BestAvailableEncryption(b"secret")
        key.write_bytes(
            loaded.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, locked)
        )
    certificate.write_bytes(b"no certificate" if what == "neither" else made)
    chosen = LinkSettings(client_certificate=str(certificate), client_key=str(key))
    with pytest.raises(ClientCertificateError, match=r"c.pem: (expected|its key is encrypted)"):
        client_context(make_profile(1, authority.pem), chosen)


@pytest.mark.parametrize("member", ["client_certificate", "client_key"])
def test_a_device_is_no_client_certificate(
    authority: Authority, tmp_path: Path, member: str
) -> None:
    """OpenSSL reads /dev/zero until the memory is full."""
    own = authority._ca.issue_cert("own.local")
    (tmp_path / "c.pem").write_bytes(own.cert_chain_pems[0].bytes())
    files = {"client_certificate": str(tmp_path / "c.pem"), member: "/dev/null"}
    with pytest.raises(ClientCertificateError, match="no regular file"):
        client_context(make_profile(1, authority.pem), LinkSettings(**files))  # type: ignore[arg-type]


# Reports.


async def test_a_report_is_done_after_the_clouds_answer(run: Run, cloud: MqttCloud) -> None:
    link = await run()
    asked, go = asyncio.Event(), asyncio.Event()

    async def slow(_request: Request) -> Answer:
        asked.set()
        await go.wait()
        return Answer(Code.CHANGED)

    cloud.answer = slow
    report = asyncio.create_task(link.report({"volume": 5}))
    await asked.wait()
    assert not report.done()  # the broker has it, the cloud has not answered
    go.set()
    await report
    assert cloud.reports == [{"volume": 5}]


async def test_a_report_whose_worker_was_killed_is_sent_again(
    run: Run, cloud: MqttCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent.link.mqtt_session, "RESEND_SECONDS", 0.05)
    link = await run()

    async def killed(_request: Request) -> Answer:
        cloud.answer = lambda _: Answer(Code.CHANGED)
        await asyncio.Event().wait()
        raise AssertionError

    cloud.answer = killed
    await link.report({"volume": 5})
    # More often, where the broker takes longer than the short wait for the second one's answer.
    assert cloud.reports[:2] == [{"volume": 5}] * 2


async def test_without_any_answer_a_report_fails_and_the_link_begins_anew(
    run: Run, cloud: MqttCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent.link.mqtt_session, "RESEND_SECONDS", 0.02)
    monkeypatch.setattr(agent.link.mqtt_session, "REPORT_TIMEOUT", 0.1)
    link = await run()

    async def silent(_request: Request) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    cloud.answer = silent
    with pytest.raises(LostError, match="did not answer in time"):
        await link.report({"volume": 5})
    cloud.answer = lambda _: Answer(Code.CONTENT)
    await until(lambda: link.status.tries == 2 and link.registered.is_set())


REPORTS: list[tuple[Answer, type[Exception]]] = [
    (Answer(Code.BAD_REQUEST, b"volume"), ReportRejectedError),
    (Answer(Code.SERVICE_UNAVAILABLE, b"busy"), CloudBusyError),
    (Answer(Code.INTERNAL_SERVER_ERROR), CloudBusyError),
    (Answer(Code.UNAUTHORIZED, b"who?"), LostError),
]


@pytest.mark.parametrize(("answer", "error"), REPORTS)
async def test_what_the_clouds_answer_means(
    run: Run, cloud: MqttCloud, answer: Answer, error: type[Exception]
) -> None:
    link = await run()
    cloud.answer = lambda _: answer
    with pytest.raises(error):
        await link.report({"volume": 5})


@pytest.mark.usefixtures("cloud")
async def test_a_report_that_the_broker_denies_is_kept(run: Run, made: Mosquitto) -> None:
    link = await run()
    rules = ACCESS.replace("pattern write story/%u/up/#", "")
    (made._folder / "acl").write_text(rules)
    assert made._process
    made._process.send_signal(signal.SIGHUP)
    error: Exception | None = None
    async with asyncio.timeout(DEADLINE):
        while not isinstance(error, CloudBusyError):
            try:
                await link.report({"volume": 5})
            except (CloudBusyError, LostError) as caught:
                error = caught
    assert "135" in str(error)


@pytest.mark.usefixtures("cloud")
async def test_a_report_too_large_for_the_broker_does_not_block_the_others(run: Run) -> None:
    link = await run()
    with pytest.raises(ReportRejectedError, match="size"):
        await link.report({"x": "y" * 200_000})
    await link.report({"volume": 5})


async def test_a_payload_goes_whole_and_its_answer_comes_back(run: Run, cloud: MqttCloud) -> None:
    link = await run()
    cloud.answer = lambda _: Answer(Code.CHANGED, b'{"refused":{}}')
    assert await link.send(b'{"number": 7}') == b'{"refused":{}}'
    assert cloud.requests[-1].payload == b'{"number": 7}'


async def test_voice_is_sent_without_an_answer_but_for_its_end(run: Run, cloud: MqttCloud) -> None:
    link = await run()
    cloud.answer = lambda _: Answer(Code.BAD_REQUEST)
    await link.report({"duer_voice": {"id": 1, "eof": 0}})
    with pytest.raises(ReportRejectedError):
        await link.report({"duer_voice": {"id": 1, "eof": 1}})
    assert [report["duer_voice"] for report in cloud.reports] == [
        {"id": 1, "eof": 0}, {"id": 1, "eof": 1},
    ]  # fmt: skip


async def test_a_report_during_the_brokers_death_is_lost_and_the_link_comes_back(
    run: Run, cloud: MqttCloud, made: Mosquitto, authority: Authority
) -> None:
    link = await run()
    asked = asyncio.Event()

    async def never(_request: Request) -> Answer:
        asked.set()
        await asyncio.Event().wait()
        raise AssertionError

    cloud.answer = never
    report = asyncio.create_task(link.report({"volume": 5}))
    await asked.wait()
    await made.stop(signal.SIGKILL)
    with pytest.raises(LostError):
        await report
    await made.start({UUID: TOKEN, "cloud": "the-workers-password"})
    again = MqttCloud(made, authority.client_context())
    await again.start()
    async with asyncio.timeout(DEADLINE):
        await link.registered.wait()
    await link.report({"volume": 5})
    await again.stop()


# Requests.


async def test_a_request_handed_over_again_is_carried_out_once(run: Run, cloud: MqttCloud) -> None:
    count, begun, go = 0, asyncio.Event(), asyncio.Event()

    async def handler(_request: Request) -> Answer:
        nonlocal count
        count += 1
        begun.set()
        await go.wait()
        return Answer(Code.CHANGED, b"done")

    link = await run(handler)
    asking = asyncio.create_task(cloud.ask("PUT", "volume", b"3"))
    await begun.wait()
    # The connection breaks while the handler runs: the broker has no acknowledgement.
    session = link._session  # type: ignore[attr-defined]
    assert isinstance(session, MqttSession)
    assert session._connection
    session._connection.abort("the network is gone")
    go.set()
    async with asyncio.timeout(DEADLINE):
        assert await asking == Answer(Code.CHANGED, b"done")
    assert count == 1


async def test_the_same_request_twice_gets_the_same_answer(run: Run, cloud: MqttCloud) -> None:
    count = 0

    async def handler(_request: Request) -> Answer:
        nonlocal count
        count += 1
        return Answer(Code.CHANGED, str(count).encode())

    await run(handler)
    properties = [("method", "PUT"), ("path", "volume")]
    first = await cloud.send(properties, b"3", b"once")
    assert await cloud.send(properties, b"3", b"once") == first
    assert await cloud.send(properties, b"3", b"two") == Answer(Code.CHANGED, b"2")


async def test_what_became_of_an_utterance_reaches_the_ear_once(
    run: Run, cloud: MqttCloud, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    handle, ears, _ = ear_handler(tmp_path, monkeypatch, remote=False)
    noted: list[UtteranceAnswer] = []
    monkeypatch.setattr(ears, "note_answer", noted.append)
    await run(handle)
    answer = UtteranceAnswer(10_001, Result.DONE)
    properties = [("method", "PUT"), ("path", "answer"), ("id", "0a")]
    for correlation in (b"1", b"2"):  # the second is a repeat
        told = await cloud.send(properties, answer.to_payload(), correlation)
        assert told == Answer(Code.CHANGED)
    assert noted == [answer]
    assert (await cloud.ask("PUT", "answer", b"{}")).code == Code.BAD_REQUEST
    assert (await cloud.ask("GET", "answer")).code == Code.METHOD_NOT_ALLOWED


async def test_a_request_after_its_deadline_is_not_carried_out(run: Run, cloud: MqttCloud) -> None:
    cloud.answer = lambda _: Answer(Code.CONTENT, registration_answer(NOW_MS, frozenset()))
    asked: list[Request] = []

    async def handler(request: Request) -> Answer:
        asked.append(request)
        return Answer(Code.CHANGED)

    await run(handler)
    properties = [("method", "PUT"), ("path", "volume"), ("id", "0a")]
    late = await cloud.send([*properties, ("until", str(NOW_MS - 1))], b"3", b"1")
    assert late.code == Code.SERVICE_UNAVAILABLE
    assert late.text.startswith(TOO_LATE)
    assert asked == []
    properties[-1] = ("id", "0b")
    in_time = await cloud.send([*properties, ("until", str(NOW_MS + 60_000))], b"3", b"2")
    assert in_time.code == Code.CHANGED


async def test_a_handler_that_fails_is_answered(run: Run, cloud: MqttCloud) -> None:
    async def handler(_request: Request) -> Answer:
        raise ZeroDivisionError

    await run(handler)
    assert (await cloud.ask("GET", "volume")).code == Code.INTERNAL_SERVER_ERROR


async def test_a_request_that_cannot_be_read_is_answered(run: Run, cloud: MqttCloud) -> None:
    await run()
    answer = await cloud.send([("method", "EAT"), ("path", "volume")], b"", b"1")
    assert answer.code == Code.BAD_REQUEST
    assert b"method" in answer.payload


@pytest.mark.parametrize(
    ("response_topic", "correlation"),
    [
        ("", b"1"),
        (f"story/{OTHER}/up/answer/scripted", b"1"),
        (f"story/{UUID}/up/report", b"1"),
        (f"story/{UUID}/up/answer/scripted", b""),
        (f"story/{UUID}/up/answer/scripted", b"x" * 65),
    ],
)
async def test_a_request_whose_answer_has_no_place_is_not_carried_out(
    run: Run, cloud: MqttCloud, response_topic: str, correlation: bytes
) -> None:
    from transport.mqtt import Outgoing

    asked: list[Request] = []

    async def handler(request: Request) -> Answer:
        asked.append(request)
        return Answer(Code.CONTENT)

    await run(handler)
    message = Outgoing(
        f"story/{UUID}/down/request", b"", response_topic=response_topic, correlation=correlation,
        properties=[("method", "PUT"), ("path", "lost")],
    )  # fmt: skip
    await cloud.connection.publish(message, deadline=DEADLINE)
    await cloud.ask("GET", "volume")
    assert [request.path for request in asked] == [("volume",)]


async def test_a_request_that_the_broker_has_kept_is_not_carried_out(
    run: Run, cloud: MqttCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """It would be carried out after each start, for ever."""
    from transport.mqtt import Outgoing

    asked: list[Request] = []

    async def handler(request: Request) -> Answer:
        asked.append(request)
        return Answer(Code.CONTENT)

    kept = Outgoing(
        f"story/{UUID}/down/request", b"16", retain=True, correlation=b"1",
        response_topic=f"story/{UUID}/up/answer/scripted",
        properties=[("method", "PUT"), ("path", "volume")],
    )  # fmt: skip
    await cloud.connection.publish(kept, deadline=DEADLINE)
    await run(handler)
    await cloud.ask("GET", "volume")
    assert [request.method for request in asked] == ["GET"]
    assert "a message that the broker has kept" in caplog.text


async def test_a_message_of_very_many_properties_is_dropped_unread(
    run: Run, cloud: MqttCloud, caplog: pytest.LogCaptureFixture
) -> None:
    """paho would stop the event loop for seconds."""
    await run()
    properties = [("x", "y")] * 500 + [("method", "GET"), ("path", "volume")]
    lost = asyncio.create_task(cloud.send(properties, b"", b"1"))
    await until(lambda: "too many properties" in caplog.text)
    assert await cloud.ask("GET", "volume") == Answer(Code.CONTENT, b"8")
    assert not lost.done()
    lost.cancel()


async def test_requests_beyond_the_limit_are_answered_at_once(
    run: Run, cloud: MqttCloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent.link.mqtt_requests, "MAX_SERVING", 2)
    go = asyncio.Event()

    async def handler(_request: Request) -> Answer:
        await go.wait()
        return Answer(Code.CONTENT)

    await run(handler)
    asking = [asyncio.create_task(cloud.ask("GET", "volume")) for _ in range(3)]
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    assert [task.result().code for task in done] == [Code.SERVICE_UNAVAILABLE]
    go.set()
    assert sorted(answer.code for answer in await asyncio.gather(*asking)) == [
        Code.CONTENT, Code.CONTENT, Code.SERVICE_UNAVAILABLE,
    ]  # fmt: skip


async def test_a_flood_takes_the_answer_from_nothing_that_was_carried_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    require("paho")
    from transport.mqtt import MqttMessage

    monkeypatch.setattr(agent.link.mqtt_requests, "MAX_SERVING", 2)
    handled, replies, go = [0], [], asyncio.Event()

    async def handler(_request: Request) -> Answer:
        handled[0] += 1
        return Answer(Code.CONTENT)

    async def reply(_topic: str, _correlation: bytes, answer: Answer) -> None:
        replies.append(answer.code)
        await go.wait()

    begun = asyncio.Event()
    begun.set()
    requests = agent.link.mqtt_requests.CloudRequests(UUID, Guard(handler), CloudTime(), begun)
    properties = (("method", "GET"), ("path", "volume"))
    there = f"story/{UUID}/up/answer/w"
    flood = [
        asyncio.create_task(
            requests.serve(MqttMessage("", b"", 1, n, False, there, b"%d" % n, properties), reply)
        )
        for n in range(10)
    ]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert handled == [2]
    assert replies == [Code.CONTENT, Code.CONTENT] + [Code.SERVICE_UNAVAILABLE] * 2
    go.set()
    await asyncio.gather(*flood)


@pytest.mark.parametrize(
    ("configures", "port"),
    [({}, 0), ({"mqttPort": 9883}, 9883), ({"mqttPort": True}, 0), ({"mqttPort": "1"}, 0),
     ({"mqttPort": 0}, 0), ({"mqttPort": 65536}, 0)],
)  # fmt: skip
def test_the_brokers_port_in_the_profile(
    authority: Authority,
    configures: dict[str, object],
    port: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert profile_port(make_profile(1, authority.pem, configures=configures)) == port
    is_wrong = bool(configures) and not port
    assert ("configures.mqttPort" in caplog.text) is is_wrong


def test_errors_say_whether_to_hurry() -> None:
    assert RegistrationRefusedError.slow
    assert not RegisterError.slow


def test_both_sides_know_of_a_dead_path_within_30_s() -> None:
    require("paho")
    from agent.link import mqtt
    from transport.mqtt import PATIENCE_SECONDS

    assert mqtt.KEEPALIVE * 3 // 2 + 1 + MOSQUITTO_LOOKS <= 30
    assert mqtt.KEEPALIVE + PATIENCE_SECONDS <= 30
