"""The advisor's page: what may be begun, the reports of a device, shown, downloaded and compared.

Tests staging.advise.shelf too.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from staging.advise import catalogue, report, sign
from staging.advise.record import Known
from staging.advise.shelf import FORMS, JUNIT, Shelf
from staging.advise.visit import write
from staging.identity import ca
from staging.identity.rights import Role
from staging.store import Database, devices
from staging.store.models import Binding
from staging.times import now_ms
from tests.staging.advise.rig import advise
from tests.staging.advise.twin_points import TOKEN
from tests.staging.console.bare import bare_cloud
from tests.staging.console.conftest import Stage
from tests.staging.console.kept_reports import AFTER, BEFORE, keep_reports
from tests.staging.console.page import Page
from tests.staging.console.test_access import violations

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
KEPT = 30

UUID = "0083000000000a"


@pytest.fixture
def kept(tmp_path: Path) -> None:
    keep_reports(tmp_path, UUID)
    (tmp_path / "advise" / f"{UUID}-5").mkdir()  # a run that was killed


@dataclass
class Asker:
    """A tester's browser."""

    client: httpx.AsyncClient

    async def get(self, rest: str, status: int = 200) -> Any:
        answer = await self.client.get(f"/api/devices/{UUID}/advice{rest}")
        assert answer.status_code == status, answer.text
        return answer.json()

    async def post(self, rest: str, status: int = 201, **body: Any) -> Any:
        answer = await self.client.post(f"/api/devices/{UUID}/advice{rest}", json=body)
        assert answer.status_code == status, answer.text
        return answer.json()


@pytest.fixture
async def tester(database: Database, tmp_path: Path) -> AsyncIterator[Asker]:
    async with bare_cloud(database, tmp_path) as bare:
        account = bare.account("ada", Role.TESTER)
        device = bare.database.call(devices.add, UUID, 1000)
        binding = Binding(device_id=device.id, account_id=account.id, create_time=1000)
        bare.database.call(lambda session: session.add(binding))
        async with bare.client(account) as client:
            yield Asker(client)


pytestmark = pytest.mark.one_database


@pytest.mark.usefixtures("kept")
async def test_reports_are_listed_shown_downloaded_and_compared(tester: Asker) -> None:
    found = (await tester.get(""))["reports"]
    assert [(each["id"], each["counts"]["fail"]) for each in found] == [(AFTER, 1), (BEFORE, 0)]
    assert found[0]["firmware"] == "1.0"
    shown = await tester.get(f"/{AFTER}")
    assert "cases" not in shown
    assert shown["signedBy"] == ""
    assert {each["id"]: each["verdict"] for each in shown["checks"]}["control.range"] == "fail"
    for form in FORMS:
        file = await tester.client.get(f"/api/devices/{UUID}/advice/{AFTER}/{form}")
        assert (
            file.headers["content-disposition"] == f'attachment; filename="{UUID}-{AFTER}-{form}"'
        )
        assert b"control.range" in file.content
    (change,) = (await tester.get(f"/compare?before={BEFORE}&after={AFTER}"))["changes"]
    assert (change["id"], change["kind"]) == ("control.range", "broke")


@pytest.fixture
def signed(tmp_path: Path, certificates: ca.Certificates) -> None:
    outcome = advise(checks=catalogue.select("frames.ping"))
    made = report.build(
        outcome, Known(UUID, TOKEN), suite="frames.ping", seed=7, started_ms=now_ms()
    )
    made["signature"] = sign.sign(made, certificates)
    write(made, Shelf(tmp_path).folder(UUID, BEFORE), "en")


@pytest.mark.usefixtures("signed")
async def test_a_report_is_shown_with_who_signed_it(
    tester: Asker, tmp_path: Path, certificates: ca.Certificates
) -> None:
    assert "cannot be read: ca.crt" in (await tester.get(f"/{BEFORE}"))["unsigned"]
    (tmp_path / "ca").mkdir(exist_ok=True)
    shutil.copy(certificates.ca, tmp_path / "ca" / "ca.crt")
    shown = await tester.get(f"/{BEFORE}")
    assert (shown["signedBy"][:3], shown["unsigned"]) == ("CN=", "")


