"""Every route of console and open API, with every role and every kind of device, over HTTP.

The expected answer is that of the one table, `staging.identity.rights`; a route without a row fails. Tests
staging.api.audited and staging.api.audit too.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from starlette.routing import Route

from staging.api.app import ROUTERS
from staging.api.openapi import routes_of
from staging.client import OpenApiClient, OpenApiError
from staging.console import gate
from staging.errors import ErrorCode
from staging.identity import rights
from staging.identity.rights import API, CONSOLE, Reach, Role, Rule, Standing
from staging.identity.signature import new_nonce, sign
from staging.store import accounts, apps, audit, devices, grants
from staging.store.apps import AppType
from staging.store.audit import Filter
from staging.store.grants import Which
from staging.store.models import Account, Binding, Device
from staging.times import now_ms
from tests.staging.console.bare import Bare

pytestmark = pytest.mark.one_database

REFUSED = {refusal.value for refusal in rights.Refusal}
OPEN_PAGES = {"/static/{name:path}", "/{rest:path}"}
# 404: the token is not known; what the other codes say is not about who asks.
REFUSED_API = {"1211", "1212", "1218", "404"}
# Streams: they are told by their head, and then left.
LIVE = "text/event-stream"


class House:
    """An account for each role, a stranger, and a device of each standing to each account."""

    def __init__(self, bare: Bare) -> None:
        self.bare = bare
        self.accounts = {role: bare.account(role.value, role) for role in Role}
        self.stranger = bare.account("stranger", Role.PARENT)
        self.devices: dict[tuple[Standing, int], Device] = {}
        self.app = bare.database.call(apps.add_app, "app", AppType.WEB, None, now_ms())

    def device(self, stands: Standing, account: Account) -> Device:
        """Return a device that stands so to an account, made if there is none."""
        key = (stands, account.id)
        if key not in self.devices:
            self.devices[key] = self._make(stands, account)
        return self.devices[key]

    def _make(self, stands: Standing, account: Account) -> Device:
        def work(session: Any) -> Device:
            version = 0 if stands is Standing.DEVELOPMENT else 1
            device = devices.add(session, None, now_ms(), version=version)
            owner = {Standing.OWN: account, Standing.FAMILY: self.stranger}.get(stands)
            if owner is not None:
                session.add(Binding(device_id=device.id, account_id=owner.id, create_time=1))
            return device

        return self.bare.database.call(work)

    def token(self, account: Account) -> str:
        call = self.bare.database.call
        return call(apps.grant, self.app.id, account.id, ["allScope"], now_ms())


def test_every_route_has_its_row(bare: Bare) -> None:
    routes = [route for route in bare.app.routes if isinstance(route, Route)]
    found = {
        (method, route.path)
        for route in routes
        for method in (route.methods or set()) - {"HEAD"}
        if route.path not in OPEN_PAGES
    }
    assert found == set(CONSOLE)
    paths = {(method, route.path) for route in routes_of(ROUTERS) for method in route.methods or ()}
    assert paths == set(API)


def console_path(path: str, uuid: str) -> str:
    """Fill in a route's path: this device, and numbers of which the store has nothing."""
    filled = path.replace("{uuid}", uuid).replace("{rest:path}", "nowhere")
    return re.sub(r"\{\w+:id\}", "999999", filled)


async def asked(
    client: httpx.AsyncClient, method: str, path: str, body: Any, **other: Any
) -> tuple[int, str]:
    """Return the status of an answer, and its error's code."""
    content = {} if method in {"GET", "DELETE"} else {"json": body}
    async with client.stream(method, path, **content, **other) as answer:
        if answer.headers.get("content-type", "").startswith(LIVE):
            return answer.status_code, ""
        text = await answer.aread()
    try:
        return answer.status_code, json.loads(text)["error"]["code"]
    except (ValueError, KeyError, TypeError):
        return answer.status_code, ""


def expected(rule: Rule, role: Role, stands: Standing | None) -> str | None:
    refusal = rights.judge(rule, role, stands)
    return None if refusal is None else refusal.value


async def test_each_console_route_judges_each_role_and_device_as_its_row_says(bare: Bare) -> None:
    house, wrong, count = House(bare), [], 0
    async with bare.client() as client:
        for (method, path), rule in CONSOLE.items():
            if rule.roles is None:
                continue
            about_device = "{uuid}" in path or rule.reach is Reach.VERIFY
            for role, account in house.accounts.items():
                for stands in Standing if about_device else (None,):
                    uuid = "" if stands is None else house.device(stands, account).uuid
                    headers = bare.headers(account)
                    where = console_path(path, uuid)
                    got = await asked(client, method, where, {"uuid": uuid}, headers=headers)
                    refusal = expected(rule, role, stands)
                    right = got == (403, refusal) if refusal else got[1] not in REFUSED
                    count += 1
                    if not right or got[0] in {401, 500}:
                        wrong.append(f"{method} {path} {role} {stands}: {got}, expected {refusal}")
            if rule.action == "device.unbind":
                house.devices.clear()
            got = await asked(client, method, console_path(path, "f" * 14), {})
            if got != (401, "login_required"):
                wrong.append(f"{method} {path} nobody: {got}")
    assert wrong == []
    assert count > 200


