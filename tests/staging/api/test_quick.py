"""The two endpoints without FastAPI's layers answer as its routes do, and leave everything odd to them."""

from __future__ import annotations

from typing import Any

import pytest

from staging.api import cors, quick
from wire.codes import Code
from wire.exchange import Answer

UUID = "0083000000000a"
INFO, SEND = "/v1/device/info/by_uuid", "/v1/device/control/send"
ANSWERS = {("GET", "volume"): Answer(Code.CONTENT, b"5"), ("PUT", "volume"): Answer(Code.CHANGED)}
GET_VOLUME = {"deviceUuid": UUID, "method": "GET", "name": "volume"}
ODD = {"origin": "https://elsewhere"}

# What is asked, and whether it is answered without FastAPI.
ASKED: list[tuple[str, str, dict[str, Any], bool]] = [
    ("GET", f"{INFO}?deviceUuid={UUID}", {}, True),
    ("GET", f"{INFO}?deviceUuid={UUID.upper()}", {}, True),
    ("GET", f"{INFO}?deviceUuid=ffffffffffffff", {}, True),
    ("GET", f"{INFO}?deviceUuid=short", {}, False),
    ("GET", f"{INFO}?deviceUuid={UUID}&deviceUuid={UUID}", {}, False),
    ("GET", f"{INFO}?other=1&deviceUuid={UUID}", {}, False),
    ("GET", INFO, {}, False),
    ("POST", f"{INFO}?deviceUuid={UUID}", {}, False),
    ("POST", SEND, {"json": GET_VOLUME}, True),
    ("POST", SEND, {"json": {**GET_VOLUME, "method": "PUT", "content": "3"}}, False),
    ("POST", SEND, {"json": {**GET_VOLUME, "method": "PUT"}}, False),
    ("POST", SEND, {"json": {**GET_VOLUME, "name": "none"}}, True),
    ("POST", SEND, {"json": {**GET_VOLUME, "deviceUuid": UUID.upper(), "more": 1}}, True),
    ("POST", SEND, {"json": {**GET_VOLUME, "method": "DELETE"}}, False),
    ("POST", SEND, {"json": {**GET_VOLUME, "content": 5}}, False),
    ("POST", f"{SEND}?name=power", {"json": GET_VOLUME}, False),
    ("POST", SEND, {"json": {"deviceUuid": UUID}}, False),
    ("POST", SEND, {"json": [GET_VOLUME]}, False),
    ("POST", SEND, {"content": b"{", "headers": {"content-type": "application/json"}}, False),
    ("POST", SEND, {"content": b"", "headers": {"content-type": "application/json"}}, False),
    ("POST", SEND, {"content": b"\xff", "headers": {"content-type": "application/json"}}, False),
    ("POST", SEND, {"data": {"deviceUuid": UUID}}, False),
    ("POST", SEND, {"json": GET_VOLUME, "headers": {"content-encoding": "gzip"}}, False),
]


@pytest.fixture(autouse=True)
def _no_guard_of_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    """What makes a request odd for `Quick` here is refused before it: an origin that no app has registered."""

    async def passed_on(self: Any, scope: Any, receive: Any, send: Any) -> None:
        await self._app(scope, receive, send)

    monkeypatch.setattr(cors.Cors, "__call__", passed_on)


@pytest.fixture
async def device(cloud: Any) -> Any:
    cloud.bind()
    return await cloud.register(answers=ANSWERS)


@pytest.mark.one_database
async def test_both_ways_answer_alike(
    cloud: Any, device: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    del device
    passed: list[bool] = []
    real = quick.Quick.__call__

    async def watch(self: Any, scope: Any, receive: Any, send: Any) -> None:
        through = self._app

        async def app(*given: Any) -> None:
            passed.append(True)
            await through(*given)

        self._app = app
        try:
            await real(self, scope, receive, send)
        finally:
            self._app = through

    monkeypatch.setattr(quick.Quick, "__call__", watch)
    for method, path, given, is_quick in ASKED:
        answers = []
        for odd in ({}, ODD):
            headers = {**cloud.headers(), **given.get("headers", {}), **odd}
            rest = {name: value for name, value in given.items() if name != "headers"}
            passed.clear()
            response = await cloud.http.request(method, path, headers=headers, **rest)
            assert bool(passed) is (bool(odd) or not is_quick), (method, path, given)
            answers.append((response.status_code, response.content))
        assert answers[0] == answers[1], (method, path, given)


@pytest.mark.one_database
@pytest.mark.parametrize("lacking", ["X-IOT-APP", "X-IOT-Signature", "X-IOT-Token"])
async def test_both_ways_refuse_alike(cloud: Any, lacking: str) -> None:
    for method, path, given, _ in ASKED[:1] + ASKED[8:9]:
        answers = []
        for odd in ({}, ODD):
            headers = {**cloud.headers(), **odd}
            del headers[lacking]
            response = await cloud.http.request(method, path, headers=headers, **given)
            answers.append((response.status_code, response.content))
        assert answers[0] == answers[1]
        assert answers[0][0] == 401
