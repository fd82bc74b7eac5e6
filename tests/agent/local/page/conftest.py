"""One browser and one machine for the folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.agent.local.page.machine import Machine
from tests.staging.console.page import PHONE, Page, start_browser


@pytest.fixture(scope="module")
def serving(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Machine]:
    made = Machine(tmp_path_factory.mktemp("machine"))
    made.start()
    yield made
    made.stop()


@pytest.fixture
def machine(serving: Machine) -> Machine:
    """The machine with the values that it has at first."""
    serving.reset()
    return serving


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = start_browser(tmp_path_factory.mktemp("chromium"), any_certificate=True)
    yield started
    started.quit()


@pytest.fixture
def entry(machine: Machine, browser: Any) -> Iterator[Page]:
    """The log-in form on a phone, in English."""
    made = Page(browser, machine.base)
    made.resize(PHONE)
    made.open("/page/icon.svg")
    browser.delete_all_cookies()
    made.js("localStorage.setItem('story-page-language', 'en')")
    made.open("/")
    made.get("#token")
    made.errors()
    yield made
    browser.get("about:blank")  # ends its looking


@pytest.fixture
def page(entry: Page, machine: Machine) -> Page:
    """The page, logged in."""
    entry.type("#token", machine.token, enter=True)
    entry.see("#title", "小兔子乖乖")
    return entry
