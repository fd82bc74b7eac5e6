"""The framed link against a scripted cloud with real certificates: trust, phases, reports, its end."""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

import pytest

import agent.link.framed
import agent.link.opening
import agent.link.reconnect
from agent.link import (
    CloudBusyError,
    ConnectError,
    IdentityTakenError,
    Link,
    LinkError,
    LinkState,
    LostError,
    NotAnsweredError,
    RegisterError,
    RegistrationRefusedError,
    ReportRejectedError,
    ResolveError,
    TlsError,
    UntrustedError,
)
from agent.link.build import build_link
from agent.link.framed import FramedConnector
from agent.link.opening import tls_context
from agent.routes import cloud_handler
from agent.settings import LinkSettings
from base.clock import TrustedTime
from machine.battery import NoBattery
from resources.dispatch import Dispatch
from resources.energy.meter import Meter
from resources.points.power import PowerPoint
from resources.points.volume import VolumePoint
from tests.agent.parts import (
    DEADLINE,
    TOKEN,
    UUID,
    Cloud,
    accept,
    make_profile,
    until,
)
from tests.authority import HOUR, Authority
from tests.resources.parts import LoudBench
from transport.framed import FramedEndpoint
from wire.abilities import DEVICE_READS
from wire.codes import Code
from wire.datapoints import parse_self_description
from wire.exchange import Answer, Request
from wire.framing import FrameDecoder
from wire.profile import Profile
from wire.reports import REGISTER_PATH, registration_answer

pytestmark = pytest.mark.usefixtures("no_blocking")

# Short waits, except for the slow retry, which no test waits for.
SETTINGS = LinkSettings(
    keepalive_seconds=30, connect_timeout_seconds=5, retry_max_seconds=0.02, refused_retry_seconds=3600
)  # fmt: skip

Run = Callable[..., Awaitable[Link]]


async def no_cancel(transaction: str) -> Answer:
    return Answer.from_text(Code.NOT_FOUND, f"there is no update {transaction}")


async def refuse(request: Request) -> Answer:
    del request
    return Answer(Code.NOT_FOUND)


@pytest.fixture
async def run() -> AsyncIterator[Run]:
    """Run a link in the background; it is cancelled when the test ends."""
    tasks: list[asyncio.Task[None]] = []

    async def start(
        profile: Profile,
        settings: LinkSettings = SETTINGS,
        handler: Callable[[Request], Awaitable[Answer]] = refuse,
    ) -> Link:
        link = build_link(profile, settings, handler, TrustedTime())
        tasks.append(asyncio.create_task(link.run()))
        await asyncio.sleep(0)
        return link

    yield start
    for task in tasks:
        task.cancel()
    async with asyncio.timeout(DEADLINE):
        await asyncio.gather(*tasks, return_exceptions=True)


def is_waiting(link: Link) -> bool:
    return link.status.state is LinkState.WAITING


def next_try(link: Link) -> float:
    value = link.status.to_json()["next_try_seconds"]
    assert isinstance(value, float)
    return value


