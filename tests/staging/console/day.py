"""A tester's day: 300 machines, one cloud, and Chromium, from the first look at the list to the last export.

python -m tests.staging.console.day        # make tester-day

The cloud, its store, TLS and frames are real; the machines are simulated (`tools.machines`). All is done on the pages, but
for what a factory and a build do: making devices and packages, and the plan of a rollout that shall not take a day.
"""

# ruff: noqa: T201  # a script that prints what it did, and stops where something is wrong
from __future__ import annotations

import asyncio
import contextlib
import csv
import io
import json
import resource
import shutil
import ssl
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from selenium.webdriver.common.keys import Keys
from sqlalchemy import select

from staging.data_dir import DataDir, Endpoints, read_endpoints
from staging.store import Database
from staging.store.models import Device
from tests.staging.console.page import PASSWORD, USER, Page, start_browser
from tools.bench import Bench
from tools.machines import Machine, running
from tools.processes import command
from wire.reports import Credentials

PRODUCT, BATCH = "bear-speaker", "2026-11"
TESTED, SOLD = (20, 280) if len(sys.argv) == 1 else (3, int(sys.argv[1]))
BAD, GOOD, NEXT = "2.1.0", "2.2.0", "2.3.0"
LONG = 600.0 if len(sys.argv) == 1 else 200.0
SECOND_PAGE = "51\u2013"
QUICK = (
    "--soak", "0s", "--sample", "5", "--crash-free-hours", "0", "--sound", "0", "--link", "0",
    "--at-once", "200", "--per-minute", "1000",
)  # fmt: skip


class Fleet:
    """The machines, connected in a thread of their own."""

    def __init__(self, data: Path) -> None:
        """Connect all devices of the cloud of ``data``; those under development are the first."""
        self._data = DataDir(data)
        database = Database(self._data.database)
        made = database.call(lambda s: list(s.scalars(select(Device).order_by(Device.version, Device.id))))  # fmt: skip
        database.close()
        self.machines = [Machine(Credentials(each.uuid, each.token), "2.0.0") for each in made]
        for number, each in enumerate(self.machines):
            each.battery = 20 + number % 80
        self._loop = asyncio.new_event_loop()
        self._end = asyncio.Event()
        self._thread = threading.Thread(target=lambda: self._loop.run_until_complete(self._run()))
        self._thread.start()

    def _where(self) -> Endpoints:
        found = read_endpoints(self._data)
        assert found is not None
        return found

    async def _run(self) -> None:
        context = ssl.create_default_context(cafile=str(self._data.ca / "ca.crt"))
        async with running(self.machines, self._where, context):
            await self._end.wait()

    def of(self, uuid: str) -> Machine:
        """Return a machine."""
        return next(each for each in self.machines if each.who.uuid == uuid)

    def stop(self) -> None:
        """Disconnect them."""
        self._loop.call_soon_threadsafe(self._end.set)
        self._thread.join(60)


