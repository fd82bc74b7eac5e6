"""Control, connection and history: the effects and errors of each endpoint (staging.api.control).

Tests staging.api.params and staging.api.views too.
"""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from staging.gateway.gateway import Limits
from staging.store import devices
from wire.codes import Code
from wire.exchange import Answer

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
REQUEST_LIMIT = 16
PLAY_LIMIT = 4_096

UUID = "0083000000000a"


def failed(response: Any, status: int, code: str, *words: str) -> None:
    body = response.json()
    assert (response.status_code, body["code"], body["data"]) == (status, code, None)
    for word in words:
        assert word in body["message"]


async def control(cloud: Any, **body: Any) -> Any:
    return await cloud.post("/device/control/send", deviceUuid=UUID, **body)


async def history(cloud: Any, **params: Any) -> Any:
    return await cloud.get("/device/query/data/history", deviceUuid=UUID, **params)


# Control


@pytest.fixture
async def device(cloud: Any) -> Any:
    cloud.bind()
    answers = {
        ("GET", "power"): Answer(Code.CONTENT, b"75"),
        ("PUT", "power"): Answer(Code.METHOD_NOT_ALLOWED, "nur lesen …".encode()),
        ("PUT", "volume"): Answer(Code.BAD_REQUEST, b"volume: got 17"),
    }
    return await cloud.register(answers=answers)


async def test_put_reaches_the_device_and_answers_the_value_that_was_set(
    cloud: Any, device: Any
) -> None:
    device.answers["PUT", "play"] = Answer(Code.CHANGED)
    response = await control(cloud, method="PUT", name="play", content="春天在哪里")
    assert response.json()["data"] == {"code": "2.04", "content": "春天在哪里", "name": "play"}
    request = await device.expect("PUT", "play")
    assert request.payload.decode() == "春天在哪里"


async def test_a_long_url_reaches_the_device_and_the_history_whole(cloud: Any, device: Any) -> None:
    url = "https://h/" + "x" * (PLAY_LIMIT - 10)
    device.answers["PUT", "play"] = Answer(Code.CHANGED)
    device.answers["GET", "play"] = Answer(Code.CONTENT, url.encode())
    response = await control(cloud, method="PUT", name="play", content=url)
    assert response.json()["data"] == {"code": "2.04", "content": url, "name": "play"}
    assert (await device.expect("PUT", "play")).payload.decode() == url
    response = await control(cloud, method="GET", name="play")
    assert response.json()["data"] == {"code": "2.05", "content": url, "name": "play"}
    assert (await device.report({"play": url})).code == Code.CHANGED
    kept = await history(cloud, propertyKey="play", propertyType="REPORT")
    assert kept.json()["data"][0]["value"] == url


@pytest.mark.parametrize(
    "text", ["春天\u3000在哪里", "a\u00a0b", "\U0001f468\u200d\U0001f467", "a\u0308"]
)
async def test_any_title_reaches_the_device_as_it_is(cloud: Any, device: Any, text: str) -> None:
    device.answers["PUT", "play"] = Answer(Code.CHANGED)
    await control(cloud, method="PUT", name="play", content=text)
    assert (await device.expect("PUT", "play")).payload.decode() == text


@pytest.mark.parametrize(
    ("name", "code", "text"),
    [("power", "4.05", "nur lesen …"), ("volume", "4.00", "volume: got 17")],
)
async def test_refusal_by_the_device_is_an_answer(
    cloud: Any, device: Any, name: str, code: str, text: str
) -> None:
    del device
    response = await control(cloud, method="PUT", name=name, content="17")
    assert response.status_code == 200
    assert response.json()["data"] == {"code": code, "content": text, "name": name}


async def test_unknown_data_point(cloud: Any, device: Any) -> None:
    failed(await control(cloud, method="GET", name="colour"), 400, "1305", "colour")
    assert device.asked.empty()


@pytest.mark.parametrize("method", ["POST", "get", "", None])
async def test_other_method(cloud: Any, method: object) -> None:
    failed(await control(cloud, method=method, name="power"), 400, "1308", "method: got")


async def test_put_without_content(cloud: Any, device: Any) -> None:
    response = await control(cloud, method="PUT", name="volume")
    failed(response, 400, "400", "content: missing")
    assert device.asked.empty()


async def test_content_that_is_no_string(cloud: Any) -> None:
    response = await control(cloud, method="PUT", name="volume", content=5)
    failed(response, 400, "400", "content: got 5, expected a string")


async def test_offline_device(cloud: Any) -> None:
    cloud.bind()
    response = await control(cloud, method="GET", name="power")
    failed(response, 503, "503", f"device {UUID} is offline")


async def test_device_that_goes_while_it_is_asked(cloud: Any, device: Any) -> None:
    device.silent.set()
    del device.answers["GET", "power"]
    asking = asyncio.create_task(control(cloud, method="GET", name="power"))
    await device.expect("GET", "power")
    device.connection.close("gone")
    failed(await asking, 504, "504", "sent, no answer", "went offline")


async def test_too_many_requests_for_one_device(cloud: Any, device: Any) -> None:
    device.silent.set()
    del device.answers["GET", "power"]
    asking = [
        asyncio.create_task(control(cloud, method="GET", name="power"))
        for _ in range(REQUEST_LIMIT + 1)
    ]
    done, _ = await asyncio.wait(asking, return_when=asyncio.FIRST_COMPLETED)
    failed(done.pop().result(), 503, "503", f"{REQUEST_LIMIT} requests wait")
    device.connection.close("gone")
    await asyncio.gather(*asking)


