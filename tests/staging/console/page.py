"""A page of the console in headless Chromium: find, type and click, each with a deadline."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

from selenium import webdriver
from selenium.common.exceptions import (
    JavascriptException,
    StaleElementReferenceException,
    WebDriverException,
)
from selenium.webdriver.chrome.options import Options
from selenium.webdriver.chrome.service import Service
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.remote.webelement import WebElement
from selenium.webdriver.support.ui import WebDriverWait

DEADLINE = 60.0
WIDE, PHONE = (1200, 900), (360, 780)
USER, PASSWORD = "tester", "a long enough password"
FLAGS = (
    "--headless=new",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--hide-scrollbars",
    "--lang=en-GB",
)

# One question in place of several for each element: WebDriver's own answer whether it is displayed costs as much as a page.
FIRST_SHOWN = """
  const shown = (e) => e.checkVisibility({visibilityProperty: true, opacityProperty: true}) && e.getClientRects().length;
  const box = (e) => e.closest('select') ?? e;  // of an option, what one sees is its list
  return [...document.querySelectorAll(arguments[0])].find((e) => shown(box(e))) ?? null"""
FIRST_SHOWS = (
    FIRST_SHOWN.replace("return", "const first =")
    + """;
  return first !== null && first.innerText.includes(arguments[1])"""
)

T = TypeVar("T")


def start_browser(profile: Path, *, any_certificate: bool = False) -> webdriver.Chrome:
    """Start Debian's Chromium with a new, empty profile; ``any_certificate``: of a machine at home too."""
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    assert program, "chromium is missing: make setup installs it"
    assert driver, "chromium-driver is missing: make setup installs it"
    options = Options()
    options.binary_location = program
    options.accept_insecure_certs = any_certificate
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    for flag in (*FLAGS, f"--user-data-dir={profile}"):
        options.add_argument(flag)
    browser = webdriver.Chrome(options=options, service=Service(driver))
    browser.set_page_load_timeout(DEADLINE)
    browser.set_script_timeout(DEADLINE)
    return browser


class Page:
    """A page in the browser, as a user sees and uses it."""

    def __init__(self, browser: webdriver.Chrome, base: str) -> None:
        self.browser = browser
        self.base = base

    def open(self, path: str) -> None:
        self.browser.get(self.base + path)

    def resize(self, size: tuple[int, int]) -> None:
        """Set the viewport, which may be narrower than a window can be."""
        metrics = {"width": size[0], "height": size[1], "deviceScaleFactor": 1, "mobile": False}
        self.cdp("Emulation.setDeviceMetricsOverride", **metrics)

    def cdp(self, command: str, **arguments: Any) -> Any:
        return self.browser.execute_cdp_cmd(command, arguments)

    def js(self, script: str, *arguments: Any) -> Any:
        return self.browser.execute_script(script, *arguments)

    def wait(self, look: Callable[[], T], what: str = "", seconds: float = DEADLINE) -> T:
        """Return the result of ``look`` as soon as it is true."""
        # A document that gives way to the next one answers with an error of its script.
        stale = (StaleElementReferenceException, JavascriptException, IndexError, AttributeError)
        waiting = WebDriverWait(self.browser, seconds, 0.05, ignored_exceptions=stale)
        return waiting.until(lambda _: look(), what)

    def all(self, css: str) -> list[WebElement]:
        return self.browser.find_elements(By.CSS_SELECTOR, css)

    def get(self, css: str, seconds: float = DEADLINE) -> WebElement:
        """Return the element once it is shown."""
        shown: WebElement = self.wait(lambda: self.js(FIRST_SHOWN, css), css, seconds)
        return shown

    def text(self, css: str) -> str:
        return self.get(css).text

    def see(self, css: str, text: str, seconds: float = DEADLINE) -> None:
        """Wait until the element shows ``text``."""
        try:
            self.wait(lambda: self.js(FIRST_SHOWS, css, text), seconds=seconds)
        except WebDriverException as error:
            shown = [element.text for element in self.all(css)]
            raise AssertionError(f"{css}: expected {text!r}, shows {shown}") from error

    def click(self, css: str) -> None:
        def clicked() -> bool:
            element = self.get(css)
            self.js("arguments[0].scrollIntoView({block: 'center'})", element)
            element.click()
            return True

        self.wait(clicked, css)

    def type(self, css: str, text: str, *, enter: bool = False) -> None:
        def typed() -> bool:
            element = self.get(css)
            element.clear()
            element.send_keys(text)
            if enter:
                element.send_keys(Keys.ENTER)
            return True

        self.wait(typed, css)

    def keys(self, *keys: str) -> None:
        """Send keys to the focused element."""
        self.browser.switch_to.active_element.send_keys(*keys)

    def focused(self) -> dict[str, Any]:
        """Describe the focused element, and whether the focus is visible."""
        script = """
          const e = document.activeElement, s = getComputedStyle(e);
          return {tag: e.tagName, id: e.id, name: e.getAttribute('name') || '', text: e.textContent.slice(0, 60),
                  href: e.getAttribute('href') || '', data: {...e.dataset},
                  label: e.getAttribute('aria-label') || '',
                  outlined: s.outlineStyle !== 'none' && parseFloat(s.outlineWidth) >= 2}"""
        found: dict[str, Any] = self.js(script)
        return found

    def log_in(self, user: str = USER, password: str = PASSWORD) -> None:
        self.type("input[name=user]", user)
        self.type("input[name=password]", password, enter=True)

    def fetch(self, method: str, path: str, headers: dict[str, str], body: object = None) -> Any:
        """Send a request from the page; returns status and text."""
        script = """
          const [method, path, headers, body, done] = arguments;
          fetch(path, {method, headers, body}).then(async (r) => done([r.status, await r.text()]))"""
        content = None if body is None else json.dumps(body)
        return self.browser.execute_async_script(script, method, path, headers, content)

    def errors(self) -> list[str]:
        """Return the page's console errors since the last call."""
        entries = self.browser.get_log("browser")  # type: ignore[no-untyped-call]  # selenium's
        told = [entry["message"] for entry in entries if entry["level"] == "SEVERE"]
        # Of the blank page, a picture, for which the browser asks by itself.
        return [each for each in told if "/favicon.ico - " not in each]
