"""Take the screenshots of docs/console.md: a real cloud and a real agent, each page in both widths.

python -m tests.staging.console.screens
"""

# ruff: noqa: T201  # a script that prints what it found
from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from staging.store import Database, devices, health, history
from staging.store.history import HistoryPoint
from staging.times import now_ms
from tests.staging.console.conftest import Stage
from tests.staging.console.furnished import furnish
from tests.staging.console.kept_reports import keep_reports
from tests.staging.console.page import PASSWORD, PHONE, USER, WIDE, Page, start_browser
from tools.bench import Bench
from tools.processes import command
from tools.pulse import PulseServer
from tools.tour import write_tone

FOLDER = Path(__file__).parents[3] / "docs" / "console"
DAY_MS = 86_400_000
SIZES = {"wide": WIDE, "phone": PHONE}
WEIGHED = (
    "dashboard", "webhooks", "devices", "products", "products/1", "apps", "versions", "strategies", "accounts", "audit", "explorer", "me",
)  # fmt: skip
PAINT = "performance.getEntriesByName('first-contentful-paint')[0]?.startTime ?? 0"
# Documents, modules and answers; the streams have not ended.
FETCHED = """((all) => [all.length, all.reduce((sum, one) => sum + one.transferSize, 0)])(
    [...performance.getEntriesByType('navigation'), ...performance.getEntriesByType('resource')])"""


def shoot(page: Page, name: str, *sizes: str) -> None:
    """Save the whole page as ``name-size.png``."""
    for size in sizes or tuple(SIZES):
        page.resize(SIZES[size])
        page.js(
            "scrollTo(0, 0); document.activeElement.blur();"
            "document.getElementById('status').textContent = ''"
        )
        height = page.js("return document.documentElement.scrollHeight")
        page.resize((SIZES[size][0], max(SIZES[size][1], height)))
        page.js("return new Promise((done) => setTimeout(done, 400))")
        FOLDER.mkdir(exist_ok=True)
        page.browser.save_screenshot(str(FOLDER / f"{name}-{size}.png"))
    page.resize(WIDE)


def prepare(stage: Stage) -> None:
    """Create the content of the pages: titles, values, voice, a second device."""
    for title in ("小兔子乖乖", "两只老虎", "小星星", "数鸭子"):
        write_tone(stage.bench.state / "media" / "儿歌" / f"{title}.wav", seconds=240)
    for level in (9, 12, 7, 10, 6, 8):
        stage.agent("set", "volume", str(level))
    # Far from now: what is quiet plays nothing, and gets no louder.
    evening, morning = ((time.localtime().tm_hour + hours) % 24 for hours in (8, 17))
    stage.agent("set", "night", f"{evening:02}:00-{morning:02}:30 max=5")
    quiet = f"quiet {evening:02}:30-{morning:02}:30"
    stage.agent("set", "rules", f"{quiet}; daily 90; then finish; tonight free")
    stage.agent("say", "tools/utterance.wav")
    stage.agent("say", "tools/utterance.wav")
    stage.cloud("device", "add")
    for version in ("1.1.0", "1.2.0"):
        file = stage.bench.folder / f"{version}.tar.gz"
        command("story-release", "build", "--version", version, "--output", file)


def walk(page: Page, stage: Stage) -> None:
    """Go through the pages."""
    page.open("/console/")
    page.js("localStorage.setItem('story-console-language', 'en')")
    page.open("/console/")
    page.get("input[name=user]")
    shoot(page, "login")
    page.log_in(USER, PASSWORD)
    page.get(".tabs")
    show_updates(page, stage)
    page.open("/console/products")
    page.click("tr[data-batch] button")
    page.get("[data-part=batch] table")
    shoot(page, "products")
    set_up(page)
    page.open("/console/accounts")
    page.type("main form input[name=name]", "tom", enter=True)
    page.get("[data-part=password] input")
    page.open("/console/accounts")
    page.get("tr[data-account=tom]")
    shoot(page, "accounts")
    page.open("/console/audit")
    page.get("tr[data-action='device.bind']")
    shoot(page, "audit")
    explore(page)
    show_fleet(page, stage)
    page.open("/console/devices")
    page.see(f"tr[data-uuid='{stage.uuid}']", "Bench speaker")
    shoot(page, "devices")
    show_device(page, stage)
    show_advisor(page, stage)


