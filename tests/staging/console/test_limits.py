"""Each form of the console takes the least and the most that its request is documented with, and refuses the next on each side."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib.resources import files
from typing import Any

import httpx
import pytest

from staging import console
from staging.identity import passwords
from staging.identity.rights import Role
from staging.store import accounts, apps, devices, releases
from staging.store.models import Account
from staging.store.releases import StrategyType, Target
from tests.staging.console.bare import Bare

pytestmark = pytest.mark.one_database

UUID = "0083000000000a"
DEVICE = f"/api/devices/{UUID}"
PASSWORD = "a long password"


@dataclass(frozen=True)
class Row:
    """A request with a number, a length or a count in it, and the least (None: no limit) and the most of that.

    Attributes:
        says: what the refusal has in it.
        form: where the page's form has the same number, and how.
    """

    method: str
    path: str
    body: Callable[[int], Mapping[str, Any]]
    low: int | None
    high: int
    says: str
    form: tuple[str, str] = ("", "")


def text(name: str, /, **more: Any) -> Callable[[int], Mapping[str, Any]]:
    return lambda length: {name: "t" * length, **more}


def number(name: str, /, **more: Any) -> Callable[[int], Mapping[str, Any]]:
    return lambda value: {name: value, **more}


POINT = {"name": "x", "type": "string", "label": "", "description": "", "method": ["GET"]}
ANDROID = {
    "name": "a",
    "type": "android",
    "package": "p",
    "apkSignature": "s",
    "scopes": ["control"],
}
SETTINGS = "/api/alarms/settings"
PLAN = "/api/strategies/1/phases"


def setting(name: str, /, **more: Any) -> Callable[[int], Mapping[str, Any]]:
    return lambda value: {"settings": {name: value, **more}}


ROWS = [
    Row("PUT", f"{DEVICE}/name", text("name"), 1, 64, "name: ", ("device.js", 'name: "name", required: true, maxlength: 64')),
    Row("POST", f"{DEVICE}/tags", lambda n: {"add": ["t" * n]}, None, 32, "tag", ("tags.js", "maxlength: 32")),
    Row("POST", f"{DEVICE}/tags", lambda n: {"add": [f"t{each}" for each in range(n)], "remove": ["t" * 32]}, None, 20, "tags: "),
    Row("POST", f"{DEVICE}/wire", number("seconds"), 0, 86_400, "seconds: "),
    Row("POST", f"{DEVICE}/say", text("text"), 1, 500, "text: "),
    Row("POST", f"{DEVICE}/control", text("content", method="PUT", name="volume"), None, 4096, "content: "),
    Row("POST", f"{DEVICE}/advice", number("seed", suite="none"), 1, 2_147_483_647, "seed: ", ("advisor.js", 'min: "1", max: "2147483647"')),
    Row("GET", "/api/devices", lambda n: {"q": "t" * n}, None, 64, "q: ", ("device_filters.js", "maxlength: 64")),
    Row("GET", "/api/devices", lambda n: {"q": " ".join("t" * n)}, None, 8, "q: "),
    Row("GET", "/api/devices", lambda n: {"page": n}, 1, 1_000_000, "page: "),
    Row("GET", "/api/devices", lambda n: {"tag": [f"t{each}" for each in range(n)]}, None, 50, "tag: "),
    Row("GET", "/api/devices", lambda n: {"batch": "b" * n}, None, 255, "batch: "),
    Row("POST", "/api/products", text("name", testDevices=0), 1, 64, "name: ", ("products.js", 'name: "name", required: true, maxlength: 64')),
    Row("POST", "/api/products/1/batches", text("name", count=0), 1, 64, "name: ", ("products.js", 'name: "batch", required: true, maxlength: 64')),
    Row("POST", "/api/products/1/batches", lambda n: {"count": n, "name": f"b{n}"}, 0, 10_000, "count: ", ("products.js", "max: 10000")),
    Row("POST", "/api/products/1/points", lambda n: POINT | {"name": "t" * n}, 1, 64, "name: ", ("product.js", 'text("name", { required: true, maxlength: 64')),
    Row("POST", "/api/products/1/points", lambda n: POINT | {"name": f"l{n}", "label": "t" * n}, None, 64, "label: ", ("product.js", 'text("label", { maxlength: 64')),
    Row("POST", "/api/products/1/points", lambda n: POINT | {"name": f"d{n}", "description": "t" * n}, None, 255, "description: ", ("product.js", "maxlength: 255")),
    Row("POST", "/api/accounts", text("name", role="tester"), 1, 64, "name: ", ("accounts.js", "maxlength: 64")),
    Row("POST", "/api/apps", text("name", type="web"), 1, 64, "name: ", ("apps.js", 'name: "name", required: true, maxlength: 64')),
    Row("POST", "/api/apps", lambda n: ANDROID | {"package": "p" * n}, 1, 120, "package: ", ("apps.js", "name: key, required: true, maxlength: 120")),
    Row("POST", "/api/apps/1/origins", lambda n: {"add": [f"https://a{each}.example" for each in range(n)]}, None, 20, "web_origin"),
    Row("POST", "/api/webhooks", lambda n: {"url": "https://a.example/".ljust(n, "p")}, None, 1000, "url: ", ("webhooks.js", "maxlength: 1000")),
    Row("POST", SETTINGS, number("offline_minutes"), 0, 525_600, "offline_minutes: "),
    Row("POST", SETTINGS, number("battery_percent"), 0, 90, "battery_percent: "),
    Row("POST", SETTINGS, number("failing_percent"), 0, 100, "failing_percent: "),
    Row("POST", SETTINGS, number("failing_updates"), 1, 1_000_000, "failing_updates: "),
    Row("POST", SETTINGS, number("clone"), 0, 1, "clone: "),
    Row("PUT", PLAN, lambda n: {"phases": [f"{each + 1}%" for each in range(n)]}, 1, 20, "phases: "),
    Row("PUT", PLAN, lambda n: {"phases": [f"{n}%"]}, 1, 100, "phases[0]: "),
    Row("PUT", PLAN, lambda n: {"phases": ["batch:" + ",".join(f"{each}" for each in range(n))]}, 1, 50, "phases[0]: "),
    Row("PUT", PLAN, setting("soak"), 0, 5_184_000, "soak: "),
    Row("PUT", PLAN, setting("sample"), 1, 1_000_000, "sample: "),
    Row("PUT", PLAN, setting("success"), 0, 100, "success: "),
    Row("PUT", PLAN, setting("link"), 0, 100, "link: "),
    Row("PUT", PLAN, setting("hours"), 0, 10_000_000, "hours: "),
    Row("PUT", PLAN, setting("sound"), 0, 500, "sound: "),
    Row("PUT", PLAN, setting("open"), 1, 1_000_000, "open: "),
    Row("PUT", PLAN, setting("perMinute"), 1, 1_000_000, "perMinute: "),
    Row("PUT", PLAN, setting("failing", chance=1), 2, 90, "failing: "),
    Row("PUT", PLAN, setting("chance", failing=90), 1, 20, "chance: "),
    Row("PUT", PLAN, setting("error"), 1, 20, "error: "),
    Row("POST", "/api/bulk/labels", lambda n: {"uuids": [UUID] * n}, 1, 1000, "uuids: "),
    Row("POST", "/api/bulk/preview", lambda n: {"action": "tag", "add": ["t"], "query": "q=" + "%20" * n}, None, 1332, "query: "),
]  # fmt: skip


def operator(bare: Bare) -> Account:
    """Return an operator's account in a cloud with a device of theirs, an app, and a strategy that is not published."""
    call, now = bare.database.call, bare.services.clock()
    hashed = passwords.hash_password(PASSWORD)
    account = call(accounts.add, "op", hashed, now, Role.OPERATOR)
    device = call(devices.add, UUID, now)
    call(devices.bind, UUID, device.bind_token or "", account.id, now)
    call(apps.add_app, "app", apps.AppType.WEB, None, now)
    call(releases.add_package, "1.1.0", Target("1.1.0.tar", 521, "0" * 32, "0" * 64), "", now)
    call(releases.add_strategy, "1.1.0", StrategyType.SILENT, [], [], now)
    return account


