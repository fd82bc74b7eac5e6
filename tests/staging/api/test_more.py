"""Names, lists, tokens, and values that the cloud read itself."""

from __future__ import annotations

from typing import Any

import pytest

from staging.store import apps, controls, devices, product_setup
from staging.store.controls import Controlled
from staging.store.models import Device
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


# Names


async def test_new_name_shows_everywhere(cloud: Any) -> None:
    cloud.bind()
    response = await cloud.put("/device/name/update", deviceUuid=UUID.upper(), name="小熊")
    assert (response.status_code, response.json()["data"]["name"]) == (201, "小熊")
    info = await cloud.get("/device/info/by_uuid", deviceUuid=UUID)
    assert info.json()["data"]["name"] == "小熊"
    assert (await cloud.put("/device/name/update", deviceUuid=UUID, name="")).status_code == 201


@pytest.mark.parametrize("name", [None, 5, "x" * 65, "a\nb", "\u0000"])
async def test_name_that_is_none(cloud: Any, name: object) -> None:
    cloud.bind()
    response = await cloud.put("/device/name/update", deviceUuid=UUID, name=name)
    assert (response.status_code, response.json()["code"]) == (400, "400")
    assert response.json()["message"].startswith("name: got")


async def test_half_a_character_is_no_name(cloud: Any) -> None:
    cloud.bind()
    body = b'{"deviceUuid": "%s", "name": "\\ud800"}' % UUID.encode()
    headers = cloud.headers() | {"content-type": "application/json"}
    response = await cloud.http.put("/v1/device/name/update", content=body, headers=headers)
    assert (response.status_code, response.json()["code"]) == (400, "400")


# By token


async def test_by_token_needs_no_binding(cloud: Any) -> None:
    token = cloud.device.bind_token.upper()
    response = await cloud.get("/device/info/by_token", deviceUuid=UUID, token=token)
    data = response.json()["data"]
    assert (data["accountUuid"], data["uuid"], data["deviceUuid"]) == (None, UUID, UUID)


async def test_by_token_of_a_device_whose_token_is_not_known(cloud: Any) -> None:
    def clear(session: Any) -> None:
        session.get(Device, cloud.device.id).bind_token = None

    cloud.database.call(clear)
    response = await cloud.get("/device/info/by_token", deviceUuid=UUID, token="0" * 32)
    assert response.json()["code"] == "1228"


# The list


async def test_list_pages(cloud: Any) -> None:
    account = cloud.database.call(apps.account, "tester", 0)
    _, made = cloud.database.call(product_setup.add_batch, cloud.device.product_id, "b", 25, 0)

    def bind_all(session: Any) -> None:
        for device in made:
            devices.bind(session, device.uuid, device.bind_token or "", account.id, 0)

    cloud.database.call(bind_all)
    newest_first = [device.uuid for device in reversed(made)]
    found = []
    for start in (0, 20, 25):
        body = (await cloud.get("/device/bind/list", start=start)).json()
        assert (body["start"], body["limit"], body["total"]) == (start, 20, 25)
        found += [device["deviceUuid"] for device in body["data"]]
    assert found == newest_first
    assert len((await cloud.get("/device/bind/list", limit=1000)).json()["data"]) == 25


async def test_list_is_the_accounts_own_and_the_apps(cloud: Any) -> None:
    assert (await cloud.get("/device/bind/list")).json()["data"] == []
    cloud.bind()
    assert (await cloud.get("/device/bind/list")).json()["total"] == 1
    cloud.database.call(product_setup.unbind_app, cloud.app.id, cloud.device.product_id)
    assert (await cloud.get("/device/bind/list")).json() == {
        "data": [],
        "code": 0,
        "message": "",
        "limit": 20,
        "start": 0,
        "total": 0,
    }
