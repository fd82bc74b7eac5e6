"""The overview: what an operator sees first, over HTTP and in a browser."""

from __future__ import annotations

import httpx

from staging.alarm_rules import Kind, Seen
from staging.identity.rights import Role
from staging.store import alarms, devices, health
from staging.store.health import Counts
from staging.times import now_ms
from tests.staging.console.bare import Bare
from tests.staging.console.conftest import Stage, read
from tests.staging.console.page import Page


async def test_what_is_known_is_shown_and_an_alarm_acknowledged(bare: Bare) -> None:
    now = now_ms()
    made = bare.database.call(devices.add, "a" * 14, now)
    bare.database.call(
        health.note,
        {
            made.uuid: Counts(
                connected=3_600_000, expected=7_200_000, crashes=2, listened=4, mic_faults=1
            )
        },
        now,
    )
    bare.database.call(health.sample, [], 0, now)
    bare.database.call(alarms.apply, [Seen(Kind.CLONE, made.uuid, device_id=made.id)], now)
    client: httpx.AsyncClient
    async with bare.client(bare.account("ada", Role.OPERATOR)) as client:
        shown = (await client.get("/api/dashboard")).json()
        (version,) = shown["versions"]
        assert (version["crashFreeHours"], version["linkUp"], version["devices"]) == (0.5, 0.5, 1)
        assert version["pressSeconds"] is None
        assert shown["batches"][0]["name"] == "0000"
        assert [(each["kind"], each["micFaults"]) for each in shown["listening"]] == [
            ("version", 1), ("batch", 1),
        ]  # fmt: skip
        assert (shown["devices"], shown["updating"]) == (1, 0)
        assert shown["samples"] == [[now, 0, 1, 0]]
        assert (shown["open"], shown["alarms"][0]["state"]) == (1, "open")
        done = await client.post(f"/api/alarms/{shown['alarms'][0]['id']}/acknowledge", json={})
        assert done.json()["acknowledgedBy"] == "ada"
        assert (await client.post("/api/alarms/99/acknowledge", json={})).status_code == 404
        refused = await client.get("/api/dashboard?hours=7")
        assert "hours" in refused.json()["error"]["message"]
    async with bare.client(bare.account("tom", Role.TESTER)) as client:
        assert (await client.get("/api/dashboard")).status_code == 403


def test_an_operator_acknowledges_an_alarm(page: Page, stage: Stage) -> None:
    number = stage.number()
    seen = [Seen(Kind.VERSION, f"lamp 1.{number}", detail={"percent": 40})]
    read(stage, alarms.apply, seen, now_ms())
    page.log_in()
    page.see("main h1", "Overview")
    row = "[data-alarm=version]"
    page.see(row, f"lamp 1.{number}")
    page.see(row, "40%")
    page.click(f"{row} button")
    page.see(row, "Seen by")
    page.get("[data-part=listening]")
    page.get("[data-part=versions] tbody tr")
    page.click("[data-part=versions] tbody a")
    page.see("main h1", "Devices")
    page.get("[data-filter=version]")
    assert page.errors() == []
