"""Each error code of the document's table, by a request that causes it (docs/adr/0007).

Tests staging.api.envelope too.
"""

from __future__ import annotations

from typing import Any

import pytest

from staging.api import failures
from staging.api.envelope import PREFIX, Boundary
from staging.api.failures import CODED_BY_NUMBER
from staging.errors import AlreadyBoundError, ErrorCode, RefusedError
from staging.store import access, apps, devices, product_setup, releases, rollout_acts
from staging.store.models import AppProduct, Binding, Device, Strategy
from staging.store.releases import Target
from wire.codes import Code
from wire.exchange import Answer

UUID = "0083000000000a"
OTHER = "0083000000000b"


def refused(response: Any, code: str, status: int) -> None:
    body = response.json()
    assert (response.status_code, str(body["code"]), body["data"]) == (status, code, None)
    path = response.request.url.path.removeprefix(PREFIX)
    assert isinstance(body["code"], int if path in CODED_BY_NUMBER else str)
    assert body["message"]


@pytest.fixture
def bound(cloud: Any) -> Any:
    cloud.bind()
    return cloud


async def order(cloud: Any, package: object, strategy: object = None) -> Any:
    body = {"deviceUuid": UUID, "packageId": package, "strategyId": strategy}
    return await cloud.post("/device/ota/update", **body)


async def history(cloud: Any, **params: Any) -> Any:
    return await cloud.get("/device/query/data/history", deviceUuid=UUID, **params)


async def connect(cloud: Any, uuids: object) -> Any:
    return await cloud.post("/device/query/data/connect", deviceUuids=uuids)


def package_of_another_product(cloud: Any) -> int:
    lamp = cloud.database.call(product_setup.add_product, "lamp", 0, test_devices=0)
    target = Target("9.tar", 1, "0" * 32, "0" * 64)
    package = cloud.database.call(releases.add_package, "9", target, "", 0, product_id=lamp.id)
    return int(package.id)


async def test_1204_package_of_another_product(bound: Any) -> None:
    refused(await order(bound, package_of_another_product(bound)), "1204", 400)


@pytest.mark.parametrize("uuid", ["xyz", "", "0083000000000"])
async def test_1208_uuid_that_is_none(cloud: Any, uuid: str) -> None:
    refused(await cloud.get("/device/info/by_uuid", deviceUuid=uuid), "1208", 400)
    refused(await cloud.put("/device/name/update", deviceUuid=uuid, name="x"), "1208", 400)


async def test_1209_device_that_nobody_added(cloud: Any) -> None:
    refused(await cloud.get("/device/info/by_uuid", deviceUuid=OTHER), "1209", 404)
    params = {"deviceUuid": OTHER, "token": "0" * 32}
    refused(await cloud.get("/device/info/by_token", **params), "1209", 404)


async def test_1211_account_that_is_disabled(cloud: Any) -> None:
    def disable(session: Any) -> None:
        apps.account(session, "tester", 0).status = "DISABLE"

    cloud.database.call(disable)
    body = {"deviceUuid": UUID, "token": cloud.device.bind_token}
    refused(await cloud.post("/device/bind", **body), "1211", 404)
    refused(await cloud.get("/account/validate"), "1211", 404)


@pytest.mark.parametrize(
    ("method", "path", "more"),
    [
        ("put", "/device/name/update", {"name": "x"}),
        ("get", "/device/query/data/realtime", {"propertyKey": "volume"}),
        ("get", "/device/info/by_uuid", {}),
    ],
)
async def test_1212_device_that_is_not_bound(
    cloud: Any, method: str, path: str, more: dict[str, str]
) -> None:
    refused(await getattr(cloud, method)(path, deviceUuid=UUID, **more), "1212", 403)


@pytest.mark.parametrize(
    ("method", "path", "scope"),
    [
        ("get", "/account/infos", "device"),
        ("get", "/device/bind/list", "control"),
        ("post", "/device/unbind", "data"),
        ("get", "/device/resource", "data"),
        ("get", "/device/query/data/history", "control"),
        ("post", "/device/query/data/connect", "account"),
        ("get", "/device/ota/new_version", "control"),
        ("get", "/device/ota/version/info", "data"),
    ],
)
async def test_1218_token_that_the_user_gave_for_something_else(
    bound: Any, method: str, path: str, scope: str
) -> None:
    account = bound.database.call(apps.account, "tester", 0)
    bound.token = bound.database.call(apps.grant, bound.app.id, account.id, [scope], bound.clock())
    more = {"deviceUuid": UUID, "deviceUuids": [UUID], "packageId": 1}
    refused(await getattr(bound, method)(path, **more), "1218", 403)