class Day:
    """The steps of the day."""

    def __init__(self, page: Page, bench: Bench, fleet: Fleet) -> None:
        """Work on ``page``."""
        self.page, self.bench, self.fleet = page, bench, fleet

    def cloud(self, *words: str | Path) -> Any:
        """Run a command of the cloud."""
        return json.loads(command("story-cloud", *words, "--data", self.bench.cloud_data, "--json"))

    def count(self, query: str, wanted: int) -> None:
        """Wait until a filter of the list finds so many."""
        self.page.open(f"/console/devices?{query}")
        self.page.see("[data-role=count]", f"of {wanted}", LONG)

    def bulk(self, query: str, action: str, wanted: int, **fields: str) -> str:
        """Take a step for all devices of a filter; return what came of it."""
        page = self.page
        page.open(f"/console/devices?{query}")
        page.click("[data-role=pick-page]")
        if page.js("return document.querySelector('[data-role=pick-all]') !== null"):
            page.click("[data-role=pick-all]")
        page.click(f"[data-part=bulk] option[value={action}]")
        for name, text in fields.items():
            page.type(f"[data-part=bulk] [name={name}]", text)
        page.wait(lambda: action != "verify" or page.all("[data-part=bulk] [name=package] option"))
        page.click("[data-part=bulk] [data-role=preview]")
        page.see("dialog[data-part=preview] [data-role=act]", str(wanted))
        page.click("dialog[data-part=preview] [data-role=act]")
        told = page.get("dialog [data-role=ended]", LONG).text
        assert f"{wanted} of {wanted}" in told, told
        page.click("dialog button:not(.primary)")
        return told

    def morning(self) -> str:
        """Log in, and find the machines: by presence, batch, word; a page that Back comes back to."""
        page = self.page
        page.open("/console/")
        page.log_in()
        page.get("a[href='/console/devices']")
        self.count("presence=online", TESTED + SOLD)
        self.count(f"batch={BATCH}", SOLD)
        self.count(f"q={self.fleet.machines[7].who.uuid}", 1)
        page.open(f"/console/devices?batch={BATCH}&sort=battery&order=up&size=50")
        page.see("tbody tr:first-child [data-cell=battery]", "%")
        page.click("[data-role=next]")
        page.see("[data-role=count]", SECOND_PAGE)
        page.click("tbody tr:first-child a")
        page.get("[data-fact=version]")
        page.browser.back()
        page.see("[data-role=count]", SECOND_PAGE)
        return f"{TESTED + SOLD} online"

    def tags(self) -> str:
        """Tag a batch, and bind some machines to the tester."""
        told = self.bulk(f"batch={BATCH}", "tag", SOLD, tags="winter, shenzhen")
        self.count("tag=winter&tag=shenzhen", SOLD)
        uuids = [each.who.uuid for each in self.fleet.machines[TESTED : TESTED + 3]]
        self.cloud("device", "tag", *uuids, "--add", "desk")
        self.bulk("tag=desk", "bind", 3)
        self.count("owner=own", 3)
        return told

    def verification(self) -> str:
        """Upload a version, have all test devices verify it, and release it."""
        page = self.page
        page.open("/console/versions")
        page.click(f"main form option[value='{self._product()}']")
        page.type("input[name=version]", BAD)
        page.get("input[name=file]").send_keys(str(self.bench.folder / f"{BAD}.tar.gz"))
        page.click("main form button[type=submit]")
        page.see(f"[data-version='{BAD}'] .chip", "Unverified", LONG)
        told = self.bulk(f"owner=development&product={PRODUCT}", "verify", TESTED)
        self.count(f"version={BAD}", TESTED)
        page.open("/console/versions")
        page.click(f"[data-version='{BAD}'] [data-role=pass]")
        page.see(f"[data-version='{BAD}'] .card-head .chip", "Released")
        return told

    def _product(self) -> int:
        found = self.cloud("product", "list")["products"]
        return next(int(each["productId"]) for each in found if each["name"] == PRODUCT)

    def halted(self) -> str:
        """Roll it out; it fails on machines of families, and the cloud halts it."""
        for machine in self.fleet.machines[TESTED:]:
            machine.fails = True
        number = self._strategy(BAD, "10%, 100%", covered=SOLD)
        page = self.page
        page.see("[data-state]", "Halted", LONG)
        told = page.text("[data-part=halted]")
        page.get("[data-part=failing] [data-device]")
        page.see("[data-part=failing]", "not proven within 120 s")
        page.click("[data-act=withdraw]")
        page.click("dialog [data-role=confirm]")
        page.see("[data-state]", "Withdrawn")
        self.cloud("rollout", "show", str(number))
        for machine in self.fleet.machines:
            machine.fails = False
        return told

    def _strategy(self, version: str, phases: str, covered: int) -> int:
        """Plan and publish a silent rollout on the pages; return its number, and leave its page open."""
        page = self.page
        page.open("/console/strategies")
        page.click(f"select[name=version] option:{self._place(version)}")
        page.click("select[name=type] option[value=SILENT]")
        page.type("textarea[name=phases]", phases)
        page.click("main form button[type=submit]")
        page.see("tr[data-strategy] .chip", "Draft")
        found = self.cloud("strategy", "list")["strategies"]
        number = max(int(each["strategyId"]) for each in found)
        wanted = [word for phase in phases.split(", ") for word in ("--phase", phase)]
        self.cloud("rollout", "phases", str(number), *wanted, *QUICK)
        page.open(f"/console/strategies/{number}")
        page.click("[data-act=publish]")
        page.see("dialog [data-part=preview]", f"covers {covered} devices")
        page.click("dialog [data-role=confirm]")
        page.see("[data-state]", "Published")
        return number

    def _place(self, version: str) -> str:
        """Return which option of the form a version is."""
        script = "return [...document.querySelectorAll('select[name=version] option')].map((o) => o.text)"

        def places() -> list[int]:
            texts = self.page.js(script)
            return [place for place, text in enumerate(texts, 1) if text.startswith(version)]

        (place,) = self.page.wait(places, version)
        return f"nth-child({place})"

    def rolled_out(self) -> str:
        """Roll the next version out to every machine, phase by phase, without a hand."""
        self.cloud("release", "add", self.bench.folder / f"{GOOD}.tar.gz", "--version", GOOD, "--product", PRODUCT)  # fmt: skip
        self._strategy(GOOD, "5%, 100%", covered=TESTED + SOLD)
        last = "[data-part=progress] tbody tr:last-child [data-count=success]"
        self.page.see(last, str(TESTED + SOLD), LONG)
        self.count(f"version={GOOD}", TESTED + SOLD)
        twice = [m for m in self.fleet.machines if len(set(m.seen)) > 3]
        assert not twice
        return f"{TESTED + SOLD} run {GOOD}"

    def cancelled(self) -> str:
        """Order the next version on all test devices, and take it back."""
        for machine in self.fleet.machines:
            machine.slow = 1000
        self.cloud("release", "add", self.bench.folder / f"{NEXT}.tar.gz", "--version", NEXT, "--product", PRODUCT)  # fmt: skip
        added = self.cloud("strategy", "add", "--version", NEXT, "--product", PRODUCT)
        self.cloud("strategy", "publish", str(added["strategyId"]))
        # A tester orders for machines that are theirs.
        lab = f"product={PRODUCT}&batch=0000"
        self.bulk(lab, "bind", TESTED)
        self.bulk(lab, "order", TESTED)
        self.count("update=running", TESTED)
        told = self.bulk("update=running", "cancel", TESTED)
        self.page.open("/console/devices?update=running")
        self.page.get("main .empty", LONG)
        return told

    def one_machine(self) -> str:
        """Read one machine's life, watch its frames, set its volume, and cut its link."""
        page, machine = self.page, self.fleet.machines[TESTED]
        uuid = machine.who.uuid
        page.open(f"/console/devices/{uuid}")
        page.see("[data-fact=version]", GOOD)
        page.click("details[data-part=life] summary")
        page.see("details[data-part=life] ol", GOOD, LONG)
        page.click("[data-role=wire-watch]")
        wanted = machine.volume + 1
        page.get("[data-point=volume] input").send_keys(Keys.ARROW_RIGHT)
        page.wait(lambda: machine.volume == wanted, "the machine's volume")
        page.see("[data-part=wire] ol", "volume", LONG)
        self.cloud("fault", "set", uuid, "cut", "seconds=600")
        page.see("main", "Offline", LONG)
        self.cloud("fault", "clear", uuid)
        page.see("main", "Online", LONG)
        # What the page asked of a machine that was away.
        refused = [each for each in page.errors() if " 503 " not in each]
        assert refused == [], refused
        return f"{uuid} was cut, and came back"

    def export(self) -> str:
        """Take the table of the whole fleet home."""
        page = self.page
        page.open(f"/console/devices?product={PRODUCT}")
        page.see("[data-role=count]", f"of {TESTED + SOLD}")
        href = page.get("[data-role=csv]").get_attribute("href")
        assert href is not None
        status, text = page.fetch("GET", href.removeprefix(page.base), {})
        rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
        assert (status, len(rows)) == (200, TESTED + SOLD)
        assert {row["version"] for row in rows} == {GOOD}
        return f"{len(rows)} rows"

    def run(self) -> None:
        """Do all steps; raises AssertionError at the first that goes another way."""
        for step in (
            self.morning, self.tags, self.verification, self.halted, self.rolled_out, self.cancelled,
            self.one_machine, self.export,
        ):  # fmt: skip
            began = time.monotonic()
            try:
                told = step()
            except Exception:
                self.page.browser.save_screenshot(str(self.bench.folder.parent / "day.png"))
                shutil.copy(
                    self.bench.folder.parent / "day.png",
                    Path(tempfile.gettempdir()) / "tester-day.png",
                )
                print(self.page.text("body")[-3000:], flush=True)
                raise
            errors = self.page.errors()
            assert errors == [], errors
            print(f"{step.__name__}: {told} ({time.monotonic() - began:.0f} s)", flush=True)