async def first_frame(context: ssl.SSLContext, profile_for: Callable[[int], Profile], run: Run) -> bytes:  # fmt: skip
    """Return the first message that the link sends."""
    frames: asyncio.Queue[bytes] = asyncio.Queue()

    async def read(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        decoder = FrameDecoder()
        while data := await reader.read(4096):
            for frame in decoder.feed(data):
                frames.put_nowait(frame)
        writer.close()

    async with await asyncio.start_server(read, "127.0.0.1", 0, ssl=context) as server:
        await run(profile_for(server.sockets[0].getsockname()[1]))
        async with asyncio.timeout(DEADLINE):
            return await frames.get()


async def test_the_registration_is_the_documents_bytes(authority: Authority, run: Run) -> None:
    frame = await first_frame(
        authority.server_context(), lambda port: make_profile(port, authority.pem), run
    )
    first, code, _mid = struct.unpack_from("!BBH", frame)
    assert first >> 4 == 0x4  # version 1, CON
    assert code == 0x02  # POST
    after_token = frame[4 + (first & 0x0F) :]
    payload = f'{{"deviceUUID":"{UUID}","token":"{TOKEN}"}}'.encode()
    assert after_token == b"\xbd\x02reg_for_control\xff" + payload


async def test_a_registered_link_reports_with_uuid_and_token(
    cloud: Cloud, authority: Authority, run: Run
) -> None:
    link = await run(make_profile(cloud.port, authority.pem))
    await link.registered.wait()
    await link.report({"volume": 7})
    assert cloud.registrations == [{"deviceUUID": UUID, "token": TOKEN}]
    report = cloud.requests[-1]
    assert (report.method, report.path) == ("POST", ("v1", "device", "data"))
    assert report.query == (f"deviceUuid={UUID}", f"token={TOKEN}")
    assert report.payload == b'{"data":{"volume":7}}'
    status = link.status.to_json()
    assert status["state"] == "online"
    assert status["last_error"] is None


async def test_only_a_cloud_that_reads_more_is_told_on_each_connection_what_the_device_reads(
    cloud: Cloud, authority: Authority, run: Run
) -> None:
    told = registration_answer(1_795_305_600_000, frozenset({"number"}))
    cloud.answer = lambda r: Answer(Code.CONTENT, told) if r.path == REGISTER_PATH else accept(r)
    link = await run(make_profile(cloud.port, authority.pem))
    await until(lambda: cloud.reports)
    info = {"uuid": UUID, "reads": sorted(DEVICE_READS)}
    assert cloud.reports == [{"device_info": info}]
    assert link.cloud_abilities == {"number"}


@pytest.mark.parametrize(
    ("hosts", "start", "end", "expected"),
    [
        (("127.0.0.1",), -HOUR, -HOUR / 2, "certificate has expired"),
        (("127.0.0.1",), HOUR / 2, HOUR, "certificate is not yet valid"),
        (("other.example",), -HOUR, HOUR, "not valid for '127.0.0.1'"),
        (("127.0.0.2",), -HOUR, HOUR, "not valid for '127.0.0.1'"),
    ],
)
async def test_a_server_that_is_not_the_profiles_is_never_told_the_token(
    authority: Authority, run: Run, hosts: tuple[str, ...], start: dt.timedelta,
    end: dt.timedelta, expected: str,
) -> None:  # fmt: skip
    context = authority.server_context(*hosts, start=start, end=end)
    await check_refused(context, authority, run, expected)


async def test_another_ca_is_refused_though_its_certificate_is_perfect(
    authority: Authority, run: Run
) -> None:
    context = Authority().server_context()
    await check_refused(context, authority, run, "certificate")


async def test_a_ca_that_claims_the_name_and_key_id_of_the_profiles_is_refused(
    authority: Authority, run: Run
) -> None:
    context = Authority(like=authority).server_context()
    await check_refused(context, authority, run, "certificate signature failure")


async def check_refused(
    context: ssl.SSLContext, authority: Authority, run: Run, expected: str
) -> None:
    heard: list[bytes] = []

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            heard.append(await reader.read(4096))
        writer.close()

    async with await asyncio.start_server(listen, "127.0.0.1", 0, ssl=context) as server:
        port = server.sockets[0].getsockname()[1]
        link = await run(make_profile(port, authority.pem))
        await until(lambda: is_waiting(link))
        assert "the server's certificate is refused" in link.status.last_error
        assert expected in link.status.last_error
        assert next_try(link) > 1000
        assert not any(heard)


async def test_tls_1_1_is_not_spoken(authority: Authority) -> None:
    assert tls_context(authority.pem).minimum_version == ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    ("code", "slow"),
    [(Code.UNAUTHORIZED, True), (Code.NOT_FOUND, False), (Code.BAD_REQUEST, False), (Code.CHANGED, False)],
)  # fmt: skip
async def test_only_a_wrong_token_is_tried_again_slowly(
    cloud: Cloud, authority: Authority, run: Run, code: Code, *, slow: bool
) -> None:
    cloud.answer = lambda _request: Answer(code, b"wrong token")
    settings = LinkSettings(refused_retry_seconds=3600)
    link = await run(make_profile(cloud.port, authority.pem), settings)
    await until(lambda: is_waiting(link))
    assert link.status.last_error == (f'the cloud refuses this device: {code.dotted} "wrong token"')
    assert next_try(link) >= 1800 if slow else next_try(link) <= 0.5
    assert not link.registered.is_set()
    with pytest.raises(LostError):
        await link.report({"volume": 1})


