"""What the gateway does with devices that have no connection here: those behind a broker, without one."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session as StoreSession

from staging.errors import DeviceOfflineError, StoreBusyError
from staging.gateway.bounds import UtteranceBound
from staging.gateway.gateway import Gateway, Limits
from staging.gateway.session import Peer, Session
from staging.store import Database, devices, history
from staging.store.models import PresenceChange
from tests.staging.conftest import API_URL, FakeClock
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer, Request, Terms
from wire.numbered import NumberedReport, numbered_payload
from wire.reports import (
    REGISTER_PATH,
    REPORT_PATH,
    Credentials,
    registration_payload,
    report_payload,
    report_query,
)

pytestmark = pytest.mark.one_database
UUID = "0083000000000a"


class Behind:
    """A peer that keeps why it was ended, and an endpoint that keeps what it was asked."""

    def __init__(self) -> None:
        self.ended: list[str] = []
        self.asked: list[tuple[str, str]] = []

    def close(self, reason: str) -> None:
        self.ended.append(reason)

    def reset(self, reason: str) -> None:
        self.ended.append(f"reset: {reason}")

    async def request(
        self,
        connection: Any,
        /,
        method: str,
        path: tuple[str, ...],
        payload: bytes = b"",
        *,
        query: tuple[str, ...] = (),
        deadline: float,
        terms: Terms | None = None,
    ) -> Answer:
        assert (connection, payload, query, terms) == (self, b"", (), None)
        assert deadline == 7
        self.asked.append((method, "/".join(path)))
        return Answer(Code.CONTENT, b"2")

    def watch(self, connection: Any, /, quiet: float) -> None:
        raise AssertionError((connection, quiet))


class Cloud:
    """A gateway without a port, its one device, and what it tells."""

    def __init__(self, database: Database, *, owns: bool = True, day_bytes: int = 0) -> None:
        self.database = database
        self.clock = FakeClock()
        self.device = database.call(devices.add, UUID, self.clock())
        self.gateway = Gateway(
            database, api_url=lambda: API_URL, limits=Limits(control=7, day_bytes=day_bytes), clock=self.clock,
            owns=lambda _uuid: owns,
        )  # fmt: skip
        self.changed: list[str] = []
        self.gateway.watch(self.changed.append)
        self.credentials = Credentials(UUID, self.device.token)

    async def register(self, peer: Peer) -> Answer:
        payload = registration_payload(self.credentials)
        return await self.gateway.serve(peer, Request("POST", REGISTER_PATH, (), payload))

    async def report(self, peer: Peer, number: int) -> Answer:
        payload = numbered_payload("0" * 16, NumberedReport(number, {"volume": number}))
        request = Request("POST", REPORT_PATH, report_query(self.credentials), payload)
        return await self.gateway.serve(peer, request)

    async def heartbeat(self, peer: Peer) -> Answer:
        request = Request(
            "POST", REPORT_PATH, report_query(self.credentials), report_payload({"alive": 0})
        )
        return await self.gateway.serve(peer, request)

    async def know(self, peer: Behind) -> Session:
        row = await self.database.find(devices.IDENTITY, uuid=UUID)
        assert row is not None
        return self.gateway.know(devices.Identity(*row), peer, peer)


@pytest.fixture
def cloud(database: Database) -> Cloud:
    return Cloud(database)


async def test_one_that_has_joined_registers_and_is_asked_through_its_own_endpoint(
    cloud: Cloud,
) -> None:
    peer = Behind()
    cloud.gateway.join(peer, peer)
    assert (await cloud.register(peer)).code == Code.CONTENT
    assert cloud.gateway.is_online(UUID)
    assert await cloud.gateway.control(UUID, "power", "GET", None) == ("2.05", "2")
    assert ("GET", "power") in peer.asked
    assert (await cloud.report(peer, 1)).code == Code.CHANGED
    await cloud.gateway.stop()


async def test_one_that_has_not_joined_or_has_left_is_not_let_in(cloud: Cloud) -> None:
    peer = Behind()
    refused = await cloud.register(peer)
    assert (refused.code, refused.payload) == (Code.SERVICE_UNAVAILABLE, b"the connection ended")
    cloud.gateway.join(peer, peer)
    await cloud.register(peer)
    cloud.gateway.leave(peer, "its broker says so")
    assert peer.ended == ["its broker says so"]
    assert not cloud.gateway.is_online(UUID)
    with pytest.raises(DeviceOfflineError):
        await cloud.gateway.control(UUID, "power", "GET", None)
    assert (await cloud.report(peer, 1)).code == Code.UNAUTHORIZED
    assert (await cloud.register(peer)).code == Code.SERVICE_UNAVAILABLE
    await cloud.gateway.stop()


async def test_one_that_another_worker_let_in_is_known_and_a_newer_one_replaces_it(
    cloud: Cloud,
) -> None:
    first, second = Behind(), Behind()
    session = await cloud.know(first)
    assert cloud.changed == [UUID]
    assert session.registered_ms == cloud.clock.now
    assert cloud.gateway.sessions.get(UUID) is session
    await cloud.know(second)
    assert first.ended == ["replaced by a newer registration of the same device"]
    cloud.gateway.leave(first, "gone")
    assert cloud.gateway.is_online(UUID)  # on the newer one
    assert cloud.changed == [UUID, UUID]
    cloud.gateway.leave(second, "gone too")
    assert (cloud.changed, cloud.gateway.is_online(UUID)) == ([UUID] * 3, False)
    await cloud.gateway.stop()


@pytest.mark.parametrize("registers", ["here", "with another worker"])
async def test_one_whose_credentials_are_taken_back_leaves_and_may_come_with_the_new_ones(
    cloud: Cloud, registers: str
) -> None:
    peer = Behind()
    if registers == "here":
        cloud.gateway.join(peer, peer)
        await cloud.register(peer)
    else:
        await cloud.know(peer)
    cloud.gateway._cut(cloud.gateway.sessions.get(UUID), "its token was renewed")
    assert (peer.ended, cloud.gateway.is_online(UUID)) == (["its token was renewed"], False)
    await cloud.gateway.stop()


def told_changes(session: StoreSession) -> list[tuple[bool, str]]:
    rows = session.scalars(select(PresenceChange).order_by(PresenceChange.id))
    return [(row.online, row.reason) for row in rows]


@pytest.mark.parametrize("owns", [True, False])
async def test_of_several_workers_the_owner_alone_tells_who_is_there(
    database: Database, *, owns: bool
) -> None:
    cloud = Cloud(database, owns=owns)
    peer = Behind()
    await cloud.know(peer)
    cloud.gateway.leave(peer, "gone")
    await cloud.gateway.stop()
    assert database.call(told_changes) == ([(True, ""), (False, "gone")] if owns else [])


async def test_what_a_control_request_read_is_in_the_history_when_the_cloud_has_stopped(
    cloud: Cloud,
) -> None:
    peer = Behind()
    cloud.gateway.join(peer, peer)
    await cloud.register(peer)
    await cloud.gateway.control(UUID, "power", "GET", None)
    await cloud.gateway.stop()
    page = cloud.database.call(history.page, cloud.device.id, history.Query())
    assert [(entry.key, entry.value) for entry in page.entries] == [("power", 2)]


async def test_a_background_task_that_failed_is_told_when_the_cloud_stops(
    cloud: Cloud, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        raise LookupError("no such family")

    cloud.gateway.start_work()
    assert len(cloud.gateway._work) == 8
    failing = asyncio.create_task(fail())
    await asyncio.wait([failing])
    cloud.gateway._work.append(failing)
    await cloud.gateway.stop()
    assert caplog.text.count("a background task of the gateway failed") == 1
    assert "no such family" in caplog.text
    assert all(task.done() for task in cloud.gateway._work)


async def test_what_a_device_reads_is_greeted_when_it_is_news(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch
) -> None:
    greeted: list[Session] = []
    monkeypatch.setattr(cloud.gateway.family, "greet", greeted.append)
    session = await cloud.know(Behind())
    for reads in ({"deadline"}, {"deadline"}, {"deadline", "ping"}):
        cloud.gateway.note_abilities(session, frozenset(reads))
        assert set(session.abilities) == reads
    assert greeted == [session, session]
    await cloud.gateway.stop()


async def test_a_device_that_has_sent_its_share_of_a_day_may_still_say_that_it_is_there(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = Cloud(database, day_bytes=80)
    peer = Behind()
    cloud.gateway.join(peer, peer)
    await cloud.register(peer)
    codes = [(await cloud.report(peer, number)).code for number in (1, 2, 3)]
    assert codes == [Code.CHANGED, Code.SERVICE_UNAVAILABLE, Code.SERVICE_UNAVAILABLE]
    assert f"device {UUID}: has sent its share of a day; reports come later" in caplog.text
    assert (await cloud.heartbeat(peer)).code == Code.CHANGED
    await cloud.gateway.stop()


async def test_a_store_that_is_busy_has_told_so_itself_and_the_device_keeps_its_report(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def busy(*_: object) -> None:
        raise StoreBusyError("a backup is being taken")

    caplog.set_level("DEBUG")
    peer = Behind()
    cloud.gateway.join(peer, peer)
    await cloud.register(peer)
    with monkeypatch.context() as patch:
        patch.setattr(cloud.gateway._intake, "apply", busy)
        answer = await cloud.report(peer, 1)
    assert (answer.code, answer.text) == (
        Code.SERVICE_UNAVAILABLE,
        "the store cannot take this now",
    )
    (told,) = [record for record in caplog.records if "a backup is being taken" in record.message]
    assert told.levelname == "DEBUG"
    assert (await cloud.report(peer, 1)).code == Code.CHANGED
    await cloud.gateway.stop()


async def test_an_utterance_that_is_too_long_is_refused_told_and_not_kept(
    cloud: Cloud, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    class Full(UtteranceBound):
        def check(self, effects: object) -> None:  # noqa: ARG002  # as the real one's
            raise WireError("voice: utterance 1 has more than 120 s")

    peer = Behind()
    cloud.gateway.join(peer, peer)
    await cloud.register(peer)
    monkeypatch.setattr(cloud.gateway.sessions.get(UUID), "utterance", Full())
    refused = await cloud.report(peer, 1)
    assert (refused.code, refused.text) == (
        Code.BAD_REQUEST,
        "voice: utterance 1 has more than 120 s",
    )
    assert f"{UUID}: POST refused: voice: utterance 1 has more than 120 s" in caplog.text
    page = cloud.database.call(history.page, cloud.device.id, history.Query())
    assert page.entries == []
    await cloud.gateway.stop()


async def test_each_report_is_told_to_the_watchers_and_to_those_that_listen(cloud: Cloud) -> None:
    heard: list[str] = []
    cloud.gateway.listen(lambda uuid, effects: heard.append(f"{uuid} {len(effects)}"))
    peer = Behind()
    cloud.gateway.join(peer, peer)
    await cloud.register(peer)
    await asyncio.gather(*cloud.gateway.sessions.get(UUID).tasks)  # it was greeted
    cloud.changed.clear()
    await cloud.report(peer, 1)
    assert (cloud.changed, heard) == ([UUID], [f"{UUID} 1"])
    await cloud.gateway.stop()


async def test_what_another_worker_changed_is_told_to_the_watchers(cloud: Cloud) -> None:
    cloud.gateway.note_change(UUID)
    assert cloud.changed == [UUID]
    await cloud.gateway.stop()