@contextlib.contextmanager
def furnished(folder: Path) -> Iterator[tuple[Bench, Fleet]]:
    """Run a cloud with the machines, and packages beside it."""
    bench = Bench(folder)
    try:
        bench.start_cloud(0, 0, faults=True)
        secret = folder / "password"
        secret.write_text(PASSWORD)
        bench.story_cloud("account", "add", USER, "--password-file", secret, "--role", "operator")
        for version in (BAD, GOOD, NEXT):
            package = folder / f"{version}.tar.gz"
            command(
                "story-release",
                "build",
                "--product",
                PRODUCT,
                "--version",
                version,
                "--output",
                package,
            )
        bench.story_cloud("product", "add", PRODUCT, "--template", "story-machine", "--devices", str(TESTED))  # fmt: skip
        bench.story_cloud("batch", "add", BATCH, "--product", PRODUCT, "--count", str(SOLD))
        fleet = Fleet(bench.cloud_data)
        try:
            yield bench, fleet
        finally:
            fleet.stop()
    finally:
        bench.stop()


def main() -> int:
    """Live the day."""
    began = time.monotonic()
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench").mkdir()
        with furnished(Path(folder) / "bench") as (bench, fleet):
            browser = start_browser(Path(folder) / "chromium")
            try:
                page = Page(browser, bench.api)
                page.resize((1280, 900))
                page.open("/console/")
                page.js("localStorage.setItem('story-console-language', 'en')")
                page.errors()
                Day(page, bench, fleet).run()
            finally:
                browser.quit()
    print(f"the day is over: {time.monotonic() - began:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
