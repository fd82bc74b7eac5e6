"""The console's accessibility: keyboard only, phone, screen reader, dark mode."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.resources import files
from typing import Any

from selenium.webdriver.common.keys import Keys

from tests.staging.console.conftest import Stage
from tests.staging.console.page import PASSWORD, USER, WIDE, Page

AXE = (files("axe_core_python") / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
PAGES = (
    "dashboard", "devices", "products", "products/1", "apps", "versions", "strategies", "accounts", "audit", "explorer", "me",
    "webhooks",
)  # fmt: skip
# The narrowest phone, and a tablet held upright.
WIDTHS = (768, 320)


def violations(page: Page, rules: Sequence[str] = RULES) -> list[str]:
    """Run axe-core on the page; returns violations of WCAG 2.1 AA, or of ``rules`` alone."""
    # The page's own policy forbids injecting axe as a script; the debugger may do it.
    page.cdp("Page.setBypassCSP", enabled=True)
    if not page.js("return 'axe' in window"):
        page.js(AXE)
    found = page.browser.execute_async_script(
        "const [rules, done] = arguments; axe.run(document, {runOnly: rules}).then((r) => done(r.violations))",
        list(rules),
    )
    return [f"{v['id']}: {n['html']} {n['failureSummary']}" for v in found for n in v["nodes"]]


def test_every_page_is_for_everybody(device: Page, stage: Stage) -> None:
    """By axe in light, by its contrast in dark, and in both languages no wider than a phone: one load of each page."""
    for path in (f"devices/{stage.uuid}", *PAGES):
        device.resize(WIDE)
        device.open(f"/console/{path}")
        device.get("main .card")
        if "/" in path:
            device.get("[data-series=volume] svg, [data-part=points]")
        looked_at(device, path)
        fits(device, path)
        device.click("[data-role=language]")
        device.get("html[lang^=zh] main .card")
        fits(device, f"{path} in Chinese")
        device.click("[data-role=language]")
    device.resize(WIDE)
    device.click("[data-role=logout]")
    device.get("input[name=user]")
    looked_at(device, "log-in")


def looked_at(page: Page, path: str) -> None:
    """Look at a page with axe; dark differs by its colours alone."""
    assert violations(page) == [], path
    colour_scheme(page, "dark")
    assert violations(page, ["color-contrast"]) == [], f"{path} in the dark"
    colour_scheme(page, "light")


def colour_scheme(page: Page, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    page.cdp("Emulation.setEmulatedMedia", features=features)
    page.get(f"html[data-theme={name}]")


def fits(page: Page, path: str) -> None:
    """Look whether nothing is wider than a screen, and whether a finger finds each control."""
    for width in WIDTHS:
        page.resize((width, 780))
        assert page.js("return document.documentElement.scrollWidth") <= width, path
    small = page.js(
        "return [...document.querySelectorAll('button, .tabs a, input, select')].filter((e) => e.offsetParent"
        " && e.checkVisibility({visibilityProperty: true}) && e.type !== 'checkbox' && e.getBoundingClientRect().height < 44).map((e) => e.outerHTML)"
    )
    assert small == [], path


def test_everything_can_be_done_by_keyboard(device: Page, stage: Stage) -> None:
    page = device
    page.click("[data-role=logout]")
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
    page.get("[data-point=volume] input:enabled")
    assert page.focused()["tag"] == "H1"  # the focus of a new page is on its title
    stage.agent("set", "volume", "6")
    page.see("[data-point=volume] output", "6")
    walk_to(page, lambda at: at["label"] == "音量")
    page.keys(Keys.ARROW_RIGHT)
    page.wait(lambda: stage.agent("get", "volume") == "7", "the agent's volume")
    walk_to(page, lambda at: at["data"].get("role") == "power-off")
    page.keys(Keys.ENTER)
    page.get("dialog[open]")
    assert page.js("return document.activeElement.closest('dialog') !== null")
    page.keys(Keys.ESCAPE)
    page.wait(lambda: page.focused()["data"].get("role") == "power-off", "the focus to come back")
    page.js("scrollTo(0, 0); document.activeElement.blur()")
    walk_to(page, lambda at: at["href"] == "#main")  # skips the navigation
    page.keys(Keys.ENTER)
    assert page.focused()["tag"] == "MAIN"


def walk_to(page: Page, there: Callable[[dict[str, Any]], bool], limit: int = 60) -> None:
    """Press Tab until ``there`` is true for the focus; each focus must be visible."""
    body = page.browser.switch_to.active_element
    for _ in range(limit):
        body.send_keys(Keys.TAB)
        body = page.browser.switch_to.active_element
        at = page.focused()
        assert at["outlined"] or at["tag"] == "BODY", at
        if there(at):
            return
    raise AssertionError(f"not reached in {limit} stops; last: {page.focused()}")


def test_the_language_is_remembered(inside: Page) -> None:
    inside.click("[data-role=language]")
    inside.see("main h1", "设备")
    assert inside.js("return document.documentElement.lang") == "zh-CN"
    inside.open("/console/products")
    inside.see("main h1", "产品")
    inside.click("[data-role=language]")
    inside.see("main h1", "Products")
