"""The device gateway over real TLS: registration, reports, and the ends of connections.

Tests staging.gateway.greeting too.
"""

from __future__ import annotations

import asyncio
import json
import ssl
import subprocess
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError

from staging.crowd import DoorLimits
from staging.gateway.gateway import Limits
from staging.gateway.registrations import ADDRESS, REFUSED
from staging.store import devices, effects, history
from staging.store.models import Device
from staging.store.products import DATA_POINTS
from tests.staging.conftest import DEADLINE
from transport.errors import TransportError
from wire.codes import Code
from wire.exchange import Answer
from wire.fields import dump_object
from wire.numbered import NumberedReport, batch_payload, numbered_payload, parse_refusals
from wire.reports import REGISTER_PATH, REPORT_PATH, Credentials, report_query
from wire.voice import HeaderStyle, pack_frame

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TRIES_EACH = 3

UUID = "0083000000000a"


def stored(cloud: Any) -> Device:
    device: Device = cloud.database.call(devices.get, UUID)
    return device


def entries(cloud: Any) -> list[tuple[int, str, str, Any]]:
    page = cloud.database.call(history.page, cloud.device.id, history.Query(limit=100))
    return [(entry.ts, entry.key, entry.kind, entry.value) for entry in page.entries]


async def offline(cloud: Any) -> None:
    async with asyncio.timeout(60):
        while cloud.gateway.is_online(UUID):
            await asyncio.sleep(0)


# Registration


async def test_registration_activates_the_device(
    cloud: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    assert stored(cloud).status == "UNACTIVATED"
    await cloud.register()
    assert f"device {UUID}: registered from " in caplog.text
    device = stored(cloud)
    assert (device.status, device.activate_time) == ("ACTIVATED", cloud.clock.now)
    assert device.last_heartbeat_time == cloud.clock.now
    assert cloud.gateway.is_online(UUID)


async def test_activation_time_stays(cloud: Any) -> None:
    first = cloud.clock.now
    await cloud.register()
    cloud.clock.now += 5000
    await cloud.register()
    assert stored(cloud).activate_time == first


async def test_wrong_token(cloud: Any, caplog: pytest.LogCaptureFixture) -> None:
    device = await cloud.connect()
    reply = await device.register(token="wrong-secret")
    assert (reply.code, reply.payload) == (Code.UNAUTHORIZED, REFUSED)
    assert not cloud.gateway.is_online(UUID)
    assert "wrong token" in caplog.text
    assert "wrong-secret" not in caplog.text


async def test_unknown_device(cloud: Any) -> None:
    device = await cloud.connect()
    reply = await device.register(uuid="f" * 14)
    # As a wrong token: which devices there are is not to be found out by trying.
    assert (reply.code, reply.payload) == (Code.UNAUTHORIZED, REFUSED)


async def test_the_fourth_wrong_registration_ends_its_connection(cloud: Any) -> None:
    device = await cloud.connect()
    for _ in range(TRIES_EACH):
        assert (await device.register(token="wrong")).code == Code.UNAUTHORIZED
    with pytest.raises(TransportError):
        await device.register(token="wrong")
    await device.ended()


async def test_wrong_ones_of_an_address_wait_and_a_device_that_was_there_does_not(
    cloud: Any,
) -> None:
    await cloud.register()
    for _ in range(ADDRESS.free // TRIES_EACH):
        device = await cloud.connect()
        for _ in range(TRIES_EACH):
            await device.register(token="wrong", uuid="f" * 14)
    device = await cloud.connect()
    reply = await device.register(uuid="e" * 14)
    assert reply.code == Code.SERVICE_UNAVAILABLE
    assert reply.payload.startswith(b"too many wrong registrations from this address, wait ")
    await cloud.register()


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"[]",
        b'{"deviceUUID": 5}',
        b'{"deviceUUID": "x"}',
        b'{"deviceUUID": "0083000000000a", "token": "\\ud800"}',
    ],
)
async def test_bad_registration(cloud: Any, payload: bytes) -> None:
    device = await cloud.connect()
    reply = await device.request("POST", REGISTER_PATH, payload)
    assert reply.code == Code.BAD_REQUEST
    assert reply.payload