def parameters(device: Device) -> dict[str, Any]:
    """Return what every endpoint of the open API asks for, so that it gets to its checks."""
    return {
        "deviceUuid": device.uuid, "deviceUuids": [device.uuid], "token": "f" * 32, "name": "volume",
        "method": "GET", "packageId": 1, "propertyKey": "volume",
        "receipt": "0" * 32,
    }  # fmt: skip


async def call_api(
    client: httpx.AsyncClient, house: House, token: str, method: str, path: str, device: Device
) -> tuple[int, str]:
    app = house.app
    headers = {
        "X-IOT-APP": app.apikey,
        "X-IOT-Signature": sign(new_nonce(), app.apikey, app.secret, token),
        "X-IOT-Token": token,
    }
    values = parameters(device)
    place: dict[str, Any] = {"json": values}
    if method in {"GET", "DELETE"}:
        place = {"params": {k: v for k, v in values.items() if k != "deviceUuids"}}
    url = f"{house.bare.url}/v1{path}"
    answer = await client.request(method, url, headers=headers, **place)
    try:
        return answer.status_code, str(answer.json()["code"])
    except ValueError:  # an export, which is lines of JSON
        return answer.status_code, "0"


async def test_each_api_route_judges_each_role_and_device_as_its_row_says(bare: Bare) -> None:
    house, wrong = House(bare), []
    codes = {rights.Refusal.NOT_BOUND: "1212", rights.Refusal.ROLE: "1218"}
    async with bare.client() as client:
        tokens = {role: house.token(account) for role, account in house.accounts.items()}
        for (method, path), rule in API.items():
            for role in () if rule.roles is None else house.accounts:
                for stands in Standing:
                    device = house.device(stands, house.accounts[role])
                    got = await call_api(client, house, tokens[role], method, path, device)
                    refusal = rights.judge(rule, role, stands)
                    # 404 is also the answer about a receipt that there is not.
                    other = REFUSED_API - ({"404"} if path.endswith("/receipt") else set())
                    right = got == (403, codes[refusal]) if refusal else got[1] not in other
                    if not right or got[0] in {401, 426, 500}:
                        wrong.append(f"{method} {path} {role} {stands}: {got}, expected {refusal}")
            if rule.action == "device.unbind":
                house.devices.clear()
    assert wrong == []


