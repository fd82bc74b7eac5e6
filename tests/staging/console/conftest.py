"""A real cloud, a real agent and a real browser, shared by the folder's tests."""

from __future__ import annotations

import contextlib
import io
import itertools
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent import cli as agent_cli
from staging.commands import cli as cloud_cli
from staging.identity import passwords
from staging.store import Database, accounts
from tests.staging.console.bare import Bare, bare_cloud
from tests.staging.console.page import PASSWORD, USER, WIDE, Page, start_browser
from tests.staging.console.speaker import STORIES, SpeakerThread
from tools.bench import Bench
from tools.processes import command

Ask = Callable[..., httpx.Response]
# A password's cost where passwords are not the subject.
CHEAP = 2**4


def here(main: Callable[[list[str]], int], *words: str | Path) -> str:
    """Run a command in this process and return what it prints."""
    printed, complained = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(complained):
        code = main([str(word) for word in words])
    assert code == 0, f"{words}: {complained.getvalue() or printed.getvalue()}"
    return printed.getvalue()


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

    # In this process: the commands have tests of their own, and a process for each costs more than what it does.
    def cloud(self, *words: str | Path) -> dict[str, Any]:
        told = here(cloud_cli.main, *words, "--data", self.bench.cloud_data, "--json")
        return dict(json.loads(told))

    def agent(self, *words: str | Path) -> str:
        return here(agent_cli.main, *words, "--state", self.bench.state).strip()

    def account(self, name: str, role: str = "operator") -> None:
        """Add an account whose hash says that it costs little: each test logs in, which takes a quarter of a second else."""
        secret = self.bench.folder / "password"
        secret.write_text(PASSWORD)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(passwords, "COST", CHEAP)
            self.cloud("account", "add", name, "--password-file", secret, "--role", role)
        kept = read(self, accounts.login, name)
        assert kept.password.startswith(f"scrypt${CHEAP}$")

    def number(self) -> int:
        return next(self._numbers)

    def speaker(self) -> SpeakerThread:
        """Connect a scripted speaker; its thread runs until `SpeakerThread.stop`."""
        device = self.cloud("device", "add")
        profile = self.cloud("device", "profile", device["uuid"])
        port = int(self.bench.device_address.rpartition(":")[2])
        return SpeakerThread(device, profile, port)


# Its own picture; every path that is no file is the console itself.
_BLANK = "/console/static/icon.svg"


@contextlib.contextmanager
def offered(folder: Path, config: str, *, faults: bool = False) -> Iterator[Stage]:
    """Run a separate cloud and agent in ``folder``, with these settings; version 1.1.0 is offered.

    ``faults``: the cloud makes faults on purpose.
    """
    bench = Bench(folder)
    try:
        bench.start_cloud(0, 0, faults=faults)
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


@pytest.fixture
async def bare(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Bare]:
    """Return a console without a server, a browser or an agent, whose passwords cost little."""
    monkeypatch.setattr(passwords, "COST", CHEAP)
    async with bare_cloud(database, tmp_path) as made:
        yield made


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
def blank_page(stage: Stage, browser: Any) -> Iterator[Page]:
    """A page of the console's origin without a script, in a browser without cookies or storage, in English."""
    made = Page(browser, stage.bench.api)
    made.resize(WIDE)
    if browser.current_url != stage.bench.api + _BLANK:
        made.open(_BLANK)
    browser.delete_all_cookies()
    made.js("localStorage.clear(); localStorage.setItem('story-console-language', 'en')")
    made.errors()
    yield made
    made.open(_BLANK)  # ends its streams


@pytest.fixture
def page(blank_page: Page) -> Page:
    """The log-in page."""
    blank_page.open("/console/")
    blank_page.get("input[name=user]")
    blank_page.errors()
    return blank_page


@pytest.fixture
def logged_in(stage: Stage, blank_page: Page) -> Page:
    """No page yet, in a browser that is logged in: the log-in page has its own tests."""
    with entered(stage, USER) as (client, _headers):
        for cookie in client.cookies.jar:
            kept = {"name": cookie.name, "value": cookie.value, "path": cookie.path}
            blank_page.browser.add_cookie({**kept, "httpOnly": True, "sameSite": "Strict"})
    return blank_page


@pytest.fixture
def inside(logged_in: Page) -> Page:
    """The list of devices, logged in."""
    logged_in.open("/console/")
    logged_in.get(".tabs")
    return logged_in


@pytest.fixture
def device(logged_in: Page, stage: Stage) -> Page:
    """The page of the agent's device, bound to the tester."""
    logged_in.open(f"/console/devices/{stage.uuid}")
    logged_in.get("[data-part=bind], [data-part=controls]")
    if logged_in.all("[data-part=bind]"):
        logged_in.type("input[name=token]", stage.bind_token, enter=True)
    logged_in.see("[data-point=volume] .answer", "Done")
    logged_in.see("[data-role=live]", "Live")
    return logged_in


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
def shown(logged_in: Page, speaker: SpeakerThread) -> Page:
    """The page of the scripted speaker, bound to the tester."""
    logged_in.open(f"/console/devices/{speaker.uuid}")
    logged_in.get("[data-part=bind], [data-part=player]")
    if logged_in.all("[data-part=bind]"):
        logged_in.type("input[name=token]", speaker.device["bindToken"], enter=True)
    logged_in.see("[data-point=player] [data-role=title]", STORIES[1])
    logged_in.see("[data-role=live]", "Live")
    return logged_in


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