def show_advisor(page: Page, stage: Stage) -> None:
    """Show the advisor's page with two reports of the device, one of them open."""
    shown = keep_reports(stage.bench.cloud_data, stage.uuid, now_ms())
    page.js("localStorage.setItem('story-console-language', 'en')")
    page.cdp("Emulation.setEmulatedMedia", features=[])
    page.open(f"/console/devices/{stage.uuid}/advisor")
    page.click(f"[data-report='{shown}']")
    page.see("[data-role=signature]", "Signed by")
    page.click("[data-role=compare]")
    page.get("[data-change='control.range']")
    shoot(page, "advisor")


def show_updates(page: Page, stage: Stage) -> None:
    """Bind the device, and bring a version to it."""
    page.open("/console/devices")
    page.get(f"tr[data-uuid='{stage.uuid}'] .chip.good")
    page.open(f"/console/devices/{stage.uuid}")
    page.type("input[name=token]", stage.bind_token, enter=True)
    page.get("[data-point=volume]")
    page.type("input[name=name]", "Bench speaker", enter=True)
    page.type("[data-point=play] input", "小兔子乖乖", enter=True)
    page.see("[data-point=player] [data-role=title]", "小兔子乖乖")
    # A device does not restart during a story.
    page.click("[data-point=play] [data-command='停止']")
    page.see("[data-point=player] [data-role=title]", "Nothing")
    upload(page, stage, "1.1.0", "Faster start, calmer volume steps")
    page.type("[data-version='1.1.0'] input[name=uuid]", stage.uuid, enter=True)
    page.see("[data-version='1.1.0'] li .chip", "Success", seconds=60)
    page.click("[data-version='1.1.0'] [data-role=pass]")
    page.see("[data-version='1.1.0'] .card-head .chip", "Released")
    upload(page, stage, "1.2.0", "Resumes stories where they stopped")
    shoot(page, "versions")
    page.open("/console/strategies")
    page.click("main form button[type=submit]")
    page.click("tr[data-strategy] button")
    page.click("dialog [data-role=confirm]")
    page.see("tr[data-strategy] .chip", "Published")
    shoot(page, "strategies")


def show_fleet(page: Page, stage: Stage) -> None:
    """Show what an operator sees first, who is told of alarms, and a rollout that was halted."""
    database = Database(stage.bench.cloud_data / "cloud.sqlite")
    halted = furnish(database, now_ms())
    database.close()
    page.open("/console/dashboard")
    page.get("[data-part=listening] tbody tr")
    shoot(page, "overview")
    page.open("/console/webhooks")
    page.get("[data-webhook] [data-role=problem]")
    shoot(page, "webhooks")
    page.open(f"/console/strategies/{halted}")
    page.get("[data-part=halted]")
    shoot(page, "rollout")


def show_device(page: Page, stage: Stage) -> None:
    """Show the device while a story plays, in both languages."""
    page.open(f"/console/devices/{stage.uuid}")
    page.get("[data-utterance]")
    page.get("[data-series=volume] svg")
    stage.agent("say", "tools/utterance.wav")  # to which the first sentence belongs
    page.see("[data-utterance]:first-child [data-stage=eof]", "End")
    for sentence in ("声音大一点", "音量调到30", "播放小兔子乖乖", "音量调到3"):
        page.type("[data-part=heard] input[name=sentence]", sentence, enter=True)
        page.see("[data-part=heard] .outcomes > li:first-child", sentence)
        page.get("[data-part=heard] button[type=submit]:enabled")
    page.get("[data-utterance]:first-child [data-stage=done]")
    page.click("[data-point=sleep_timer] [data-timer='30']")
    page.see("[data-point=sleep_timer] output", "min left")
    page.see("[data-point=player] [data-role=state]", "Playing")
    shoot(page, "device")
    page.js("localStorage.setItem('story-console-language', 'zh')")
    dark = [{"name": "prefers-color-scheme", "value": "dark"}]
    page.cdp("Emulation.setEmulatedMedia", features=dark)
    page.open(f"/console/devices/{stage.uuid}")
    page.get("[data-series=volume] svg")
    shoot(page, "device-dark-zh")


