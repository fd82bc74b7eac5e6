"""The console's pages as everybody may see them: every width, language and theme, by axe-core; and by keyboard alone.

python -m tests.staging.console.proof        # make console-proof
"""

# ruff: noqa: T201  # a script that prints what it found
from __future__ import annotations

import sys
import tempfile
from itertools import product
from pathlib import Path

from selenium.webdriver.common.keys import Keys

from staging.store import Database
from staging.times import now_ms
from tests.staging.console.conftest import Stage, offered
from tests.staging.console.furnished import furnish
from tests.staging.console.kept_reports import keep_reports
from tests.staging.console.page import PASSWORD, USER, Page, start_browser
from tests.staging.console.test_access import PAGES, violations, walk_to

WIDTHS = (1280, 768, 360, 320)
LANGUAGES = ("zh", "en")
THEMES = ("light", "dark")
# Slow enough to be cancelled by hand.
CONFIG = "[ota]\nmax_bytes_per_second = 2048\n"


def everywhere(page: Page, stage: Stage) -> list[str]:
    """Look at every page in every form, with a fleet to show; returns what is wrong."""
    database = Database(stage.bench.cloud_data / "cloud.sqlite")
    halted = furnish(database, now_ms())
    database.close()
    shown = keep_reports(stage.bench.cloud_data, stage.uuid, now_ms())
    advisor = f"devices/{stage.uuid}/advisor"
    wrong: list[str] = []
    for language, theme in product(LANGUAGES, THEMES):
        page.js("localStorage.setItem('story-console-language', arguments[0])", language)
        page.js("localStorage.setItem('story-console-theme', arguments[0])", theme)
        for path in (*PAGES, f"strategies/{halted}", f"devices/{stage.uuid}", advisor):
            page.resize((1280, 900))
            page.open(f"/console/{path}")
            page.get("main .card")
            if path == advisor:
                page.click(f"[data-report='{shown}']")
                page.get("[data-part=report] [data-check='control.range']")
            for details in page.all("main details:not([open]) > summary"):
                page.js("arguments[0].click()", details)
            for width in WIDTHS:
                page.resize((width, 800))
                where = f"{path} {language} {theme} {width}"
                found = page.js("return document.documentElement.scrollWidth")
                wrong += [f"{where}: {found} px wide"] if found > width else []
                wrong += [f"{where}: {text}" for text in violations(page)]
            print(f"{language} {theme} {path}: {len(wrong)} wrong so far", flush=True)
    return wrong


def by_keyboard(page: Page, stage: Stage) -> None:
    """Log in, open the device, bind it, set the volume, order the update and cancel it: keys alone."""
    page.open("/console/")
    page.js("localStorage.clear(); localStorage.setItem('story-console-language', 'en')")
    page.browser.delete_all_cookies()
    page.open("/console/")
    page.wait(lambda: page.focused()["name"] == "user", "the focus on the name")
    page.keys(USER, Keys.TAB, PASSWORD, Keys.ENTER)
    page.wait(
        lambda: page.focused()["tag"] == "H1", "the page"
    )  # an operator begins with the overview
    walk_to(page, lambda at: at["href"].endswith("/devices"))
    page.keys(Keys.ENTER)
    page.get(f"tr[data-uuid='{stage.uuid}'] a")
    walk_to(page, lambda at: at["href"].endswith(stage.uuid))
    page.keys(Keys.ENTER)
    page.get("[data-part=bind]")
    walk_to(page, lambda at: at["name"] == "token")
    page.keys(stage.bind_token, Keys.ENTER)
    page.get("[data-point=volume] input:enabled")
    before = int(stage.agent("get", "volume"))
    walk_to(page, lambda at: at["label"] == "音量", limit=120)
    page.keys(Keys.ARROW_RIGHT if before < 16 else Keys.ARROW_LEFT)
    page.wait(lambda: int(stage.agent("get", "volume")) != before, "the agent's volume")
    walk_to(page, lambda at: at["data"].get("role") == "order", limit=200)
    page.keys(Keys.ENTER)
    page.see("[data-part=update] [data-status]", "Running")
    walk_to(page, lambda at: at["data"].get("role") == "cancel-update", limit=200)
    page.keys(Keys.ENTER)
    page.get("dialog[open]")
    walk_to(page, lambda at: at["data"].get("role") == "confirm", limit=5)
    page.keys(Keys.ENTER)
    page.see("[data-part=update] [role=alert]", "cancelled: by an order")


def main() -> int:
    """Run both on a cloud and an agent of their own."""
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "bench").mkdir()
        browser = start_browser(Path(folder) / "chromium")
        try:
            with offered(Path(folder) / "bench", CONFIG, faults=True) as stage:
                page = Page(browser, stage.bench.api)
                by_keyboard(page, stage)
                print("keyboard: log-in, device, control, order, cancel: done", flush=True)
                wrong = everywhere(page, stage)
        finally:
            browser.quit()
    print("\n".join(wrong) or "nothing found")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
