"""Who counts as somebody at the API's door: whoever was recognised by a signed request or a session, nobody else."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from staging.api.admission import ADMIT, admit
from staging.identity.rights import Role
from staging.store import Database
from tests.staging.console.bare import bare_cloud

pytestmark = pytest.mark.one_database


class Door:
    """Stands before an application, and notes whose requests are told to be somebody's."""

    def __init__(self, app: Any) -> None:
        self.app = app
        self.admitted: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        state = {ADMIT: lambda: self.admitted.append(scope["path"])}
        await self.app({**scope, "state": state}, receive, send)

    @property
    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.ASGITransport(self), base_url="http://cloud")


async def test_a_signed_request(cloud: Any) -> None:
    door = Door(cloud.http._transport.app)
    path = "/v1/account/validate"
    refused: tuple[dict[str, str], ...] = (
        {}, cloud.headers(secret="wrong"), cloud.headers(token="none"),
    )  # fmt: skip
    for headers in refused:
        assert (await door.http.get(path, headers=headers)).status_code >= 400
    assert door.admitted == []
    assert (await door.http.get(path, headers=cloud.headers())).status_code == 200
    assert door.admitted == [path]


async def test_a_request_that_is_answered_before_the_routes(cloud: Any) -> None:
    cloud.bind()
    door = Door(cloud.http._transport.app)
    path = "/v1/device/info/by_uuid"
    answer = await door.http.get(
        path, params={"deviceUuid": cloud.device.uuid}, headers=cloud.headers()
    )
    assert answer.status_code == 200
    assert door.admitted == [path]


async def test_a_session_at_the_console(database: Database, tmp_path: Path) -> None:
    async with bare_cloud(database, tmp_path) as bare:
        door = Door(bare.app)
        path = "/api/session"
        assert (await door.http.get(path)).status_code == 200
        assert door.admitted == []
        headers = bare.headers(bare.account("tester", Role.TESTER))
        assert (await door.http.get(path, headers=headers)).status_code == 200
        assert door.admitted == [path]


def test_without_a_door_nothing_happens() -> None:
    admit(Request({"type": "http", "state": {}}))
