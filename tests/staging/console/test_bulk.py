"""The list of devices over HTTP: addresses, CSV, tags, and steps for many (staging.console.bulk, .devices).

Tests staging.device_csv, staging.spreadsheets, staging.console.labels and staging.store.label_rows too.
"""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from staging.identity import rights
from staging.identity.rights import Role
from staging.store import audit, devices, label_rows, products
from staging.store.audit import Filter
from staging.store.models import Account, Binding, Device
from tests.staging.console.bare import Bare

pytestmark = pytest.mark.one_database


@pytest.fixture
def operator(bare: Bare) -> Account:
    return bare.account("ada", Role.OPERATOR)


@pytest.fixture
async def client(bare: Bare, operator: Account) -> AsyncIterator[httpx.AsyncClient]:
    async with bare.client(operator) as made:
        yield made


def add(bare: Bare, *uuids: str, owner: Account | None = None, name: str = "") -> None:
    def make(session: Any) -> None:
        for uuid in uuids:
            device = devices.add(session, uuid, 1)
            device.name = name
            if owner is not None:
                session.add(Binding(device_id=device.id, account_id=owner.id, create_time=1))

    bare.database.call(make)


async def test_an_address_is_answered_or_refused_by_name(
    bare: Bare, client: httpx.AsyncClient
) -> None:
    add(bare, *(f"{n:014x}" for n in range(30)))
    found = (await client.get("/api/devices?size=25&page=2&sort=device&order=up")).json()
    assert [device["uuid"][-2:] for device in found["devices"]] == ["19", "1a", "1b", "1c", "1d"]
    assert (found["total"], found["page"], found["pages"]) == (30, 2, 2)
    for path in ("/api/devices", "/api/devices.csv", "/api/live"):
        refused = await client.get(f"{path}?presence=maybe")
        assert refused.status_code == 400
        told = refused.json()["error"]["message"]
        assert "presence" in told
        assert "online, offline, never" in told
    choices = (await client.get("/api/device-filters")).json()
    assert choices["products"][0]["batches"] == ["0000"]


async def test_a_csv_is_text_to_a_spreadsheet(
    bare: Bare, client: httpx.AsyncClient, operator: Account
) -> None:
    add(bare, "a" * 14, owner=operator, name="=1+1")
    add(bare, "b" * 14, owner=bare.account("mum", Role.PARENT), name="secret")
    await client.post(f"/api/devices/{'b' * 14}/tags", json={"add": ["@home", "ok"]})
    answer = await client.get("/api/devices.csv?sort=device&order=up")
    assert answer.text.startswith("\ufeffuuid,")
    one, other = csv.DictReader(io.StringIO(answer.text.removeprefix("\ufeff")))
    assert (one["uuid"], one["name"], one["standing"]) == ("a" * 14, "'=1+1", "own")
    assert (other["name"], other["tags"], other["standing"]) == ("", "'@home, ok", "family")
    assert other["presence"] == "never"
    (filtered,) = csv.DictReader(
        io.StringIO((await client.get("/api/devices.csv?tag=OK")).text.removeprefix("\ufeff"))
    )
    assert filtered["uuid"] == "b" * 14


async def test_many_devices_are_tagged_and_the_audit_log_names_each(
    bare: Bare, client: httpx.AsyncClient
) -> None:
    add(bare, "a" * 14, "b" * 14, "c" * 14)
    await client.post(f"/api/devices/{'c' * 14}/tags", json={"add": ["Winter"]})
    body = {"action": "tag", "add": ["winter"], "query": "?sort=device"}
    preview = (await client.post("/api/bulk/preview", json=body)).json()
    assert (preview["total"], preview["ready"]) == (3, 2)
    assert preview["leftOut"] == [{"why": "done_already", "count": 1, "uuids": ["c" * 14]}]
    begun = await client.post("/api/bulk", json={"preview": preview["preview"]})
    assert begun.status_code == 202
    async with asyncio.timeout(30):
        while not (job := (await client.get(f"/api/bulk/{begun.json()['job']}")).json())["ended"]:
            await asyncio.sleep(0)
    assert (job["done"], job["failures"], job["problem"]) == (2, 0, "")
    shown = (await client.get("/api/devices?tag=winter")).json()
    assert shown["total"] == 3
    await bare.services.audit.save()
    entries = bare.database.call(audit.page, Filter(), 20)
    assert sorted((e.action, e.device, e.target) for e in entries) == [
        ("device.bulk", "", "tag 2 devices +winter"),
        ("device.tag", "a" * 14, "+winter"),
        ("device.tag", "b" * 14, "+winter"),
        ("device.tag", "c" * 14, "+Winter"),
    ]
    for wrong, name in (
        ({"action": "tag", "add": ["x"], "uuids": []}, "uuids"),
        ({"action": "tag", "add": ["x"], "query": "colour=red"}, "query"),
        ({"action": "tag", "add": [1], "query": ""}, "add"),
    ):
        refused = await client.post("/api/bulk/preview", json=wrong)
        assert refused.status_code == 400
        assert refused.json()["error"]["message"].startswith(name)


