"""Every reason to refuse a request before it reaches its endpoint.

Tests staging.store.access and staging.store.nonces too.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from staging.api import views
from staging.identity.signature import sign
from staging.store import apps, product_setup
from staging.store.models import Account, Binding, Device
from staging.store.products import batch

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TOKEN_LIFETIME_S = 5_184_000
DAY_MS = 86_400_000


NONCE = "abcdefghijklmnop"
UUID = "0083000000000a"


def error(response: Any) -> tuple[int, str]:
    body = response.json()
    assert list(body) == ["data", "code", "message"]
    assert body["data"] is None
    assert body["message"]
    return response.status_code, str(body["code"])


async def test_good_request(cloud: Any) -> None:
    response = await cloud.get("/account/validate")
    assert (response.status_code, response.json()) == (
        200,
        {"data": True, "code": "0", "message": ""},
    )


@pytest.mark.parametrize("name", ["X-IOT-APP", "X-IOT-Signature", "X-IOT-Token"])
@pytest.mark.parametrize("value", ["", "x" * 200])
async def test_missing_or_ill_formed_header_is_named(cloud: Any, name: str, value: str) -> None:
    headers = cloud.headers() | {name: value}
    response = await cloud.http.get("/v1/account/validate", headers=headers)
    assert error(response) == (401, "401")
    assert response.json()["message"].startswith(f"{name}: ")


async def test_unknown_app(cloud: Any) -> None:
    headers = cloud.headers(apikey="nobody")
    response = await cloud.http.get("/v1/account/validate", headers=headers)
    assert error(response) == (401, "401")
    assert response.json()["message"].startswith("X-IOT-APP")


async def test_wrong_secret(cloud: Any) -> None:
    headers = cloud.headers(secret="wrong")
    response = await cloud.http.get("/v1/account/validate", headers=headers)
    assert error(response) == (401, "401")
    assert response.json()["message"] == "X-IOT-Signature: wrong signature"


async def test_used_nonce(cloud: Any) -> None:
    headers = cloud.headers(nonce=NONCE)
    assert (await cloud.http.get("/v1/account/validate", headers=headers)).status_code == 200
    response = await cloud.http.get("/v1/account/validate", headers=headers)
    assert error(response) == (401, "401")
    assert "nonce was used" in response.json()["message"]


async def test_nonce_stays_used_after_it_left_memory(cloud: Any) -> None:
    headers = cloud.headers(nonce=NONCE)
    assert (await cloud.http.get("/v1/account/validate", headers=headers)).status_code == 200
    cloud.clock.now += 120_000
    await cloud.nonces.save()
    assert not cloud.nonces._recent
    assert error(await cloud.http.get("/v1/account/validate", headers=headers)) == (401, "401")


async def test_a_wrong_signature_does_not_use_the_nonce_up(cloud: Any) -> None:
    wrong = cloud.headers(nonce=NONCE, secret="wrong")
    await cloud.http.get("/v1/account/validate", headers=wrong)
    headers = cloud.headers(nonce=NONCE)
    assert (await cloud.http.get("/v1/account/validate", headers=headers)).status_code == 200


async def test_unknown_token(cloud: Any) -> None:
    headers = cloud.headers(token="unknown")
    assert error(await cloud.http.get("/v1/account/validate", headers=headers)) == (404, "404")


async def test_token_of_another_app_is_unknown(cloud: Any) -> None:
    other = cloud.database.call(apps.add_app, "other", apps.AppType.WEB, None, cloud.clock())
    headers = cloud.headers(apikey=other.apikey, secret=other.secret)
    assert error(await cloud.http.get("/v1/account/validate", headers=headers)) == (404, "404")


async def test_expired_token(cloud: Any) -> None:
    cloud.clock.now += TOKEN_LIFETIME_S * 1000 - 1
    assert (await cloud.get("/account/validate")).status_code == 200
    cloud.clock.now += 1
    assert error(await cloud.get("/account/validate")) == (426, "426")


async def test_a_token_from_a_time_that_is_days_ahead_has_expired(cloud: Any) -> None:
    """It was granted while this machine's clock was wrong, and would be valid for as long as that was ahead."""
    cloud.clock.now -= DAY_MS
    assert (await cloud.get("/account/validate")).status_code == 200
    cloud.clock.now -= 1
    assert error(await cloud.get("/account/validate")) == (426, "426")


async def test_unknown_device(cloud: Any) -> None:
    response = await cloud.get("/device/info/by_uuid", deviceUuid="ffffffffffffff")
    assert error(response) == (404, "1209")


async def test_device_that_is_not_bound(cloud: Any) -> None:
    assert error(await cloud.get("/device/info/by_uuid", deviceUuid=UUID)) == (403, "1212")


async def test_device_of_somebody_else(cloud: Any) -> None:
    def bind_other(session: Any) -> None:
        other = apps.account(session, "somebody else", 0)
        session.add(Binding(device_id=cloud.device.id, account_id=other.id, create_time=0))

    cloud.database.call(bind_other)
    assert error(await cloud.get("/device/info/by_uuid", deviceUuid=UUID)) == (403, "1212")


