"""The console's protection against hostile devices, other sites and password guessing.

Tests staging.console.login too.
"""

from __future__ import annotations

import json

import httpx
import pytest

from staging.store import Database, devices, history
from staging.store.history import HistoryPoint
from staging.times import now_ms
from tests.staging.console.conftest import Stage
from tests.staging.console.page import PASSWORD, USER, Page

HTML = '<img src=x onerror="window.owned=1"><script>window.owned=1</script>'
CHANGES = (
    ("POST", "/console/api/products", {"name": "by another site"}),
    ("PUT", "/console/api/versions?productId=1&version=9.9", None),
    ("DELETE", "/console/api/session", None),
)


@pytest.mark.parametrize(("method", "path", "body"), CHANGES)
@pytest.mark.parametrize("token", [None, "", "wrong"])
def test_a_change_without_the_csrf_token_is_refused(
    inside: Page, method: str, path: str, body: object, token: str | None
) -> None:
    headers = {"Content-Type": "application/json"}
    if token is not None:
        headers["X-CSRF-Token"] = token
    status, text = inside.fetch(method, path, headers, body)
    assert (status, json.loads(text)["error"]["code"]) == (403, "csrf")


def test_a_log_in_without_the_visitors_token_is_refused(page: Page) -> None:
    headers = {"Content-Type": "application/json"}
    body = {"user": USER, "password": PASSWORD}
    status, text = page.fetch("POST", "/console/api/session", headers, body)
    assert (status, json.loads(text)["error"]["code"]) == (403, "csrf")


def test_another_origin_is_refused_even_with_the_token(stage: Stage) -> None:
    with httpx.Client(base_url=stage.bench.api) as client:
        csrf = client.get("/console/api/session").json()["csrf"]
        answer = client.post(
            "/console/api/session",
            json={"user": USER, "password": PASSWORD},
            headers={"X-CSRF-Token": csrf, "Origin": "http://evil.example"},
        )
        assert answer.status_code == 403
        entered = client.post(
            "/console/api/session",
            json={"user": USER, "password": PASSWORD},
            headers={"X-CSRF-Token": csrf},
        )
        cookie = entered.headers["set-cookie"]
        for part in ("HttpOnly", "SameSite=strict", "Path=/console"):
            assert part in cookie
        assert PASSWORD not in entered.text


@pytest.mark.parametrize(
    "path",
    [
        "/devices",
        "/live",
        "/products",
        "/versions",
        "/strategies",
        "/devices/0000000000000a/series",
    ],
)
def test_nothing_is_told_to_who_is_not_logged_in(stage: Stage, path: str) -> None:
    answer = httpx.get(f"{stage.bench.api}/console/api{path}")
    assert answer.status_code == 401
    assert answer.json() == {"error": {"code": "login_required", "message": "log in first"}}


def test_guessing_is_slowed_down(stage: Stage) -> None:
    stage.account("guessed", "tester")
    with httpx.Client(base_url=stage.bench.api) as client:
        csrf = client.get("/console/api/session").json()["csrf"]

        def attempt(password: str) -> httpx.Response:
            body = {"user": "guessed", "password": password}
            headers = {"X-CSRF-Token": csrf}
            return client.post("/console/api/session", json=body, headers=headers)

        assert [attempt(f"guess {n}").status_code for n in range(5)] == [401] * 5
        late = attempt(PASSWORD)
        assert late.status_code == 429
        assert 0 < int(late.headers["retry-after"]) <= 300


def test_every_answer_forbids_what_comes_from_elsewhere(stage: Stage) -> None:
    for path in (
        "/console/",
        "/console/static/js/main.js",
        "/console/api/session",
        "/console/api/x",
    ):
        headers = httpx.get(stage.bench.api + path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'self'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["referrer-policy"] == "no-referrer"
    page = httpx.get(f"{stage.bench.api}/console/").text
    assert "<script>" not in page
    assert "style=" not in page


def test_nothing_is_fetched_from_elsewhere_and_no_secret_is_in_an_address(
    device: Page, stage: Stage
) -> None:
    addresses = []
    for path in (f"devices/{stage.uuid}", "products", "versions", "strategies", "devices"):
        device.open(f"/console/{path}")
        device.get("main h1")
        found = device.js("return performance.getEntries().map((e) => e.name)")
        addresses += [name for name in found if "://" in name]
    assert addresses
    for address in addresses:
        assert address.startswith(stage.bench.api), address
        for secret in (stage.bind_token, stage.bench.device["token"], PASSWORD):
            assert secret not in address
    kept = device.js(
        "return JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie])"
    )
    assert json.loads(kept) == [{"story-console-language": "en"}, {}, ""]


def test_html_from_a_device_is_text(inside: Page, stage: Stage) -> None:
    hostile = stage.cloud("device", "add")
    uuid = hostile["uuid"]
    point = {"name": "<b>x</b>", "resourceType": "", "type": "string", "label": HTML,
             "description": HTML, "uri": "/x", "protocol": ["COAP"], "method": ["GET", "PUT"]}  # fmt: skip
    database = Database(stage.bench.cloud_data / "cloud.sqlite")
    row = database.call(devices.get, uuid)
    # Every JavaScript object has members of these names.
    points_of = [point, *({**point, "name": name} for name in ("constructor", "__proto__"))]
    database.call(devices.set_description, row.id, {"resources": points_of, "report": []})
    points = [HistoryPoint(HTML[:60], HTML), HistoryPoint("power", HTML)]
    database.call(history.append, row, points, now_ms())
    database.call(devices.rename, row.id, HTML, now_ms())
    database.close()
    inside.open(f"/console/devices/{uuid}")
    inside.type("input[name=token]", hostile["bindToken"], enter=True)
    inside.see("[data-part=controls] h3", HTML)
    inside.get("[data-point=constructor] input")
    inside.get("[data-point=__proto__] input")
    inside.see("main h1", HTML)
    inside.see(".log", HTML)
    inside.open("/console/devices")
    inside.see(f"tr[data-uuid='{uuid}']", HTML)
    assert inside.js("return window.owned") is None
    assert not inside.all("main img, main script")


def test_a_device_of_somebody_else_is_not_controlled_heard_or_named(
    inside: Page, stage: Stage
) -> None:
    stage.account("neighbour", "parent")
    other = stage.cloud("device", "add")
    database = Database(stage.bench.cloud_data / "cloud.sqlite")
    from staging.store import accounts

    owner = database.call(accounts.find_or_make, "neighbour", now_ms())
    database.call(devices.bind, other["uuid"], other["bindToken"], owner.id, now_ms())
    database.close()
    inside.open(f"/console/devices/{other['uuid']}")
    inside.see("main", "bound to somebody else")
    assert "neighbour" not in inside.text("body")
    assert not inside.all("[data-part=controls], [data-part=reports]")
    for path in ("utterances", "series?key=power&hours=1", "utterances/1-1.wav"):
        status, text = inside.fetch("GET", f"/console/api/devices/{other['uuid']}/{path}", {})
        assert (status, json.loads(text)["error"]["code"]) == (403, "1212")