async def test_a_shown_page_is_told_what_changes_of_it(
    bare: Bare, client: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("staging.console.devices.LOOK_SECONDS", 0.0)
    add(bare, "a" * 14, "b" * 14)

    async def read(lines: AsyncIterator[str], name: str) -> str:
        async for line in lines:
            if line == f"event: {name}":
                return await anext(lines)
        raise AssertionError(f"no event {name}")

    path = "/api/live?version=0.0.0.0&sort=device&order=up"
    async with asyncio.timeout(30), client.stream("GET", path) as stream:
        lines = stream.aiter_lines()
        assert '"total":2' in await read(lines, "devices")
        await client.post(f"/api/devices/{'b' * 14}/tags", json={"add": ["t"]})
        assert '"tags":["t"]' in await read(lines, "device")
        add(bare, "c" * 14)
        bare.console.hub.notify("c" * 14)
        assert '"total":3' in await read(lines, "devices")

        def drop(session: Any) -> None:
            device = session.query(Device).filter_by(uuid="a" * 14).one()
            device.os_version_id = products.os_version(session, device.product_id, "9.9").id

        bare.database.call(drop)
        bare.console.hub.notify("a" * 14)
        assert '"osVersion":"9.9"' in await read(lines, "device")
        bare.console.hub.notify("c" * 14)
        bare.console.hub.notify("e" * 14)
        assert '"total":2' in await read(lines, "devices")


async def test_labels_are_of_machines_that_nobody_else_has_had(
    bare: Bare, client: httpx.AsyncClient, operator: Account
) -> None:
    def token(session: Any) -> None:
        for device in session.query(Device):
            device.bind_token = device.uuid[0] * 32
            device.family_since = 7 if device.uuid.startswith("d") else 0
            device.bind_token_differs = device.uuid.startswith("e")

    add(bare, "a" * 14, "d" * 14, "e" * 14)
    add(bare, "b" * 14, owner=operator)
    add(bare, "c" * 14, owner=bare.account("mum", Role.PARENT))
    bare.database.call(token)
    answer = await client.post("/api/bulk/labels", json={"query": ""})
    assert (answer.headers["content-type"], answer.headers["x-story-left-out"]) == (
        "application/pdf", "3",
    )  # fmt: skip
    assert answer.content.startswith(b"%PDF-1.4")
    labels = bare.database.call(
        label_rows.of, list(range(99)), rights.Viewer(operator.id, Role.OPERATOR)
    )
    assert [(label.uuid[0], label.number) for label in labels] == [("a", 1), ("b", 4)]
    await bare.services.audit.save()
    entries = bare.database.call(audit.page, Filter(), 20)
    assert sorted((e.action, e.device[:1], e.target) for e in entries) == [
        ("device.label", "a", ""), ("device.label", "b", ""), ("device.labels", "", "2 devices"),
    ]  # fmt: skip
    for body, told in (
        ({"uuids": ["c" * 14, "f" * 14]}, "none of 2 devices"),
        ({"uuids": []}, "uuids"),
    ):
        refused = await client.post("/api/bulk/labels", json=body)
        assert told in refused.json()["error"]["message"]
    async with bare.client(bare.account("tom", Role.TESTER)) as tester:
        assert (await tester.post("/api/bulk/labels", json={"query": ""})).status_code == 403
