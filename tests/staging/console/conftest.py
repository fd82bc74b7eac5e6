"""A real cloud, a real agent and a real browser, shared by the folder's tests."""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from staging.store import Database
from tests.staging.console.page import PASSWORD, USER, WIDE, Page, start_browser
from tests.staging.console.speaker import STORIES, SpeakerThread
from tools.bench import Bench
from tools.processes import command

Ask = Callable[..., httpx.Response]


class Stage:
    """The cloud and agent under test, with helpers."""

    def __init__(self, bench: Bench) -> None:
        self.bench = bench
        self._numbers = itertools.count(1)

    @property
    def uuid(self) -> str:
        return self.bench.device["uuid"]

    @property
    def bind_token(self) -> str:
        return self.bench.device["bindToken"]

    def cloud(self, *words: str | Path) -> dict[str, Any]:
        return self.bench.story_cloud(*words)

    def agent(self, *words: str | Path) -> str:
        return command("story-agent", *words, "--state", self.bench.state).strip()

    def account(self, name: str, role: str = "operator") -> None:
        secret = self.bench.folder / "password"
        secret.write_text(PASSWORD)
        self.cloud("account", "add", name, "--password-file", secret, "--role", role)

    def number(self) -> int:
        return next(self._numbers)

    def speaker(self) -> SpeakerThread:
        """Connect a scripted speaker; its thread runs until `SpeakerThread.stop`."""
        device = self.cloud("device", "add")
        profile = self.cloud("device", "profile", device["uuid"])
        port = int(self.bench.device_address.rpartition(":")[2])
        return SpeakerThread(device, profile, port)


@contextlib.contextmanager
def offered(folder: Path, config: str) -> Iterator[Stage]:
    """Run a separate cloud and agent in ``folder``, with these settings; version 1.1.0 is offered."""
    bench = Bench(folder)
    try:
        bench.start_cloud(0, 0)
        made = Stage(bench)
        made.account(USER)
        bench.flash_device()
        (bench.folder / "agent.toml").write_text(config)
        package = bench.folder / "1.1.0.tar.gz"
        command("story-release", "build", "--version", "1.1.0", "--output", package)
        made.cloud("release", "add", package, "--version", "1.1.0")
        made.cloud("strategy", "add", "--version", "1.1.0")
        made.cloud("strategy", "publish", "1")
        bench.start_agent()
        yield made
    finally:
        bench.stop()


@pytest.fixture(scope="session")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    bench = Bench(tmp_path_factory.mktemp("console"))
    try:
        bench.start_cloud(0, 0)
        made = Stage(bench)
        made.account(USER)
        bench.flash_device()
        bench.start_agent()
        yield made
    finally:
        bench.stop()


@pytest.fixture(scope="session")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    started = start_browser(tmp_path_factory.mktemp("chromium"))
    yield started
    started.quit()


@pytest.fixture
def page(stage: Stage, browser: Any) -> Iterator[Page]:
    """The log-in page in a browser without cookies or storage, in English."""
    made = Page(browser, stage.bench.api)
    browser.delete_all_cookies()
    made.resize(WIDE)
    made.open("/console/")
    made.js("localStorage.setItem('story-console-language', 'en')")
    browser.delete_all_cookies()
    made.open("/console/")
    made.get("input[name=user]")
    made.errors()
    yield made
    browser.get("about:blank")  # ends its streams


@pytest.fixture
def inside(page: Page) -> Page:
    """The list of devices, logged in."""
    page.log_in()
    page.get(".tabs")
    return page


@pytest.fixture
def device(inside: Page, stage: Stage) -> Page:
    """The page of the agent's device, bound to the tester."""
    inside.open(f"/console/devices/{stage.uuid}")
    inside.get("[data-part=bind], [data-part=controls]")
    if inside.all("[data-part=bind]"):
        inside.type("input[name=token]", stage.bind_token, enter=True)
    inside.see("[data-point=volume] .answer", "Done")
    inside.see("[data-role=live]", "Live")
    return inside


# One a file: it sends no heartbeats, so the cloud would take it for silent after a while.
@pytest.fixture(scope="module")
def machine(stage: Stage) -> Iterator[SpeakerThread]:
    made = stage.speaker()
    yield made
    made.stop()


@pytest.fixture
def speaker(machine: SpeakerThread) -> SpeakerThread:
    """The scripted speaker with the values that it has at first."""
    machine.reset()
    return machine


@pytest.fixture
def shown(inside: Page, speaker: SpeakerThread) -> Page:
    """The page of the scripted speaker, bound to the tester."""
    inside.open(f"/console/devices/{speaker.uuid}")
    inside.get("[data-part=bind], [data-part=player]")
    if inside.all("[data-part=bind]"):
        inside.type("input[name=token]", speaker.device["bindToken"], enter=True)
    inside.see("[data-point=player] [data-role=title]", STORIES[1])
    inside.see("[data-role=live]", "Live")
    return inside


@contextlib.contextmanager
def entered(stage: Stage, user: str) -> Iterator[tuple[httpx.Client, dict[str, str]]]:
    """Log in without a browser; return the client and the header for requests that change something."""
    with httpx.Client(base_url=f"{stage.bench.api}/console/api") as client:
        csrf = client.get("/session").json()["csrf"]
        body = {"user": user, "password": PASSWORD}
        answer = client.post("/session", json=body, headers={"X-CSRF-Token": csrf})
        yield client, {"X-CSRF-Token": answer.json()["csrf"]}


@pytest.fixture
def ask(stage: Stage) -> Iterator[Ask]:
    with entered(stage, USER) as (client, headers):
        yield lambda path, body=None: client.post(path, json=body or {}, headers=headers)


@pytest.fixture
def number(stage: Stage, ask: Ask) -> int:
    """Create a product without data points; return its id."""
    name = f"product-{stage.number()}"
    made: int = ask("/products", {"name": name, "template": "", "testDevices": 1}).json()["id"]
    return made


def read(stage: Stage, function: Callable[..., Any], *arguments: Any) -> Any:
    database = Database(stage.bench.cloud_data / "cloud.sqlite")
    try:
        return database.call(function, *arguments)
    finally:
        database.close()