async def test_before_registration_everything_else_is_unauthorized(cloud: Any) -> None:
    device = await cloud.connect()
    assert (await device.report({"alive": 0})).code == Code.UNAUTHORIZED
    assert (await device.request("GET", ("anything",))).code == Code.UNAUTHORIZED


async def test_newer_connection_replaces_the_older(cloud: Any) -> None:
    first = await cloud.register()
    second = await cloud.register(answers={("GET", "power"): Answer(Code.CONTENT, b"2")})
    await first.ended()
    assert await cloud.gateway.control(UUID, "power", "GET", None) == ("2.05", "2")
    second.connection.close("bye")
    await offline(cloud)


async def test_registering_again_on_the_same_connection(cloud: Any) -> None:
    device = await cloud.register()
    assert (await device.register()).code == Code.CONTENT
    await device.expect("GET", "resource")
    assert cloud.gateway.is_online(UUID)


async def test_what_a_device_reads_counts_for_its_connection_only(cloud: Any) -> None:
    device = await cloud.register()
    session = cloud.gateway.sessions.get(UUID)
    assert session.abilities == frozenset()
    await device.report({"device_info": {"uuid": UUID, "reads": ["deadline"]}})
    assert session.abilities == {"deadline"}
    await cloud.register()
    assert cloud.gateway.sessions.get(UUID).abilities == frozenset()


# Self-description


async def test_self_description_is_kept_as_it_came(cloud: Any) -> None:
    own = {"resources": [DATA_POINTS["resources"][3]], "report": [], "extra": 1}  # type: ignore[index]
    await cloud.register(answers={("GET", "resource"): Answer(Code.CONTENT, dump_object(own))})
    assert json.dumps(stored(cloud).description) == json.dumps(own)


@pytest.mark.parametrize(
    "reply", [Answer(Code.NOT_FOUND), Answer(Code.CONTENT, b"{}"), Answer(Code.CONTENT, b"\xff")]
)
async def test_device_without_one_has_the_products_data_points(cloud: Any, reply: Answer) -> None:
    cloud.bind()
    await cloud.register(answers={("GET", "resource"): reply})
    assert stored(cloud).description is None
    response = await cloud.get("/device/resource", deviceUuid=UUID)
    assert response.json()["data"] == DATA_POINTS


async def test_no_message_to_a_device_is_longer_than_it_can_read(cloud: Any) -> None:
    """2017 firmware reads 2,048 bytes; a long value is sent in blocks, a long path is not sent at all."""
    device = await cloud.register(answers={("PUT", "play"): Answer(Code.CHANGED)})
    sizes: list[int] = []
    feed = device.connection.reader.feed_data

    def watch(data: bytes) -> None:
        sizes.append(len(data))
        feed(data)

    device.connection.reader.feed_data = watch
    text = "春" * 1024
    assert await cloud.gateway.control(UUID, "play", "PUT", text) == ("2.04", "")
    assert (await device.expect("PUT", "play")).payload.decode() == text
    assert len(sizes) >= 3
    assert max(sizes) <= 2048  # what the reference client of 2017 reads


async def test_a_path_that_a_device_cannot_read_is_not_sent(cloud: Any) -> None:
    long = {**DATA_POINTS["resources"][3], "uri": "/x" * 200}  # type: ignore[index]
    own = {"resources": [long], "report": []}
    await cloud.register(answers={("GET", "resource"): Answer(Code.CONTENT, dump_object(own))})
    with pytest.raises(ValueError, match=r"^uri: got"):
        await cloud.gateway.control(UUID, "power", "GET", None)


# Reports


async def test_alive_is_a_heartbeat_and_no_history(cloud: Any) -> None:
    device = await cloud.register()
    cloud.clock.now += 55_000
    assert (await device.report({"alive": 0})).code == Code.CHANGED
    await cloud.gateway.save_heard()
    assert stored(cloud).last_heartbeat_time == cloud.clock.now
    assert entries(cloud) == []