@pytest.mark.parametrize("token", ["", "xyz", "0" * 31, None])
async def test_1219_bind_token_that_is_none(cloud: Any, token: object) -> None:
    refused(await cloud.post("/device/bind", deviceUuid=UUID, token=token), "1219", 400)
    params = {"deviceUuid": UUID, **({} if token is None else {"token": token})}
    refused(await cloud.get("/device/info/by_token", **params), "1219", 400)


async def test_1223_app_that_is_not_bound_to_the_product(bound: Any) -> None:
    bound.database.call(product_setup.unbind_app, bound.app.id, bound.device.product_id)
    refused(await bound.get("/device/info/by_uuid", deviceUuid=UUID), "1223", 403)
    refused(await connect(bound, [UUID]), "1223", 403)
    package, _ = bound.release("1.1")
    refused(await bound.get("/device/ota/version/info", packageId=package), "1223", 403)
    bound.database.call(product_setup.bind_app, bound.app.id, bound.device.product_id)
    assert (await bound.get("/device/info/by_uuid", deviceUuid=UUID)).status_code == 200


async def test_1228_bind_token_of_another_device(cloud: Any) -> None:
    other = cloud.database.call(devices.add, OTHER, 0)
    params = {"deviceUuid": UUID, "token": other.bind_token}
    refused(await cloud.post("/device/bind", **params), "1228", 403)
    refused(await cloud.get("/device/info/by_token", **params), "1228", 403)
    # Apps must not know the device's own secret.
    params["token"] = cloud.device.token
    refused(await cloud.get("/device/info/by_token", **params), "1228", 403)


async def test_1305_data_point_that_the_device_has_not(bound: Any) -> None:
    body = {"deviceUuid": UUID, "method": "GET", "name": "colour"}
    refused(await bound.post("/device/control/send", **body), "1305", 400)


async def test_1308_method_that_is_none(bound: Any) -> None:
    body = {"deviceUuid": UUID, "method": "DELETE", "name": "volume"}
    refused(await bound.post("/device/control/send", **body), "1308", 400)


@pytest.mark.parametrize("params", [{"limit": 101}, {"limit": 0}, {"startTime": "now"}])
async def test_1401_bad_query(bound: Any, params: dict[str, object]) -> None:
    refused(await history(bound, **params), "1401", 400)


async def test_1401_other_queries(bound: Any) -> None:
    refused(await bound.get("/device/query/data/realtime", deviceUuid=UUID), "1401", 400)
    for params in ({"limit": 1001}, {"limit": 0}, {"start": -1}, {"start": "x"}, {"start": 2**63}):
        refused(await bound.get("/device/bind/list", **params), "1401", 400)


async def test_1506_package_that_is_not_there(bound: Any) -> None:
    refused(await order(bound, 99), "1506", 404)
    refused(await bound.get("/device/ota/version/info", packageId=99), "1506", 404)


@pytest.mark.parametrize("package", ["", "x", "-1"])
async def test_1506_package_id_that_is_none(cloud: Any, package: str) -> None:
    response = await cloud.get("/device/ota/version/info", packageId=package)
    refused(response, "1506", 404)


async def test_1801_no_device_at_all(cloud: Any) -> None:
    refused(await connect(cloud, []), "1801", 400)


async def test_1802_device_of_another_account(cloud: Any) -> None:
    def bind_other(session: Any) -> None:
        other = apps.account(session, "somebody else", 0)
        session.add(Binding(device_id=cloud.device.id, account_id=other.id, create_time=0))

    assert (await connect(cloud, [UUID])).status_code == 200  # nobody's yet
    cloud.database.call(bind_other)
    refused(await connect(cloud, [UUID]), "1802", 403)


async def test_1803_more_than_twenty_devices(cloud: Any) -> None:
    refused(await connect(cloud, [UUID] * 21), "1803", 400)