class TestSilence:
    @pytest.fixture
    def limits(self) -> Limits:
        return Limits(control=0.05)

    async def test_silent_device(self, cloud: Any) -> None:
        cloud.bind()
        device = await cloud.register()
        device.silent.set()
        response = await control(cloud, method="GET", name="power")
        failed(response, 504, "504", "is silent", "0.05 s")


# Connection


async def test_connect_tells_who_is_online(cloud: Any, device: Any) -> None:
    other = cloud.database.call(devices.add, "0083000000000b", 0)
    uuids = [UUID.upper(), other.uuid]
    response = await cloud.post("/device/query/data/connect", deviceUuids=uuids)
    assert [entry["status"] for entry in response.json()["data"]] == [True, False]
    device.connection.close("bye")
    await device.ended()
    while cloud.gateway.is_online(UUID):
        await asyncio.sleep(0)
    response = await cloud.post("/device/query/data/connect", deviceUuids=[UUID])
    assert [entry["status"] for entry in response.json()["data"]] == [False]


async def test_connect_of_too_many(cloud: Any) -> None:
    response = await cloud.post("/device/query/data/connect", deviceUuids=[UUID] * 21)
    failed(response, 400, "1803", "21")
    response = await cloud.post("/device/query/data/connect", deviceUuids=[UUID] * 20)
    assert response.status_code == 200


async def test_connect_of_none(cloud: Any) -> None:
    failed(await cloud.post("/device/query/data/connect", deviceUuids=[]), 400, "1801")


@pytest.mark.parametrize("uuids", [UUID, ["x"], [5], None])
async def test_connect_of_something_else(cloud: Any, uuids: object) -> None:
    response = await cloud.post("/device/query/data/connect", deviceUuids=uuids)
    failed(response, 400, "1208", "deviceUuids: got")


async def test_connect_of_an_unknown_device(cloud: Any) -> None:
    response = await cloud.post("/device/query/data/connect", deviceUuids=["f" * 14])
    failed(response, 404, "1209", "f" * 14)


# History


async def fill(cloud: Any, device: Any, count: int) -> None:
    for number in range(count):
        key = "volume" if number % 2 else "light"
        assert (await device.report({key: number})).code == Code.CHANGED
        cloud.clock.now += 1000


async def test_pages_follow_each_other_without_gap_or_repeat(cloud: Any, device: Any) -> None:
    await fill(cloud, device, 7)
    values: list[int] = []
    cursor, pages = None, 0
    while pages == 0 or cursor is not None:
        params: dict[str, Any] = {} if cursor is None else {"nextPage": cursor}
        body = (await history(cloud, limit=3, **params)).json()
        values += [entry["value"] for entry in body["data"]]
        cursor, pages = body["nextPage"], pages + 1
        if pages == 1:
            # New entries are newer than the cursor and do not shift the pages.
            await device.report({"light": "new"})
    assert (values, pages) == ([6, 5, 4, 3, 2, 1, 0], 3)


async def test_last_page_that_is_just_full_has_no_next(cloud: Any, device: Any) -> None:
    await fill(cloud, device, 3)
    assert (await history(cloud, limit=3)).json()["nextPage"] is None


async def test_key_type_and_times_restrict(cloud: Any, device: Any) -> None:
    await fill(cloud, device, 6)  # light 0 2 4, volume 1 3 5; one a second from 05:46:40
    cases: list[tuple[dict[str, str], list[int]]] = [
        ({"propertyKey": "volume"}, [5, 3, 1]),
        ({"propertyType": "REPORT"}, [5, 4, 3, 2, 1, 0]),
        ({"propertyType": "RESOURCE"}, []),
        ({"startTime": "2017-05-17T05:46:43Z"}, [5, 4, 3]),
        ({"endTime": "2017-05-17T05:46:41Z"}, [1, 0]),
        ({"startTime": "2017-05-17T05:46:41Z", "endTime": "2017-05-17T05:46:42Z"}, [2, 1]),
        (
            {"propertyKey": "", "propertyType": "", "startTime": "", "nextPage": "null"},
            [5, 4, 3, 2, 1, 0],
        ),
    ]
    for params, expected in cases:
        body = (await history(cloud, **params)).json()
        assert [entry["value"] for entry in body["data"]] == expected, params


async def test_limits_of_a_page(cloud: Any, device: Any) -> None:
    for start in range(0, 120, 60):
        await device.report({f"key{number}": number for number in range(start, start + 60)})
    assert len((await history(cloud)).json()["data"]) == 20
    assert len((await history(cloud, limit=100)).json()["data"]) == 100


@pytest.mark.parametrize(
    ("params", "name"),
    [
        ({"limit": 101}, "limit"),
        ({"limit": 0}, "limit"),
        ({"limit": "many"}, "limit"),
        ({"propertyType": "report"}, "propertyType"),
        ({"startTime": "yesterday"}, "startTime"),
        ({"endTime": "2017-04-14 08:31:10"}, "endTime"),
        ({"nextPage": "next"}, "nextPage"),
        ({"nextPage": -1}, "nextPage"),
        ({"propertyKey": "x" * 65}, "propertyKey"),
    ],
)
async def test_history_params(cloud: Any, params: dict[str, Any], name: str) -> None:
    failed(await history(cloud, **params), 400, "1401", f"{name}: got ", "expected")


async def test_values_of_every_json_kind(cloud: Any, device: Any) -> None:
    values = {"a": 1.5, "b": None, "c": {"d": ["…"]}, "e": True, "f": "text"}
    await device.report(values)
    data = (await history(cloud)).json()["data"]
    assert {entry["key"]: entry["value"] for entry in data} == values
    assert len({entry["timeStamp"] for entry in data}) == len(values)