async def ask(client: httpx.AsyncClient, row: Row, value: int) -> str:
    told = row.body(value)
    words: dict[str, Any] = {"params": dict(told)} if row.method == "GET" else {"json": told}
    response = await client.request(row.method, row.path, **words)
    return response.text if response.status_code == 400 else ""


async def test_what_is_on_a_limit_is_taken_and_the_next_is_refused(
    bare: Bare, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Ten thousand devices take seconds, and what is asked is whether they would be made.
    monkeypatch.setattr(devices, "make", lambda *_: [])
    found = []
    async with bare.client(operator(bare)) as client:
        for row in ROWS:
            tried = [row.low, row.high, row.high + 1, None if row.low is None else row.low - 1]
            answers = [None if n is None else row.says in await ask(client, row, n) for n in tried]
            found.append((row.path, row.says, answers))
    assert len(found) > 40
    expected = [None, False, True, None], [False, False, True, True]
    assert [each for each in found if each[2] not in expected] == []


@pytest.mark.parametrize("row", [row for row in ROWS if row.form[0]], ids=lambda row: row.says)
def test_the_form_has_the_same_number(row: Row) -> None:
    file, words = row.form
    assert str(row.high) in words
    assert words in (files(console) / "static" / "js" / file).read_text("utf-8")