async def test_1902_strategy_that_is_missing_or_not_this_packages(bound: Any) -> None:
    package, _ = bound.release("1.1")
    _, other = bound.release("1.2")
    refused(await order(bound, package, 99), "1902", 400)
    refused(await order(bound, package, other), "1902", 400)


async def test_1902_package_that_no_strategy_offers(bound: Any) -> None:
    package, strategy = bound.release("1.1")
    bound.database.call(rollout_acts.withdraw, strategy, 0)
    refused(await order(bound, package), "1902", 400)


async def test_1905_strategy_for_another_batch(bound: Any) -> None:
    package, strategy = bound.release("1.1")

    def restrict(session: Any) -> None:
        session.get(Strategy, strategy).batches = ["0009"]

    bound.database.call(restrict)
    refused(await order(bound, package, strategy), "1905", 403)


@pytest.mark.parametrize("package", ["x", None, -1, 1.5, [1], {}, True])
async def test_2001_ids_that_are_none(bound: Any, package: object) -> None:
    refused(await order(bound, package), "2001", 400)
    refused(await order(bound, 1, "x"), "2001", 400)


async def test_2004_device_that_is_being_updated(bound: Any) -> None:
    package, _ = bound.release("1.1")
    assert (await order(bound, package)).status_code == 201
    refused(await order(bound, package), "2004", 409)


async def test_2005_device_that_was_never_updated(bound: Any) -> None:
    response = await bound.get("/device/ota/update/status", deviceUuid=UUID)
    refused(response, "2005", 404)


@pytest.mark.parametrize("running", ["1.1", "2.0"])
async def test_2007_device_that_runs_it_already_or_newer(bound: Any, running: str) -> None:
    package, _ = bound.release("1.1")
    device = await bound.register(answers={("GET", "power"): Answer(Code.CONTENT, b"1")})
    await device.report({"package_info": {"os": {"version": running}}})
    refused(await order(bound, package), "2007", 409)


def test_standing_of_an_app(cloud: Any) -> None:
    """1209, 1223 and 1802 depend on it."""

    def look(session: Any) -> Any:
        lamp = product_setup.add_product(session, "lamp", 0, test_devices=0)
        made = devices.add(session, OTHER, 0)
        session.get(Device, made.id).product_id = lamp.id
        assert session.get(AppProduct, (cloud.app.id, lamp.id)) is None
        return access.standings(session, cloud.app.id, [UUID, OTHER, "f" * 14])

    standings = cloud.database.call(look)
    assert standings == {UUID: access.Standing(True, None), OTHER: access.Standing(False, None)}


@pytest.mark.parametrize("code", ErrorCode)
def test_every_code_has_a_status(code: ErrorCode) -> None:
    answer = failures.response_to(RefusedError(code, "why"))
    assert 400 <= answer.status < 500
    assert (answer.code, answer.message) == (str(int(code)), f"{code.meaning}: why")


def test_a_bound_device_has_the_documents_status_and_text() -> None:
    answer = failures.response_to(AlreadyBoundError())
    assert (answer.code, answer.status, answer.message) == ("406", 406, "device has been bind!")


def test_declared_errors_of_one_status_are_one_description() -> None:
    declared = failures.errors(ErrorCode.DEVICE_NOT_EXIST, 406, ErrorCode.DEVICE_NOT_EXIST)
    assert list(declared) == [400, 401, 403, 404, 406, 413, 426, 500, 503]
    assert declared[404]["description"] == (
        "404 no such access_token; 1211 accountUuid not found; 1209 device not exist"
    )


@pytest.mark.parametrize("starts", [False, True])
async def test_a_body_that_grows_too_long_is_told_until_an_answer_has_begun(
    *, starts: bool
) -> None:
    sent: list[dict[str, Any]] = []

    async def inner(_scope: Any, receive: Any, send: Any) -> None:
        if starts:
            await send({"type": "http.response.start", "status": 200, "headers": []})
        while True:
            await receive()

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": bytes(100_000), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(dict(message))

    scope = {"type": "http", "method": "GET", "path": f"{PREFIX}/x", "headers": []}
    await Boundary(inner)(scope, receive, send)
    begun = [each["status"] for each in sent if each["type"] == "http.response.start"]
    assert begun == ([200] if starts else [413])