async def test_history_times_grow_whatever_the_clock_does(cloud: Any) -> None:
    device = await cloud.register()
    start = cloud.clock.now
    await device.report({"a": 1, "b": 2})
    cloud.clock.now -= 3_600_000
    await device.report({"c": 3})
    cloud.clock.now = start + 50
    await device.report({"d": 4})
    assert [(ts - start, key) for ts, key, _, _ in entries(cloud)] == [
        (50, "d"),
        (2, "c"),
        (1, "b"),
        (0, "a"),
    ]


async def test_reports_sent_at_once_are_all_kept_in_order(cloud: Any) -> None:
    device = await cloud.register()
    replies = await asyncio.gather(*(device.report({"n": n}, confirmable=False) for n in range(40)))
    assert {reply.code for reply in replies} == {Code.CHANGED}
    found = entries(cloud)
    assert [value for *_, value in reversed(found)] == list(range(40))
    assert len({ts for ts, *_ in found}) == 40


async def test_report_with_other_credentials(cloud: Any, caplog: pytest.LogCaptureFixture) -> None:
    device = await cloud.register()
    other = cloud.database.call(devices.add, "0083000000000b", 0)
    for credentials in (Credentials(UUID, "wrong"), Credentials(other.uuid, other.token)):
        reply = await device.report({"volume": 1}, credentials=credentials)
        assert reply.code == Code.UNAUTHORIZED
    assert entries(cloud) == []
    assert caplog.text.count(f"device {UUID}: report with other credentials") == 2
    assert other.token not in caplog.text


@pytest.mark.parametrize(
    ("data", "named"),
    [
        ({}, "data"),
        ({"voice_control": {"id": 1}}, "voice"),
        ({"voice_control": {"id": 1, "segment": 0, "rate": 8000, "channel": 1, "eof": 0,
                            "voice_data": "JgAAAA=="}}, "frame"),
        ({"ota_event": {"transaction": "1", "event": 99}}, "ota_event.event"),
        ({"ota_state": {"transaction": "1", "state": 9}}, "ota_state.state"),
        ({"package_info": {"os": {"version": "newest"}}}, "package_info.os.version"),
        ({"package_info": {"os": {"version": "1"}, "sbom": 1}}, "package_info.sbom"),
        ({"package_info": {"os": {"version": "1"}, "support_end": "2031"}}, "package_info.support_end"),
        ({"device_info": {"bindToken": "short"}}, "device_info.bindToken"),
        ({"device_info": {"uuid": "0083000000000b"}}, "device_info.uuid"),
        ({"volume": 1, "ota_state": 5}, "ota_state"),
        ({"x" * 65: 1}, "data"),
        ({f"key{n}": n for n in range(65)}, "65 keys"),
    ],
)  # fmt: skip
async def test_bad_report_is_refused_with_the_reason_and_changes_nothing(
    cloud: Any, data: dict[str, Any], named: str
) -> None:
    device = await cloud.register()
    reply = await device.report(data)
    assert reply.code == Code.BAD_REQUEST
    assert named in reply.payload.decode()
    assert entries(cloud) == []


@pytest.mark.parametrize("value", ["NaN", "-Infinity", r'"\ud800"', '[{"a": 1e999}]'])
async def test_json_that_nobody_can_be_sent(cloud: Any, value: str) -> None:
    device = await cloud.register()
    reply = await device.endpoint.request(
        device.connection,
        "POST",
        ("v1", "device", "data"),
        f'{{"data": {{"x": {value}}}}}'.encode(),
        query=report_query(device.credentials),
        deadline=10,
    )
    assert reply.code == Code.BAD_REQUEST
    assert reply.payload.startswith(b"report: not ")
    assert entries(cloud) == []


