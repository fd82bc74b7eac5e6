"""A request is carried out once: also where another worker, or the cloud after a kill, gets it again."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from staging.api.app import create_app
from staging.errors import StoreBusyError
from staging.services import Services
from staging.store import apps
from staging.store.nonces import Nonces
from wire.codes import Code
from wire.exchange import Answer

UUID = "0083000000000a"
# Every request that changes something: its method, its path, its body.
CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/device/bind", {"token": "6dd5790b2163a0132e6c65c6dd6f9ef2"}),
    ("POST", "/device/unbind", {}),
    ("PUT", "/device/name/update", {"name": "story"}),
    ("POST", "/device/control/send", {"method": "PUT", "name": "volume", "content": "5"}),
    ("POST", "/device/ota/update", {"packageId": 1}),
    ("DELETE", "/device/data", {}),
    ("DELETE", "/device/data/voice", {}),
]
# What is asked by POST and changes nothing.
QUESTIONS: list[tuple[str, str, dict[str, Any]]] = [
    ("POST", "/device/control/send", {"method": "GET", "name": "volume"}),
    ("POST", "/device/query/data/connect", {"deviceUuids": [UUID]}),
]


@pytest.fixture
async def other(cloud: Any, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    """Another worker of the cloud, or the same one after kill -9: it shares the store alone."""
    nonces = Nonces(cloud.database, cloud.clock)
    app = create_app(Services(cloud.database, cloud.gateway, nonces, cloud.clock), tmp_path / "tuf")
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://other") as client:
        yield client


def was_used(response: Any) -> bool:
    return response.status_code == 401 and "nonce was used" in response.json()["message"]


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
async def test_a_change_is_not_repeated_elsewhere(
    cloud: Any, other: httpx.AsyncClient, method: str, path: str, body: dict[str, Any]
) -> None:
    headers, asked = cloud.headers(), {"deviceUuid": UUID, **body}
    place: dict[str, Any] = {"params": asked} if method == "DELETE" else {"json": asked}
    first = await cloud.http.request(method, f"/v1{path}", headers=headers, **place)
    assert not was_used(first)
    assert was_used(await other.request(method, f"/v1{path}", headers=headers, **place))


@pytest.mark.one_database
async def test_every_route_is_in_a_table_or_a_get(cloud: Any) -> None:
    described = (await cloud.http.get("/openapi.json")).json()["paths"]
    found = {
        (method.upper(), path.removeprefix("/v1"))
        for path, methods in described.items()
        for method in methods
    }
    # The consent page is not signed: its form has a guard of its own (tests.staging.api.test_authorize).
    taking = {pair for pair in found if pair[0] != "GET"} - {("POST", "/account/authorize")}
    assert taking == {(method, path) for method, path, _ in CHANGES + QUESTIONS}


async def test_of_many_workers_that_get_one_change_at_once_one_carries_it_out(
    cloud: Any, other: httpx.AsyncClient
) -> None:
    cloud.bind()
    device = await cloud.register(answers={("PUT", "volume"): Answer(Code.CHANGED)})
    headers = cloud.headers()
    asked = {"deviceUuid": UUID, "method": "PUT", "name": "volume", "content": "5"}
    both = [cloud.http, other] * 5
    responses = await asyncio.gather(
        *(client.post("/v1/device/control/send", json=asked, headers=headers) for client in both)
    )
    assert sorted(response.status_code for response in responses) == [200] + [401] * 9
    await device.expect("PUT", "volume")
    assert device.asked.empty()


async def test_a_reads_nonce_is_known_elsewhere_a_moment_later(
    cloud: Any, other: httpx.AsyncClient
) -> None:
    keeping = asyncio.create_task(cloud.nonces.keep_saving())
    headers = cloud.headers()
    assert (await cloud.http.get("/v1/account/validate", headers=headers)).status_code == 200
    async with asyncio.timeout(30):
        while cloud.nonces._filled.is_set() or cloud.nonces._unsaved:
            await asyncio.sleep(0.01)
    await cloud.database.write(lambda _session: None)  # the writes before it are committed
    assert was_used(await other.get("/v1/account/validate", headers=headers))
    keeping.cancel()


async def test_a_change_whose_nonce_cannot_be_stored_is_not_made(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    cloud.bind()
    device = await cloud.register(answers={("PUT", "volume"): Answer(Code.CHANGED)})

    def busy(*_: object) -> None:
        raise StoreBusyError("the disk is full")

    monkeypatch.setattr(apps, "claim_nonce", busy)
    asked = {"deviceUuid": UUID, "method": "PUT", "name": "volume", "content": "5"}
    response = await cloud.post("/device/control/send", **asked)
    assert response.status_code == 503
    assert device.asked.empty()


@pytest.mark.one_database
async def test_used_nonces_leave_memory_whether_of_reads_or_of_changes(cloud: Any) -> None:
    await cloud.post("/device/unbind", deviceUuid=UUID)
    await cloud.get("/account/validate")
    assert len(cloud.nonces._recent) == 2
    cloud.clock.now += 120_000
    await cloud.nonces.save()
    assert not cloud.nonces._recent


@pytest.mark.one_database
async def test_after_a_pause_old_nonces_leave_memory_a_few_at_a_time(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """All of a busy minute at once would hold up the first requests after it; nor does the collector look at them."""
    monkeypatch.setattr("staging.store.nonces.DROPPED_AT_ONCE", 2)
    for _ in range(3):
        await cloud.get("/account/validate")
    assert not gc.is_tracked(cloud.nonces._recent)
    cloud.clock.now += 120_000
    left = []
    for _ in range(2):
        await cloud.nonces.save()
        left.append(len(cloud.nonces._recent))
    assert left == [1, 0]


@pytest.mark.one_database
async def test_a_store_that_is_busy_gets_the_nonces_later(
    cloud: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(*_: object) -> None:
        raise StoreBusyError("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(apps, "remember_nonces", busy)
        await cloud.get("/account/validate")
        await cloud.nonces.save()
    assert cloud.nonces._unsaved
    assert cloud.nonces._filled.is_set()
    await cloud.nonces.save()
    assert not cloud.nonces._unsaved
