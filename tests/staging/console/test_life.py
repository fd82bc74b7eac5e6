"""What a device's page asks for beside its state, over HTTP: faults, the wire log, its life and its diagnosis.

Tests staging.console.faults and staging.console.wires too.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from staging.bench.bench import Bench
from staging.identity.rights import Role
from staging.store import Database, devices, presence, releases
from staging.store.models import Binding, Device, OtaTask
from staging.store.presence import Change
from staging.times import now_ms
from staging.wirelog.export import read
from staging.wirelog.frames import Piece
from staging.wirelog.log import COAP, UP
from tests.staging.console.bare import Bare, bare_cloud
from wire.framing import encode_frame

pytestmark = pytest.mark.one_database
PING = encode_frame(b"\x40\0\x12\x34")


@dataclass
class Owned:
    """A device of a tester's, and the tester's browser."""

    bare: Bare
    device: Device
    client: httpx.AsyncClient

    def path(self, rest: str) -> str:
        return f"/api/devices/{self.device.uuid}{rest}"

    async def get(self, rest: str) -> Any:
        answer = await self.client.get(self.path(rest))
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def post(self, rest: str, **body: Any) -> httpx.Response:
        return await self.client.post(self.path(rest), json=body)


async def owned_by(bare: Bare) -> AsyncIterator[Owned]:
    account = bare.account("ada", Role.TESTER)
    device = bare.database.call(devices.add, "0083000000000a", 1000)
    binding = Binding(device_id=device.id, account_id=account.id, create_time=1000)
    bare.database.call(lambda session: session.add(binding))
    async with bare.client(account) as client:
        yield Owned(bare, device, client)


@pytest.fixture
async def owned(database: Database, tmp_path: Path) -> AsyncIterator[Owned]:
    bench = Bench(tmp_path)
    async with bare_cloud(database, tmp_path, bench) as bare:
        async for each in owned_by(bare):
            yield each
    await bench.close()


async def test_a_fault_is_made_shown_and_ended(owned: Owned) -> None:
    listed = await owned.get("/faults")
    assert (listed["on"], listed["faults"], listed["helper"]) == (True, [], False)
    assert {kind["name"] for kind in listed["kinds"]} >= {"cut", "freeze"}
    begun = await owned.post("/faults", name="slow", values={"bytes_per_second": "100"})
    assert begun.status_code == 201
    assert begun.json()["faults"][0]["values"]["bytes_per_second"] == 100
    assert (await owned.get(""))["device"]["bench"] == ["slow"]
    assert (await owned.post("/faults/clear", name="slow")).json()["faults"] == []
    assert (await owned.get(""))["device"]["bench"] == []


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"name": "slow", "values": {"bytes_per_second": "x"}}, 400, "bytes_per_second: got"),
        ({"name": "slow", "values": 3}, 400, "values: got 3"),
        ({"name": "flood"}, 400, "fault: got"),
        ({}, 400, "name: missing"),
        ({"name": "freeze"}, 409, "needs story-agent bench-helper"),
    ],
)
async def test_what_does_not_fit_is_told(
    owned: Owned, body: dict[str, Any], status: int, told: str
) -> None:
    answer = await owned.post("/faults", **body)
    assert answer.status_code == status
    assert told in answer.json()["error"]["message"]


async def test_without_a_bench_there_is_none(database: Database, tmp_path: Path) -> None:
    async with bare_cloud(database, tmp_path) as bare:
        async for owned in owned_by(bare):
            assert (await owned.get("/faults"))["on"] is False
            assert (await owned.get(""))["device"]["bench"] is None
            refused = await owned.post("/faults", name="cut")
            assert "--bench-faults" in refused.json()["error"]["message"]


async def test_frames_are_shown_kept_and_downloaded(owned: Owned) -> None:
    wire, uuid = owned.bare.services.wire, owned.device.uuid
    assert (await owned.get("/wire?after=0"))["entries"] == []  # from now on it is kept
    wire.add(uuid, UP, COAP, 1, Piece(PING, len(PING)))
    found = await owned.get("/wire?after=0&wait=1")
    assert [entry["view"]["code"] for entry in found["entries"]] == ["ping"]
    assert (await owned.get(f"/wire?after={found['last']}"))["entries"] == []
    assert (await owned.post("/wire", seconds=3600)).json()["left"] == 3600
    assert (await owned.post("/wire", seconds=-1)).status_code == 400
    file = (await owned.client.get(owned.path("/wire.jsonl"))).text
    assert [frame.data for frame in read(file.splitlines())] == [PING]
    assert (await owned.post("/wire", seconds=0)).json()["left"] == 0


async def test_frames_of_a_family_that_has_gone_are_not_shown(owned: Owned) -> None:
    wire, uuid = owned.bare.services.wire, owned.device.uuid
    wire.watch(uuid, [])
    wire.add(uuid, UP, COAP, 1, Piece(PING, len(PING)), ts=now_ms() - 1000)

    def unbind(session: Any) -> None:
        session.get_one(Device, owned.device.id).family_since = now_ms()

    owned.bare.database.call(unbind)
    found = await owned.get("/wire?after=0")
    assert (found["entries"], found["last"]) == ([], 1)
    assert len((await owned.client.get(owned.path("/wire.jsonl"))).text.splitlines()) == 1


async def test_a_life_is_paged_and_downloaded_with_who_did_what(owned: Owned) -> None:
    at = now_ms() - 60_000
    changes = [Change(owned.device.id, at + n, online=n % 2 == 0, reason="x") for n in range(50)]
    owned.bare.database.call(presence.add, changes)
    await owned.post("/faults", name="cut")
    first = await owned.get("/life")
    assert first["moments"][0] | {"ts": 0} == {
        "ts": 0, "kind": "did", "actor": "ada", "source": "console", "app": "",
        "action": "fault.set", "target": "cut seconds=60", "outcome": "done",
    }  # fmt: skip
    second = await owned.get(f"/life?before={first['next']}")
    assert second["next"] is None
    assert len(first["moments"]) + len(second["moments"]) == 51
    assert (await owned.get("/updates")) == {"updates": [], "next": None}
    file = (await owned.client.get(owned.path("/life.jsonl"))).text
    kinds = [json.loads(line)["kind"] for line in file.splitlines()]
    assert kinds[-4:] == ["offline", "online", "offline", "online"]


async def test_past_updates_come_ten_at_a_time_the_newest_first(owned: Owned) -> None:
    target = releases.Target("p", 1, "0" * 32, "0" * 64)

    def make(session: Any) -> list[int]:
        package = releases.add_package(session, "1.1", target, "", 0)
        made = [
            OtaTask(
                device_id=owned.device.id, package_id=package.id, status="FAILED", create_time=2000 + n,
                update_time=2000 + n,
            )
            for n in range(23)
        ]  # fmt: skip
        session.add_all(made)
        session.flush()
        return [task.id for task in made]

    made = owned.bare.database.call(make)[::-1]
    pages, rest = [], ""
    while True:
        page = await owned.get(f"/updates{rest}")
        pages.append([task["id"] for task in page["updates"]])
        if page["next"] is None:
            break
        rest = f"?before={page['next']}"
    assert pages == [made[:10], made[10:20], made[20:]]


async def test_a_diagnosis_of_a_machine_that_is_not_there_is_refused(owned: Owned) -> None:
    refused = await owned.post("/diag")
    assert (refused.status_code, refused.json()["error"]["code"]) == (503, "device_offline")
    assert (await owned.get("/diag")) == {"state": "none"}
    for rest in ("/diag.tar.gz", "/diag/log"):
        assert (await owned.client.get(owned.path(rest))).status_code == 404
