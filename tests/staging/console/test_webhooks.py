"""The page of webhooks: over HTTP, and in a browser."""

from __future__ import annotations

from pathlib import Path

from staging.identity.rights import Role
from staging.store import Database, webhooks
from staging.times import now_ms
from tests.staging.console.bare import bare_cloud
from tests.staging.console.conftest import Stage, read
from tests.staging.console.page import Page

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
SHOWN = 5


async def test_a_webhook_is_added_tested_switched_off_and_removed(
    database: Database, tmp_path: Path
) -> None:
    async with (
        bare_cloud(database, tmp_path) as bare,
        bare.client(bare.account("ada", Role.OPERATOR)) as client,
    ):
        made = await client.post("/api/webhooks", json={"url": "https://example.org/a"})
        assert (made.status_code, made.headers["cache-control"]) == (201, "no-store")
        secret, hook = made.json()["secret"], f"/api/webhooks/{made.json()['id']}"
        assert (await client.post(f"{hook}/test", json={})).status_code == 202
        (due,) = database.call(webhooks.due, now_ms(), 9)
        database.call(webhooks.note, due.id, "HTTP 500", now_ms(), 0.0)
        for _ in range(SHOWN):  # what waits behind it hides no fault
            await client.post(f"{hook}/test", json={})
        page = await client.get("/api/webhooks")
        (shown,) = page.json()["webhooks"]
        assert secret not in page.text
        assert (shown["on"], shown["waiting"]) == (True, 1 + SHOWN)
        assert (shown["last"]["event"], shown["last"]["problem"]) == ("test", "HTTP 500")
        assert shown["last"]["nextTry"] > shown["last"]["tried"]
        assert (await client.post(f"{hook}/off", json={})).json() == {"on": False}
        refused = await client.post(f"{hook}/test", json={})
        assert "it is off" in refused.json()["error"]["message"]
        assert (await client.post(f"{hook}/on", json={})).json() == {"on": True}
        assert (await client.post(f"{hook}/remove", json={})).status_code == 200
        assert (await client.post(f"{hook}/on", json={})).status_code == 404
        kept = await client.post("/api/alarms/settings", json={"battery_percent": 20})
        assert kept.json()["battery_percent"] == 20
        for body, told in (
            ({"battery_percent": 91}, "battery_percent"),
            ({"allow_private": 1}, "setting"),  # a shell's
            ({"clone": "no"}, "clone"),
        ):
            answer = await client.post("/api/alarms/settings", json=body)
            assert told in answer.json()["error"]["message"]
        answer = await client.post("/api/webhooks", json={"url": "http://example.org"})
        assert "url" in answer.json()["error"]["message"]


def test_an_operator_sees_what_fails(inside: Page, stage: Stage) -> None:
    page = inside
    page.open("/console/webhooks")
    page.type("input[name=url]", "https://127.0.0.1:9/a", enter=True)
    page.get("[data-webhook] [data-value=secret]")
    page.click("[data-webhook] [data-role=test]")
    (due,) = read(stage, webhooks.due, now_ms() + 60_000, 9) or [None]
    if due is not None:  # else the cloud was quicker
        read(stage, webhooks.note, due.id, "HTTP 500", now_ms(), 0.0)
    page.see("[data-webhook] .card-head .chip", "Fails")
    page.see("[data-role=sum]", "1 of 1 did not get the last message")
    page.get("[data-webhook] [data-role=problem]")
    page.click("[data-webhook] [data-role=off]")
    page.see("[data-webhook] .card-head .chip", "Off")
    page.type("[data-part=settings] input[name=battery_percent]", "25", enter=True)
    page.see("#status", "Saved")
    page.click("[data-webhook] [data-role=remove]")
    page.click("dialog [data-role=confirm]")
    page.see("[data-part=webhooks]", "Nobody is told")
    assert page.errors() == []