def test_of_each_device_the_newest_reports_are_kept(tmp_path: Path) -> None:
    shelf, other = Shelf(tmp_path), "0083000000000b"
    for uuid, number in [(UUID, KEPT + 3), (other, 2)]:
        for at in range(number):
            folder = shelf.folder(uuid, at)
            folder.mkdir(parents=True)
            (folder / JUNIT).write_bytes(b"x")
    shelf.clear_out(UUID)
    kept = {path.name for path in (tmp_path / "advise").iterdir()}
    assert kept == {f"{UUID}-{at}" for at in range(3, KEPT + 3)} | {f"{other}-0", f"{other}-1"}


@pytest.mark.parametrize(
    ("rest", "status", "told"),
    [("/7", 404, "report 7: there is none"), (f"/{AFTER}/passwd", 404, "there is none"),
     (f"/{AFTER}/..%2Freport.json", 404, ""), ("/compare?before=1", 400, "after: missing"),
     ("/compare?before=1&after=2", 404, "report 1"), ("/compare?before=x&after=2", 400, "before: got")],
)  # fmt: skip
async def test_what_is_not_there_is_told(tester: Asker, rest: str, status: int, told: str) -> None:
    assert told in (await tester.get(rest, status))["error"]["message"]


@pytest.mark.parametrize(
    ("body", "told"),
    [({}, "suite: missing"), ({"suite": "slow"}, "--suite: got 'slow', expected quick"), ({"suite": 7}, "suite: got 7"),
     ({"suite": "quick", "seed": 0}, "seed: got 0, expected a whole number from 1"),
     ({"suite": "quick", "seed": True}, "seed: got true")],
)  # fmt: skip
async def test_what_cannot_be_begun_is_told(tester: Asker, body: dict[str, Any], told: str) -> None:
    assert told in (await tester.post("", 400, **body))["error"]["message"]
    assert (await tester.get(""))["run"] is None


async def test_the_command_is_run_and_says_why_it_cannot(tester: Asker) -> None:
    begun = await tester.post("", suite="link.registers-first")
    assert (begun["run"]["suite"], begun["run"]["who"]) == ("link.registers-first", "ada")
    async with asyncio.timeout(60):
        while not (state := await tester.get(""))["run"]["ended"]:
            await asyncio.sleep(0.05)
    # This cloud listens for no devices, and has no certificate for them.
    assert "server.crt: " in state["run"]["problem"]
    assert (await tester.post("/cancel", 200))["run"]["cancelled"] is False


@pytest.fixture
def reports(stage: Stage) -> str:
    """The uuid of a device that is offline and has two reports."""
    uuid = str(stage.cloud("device", "add", "--development")["uuid"])
    keep_reports(stage.bench.folder / "cloud", uuid)
    return uuid


def test_the_page(logged_in: Page, reports: str) -> None:
    logged_in.open(f"/console/devices/{reports}")
    logged_in.click("[data-role=advisor]")
    logged_in.click(f"[data-report='{AFTER}']")
    logged_in.see("[data-part=report] [data-check='control.range']", "fail")
    logged_in.see("[data-part=report] [data-check='control.range']", "To change")
    logged_in.see("[data-part=report] [data-role=signature]", "The signature does not hold")
    logged_in.click("[data-role=compare]")
    logged_in.see("[data-change='control.range']", "pass → fail")
    logged_in.js("document.querySelector('select[name=suite]').value = 'control'")
    logged_in.js("document.querySelector('input[name=seed]').value = '7'")
    logged_in.click("[data-role=advise]")
    logged_in.see("[data-part=run] [role=status]", "is offline: switch it on first")
    logged_in.js("localStorage.setItem('story-console-language', 'zh')")
    logged_in.resize((320, 780))
    logged_in.open(f"/console/devices/{reports}/advisor")
    logged_in.see("[data-part=run] [role=status]", "离线")
    logged_in.click(f"[data-report='{BEFORE}']")
    logged_in.see("[data-part=report] [data-check='control.range']", "通过")
    assert violations(logged_in) == []
    assert logged_in.js("return document.documentElement.scrollWidth <= innerWidth")
    # The browser asks for an icon of the blank page that it comes from.
    assert [each for each in logged_in.errors() if "favicon.ico" not in each] == []
