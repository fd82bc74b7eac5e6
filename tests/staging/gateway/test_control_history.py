"""Values that control requests read and set: their history, and the latest of each."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from staging.errors import StoreFullError
from staging.gateway import control_history
from staging.gateway.control_history import ControlHistory, Noted
from staging.store import controls
from staging.store.controls import Controlled
from staging.store.models import Device
from tests.moved_clock import on_moved_clock
from wire.codes import Code
from wire.exchange import Answer

UUID = "0083000000000a"
ANSWERS = {
    ("GET", "power"): Answer(Code.CONTENT, b"75"),
    ("PUT", "power"): Answer(Code.METHOD_NOT_ALLOWED, b"read only"),
    ("GET", "switch"): Answer(Code.CONTENT, b"false"),
    ("GET", "play"): Answer(Code.CONTENT, "春天在哪里".encode()),
    ("PUT", "volume"): Answer(Code.CHANGED),
    ("GET", "volume"): Answer(Code.CONTENT, b"loud"),
}


async def control(cloud: Any, **body: Any) -> None:
    response = await cloud.post("/device/control/send", deviceUuid=UUID, **body)
    assert response.status_code == 200


async def history(cloud: Any, **params: Any) -> list[tuple[str, object]]:
    response = await cloud.get("/device/query/data/history", deviceUuid=UUID, **params)
    return [(entry["key"], entry["value"]) for entry in response.json()["data"]]


async def realtime(cloud: Any, key: str) -> Any:
    params = {"deviceUuid": UUID, "propertyKey": key}
    return (await cloud.get("/device/query/data/realtime", **params)).json()


@pytest.fixture
async def device(cloud: Any) -> Any:
    cloud.bind()
    return await cloud.register(answers=ANSWERS)


# Values that control requests read and set are stored with type RESOURCE.


async def test_values_that_were_read_or_set_are_resource_history(cloud: Any, device: Any) -> None:
    await control(cloud, method="GET", name="power")
    await control(cloud, method="GET", name="switch")
    await control(cloud, method="GET", name="play")
    await control(cloud, method="PUT", name="volume", content="9")
    await device.report({"volume": 10})
    resource = [("volume", 9), ("play", "春天在哪里"), ("switch", False), ("power", 75)]
    assert await history(cloud) == [("volume", 10), *resource]
    assert await history(cloud, propertyType="RESOURCE") == resource
    assert await history(cloud, propertyType="REPORT") == [("volume", 10)]
    assert await history(cloud, propertyType="RESOURCE", propertyKey="volume") == [("volume", 9)]


async def test_what_the_device_refused_is_no_value(cloud: Any, device: Any) -> None:
    del device
    await control(cloud, method="PUT", name="power", content="1")
    assert await history(cloud) == []


async def test_value_of_another_type_is_kept_as_it_came(cloud: Any, device: Any) -> None:
    del device
    await control(cloud, method="GET", name="volume")
    assert await history(cloud) == [("volume", "loud")]


async def test_what_was_read_outlives_the_gateway(cloud: Any, device: Any) -> None:
    del device
    await control(cloud, method="GET", name="power")
    await cloud.gateway.stop()
    assert await history(cloud) == [("power", 75)]


async def test_realtime_is_the_latest_of_both_types(cloud: Any, device: Any) -> None:
    await device.report({"power": 80})
    assert (await realtime(cloud, "power"))["data"]["value"] == 80
    cloud.clock.now += 5000
    await control(cloud, method="GET", name="power")
    assert (await realtime(cloud, "power"))["data"] == {"value": 75, "timeStamp": cloud.clock.now}


async def test_realtime_of_what_was_never_seen(cloud: Any) -> None:
    cloud.bind()
    assert await realtime(cloud, "x") == {"data": None, "code": "0", "message": "", "total": 1}


def test_values_of_devices_that_are_gone_or_describe_nothing(cloud: Any) -> None:
    def work(session: Any) -> Any:
        session.get(Device, cloud.device.id).description = {"resources": [], "report": []}
        values = [Controlled(99, "x", "1", 0), Controlled(cloud.device.id, "y", "1", 0)]
        controls.append(session, values)

    cloud.database.call(work)


async def test_the_same_text_of_two_points_is_what_each_of_their_types_makes_of_it(
    cloud: Any,
) -> None:
    def point(name: str, kind: str) -> dict[str, Any]:
        return {
            "name": name, "type": kind, "label": "", "description": "", "resourceType": "",
            "protocol": ["coap"], "method": ["GET"], "uri": f"/{name}", "pattern": {"min": 0, "max": 9},
        }  # fmt: skip

    noted = control_history.ControlHistory(cloud.database)
    for number, each in enumerate([point("count", "int"), point("title", "string")] * 2):
        noted.note(control_history.Noted(cloud.device.id, each["name"], each, "7", 1000 + number))
    await noted.save()
    cloud.bind()
    assert await history(cloud) == [("title", "7"), ("count", 7)] * 2


async def test_values_wait_for_a_store_that_takes_none_now(
    cloud: Any, device: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    del device

    async def full(*_: Any) -> None:
        raise StoreFullError("full")

    with monkeypatch.context() as patched:
        patched.setattr(cloud.database, "write", full)
        patched.setattr(control_history, "MEMORY_LIMIT", 2)
        for name in ("power", "switch", "play"):
            await cloud.gateway.control(UUID, name, "GET", None)
            await cloud.gateway.save_controlled()
        assert cloud.gateway._history.holds(cloud.device.id)
    assert await history(cloud) == [("switch", False), ("power", 75)]
    assert "1 values of control requests are not in the history" in caplog.text


@on_moved_clock
async def test_nobody_is_woken_where_nobody_controls_anything() -> None:
    class Store:
        """Takes what is written, and refuses the first."""

        def __init__(self) -> None:
            self.written: list[int] = []

        async def write(self, _work: object, values: list[Controlled]) -> None:
            self.written.append(len(values))
            if len(self.written) == 1:
                raise StoreFullError("full")

    store, woken = Store(), []
    kept = ControlHistory(store)  # type: ignore[arg-type]  # as much of one as is used
    save = kept.save

    async def noted() -> None:
        woken.append(len(store.written))
        await save()

    kept.save = noted  # type: ignore[method-assign]
    saving = asyncio.create_task(kept.keep_saving())
    await asyncio.sleep(3600)
    assert woken == []
    point = {"name": "volume", "type": "integer", "methods": ["GET", "PUT"]}
    kept.note(Noted(1, "volume", point, "3", 1000))
    await asyncio.sleep(0.6)
    assert store.written == [1]  # half a second later, and again where the store does not take it
    await asyncio.sleep(3600)
    assert store.written == [1, 1]
    assert len(woken) == 2
    saving.cancel()