async def test_a_route_without_a_row_is_refused(
    bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(bare)
    account = house.accounts[Role.OPERATOR]
    token, device = house.token(account), house.device(Standing.OWN, account)
    left = {key: rule for key, rule in API.items() if key[1] != "/device/bind/list"}
    monkeypatch.setattr("staging.api.audited.API", left)
    async with bare.client() as client:
        got = await call_api(client, house, token, "GET", "/device/bind/list", device)
    assert got == (403, "1218")
    with pytest.raises(KeyError):
        gate.endpoint("GET", "/api/new", lambda _call: None)  # type: ignore[arg-type,return-value]


@pytest.mark.parametrize(
    ("take_back", "code"),
    [
        (lambda s, a: accounts.disable(accounts.one(s, a.id)), (404, "1211")),
        (lambda s, a: grants.revoke(s, Which(account_id=a.id)), (404, "404")),
        (lambda s, a: grants.expire(s, Which(account_id=a.id), now_ms()), (426, "426")),
        (
            lambda s, a: accounts.set_password(s, accounts.one(s, a.id), "scrypt$2", now_ms()),
            (426, "426"),
        ),
    ],
    ids=["disable", "revoke", "expire", "password"],
)
async def test_what_is_taken_back_reaches_every_api_route_at_once(
    bare: Bare, take_back: Callable[[Any, Account], Any], code: tuple[int, str]
) -> None:
    house = House(bare)
    account = house.accounts[Role.PARENT]
    token, device = house.token(account), house.device(Standing.OWN, account)
    bare.database.call(take_back, account)
    async with bare.client() as client:
        for (method, path), rule in API.items():
            if rule.roles is not None:
                assert await call_api(client, house, token, method, path, device) == code, path


async def test_a_page_and_its_stream_end_with_the_session(
    bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = House(bare)
    monkeypatch.setattr(gate, "LOOK_SECONDS", 0.01)
    for number, (role, take_back) in enumerate(
        (
            (Role.TESTER, accounts.end_sessions),
            (Role.OPERATOR, lambda a: accounts.set_role(a, Role.TESTER)),
            (Role.OPERATOR, accounts.disable),
        )
    ):
        account = bare.account(f"{role}-{number}", role)
        device = house.device(Standing.OWN, account)
        async with bare.client(account) as client:
            path = f"/api/devices/{device.uuid}/live"
            async with asyncio.timeout(30), client.stream("GET", path) as stream:
                lines = stream.aiter_lines()
                assert (await anext(lines)).startswith("retry")

                def change(session: Any, a: Account = account, f: Any = take_back) -> None:
                    f(accounts.one(session, a.id))

                bare.database.call(change)
                async for _ in lines:  # to the stream's end, which the deadline waits for
                    pass
            assert (await client.get("/api/devices")).status_code == 401
    assert house.accounts


async def test_a_device_in_a_familys_hands_shows_its_state_and_version(bare: Bare) -> None:
    house = House(bare)
    operator, tester = house.accounts[Role.OPERATOR], house.accounts[Role.TESTER]
    device = house.device(Standing.FAMILY, operator)
    bare.database.call(devices.rename, device.id, "小明的房间", now_ms())
    async with bare.client(operator) as client:
        for path in ("/api/devices", f"/api/devices/{device.uuid}"):
            shown = (await client.get(path)).text
            assert device.uuid in shown
            assert '"osVersion":"0.0.0.0"' in shown
            for secret in ("小明", "stranger", device.token, device.bind_token or "?"):
                assert secret not in shown
        # Nor is the name told by what a search finds.
        assert (await client.get("/api/devices", params={"q": "小明"})).json()["devices"] == []
    async with bare.client(tester) as client:
        shown = (await client.get("/api/devices")).json()
        assert (shown["devices"], shown["total"]) == ([], 0)


async def test_what_is_done_and_refused_is_in_the_audit_log(bare: Bare) -> None:
    house = House(bare)
    tester, parent = house.accounts[Role.TESTER], house.accounts[Role.PARENT]
    own, familys = house.device(Standing.OWN, tester), house.device(Standing.FAMILY, tester)
    theirs = house.device(Standing.OWN, parent)
    async with bare.client(tester) as client:
        await client.put(f"/api/devices/{own.uuid}/name", json={"name": "bench"})
        await client.post(f"/api/devices/{familys.uuid}/unbind", json={})
        await client.post("/api/products", json={"name": "lamp"})
        await call_api(client, house, house.token(parent), "POST", "/device/unbind", theirs)
    await bare.services.audit.save()
    entries = bare.database.call(audit.page, Filter(), 100)
    found = [(e.source, e.actor, e.role, e.action, e.device, e.outcome) for e in entries]
    assert found[::-1] == [
        ("console", "tester", "tester", "device.name", own.uuid, "done"),
        ("console", "tester", "tester", "device.unbind", familys.uuid, "1212"),
        ("console", "tester", "tester", "product.add", "", "role"),
        ("api", "parent", "parent", "device.unbind", theirs.uuid, "done"),
    ]


async def test_a_parent_sees_what_was_done_to_theirs_and_nothing_else(bare: Bare) -> None:
    house = House(bare)
    parent, operator = house.accounts[Role.PARENT], house.accounts[Role.OPERATOR]
    mine, others = house.device(Standing.OWN, parent), house.device(Standing.FAMILY, parent)
    async with bare.client(operator) as client:
        for device in (mine, others):
            refused = await client.post(f"/api/devices/{device.uuid}/unbind", json={})
            assert refused.status_code == 403
        ended = f"/api/accounts/{parent.id}/sessions/revoke"
        assert (await client.post(ended, json={})).status_code == 200

    def look(token: str) -> list[dict[str, Any]]:
        app = house.app
        with OpenApiClient(bare.url, app.apikey, app.secret, token) as cloud:
            cloud.rename(mine.uuid, "小熊")
            with pytest.raises(OpenApiError, match=str(int(ErrorCode.NOT_BOUND))):
                cloud.rename(others.uuid, "x")
            first = cloud.audit(limit=1)
            return [*first["data"], *cloud.audit(before=first["nextPage"])["data"]]

    entries = await asyncio.to_thread(look, house.token(parent))
    found = [(e["action"], e["deviceUuid"], e["by"], e["you"], e["outcome"]) for e in entries]
    assert found == [
        ("device.name", mine.uuid, "parent", True, "done"),
        ("session.revoke", None, "operator", False, "done"),
        ("device.unbind", mine.uuid, "operator", False, "1212"),
    ]
    assert "operator" not in {entry["target"] for entry in entries}
