"""The device page in a real browser, by HTTPS on the network: what a family sees and does, and what a stranger cannot."""

from __future__ import annotations

import hashlib
import json
from importlib.resources import files

from selenium.webdriver.common.keys import Keys

from tests.agent.local.page.machine import REFUSED, TITLES, Machine, away
from tests.extras import require
from tests.staging.console.page import PHONE, WIDE, Page

AXE = (files("axe_core_python") / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa"]
SMALLEST = (320, 640)


def look(page: Page) -> None:
    """Let it look at once, as after a change of the phone's network."""
    page.js("dispatchEvent(new Event('online'))")


def violations(page: Page) -> list[str]:
    page.cdp("Page.setBypassCSP", enabled=True)
    page.js(AXE)
    found = page.browser.execute_async_script(
        "const [tags, done] = arguments; axe.run(document, {runOnly: tags}).then((r) => done(r.violations))",
        RULES,
    )
    page.cdp("Page.setBypassCSP", enabled=False)
    return [f"{v['id']}: {n['html']} {n['failureSummary']}" for v in found for n in v["nodes"]]


def scheme(page: Page, name: str) -> None:
    features = [{"name": "prefers-color-scheme", "value": name}]
    page.cdp("Emulation.setEmulatedMedia", features=features)


def test_a_family_plays_and_sets_and_reads_back(page: Page, machine: Machine) -> None:
    page.see("#play-text", "1/3")
    page.click("[data-order=next]")
    page.wait(lambda: machine.points["play"].orders == ["next"], "the order")
    page.click("#queue-box summary")
    page.click("[data-jump='3']")
    page.wait(lambda: machine.points["play"].orders[-1] == '{"jump":3}', "the jump")
    assert page.text("[data-jump='3']") == f"3. {TITLES[2]}"  # a title is no HTML
    page.click("[data-timer='30']")
    page.see("#timer-text", "30 min")
    page.click("#louder")
    page.see("#volume-value", "7")
    page.click("#microphone")
    page.see("#microphone-text", "nobody can open it")
    page.click("#lock")
    page.wait(lambda: machine.points["child_lock"].value is True, "the lock")
    page.click("#parents-h ~ details summary")
    page.type("input[name=daily]", "45", enter=True)
    page.see("#rules-text", "daily 45")
    machine.points["volume"].value = 3  # by a knob
    look(page)
    page.see("#volume-value", "3")
    assert page.errors() == []


def test_a_refusal_says_why_and_shows_what_is_so(page: Page, machine: Machine) -> None:
    page.type("#ask input", REFUSED, enter=True)
    page.see("#said", "quiet hours until 06:30")
    page.click("#language")
    page.see("#away-title", "云不在")
    page.type("#ask input", REFUSED, enter=True)
    page.see("#said", "机器不接受")
    page.see("#said", "现在是安静时段，到 06:30 为止")
    assert page.text("#title") == TITLES[0]
    machine.status = away(link={"server": "cloud.example:5684", "state": "online"})
    look(page)
    page.see("#link", "在线")
    page.wait(lambda: not page.js("return !document.getElementById('away').hidden"), "no notice")


def test_a_machine_that_is_away_is_said_to_be_and_comes_back(page: Page, machine: Machine) -> None:
    machine.stop()
    try:
        page.click("[data-timer='15']")
        page.see("#lost", "does not answer")
        assert page.text("#title") == TITLES[0]  # what was last seen, with its time
    finally:
        machine.start()
    look(page)
    page.wait(lambda: not page.js("return !document.getElementById('lost').hidden"), "back")
    page.see("#timer-text", "no timer")  # what was not answered did not happen
    assert page.js("return document.getElementById('entry').hidden")  # a restart logs nobody out


def test_the_code_for_pairing_is_drawn_when_it_is_asked_for(page: Page) -> None:
    require("segno")
    assert not page.js("return document.getElementById('code').getAttribute('src')")
    page.click("#pair summary")
    page.wait(lambda: page.js("return document.getElementById('code').naturalWidth") > 0, "a code")
    page.see("#pair-text", "0083000000000a")


def test_axe_finds_nothing_and_nothing_is_wider_than_a_phone(entry: Page, machine: Machine) -> None:
    entry.resize(SMALLEST)
    assert violations(entry) == []
    entry.type("#token", "wrong", enter=True)
    entry.see("#entry-said", "neither the machine's bind token")
    entry.type("#token", machine.token, enter=True)
    entry.see("#title", TITLES[0])
    entry.js("for (const e of document.querySelectorAll('details')) e.open = true")
    entry.see("#pair-text", "0083000000000a")
    for name in ("light", "dark"):
        scheme(entry, name)
        assert violations(entry) == [], name
    for language in ("zh", "en"):
        entry.click("#language")
        entry.wait(lambda: entry.js("return document.documentElement.lang")[:2] == language, "it")  # noqa: B023
        for size in (SMALLEST, PHONE, WIDE):
            entry.resize(size)
            assert entry.js("return document.documentElement.scrollWidth") <= size[0]
    small = entry.js(
        "return [...document.querySelectorAll('button, input, summary')].filter((e) => e.offsetParent"
        " && e.getBoundingClientRect().height < 44).map((e) => e.outerHTML)"
    )
    assert small == []


def test_everything_is_reached_by_the_keyboard(page: Page) -> None:
    wanted = {
        "language", "log-out", "previous", "pause", "next", "stop", "softer", "volume", "louder", "15", "end",
        "off", "microphone", "lock",
    }  # fmt: skip
    seen: set[str] = set()
    page.js("document.querySelector('h1').focus()")
    for _ in range(26):
        page.keys(Keys.TAB)
        at = page.focused()
        assert at["outlined"] or at["tag"] == "BODY", at
        seen |= {*at["data"].values(), at["id"]}
    assert wanted <= seen
    page.js("document.getElementById('volume').focus()")
    page.keys(Keys.ARROW_RIGHT)
    page.see("#volume-value", "7")


def test_logging_out_ends_the_session_on_the_machine(page: Page, machine: Machine) -> None:
    (cookie,) = page.browser.get_cookies()
    assert cookie["httpOnly"]
    assert cookie["secure"]
    assert cookie["sameSite"] == "Strict"
    page.click("#log-out")
    page.get("#token")
    page.browser.add_cookie(cookie)
    status, _ = page.fetch("GET", "/page/state", {})
    assert status == 401
    kept = json.loads((machine.state / "page-sessions.json").read_text())["sessions"]
    assert hashlib.sha256(cookie["value"].encode()).hexdigest() not in {each["id"] for each in kept}


def test_another_page_gets_and_changes_nothing(page: Page, machine: Machine) -> None:
    """The browser is logged in to the machine; the other page is of another site."""
    page.browser.get(f"https://localhost:{machine.port}/page/icon.svg")
    for path, options in (
        ("points/volume", {"method": "PUT", "body": "1", "headers": {"X-Story-Page": "1"}}),
        ("session", {"method": "DELETE", "headers": {"X-Story-Page": "1"}}),
        ("state", {}),
        ("pair", {}),
    ):
        script = """const [url, options, done] = arguments;
          fetch(url, {...options, credentials: 'include'}).then((r) => done(r.status), () => done('refused'))"""
        url = f"{machine.base}/page/{path}"
        assert page.browser.execute_async_script(script, url, options) == "refused", path
    assert machine.points["volume"].orders == []
    page.open("/page/")  # and is so afterwards
    page.see("#title", TITLES[0])
