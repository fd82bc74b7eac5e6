"""The clients that the cloud makes of its description, against a real cloud: in a real browser, and in Python.

Tests staging.api.clients.
"""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.staging.console.conftest import Stage
from tests.staging.console.page import USER, Page

SCRIPT = """
const [keys, uuid, done] = arguments;
const { StoryApi } = await import("/client.js");
const cloud = new StoryApi(location.origin, ...keys);
const refusal = await cloud.send({ deviceUuid: uuid, method: "GET", name: "nothing" }).catch((error) => error);
done([
  (await cloud.validate()).data,
  (await cloud.send({ deviceUuid: uuid, method: "PUT", name: "volume", content: "6" })).data.content,
  (await cloud.history({ deviceUuid: uuid, startTime: "2017-04-14T08:31:10.123Z", limit: 1 })).limit,
  (await cloud.online({ deviceUuids: [uuid] })).data[0].status,
  [refusal.status, refusal.code],
  (await cloud.stored({ deviceUuid: uuid })).length > 1,
]);
"""


@pytest.fixture
def keys(stage: Stage) -> tuple[str, str, str]:
    """An app's key and secret, and a token of the device's owner."""
    made = stage.cloud("app", "add", f"client {stage.number()}", "--type", "web")
    stage.cloud("app", "origins", str(made["appId"]), "--add", stage.bench.api)
    token = stage.cloud("token", "--app", str(made["appId"]), "--user", USER)["access_token"]
    return made["apikey"], made["secret"], token


def test_in_a_browser(device: Page, stage: Stage, keys: tuple[str, str, str]) -> None:
    script = f"(async () => {{ {SCRIPT} }}).apply(null, arguments).catch((error) => arguments[2](String(error)))"
    found = device.browser.execute_async_script(script, keys, stage.uuid)
    assert found == [True, "6", 1, True, [400, "1305"], True]


@pytest.mark.usefixtures("device")
def test_in_python(stage: Stage, keys: tuple[str, str, str]) -> None:
    made: dict[str, Any] = {"__name__": "client"}
    exec(httpx.get(f"{stage.bench.api}/client.py").text, made)  # what the cloud serves is the test
    cloud = made["StoryApi"](stage.bench.api, *keys)
    assert cloud.validate()["data"] is True
    set_ = cloud.send(deviceUuid=stage.uuid, method="PUT", name="volume", content="7")
    assert set_["data"] == {"code": "2.04", "content": "7", "name": "volume"}
    assert cloud.online(deviceUuids=[stage.uuid])["data"][0]["status"] is True
    assert len(cloud.stored(deviceUuid=stage.uuid)) > 1
    with pytest.raises(made["StoryApiError"], match="1305") as refused:
        cloud.send(deviceUuid=stage.uuid, method="GET", name="nothing")
    assert (refused.value.status, refused.value.code) == (400, "1305")
