"""The one way to a data point: by its name, over the path of the stored self-description."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from staging.errors import DeviceOfflineError, ErrorCode, NotFoundError, NoValueError, RefusedError
from staging.gateway.control import Control, path_of, point_of, uri_of
from staging.store import Database, devices, history, product_setup
from staging.store.products import DATA_POINTS
from staging.times import now_ms
from wire.codes import Code
from wire.errors import WireError
from wire.exchange import Answer
from wire.fields import dump_object

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
STORED_SECONDS = 1.0

UUID = "0083000000000a"


class CountingDatabase:
    """A database that counts its reads."""

    def __init__(self, real: Database) -> None:
        self._real = real
        self.reads = 0

    async def read(self, *args: Any) -> Any:
        self.reads += 1
        return await self._real.read(*args)


POWER: dict[str, Any] = DATA_POINTS["resources"][3]  # type: ignore[index]
ELSEWHERE = {"resources": [{**POWER, "uri": "/battery/charge"}], "report": []}


async def noted(cloud: Any) -> list[tuple[str, object]]:
    await cloud.gateway.save_controlled()
    page = cloud.database.call(history.page, cloud.device.id, history.Query())
    return [(entry.key, entry.value) for entry in page.entries]


async def test_the_path_is_the_descriptions_and_the_history_has_the_name(cloud: Any) -> None:
    device = await cloud.register(
        answers={
            ("GET", "resource"): Answer(Code.CONTENT, dump_object(ELSEWHERE)),
            ("GET", "battery/charge"): Answer(Code.CONTENT, b"75"),
        }
    )
    assert await cloud.gateway.control(UUID, "power", "GET", None) == ("2.05", "75")
    await device.expect("GET", "battery/charge")
    assert await noted(cloud) == [("power", 75)]


async def test_a_device_that_sent_none_has_its_products_present_data_points(cloud: Any) -> None:
    answers = {
        ("GET", "resource"): Answer(Code.NOT_FOUND),
        ("PUT", "lamp"): Answer(Code.CHANGED),
    }
    await cloud.register(answers=answers)
    with pytest.raises(RefusedError):
        await cloud.gateway.control(UUID, "lamp", "PUT", "1")
    lamp = {**POWER, "name": "lamp", "uri": "/lamp", "method": ["GET", "PUT"]}
    cloud.database.call(product_setup.add_data_point, cloud.device.product_id, lamp)
    assert await cloud.gateway.control(UUID, "lamp", "PUT", "1") == ("2.04", "")


async def test_a_device_that_sent_none_costs_no_look_up_a_request(cloud: Any) -> None:
    answers = {
        ("GET", "resource"): Answer(Code.NOT_FOUND),
        ("GET", "power"): Answer(Code.CONTENT, b"75"),
        ("GET", "battery/charge"): Answer(Code.CONTENT, b"76"),
    }
    await cloud.register(answers=answers)
    database, now = CountingDatabase(cloud.database), [100.0]
    control = Control(
        database,  # type: ignore[arg-type]  # it counts what goes on to the real one
        cloud.gateway.sessions,
        cloud.gateway._history,
        now_ms,
        lambda: now[0],
    )
    assert [await control.send(UUID, "power", "GET", None) for _ in range(3)] == [
        ("2.05", "75")
    ] * 3
    assert database.reads == 1
    cloud.database.call(devices.set_description, cloud.device.id, ELSEWHERE)
    now[0] += STORED_SECONDS  # what changed in the store is seen a second later
    assert await control.send(UUID, "power", "GET", None) == ("2.05", "76")
    assert database.reads == 2


async def test_until_the_device_sends_a_new_description_the_stored_one_counts(cloud: Any) -> None:
    cloud.database.call(devices.set_description, cloud.device.id, ELSEWHERE)
    device = await cloud.connect(answers={("GET", "battery/charge"): Answer(Code.CONTENT, b"75")})
    del device.answers["GET", "resource"]
    device.silent.set()  # it does not answer the request for its description
    assert (await device.register()).code == Code.CONTENT
    await device.expect("GET", "resource")
    asked = asyncio.create_task(cloud.gateway.control(UUID, "power", "GET", None))
    device.silent.clear()
    assert await asked == ("2.05", "75")


async def test_a_name_is_looked_up_before_the_device_is(cloud: Any) -> None:
    with pytest.raises(RefusedError) as caught:
        await cloud.gateway.control(UUID, "lamp", "GET", None)
    assert caught.value.code is ErrorCode.COMMAND_NAME_INVALID
    with pytest.raises(DeviceOfflineError):
        await cloud.gateway.control(UUID, "power", "GET", None)
    with pytest.raises(NotFoundError):
        await cloud.gateway.control("f" * 14, "power", "GET", None)


async def test_a_put_needs_a_value_and_a_get_ignores_one(cloud: Any) -> None:
    device = await cloud.register(answers={("GET", "power"): Answer(Code.CONTENT, b"75")})
    with pytest.raises(NoValueError, match="content: missing"):
        await cloud.gateway.control(UUID, "volume", "PUT", None)
    assert await cloud.gateway.control(UUID, "power", "GET", "9") == ("2.05", "75")
    assert (await device.expect("GET", "power")).payload == b""


async def test_what_a_device_refuses_is_an_answer_and_not_noted(cloud: Any) -> None:
    await cloud.register(answers={("PUT", "power"): Answer(Code.METHOD_NOT_ALLOWED, b"no")})
    assert await cloud.gateway.control(UUID, "power", "PUT", "1") == ("4.05", "no")
    assert await noted(cloud) == []


@pytest.mark.parametrize(
    ("entry", "uri"),
    [({}, "/x"), ({"uri": ""}, "/x"), ({"uri": 5}, "/x"), ({"uri": "/a/b"}, "/a/b")],
)
def test_a_description_without_a_path_means_the_name(entry: dict[str, Any], uri: str) -> None:
    point = point_of({"resources": ["odd", {"name": "y"}, {"name": "x", **entry}]}, "x")
    assert point is not None
    assert uri_of(point, "x") == uri
    assert point_of({"resources": 5}, "x") is None


def test_paths() -> None:
    assert path_of("/a//b/") == ("a", "b")
    for bad in ("", "/", "/" + "x" * 255):
        with pytest.raises(WireError, match=r"^uri: got"):
            path_of(bad)