async def test_a_cloud_that_quotes_the_token_does_not_put_it_into_the_status(
    cloud: Cloud, authority: Authority, run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.answer = lambda request: Answer(Code.UNAUTHORIZED, request.payload)
    link = await run(make_profile(cloud.port, authority.pem))
    await until(lambda: is_waiting(link))
    assert "4.01" in link.status.last_error
    assert TOKEN not in str(link.status.to_json())
    assert TOKEN not in caplog.text


async def test_a_cloud_in_trouble_is_tried_again_quickly(
    cloud: Cloud, authority: Authority, run: Run
) -> None:
    answers = iter([Answer(Code.SERVICE_UNAVAILABLE, b"busy"), Answer(Code.INTERNAL_SERVER_ERROR)])
    cloud.answer = lambda request: next(answers, accept(request))
    link = await run(make_profile(cloud.port, authority.pem))
    async with asyncio.timeout(DEADLINE):
        await link.registered.wait()
    assert link.status.tries == 3


async def test_a_port_that_says_nothing_is_given_up_at_the_deadline(
    authority: Authority, run: Run
) -> None:
    async def say_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            while await reader.read(4096):
                pass
        writer.close()

    settings = LinkSettings(connect_timeout_seconds=0.5, retry_max_seconds=3600)
    async with await asyncio.start_server(say_nothing, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        link = await run(make_profile(port, authority.pem), settings)
        await until(lambda: is_waiting(link))
    assert link.status.last_error == "TLS failed: no answer within 0.5 s"
    assert link.status.phase == "tls"
    assert next_try(link) <= 0.5


async def test_a_cloud_that_does_not_answer_the_registration_is_given_up(
    cloud: Cloud, authority: Authority, run: Run
) -> None:
    async def never(_request: Request) -> Answer:
        await asyncio.Event().wait()
        raise AssertionError

    cloud.answer = never
    settings = LinkSettings(connect_timeout_seconds=0.5, retry_max_seconds=0.02)
    link = await run(make_profile(cloud.port, authority.pem), settings)
    await until(lambda: "registration: no answer within 0.5 s" in link.status.last_error)
    cloud.answer = accept
    async with asyncio.timeout(DEADLINE):
        await link.registered.wait()


@pytest.mark.parametrize("garbage", [b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\0" * 64, b"\xbe\xef"])
async def test_garbage_after_tls_ends_the_connection_and_not_the_link(
    authority: Authority, run: Run, garbage: bytes
) -> None:
    connections = 0

    async def talk_nonsense(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal connections
        connections += 1
        writer.write(garbage)
        writer.close()
        with contextlib.suppress(OSError):
            await reader.read(4096)

    context = authority.server_context()
    async with await asyncio.start_server(talk_nonsense, "127.0.0.1", 0, ssl=context) as server:
        link = await run(make_profile(server.sockets[0].getsockname()[1], authority.pem))
        await until(lambda: connections >= 3)
        assert not link.registered.is_set()
        assert "registration: " in link.status.last_error


async def test_plain_text_instead_of_tls_is_not_the_profiles_server(
    authority: Authority, run: Run
) -> None:
    async def portal(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(4096)
        writer.write(b"HTTP/1.1 302 Found\r\nLocation: http://login.example/\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(portal, "127.0.0.1", 0) as server:
        link = await run(make_profile(server.sockets[0].getsockname()[1], authority.pem))
        await until(lambda: is_waiting(link))
    assert link.status.last_error.startswith("TLS failed: ")
    assert next_try(link) <= 0.5  # a captive portal passes
    assert "log-in page" in link.status.remedy


async def test_a_server_that_hangs_up_during_the_handshake_is_reported_in_words(
    authority: Authority,
) -> None:
    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readexactly(5)
        await reader.readexactly(
            int.from_bytes(head[3:])
        )  # the hello: unread bytes would make this a reset
        writer.close()

    async with await asyncio.start_server(hang_up, "127.0.0.1", 0) as server:
        error = await first_error(make_profile(server.sockets[0].getsockname()[1], authority.pem))
    assert type(error) is TlsError
    assert str(error) == "TLS failed: closed by the other side"


async def test_a_host_name_that_does_not_resolve_is_reported(
    authority: Authority, run: Run
) -> None:
    link = await run(make_profile(9, authority.pem, server_addr="no-such-host.invalid"))
    await until(lambda: is_waiting(link))
    assert link.status.last_error.startswith("cannot connect: ")
    assert link.status.failed == {"resolve"}


async def first_error(profile: Profile) -> LinkError:
    """Return the error of one try to connect and register."""
    connector = FramedConnector(profile, SETTINGS, refuse, TrustedTime())
    with pytest.raises(LinkError) as caught:
        async with connector.connect(lambda _state: None):
            pass
    return caught.value


async def test_an_error_names_its_phase(cloud: Cloud, authority: Authority) -> None:
    profile = make_profile(cloud.port, authority.pem)
    nowhere = replace(profile, server_addr="no-such-host.invalid")
    assert type(await first_error(nowhere)) is ResolveError
    assert type(await first_error(replace(profile, coap_port=9))) is ConnectError
    assert type(await first_error(replace(profile, rsa_ca_crt=Authority().pem))) is UntrustedError
    cloud.answer = lambda _request: Answer(Code.SERVICE_UNAVAILABLE)
    assert type(await first_error(profile)) is RegisterError
    cloud.answer = lambda _request: Answer(Code.UNAUTHORIZED)
    assert type(await first_error(profile)) is RegistrationRefusedError
    cloud.answer = lambda _request: Answer(Code.CONFLICT)
    assert type(await first_error(profile)) is IdentityTakenError


async def test_a_connection_that_ends_while_it_registers_is_no_refusal(
    cloud: Cloud, authority: Authority
) -> None:
    def cut(_request: Request) -> Answer:
        for connection in cloud.connections:
            connection.abort()
        return Answer(Code.CHANGED)

    cloud.answer = cut
    error = await first_error(make_profile(cloud.port, authority.pem))
    assert type(error) is NotAnsweredError
    assert (error.phase, error.slow) == ("register", False)
    assert "connects again by itself" in error.remedy


async def test_leaving_a_session_closes_its_connection(cloud: Cloud, authority: Authority) -> None:
    profile, states = make_profile(cloud.port, authority.pem), list[LinkState]()
    connector = FramedConnector(profile, SETTINGS, refuse, TrustedTime())
    async with connector.connect(states.append) as session:
        await session.report({"volume": 1})
    assert states == [LinkState.REGISTERING]
    with pytest.raises(LostError):
        await session.report({"volume": 2})
    assert cloud.reports == [{"volume": 1}]


async def test_the_link_comes_back_by_itself_when_the_cloud_does(
    cloud: Cloud, authority: Authority, run: Run
) -> None:
    link = await run(make_profile(cloud.port, authority.pem))
    for _ in range(2):
        await link.registered.wait()
        await cloud.stop()
        await until(lambda: not link.registered.is_set())
        await until(lambda: link.status.last_error.startswith("cannot connect: "))
        await cloud.start()
    async with asyncio.timeout(DEADLINE):
        await link.registered.wait()
    assert len(cloud.registrations) == 3


async def test_a_report_under_way_when_the_connection_is_cut_fails_as_lost(
    cloud: Cloud, authority: Authority, run: Run
) -> None:
    def cut(request: Request) -> Answer:
        if request.path == REGISTER_PATH:
            return accept(request)
        cloud.connections[-1].abort()
        return Answer(Code.CHANGED)

    cloud.answer = cut
    link = await run(make_profile(cloud.port, authority.pem))
    await link.registered.wait()
    async with asyncio.timeout(DEADLINE):
        with pytest.raises(LostError):
            await link.report({"volume": 3})


async def test_the_keepalive_is_the_documents_and_goes_on(
    cloud: Cloud, authority: Authority, run: Run
) -> None:
    settings = LinkSettings(keepalive_seconds=0.02, retry_max_seconds=0.02)
    await run(make_profile(cloud.port, authority.pem), settings)
    await until(lambda: len(cloud.reports) >= 3)
    assert cloud.requests[1].payload == b'{"data":{"alive":0}}'
    assert len(cloud.registrations) == 1


async def test_a_half_open_link_is_found_by_the_keepalive(
    cloud: Cloud, authority: Authority, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The cloud's machine is frozen: TCP accepts our bytes, and no answer ever comes."""
    monkeypatch.setattr(agent.link.framed, "REPORT_TIMEOUT", 0.1)
    monkeypatch.setattr(agent.link.opening, "GOODBYE_TIMEOUT", 0.1)
    settings = LinkSettings(keepalive_seconds=0.05, retry_max_seconds=0.02)
    link = await run(make_profile(cloud.port, authority.pem), settings)
    await link.registered.wait()
    frozen = cloud.connections[0]
    frozen._writer.transport.pause_reading()  # type: ignore[attr-defined]
    await until(lambda: len(cloud.registrations) >= 2)
    assert cloud.connections[-1] is not frozen


async def test_a_half_open_link_does_not_hold_up_the_agents_end(
    cloud: Cloud, authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(agent.link.opening, "GOODBYE_TIMEOUT", 0.1)
    link = build_link(make_profile(cloud.port, authority.pem), SETTINGS, refuse, TrustedTime())
    task = asyncio.create_task(link.run())
    await link.registered.wait()
    cloud.connections[0]._writer.transport.pause_reading()  # type: ignore[attr-defined]
    task.cancel()
    # asyncio itself would wait 30 s for the TLS shutdown.
    ended, _ = await asyncio.wait({task}, timeout=20)
    assert ended
    assert link.status.state is LinkState.STOPPED


@pytest.mark.parametrize(
    ("code", "error"),
    [
        (Code.BAD_REQUEST, ReportRejectedError),
        (Code.NOT_FOUND, ReportRejectedError),
        (Code.INTERNAL_SERVER_ERROR, CloudBusyError),
        (Code.SERVICE_UNAVAILABLE, CloudBusyError),
        (Code.UNAUTHORIZED, LostError),
    ],
)
async def test_what_the_answer_to_a_report_means(
    cloud: Cloud, authority: Authority, run: Run, code: Code, error: type[Exception]
) -> None:
    link = await run(make_profile(cloud.port, authority.pem))
    await link.registered.wait()
    cloud.answer = lambda _request: Answer(code, b"why")
    with pytest.raises(error, match=code.dotted):
        await link.report({"volume": 3})
    cloud.answer = accept
    if code is Code.UNAUTHORIZED:  # the cloud lost the registration, so the agent registers again
        await until(lambda: len(cloud.registrations) == 2)
    else:
        await link.report({"volume": 4})
        assert len(cloud.registrations) == 1


async def test_the_cloud_is_served_on_the_same_connection(
    cloud: Cloud, authority: Authority, run: Run
) -> None:
    changes: list[tuple[str, object]] = []

    async def changed(name: str, value: object) -> None:
        changes.append((name, value))

    async def no_order(_payload: bytes) -> Answer:
        return Answer(Code.BAD_REQUEST, b"transaction: missing")

    dispatch = Dispatch(
        [VolumePoint(LoudBench().loudness), PowerPoint(Meter(NoBattery()))], changed
    )
    link = await run(
        make_profile(cloud.port, authority.pem),
        handler=cloud_handler(dispatch, no_order, no_cancel),
    )
    await link.registered.wait()
    assert await cloud.ask("PUT", "volume", b"9") == Answer(Code.CHANGED)
    assert await cloud.ask("GET", "volume") == Answer(Code.CONTENT, b"9")
    assert changes == [("volume", 9)]
    assert (await cloud.ask("PUT", "newfirmware", b"{}")).payload == b"transaction: missing"
    assert (await cloud.ask("GET", "newfirmware")).code == Code.METHOD_NOT_ALLOWED
    missing = b"transaction: missing, expected a Uri-Query option with a value"
    assert await cloud.ask("DELETE", "newfirmware") == Answer(Code.BAD_REQUEST, missing)
    reply = await cloud.ask("DELETE", "newfirmware", b"", "transaction=7")
    assert reply == Answer(Code.NOT_FOUND, b"there is no update 7")
    assert len(cloud.connections) == 1


async def test_a_long_self_description_comes_block_by_block(
    cloud: Cloud, authority: Authority, run: Run
) -> None:
    points = [type(f"P{n}", (PowerPoint,), {"description": _renamed(n)})(None) for n in range(20)]

    async def changed(*_: object) -> None:
        raise AssertionError

    async def no_order(_payload: bytes) -> Answer:
        raise AssertionError

    handler = cloud_handler(Dispatch(points, changed), no_order, no_cancel)
    link = await run(make_profile(cloud.port, authority.pem), handler=handler)
    await link.registered.wait()
    reply = await cloud.ask("GET", "resource")
    assert len(reply.payload) > 3 * 1024
    assert len(parse_self_description(reply.payload)["resources"]) == 20  # type: ignore[arg-type]


def _renamed(number: int) -> object:
    import dataclasses

    return dataclasses.replace(PowerPoint.description, name=f"power{number}")


async def test_two_endpoints_do_not_share_state(cloud: Cloud, authority: Authority) -> None:
    """A link that has run and ended can be run again, as after a restart."""
    link = build_link(make_profile(cloud.port, authority.pem), SETTINGS, refuse, TrustedTime())
    for _ in range(2):
        task = asyncio.create_task(link.run())
        await link.registered.wait()
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        assert not link.registered.is_set()
    assert isinstance(cloud.endpoint, FramedEndpoint)
    assert len(cloud.registrations) == 2