async def test_a_store_that_fails_keeps_the_report_with_the_device(
    cloud: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OperationalError("INSERT", {}, Exception("database or disk is full"))

    device = await cloud.register()
    monkeypatch.setattr(effects, "apply_all", full)
    reply = await device.report({"volume": 1})
    assert reply.code == Code.SERVICE_UNAVAILABLE
    assert "disk is full" in caplog.text
    monkeypatch.undo()
    assert (await device.report({"volume": 1})).code == Code.CHANGED


async def test_report_that_is_too_long(cloud: Any) -> None:
    device = await cloud.register()
    assert (await device.report({"text": "x" * 70_000})).code == Code.TOO_LARGE


async def test_other_paths_and_methods(cloud: Any) -> None:
    device = await cloud.register()
    assert (await device.request("POST", ("elsewhere",))).code == Code.NOT_FOUND
    reply = await device.request("GET", ("v1", "device", "data"))
    assert reply.code == Code.METHOD_NOT_ALLOWED


async def test_package_info_sets_the_running_version(cloud: Any) -> None:
    device = await cloud.register()
    await device.report({"package_info": {"os": {"version": "2.5"}}})
    view = cloud.database.call(devices.view, UUID)
    assert view.os_version == "2.5"
    assert stored(cloud).support_end is None  # firmware of before
    await device.report({"package_info": {"os": {"version": "2.6"}, "support_end": "2031-12-31"}})
    assert stored(cloud).support_end == "2031-12-31"


async def test_bind_token_that_was_not_known_is_kept(cloud: Any) -> None:
    def clear(session: Any) -> None:
        session.get(Device, cloud.device.id).bind_token = None

    cloud.database.call(clear)
    device = await cloud.register()
    await device.report({"device_info": {"uuid": UUID, "bindToken": "AB" * 16}})
    assert (stored(cloud).bind_token, stored(cloud).bind_token_differs) == ("ab" * 16, False)


async def test_bind_token_that_differs_is_flagged_and_not_logged(
    cloud: Any, caplog: pytest.LogCaptureFixture
) -> None:
    device = await cloud.register()
    await device.report({"device_info": {"uuid": UUID, "bindToken": "ab" * 16}})
    assert stored(cloud).bind_token == cloud.device.bind_token
    assert stored(cloud).bind_token_differs
    assert "bind token differs" in caplog.text
    assert "ab" * 16 not in caplog.text
    await device.report({"device_info": {"uuid": UUID, "bindToken": cloud.device.bind_token}})
    assert not stored(cloud).bind_token_differs


# How connections end


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", "bad magic: got 0x47455420"),
        (bytes.fromhex("beefdead00010000") + b"x" * 16, "frame length: got 65536 bytes"),
        (bytes.fromhex("beefdead00000001"), "frame length: got 1 bytes"),
    ],
)
async def test_bad_frames_end_the_connection(
    cloud: Any, caplog: pytest.LogCaptureFixture, data: bytes, reason: str
) -> None:
    caplog.set_level("INFO")
    device = await cloud.register()
    device.connection._writer.write(data)
    await device.ended()
    await offline(cloud)
    assert f"device {UUID}: connection ended: {reason}" in caplog.text