async def test_device_of_a_product_that_the_app_is_not_bound_to(cloud: Any) -> None:
    def move(session: Any) -> None:
        product = product_setup.add_product(session, "lamp", 0, test_devices=0)
        device = session.get(Device, cloud.device.id)
        device.product_id, device.batch_id = product.id, batch(session, product, "0000").id

    cloud.bind()
    cloud.database.call(move)
    assert error(await cloud.get("/device/info/by_uuid", deviceUuid=UUID)) == (403, "1223")
    body = {"deviceUuid": UUID, "token": cloud.device.bind_token}
    assert error(await cloud.post("/device/bind", **body)) == (403, "1223")
    response = await cloud.post("/device/query/data/connect", deviceUuids=[UUID])
    assert error(response) == (403, "1223")


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/device/unbind"),
        ("GET", "/device/info/by_uuid"),
        ("GET", "/device/resource"),
        ("POST", "/device/control/send"),
        ("GET", "/device/query/data/history"),
        ("GET", "/device/ota/new_version"),
        ("POST", "/device/ota/update"),
        ("GET", "/device/ota/update/status"),
    ],
)
async def test_starred_endpoints_demand_the_binding(cloud: Any, method: str, path: str) -> None:
    values = {"deviceUuid": UUID, "method": "GET", "name": "power", "packageId": 1}
    place = {"params": values} if method == "GET" else {"json": values}
    response = await cloud.http.request(method, f"/v1{path}", headers=cloud.headers(), **place)
    assert error(response) == (403, "1212")


async def test_every_kind_of_app_signs_with_its_own_secret(cloud: Any) -> None:
    for kind, secret in ((apps.AppType.ANDROID, "com.example.appAA:BB"), (apps.AppType.IOS, "b")):
        app = cloud.database.call(apps.add_app, kind.value, kind, secret, cloud.clock())
        token, _ = cloud.database.call(apps.issue_token, app.id, "tester", cloud.clock())
        signed = sign(NONCE, app.apikey, secret, token)
        headers = {"X-IOT-APP": app.apikey, "X-IOT-Signature": signed, "X-IOT-Token": token}
        assert (await cloud.http.get("/v1/account/validate", headers=headers)).status_code == 200


async def test_account_that_is_gone(cloud: Any) -> None:
    def disable(session: Any) -> None:
        account = apps.account(session, "tester", 0)
        session.get(Account, account.id).status = "DISABLE"

    cloud.database.call(disable)
    body = {"deviceUuid": UUID, "token": cloud.device.bind_token}
    response = await cloud.post("/device/bind", **body)
    assert error(response) == (404, "1211")
    assert response.json()["message"] == "accountUuid not found"


@pytest.mark.parametrize("path", ["/v1/nowhere", "/", "/tuf/targets/none", "/tuf/tuf-keys/x"])
async def test_unknown_path(cloud: Any, path: str) -> None:
    assert error(await cloud.http.get(path)) == (404, "404")


async def test_wrong_method(cloud: Any) -> None:
    refused = await cloud.http.delete("/v1/device/bind")
    assert error(refused) == (405, "405")
    assert refused.headers["allow"] == "POST"


async def test_a_get_answers_head(cloud: Any) -> None:
    assert (
        await cloud.http.head("/v1/account/validate", headers=cloud.headers())
    ).status_code == 200
    assert (await cloud.http.head("/v1/account/validate")).status_code == 401
    assert (await cloud.http.head("/v1/device/bind")).headers["allow"] == "POST"


@pytest.mark.parametrize("body", [b"{", b'{"name": "\xff"}', b"[" * 10_000])
async def test_body_that_is_not_json(cloud: Any, body: bytes) -> None:
    headers = cloud.headers() | {"content-type": "application/json"}
    response = await cloud.http.post("/v1/device/bind", content=body, headers=headers)
    assert error(response) == (400, "400")
    assert response.json()["message"].startswith("body: not JSON")


async def test_body_that_is_too_long(cloud: Any) -> None:
    response = await cloud.post("/device/bind", deviceUuid="0" * 20_000)
    assert error(response) == (413, "413")


@pytest.mark.parametrize("kind", ["application/json", "text/plain", ""])
async def test_body_that_is_too_long_and_does_not_say_so(
    cloud: Any, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def pieces() -> Any:
        for _ in range(20):
            yield b" " * 1024

    headers = cloud.headers() | {"content-type": kind}
    response = await cloud.http.post("/v1/device/bind", content=pieces(), headers=headers)
    assert error(response) == (413, "413")
    assert caplog.text == ""


async def test_a_fault_of_the_cloud_shows_no_traceback(
    cloud: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    cloud.bind()

    def broken(*_: object) -> None:
        raise RuntimeError("a bug with details")

    monkeypatch.setattr(views, "device_info", broken)
    response = await cloud.get("/device/info/by_uuid", deviceUuid=UUID)
    assert error(response) == (500, "500")
    assert "details" not in response.text
    assert "a bug with details" in caplog.text


async def test_of_many_requests_with_one_nonce_exactly_one_passes(cloud: Any) -> None:
    headers = cloud.headers(nonce=NONCE)
    responses = await asyncio.gather(
        *(cloud.http.get("/v1/account/validate", headers=headers) for _ in range(20))
    )
    assert sorted(response.status_code for response in responses) == [200] + [401] * 19


async def test_of_many_who_bind_at_once_exactly_one_does(cloud: Any) -> None:
    body = {"deviceUuid": UUID, "token": cloud.device.bind_token}
    responses = await asyncio.gather(*(cloud.post("/device/bind", **body) for _ in range(10)))
    assert sorted(response.status_code for response in responses) == [200] + [406] * 9
