"""Accounts and their devices: binding, names, tokens, and the list."""

from __future__ import annotations

from typing import Any

import pytest

from staging.store import apps, devices, product_setup
from staging.store.models import Device

UUID = "0083000000000a"


def failed(response: Any, status: int, code: str, *words: str) -> None:
    body = response.json()
    assert (response.status_code, str(body["code"]), body["data"]) == (status, code, None)
    for word in words:
        assert word in body["message"]


async def test_bind_shows_in_info_and_unbind_takes_it_away(cloud: Any) -> None:
    body = {"deviceUuid": UUID.upper(), "token": cloud.device.bind_token.upper()}
    assert (await cloud.post("/device/bind", **body)).status_code == 200
    info = (await cloud.get("/device/info/by_uuid", deviceUuid=UUID)).json()["data"]
    assert info["bindToken"] == cloud.device.bind_token
    assert (await cloud.post("/device/unbind", deviceUuid=UUID)).status_code == 200
    failed(await cloud.get("/device/info/by_uuid", deviceUuid=UUID), 403, "1212")


async def test_bind_twice(cloud: Any) -> None:
    body = {"deviceUuid": UUID, "token": cloud.device.bind_token}
    await cloud.post("/device/bind", **body)
    response = await cloud.post("/device/bind", **body)
    failed(response, 406, "406")
    assert response.json()["message"] == "device has been bind!"


async def test_bind_with_anothers_token(cloud: Any) -> None:
    failed(await cloud.post("/device/bind", deviceUuid=UUID, token="f" * 32), 403, "1228", UUID)


async def test_bind_with_an_ill_formed_token_does_not_show_it(cloud: Any) -> None:
    response = await cloud.post("/device/bind", deviceUuid=UUID, token="secret")
    failed(response, 400, "1219", "token: got", "32 hexadecimal digits")
    assert "secret" not in response.text


async def test_bind_of_a_device_whose_bind_token_is_not_known(cloud: Any) -> None:
    def clear(session: Any) -> None:
        session.get(Device, cloud.device.id).bind_token = None

    cloud.database.call(clear)
    body = {"deviceUuid": UUID, "token": cloud.device.bind_token}
    failed(await cloud.post("/device/bind", **body), 403, "1228")


async def test_bind_unknown_device(cloud: Any) -> None:
    response = await cloud.post("/device/bind", deviceUuid="f" * 14, token="f" * 32)
    failed(response, 404, "1209", "f" * 14)


async def test_bind_without_token(cloud: Any) -> None:
    failed(await cloud.post("/device/bind", deviceUuid=UUID), 400, "1219", "token: missing")


@pytest.mark.parametrize("uuid", ["", "xyz", 5, "0" * 15, None])
async def test_ill_formed_uuid(cloud: Any, uuid: object) -> None:
    response = await cloud.post("/device/unbind", deviceUuid=uuid)
    failed(response, 400, "1208", "deviceUuid: got", "14 hexadecimal digits")


async def test_missing_uuid(cloud: Any) -> None:
    failed(await cloud.get("/device/info/by_uuid"), 400, "1208", "deviceUuid: missing")


async def test_new_name_shows_everywhere(cloud: Any) -> None:
    cloud.bind()
    response = await cloud.put("/device/name/update", deviceUuid=UUID.upper(), name="小熊")
    assert (response.status_code, response.json()["data"]["name"]) == (201, "小熊")
    info = await cloud.get("/device/info/by_uuid", deviceUuid=UUID)
    assert info.json()["data"]["name"] == "小熊"


@pytest.mark.parametrize(
    ("name", "shown"),
    [("小熊\u3000二号", "小熊\u3000二号"), ("a\u00a0b", "a\u00a0b"), ("a\u0308" * 64, "ä" * 64),
     ("\U0001f468\u200d\U0001f467", "\U0001f468\u200d\U0001f467"), ("\uff21", "\uff21")],
)  # fmt: skip
async def test_a_name_is_any_text_and_kept_in_nfc(cloud: Any, name: str, shown: str) -> None:
    cloud.bind()
    response = await cloud.put("/device/name/update", deviceUuid=UUID, name=name)
    assert (response.status_code, response.json()["data"]["name"]) == (201, shown)


@pytest.mark.parametrize(
    "name",
    [
        None,
        5,
        "",
        " ",
        "\u3000",
        "\u200b",
        "\t",
        "x" * 65,
        "a\nb",
        "\u0000",
        "a\u2028b",
        "a\u202eb",
    ],
)
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