def explore(page: Page) -> None:
    """Show the explorer with an answer, and one's own account."""
    page.open("/console/explorer")
    page.click("[data-code='1212']")
    page.see("[data-shown=answer]", "1212")
    shoot(page, "explorer")
    page.open("/console/me")
    page.get("[data-part=own-password]")
    shoot(page, "me", "wide")


def weigh(page: Page, stage: Stage) -> None:
    """Print what each page fetches, and when its first content is painted, with an empty cache."""
    print("page           requests  kB sent  first content, ms")
    for path in (*(f"/console/{name}" for name in WEIGHED), f"/console/devices/{stage.uuid}"):
        page.cdp("Network.clearBrowserCache")
        page.open(path)
        page.get("main h1")
        page.wait(lambda: page.js(f"return {PAINT}"), "the first paint")
        count, size, paint = page.js(f"return [...{FETCHED}, {PAINT}]")
        name = path.removeprefix("/console/")[:14]
        print(f"{name:14} {count:8} {size / 1000:8.1f} {paint:10.0f}")


def set_up(page: Page) -> None:
    """Show an app and a product's data points."""
    page.open("/console/apps")
    page.type("input[name=name]", "Story app")
    page.click("main form button[type=submit]")
    page.get("[data-app='Story app'] [data-value=secret]")
    shoot(page, "apps", "wide")
    page.open("/console/products/1")
    page.get("[data-part=apps] li")
    shoot(page, "product", "wide")


def upload(page: Page, stage: Stage, version: str, description: str) -> None:
    """Add a version on its page."""
    page.open("/console/versions")
    page.type("input[name=version]", version)
    page.type("input[name=description]", description)
    page.get("input[name=file]").send_keys(str(stage.bench.folder / f"{version}.tar.gz"))
    page.click("main form button[type=submit]")
    page.get(f"[data-version='{version}']")


def remember(stage: Stage) -> None:
    """Write a day's history, as the device would have reported it."""
    database = Database(stage.bench.cloud_data / "cloud.sqlite")
    start = now_ms() - DAY_MS
    device = database.call(devices.get, stage.uuid)
    for step in range(96):
        level = 100 - step if step < 70 else 30 + (step - 70) * 3
        points = [HistoryPoint("power", min(100, level))]
        if step % 7 == 0:
            points.append(HistoryPoint("volume", (4, 9, 12, 6, 0, 8)[step // 7 % 6]))
        time = start + step * DAY_MS // 97
        database.call(history.append, device, points, time)
        online = [device.id] if step % 32 < 28 else []
        database.call(health.sample, online, DAY_MS // 97, time)
    database.close()


def main() -> int:
    """Run everything in a temporary folder."""
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder))
        sound = PulseServer(Path(folder))
        sound.start()
        os.environ |= {"PULSE_SERVER": sound.address}
        browser = start_browser(Path(folder) / "chromium")
        try:
            bench.start_cloud(0, 0)
            stage = Stage(bench)
            stage.account(USER)
            bench.flash_device()
            remember(stage)
            bench.start_agent()
            prepare(stage)
            page = Page(browser, bench.api)
            walk(page, stage)
            weigh(page, stage)
        finally:
            browser.quit()
            bench.stop()
            sound.kill()
    # With fewer colours the file is a third of the size, without a visible difference.
    if shutil.which("pngquant"):
        files = [str(file) for file in FOLDER.glob("*.png")]
        subprocess.run(["pngquant", "--force", "--ext", ".png", *files], check=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