class TestRegistrationLimit:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(registration=0.05)

    async def test_a_device_must_register(
        self, cloud: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        device = await cloud.connect()
        await device.ended()
        await asyncio.gather(*cloud.gateway._connections.values())
        assert "did not register within 0.05 s" in caplog.text


class TestIdleLimit:
    @pytest.fixture
    def limits(self) -> Limits:
        # Long enough for a registration on a busy machine.
        return Limits(idle=2.0)

    async def test_a_silent_connection_is_given_up(
        self, cloud: Any, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level("INFO")
        device = await cloud.register()
        await device.ended()
        await offline(cloud)
        assert "silent for 2 s" in caplog.text


class TestConnectionLimit:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(door=DoorLimits(open=1))

    async def test_one_connection_too_many(self, cloud: Any) -> None:
        await cloud.register()
        with pytest.raises(OSError):  # reset, or ended in the handshake
            await cloud.connect()
        assert cloud.gateway.is_online(UUID)


async def test_the_taps_hear_of_a_connection_of_whose_it_is_and_of_its_end(cloud: Any) -> None:
    told: list[str] = []
    taps = cloud.gateway._taps
    taps.opened = lambda _connection: told.append("opened")
    taps.claimed = lambda uuid, _connection: told.append(uuid)
    taps.ended = lambda _connection, reason: told.append(reason)
    taps.told_time_ms = lambda uuid: 3_600_000 if uuid == UUID else 0
    device = await cloud.register()
    session = cloud.gateway.sessions.get(UUID)
    assert session.registered_ms == cloud.clock.now + 3_600_000
    assert told == ["opened", UUID]
    device.connection.abort()
    await offline(cloud)
    assert len(told) == 3
    assert told[2]


async def test_a_connection_that_ends_before_its_registration_leaves_nothing_behind(
    cloud: Any,
) -> None:
    device = await cloud.connect()
    async with asyncio.timeout(60):
        while not cloud.gateway._settles:
            await asyncio.sleep(0)
    device.connection.abort()
    async with asyncio.timeout(60):
        while cloud.gateway._connections:
            await asyncio.sleep(0)
    assert cloud.gateway._settles == {}


async def test_after_the_end_nobody_is_there_and_the_port_is_closed(cloud: Any) -> None:
    device = await cloud.register()
    listener = cloud.gateway._listener
    await cloud.gateway.stop()
    await device.ended()
    assert not cloud.gateway.is_online(UUID)
    assert cloud.gateway._connections == {}
    assert listener.fileno() == -1
    with pytest.raises(ConnectionRefusedError):
        await cloud.connect()


# TLS, and firmware of 2017

LEGACY_SUITES = ["AES128-CCM8", "AES128-SHA", "AES256-SHA256"]


def s_client(port: int, ca: Path, suite: str) -> str:
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(ca)]
    options = ["-tls1_2", "-cipher", f"{suite}:@SECLEVEL=0", "-verify_return_error"]
    done = subprocess.run(
        [*command, *options], input=b"", capture_output=True, timeout=30, check=False
    )
    return (done.stdout + done.stderr).decode("utf-8", "replace")


@pytest.mark.parametrize("suite", LEGACY_SUITES)
async def test_legacy_suites_are_refused(cloud: Any, suite: str) -> None:
    output = await asyncio.to_thread(s_client, cloud.device_port, cloud.certificates.ca, suite)
    assert "Cipher is (NONE)" in output


async def test_tls_1_1_is_refused(cloud: Any) -> None:
    context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
        context.minimum_version = ssl.TLSVersion.TLSv1_1
    with pytest.warns(DeprecationWarning, match=r"TLSv1_1 is deprecated"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        await cloud.connect(context=context)


class TestLegacy:
    @pytest.fixture
    def legacy_tls(self) -> bool:
        return True

    @pytest.mark.parametrize("suite", LEGACY_SUITES)
    async def test_legacy_suites_are_admitted(self, cloud: Any, suite: str) -> None:
        output = await asyncio.to_thread(s_client, cloud.device_port, cloud.certificates.ca, suite)
        assert f"Cipher is {suite}" in output
        assert "Verify return code: 0 (ok)" in output

    async def test_firmware_of_2017(self, cloud: Any) -> None:
        """RSA key exchange, NON reports, SPX voice headers, no self-description."""
        context = ssl.create_default_context(cafile=str(cloud.certificates.ca))
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AES128-SHA:@SECLEVEL=0")
        cloud.bind()
        device = await cloud.register(
            context=context,
            answers={
                ("GET", "resource"): Answer(Code.NOT_FOUND),
                ("GET", "volume"): Answer(Code.CONTENT, b"7"),
            },
        )
        assert device.connection.get_extra_info("cipher")[0] == "AES128-SHA"
        frames = b"".join(pack_frame(bytes(28), HeaderStyle.SPX, 8000) for _ in range(15))
        assert frames[1:4] == b"SPX"
        for segment in ({"eof": 0, "voice_data": _base64(frames)}, {"eof": 1}):
            value = {"id": 10000, "segment": segment["eof"], "rate": 8000, "channel": 1} | segment
            reply = await device.report({"duer_voice": value}, confirmable=False)
            assert reply.code == Code.CHANGED
        response = await cloud.get("/device/query/data/history", deviceUuid=UUID)
        last, first = response.json()["data"]
        assert last["value"] == "{id=10000,+rate=8000,+segment=1,+eof=true,+channel=1}"
        assert first["value"].startswith("{id=10000,+rate=8000,+segment=0,+voice_data=HFNQW")
        body = {"deviceUuid": UUID, "method": "GET", "name": "volume"}
        answer = await cloud.post("/device/control/send", **body)
        assert answer.json()["data"] == {"code": "2.05", "content": "7", "name": "volume"}


def _base64(data: bytes) -> str:
    import base64

    return base64.b64encode(data).decode()


# Numbered reports


async def numbered(device: Any, payload: bytes) -> Answer:
    answer: Answer = await device.endpoint.request(
        device.connection,
        "POST",
        REPORT_PATH,
        payload,
        query=report_query(device.credentials),
        deadline=60.0,
    )
    return answer


async def test_a_report_that_is_sent_again_is_one_row(
    cloud: Any, caplog: pytest.LogCaptureFixture
) -> None:
    heard: list[Any] = []
    cloud.gateway.listen(lambda _uuid, effects: heard.extend(effects))
    device = await cloud.register()
    payload = numbered_payload("0" * 16, NumberedReport(1, {"volume": 5}))
    with caplog.at_level("INFO"):
        for _ in range(3):
            assert (await numbered(device, payload)).code == Code.CHANGED
            device = await cloud.register()  # the link was cut before the answer
    assert [value for _ts, _key, _kind, value in entries(cloud)] == [5]
    assert len(heard) == 1
    assert "1 repeated reports dropped" in caplog.text


async def test_of_a_batch_each_report_is_taken_or_refused_on_its_own(
    cloud: Any, caplog: pytest.LogCaptureFixture
) -> None:
    device = await cloud.register()
    reports = [
        NumberedReport(1, {"volume": 5}),
        NumberedReport(2, {"ota_event": {"event": "none"}}),
        NumberedReport(3, {"volume": 6}),
    ]
    answer = await numbered(device, batch_payload("0" * 16, reports))
    assert answer.code == Code.CHANGED
    assert list(parse_refusals(answer.payload)) == [2]
    assert f"device {UUID}: report 2 refused: " in caplog.text
    assert [value for _ts, _key, _kind, value in entries(cloud)] == [6, 5]
    answer = await numbered(device, batch_payload("0" * 16, [reports[0], reports[2]]))
    assert (answer.code, answer.payload) == (Code.CHANGED, b"")
    assert len(entries(cloud)) == 2


async def test_a_batch_that_is_none_is_refused_whole(cloud: Any) -> None:
    device = await cloud.register()
    answer = await numbered(device, b'{"epoch": "0", "reports": []}')
    assert answer.code == Code.BAD_REQUEST
    assert b"epoch" in answer.payload


async def test_of_a_connection_that_ends_before_it_registers_nothing_is_kept(cloud: Any) -> None:
    gateway = cloud.gateway
    device = await cloud.connect()
    async with asyncio.timeout(DEADLINE):
        while not gateway._connections:
            await asyncio.sleep(0.01)
        assert len(gateway._settles) == 1
        await device.close()
        while gateway._connections:
            await asyncio.sleep(0.01)
    assert gateway._settles == {}


async def test_a_device_is_told_to_be_there_before_it_has_answered_anything(cloud: Any) -> None:
    told: list[str] = []
    cloud.gateway.watch(told.append)
    device = await cloud.connect()
    device.answers.clear()
    device.silent.set()
    assert (await device.register()).code == Code.CONTENT
    assert told == [cloud.device.uuid]
