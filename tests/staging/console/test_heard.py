"""The list of heard sentences on the device's page: typed there or elsewhere, live, escaped, for the owner."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette

from staging.console import heard, shapes, watchers
from staging.console.app import create_console
from staging.console.call import COOKIE, CSRF_HEADER
from staging.data_dir import DataDir
from staging.gateway.gateway import Gateway
from staging.identity.rights import Role
from staging.recognition.intents import Action
from staging.recognition.kinds import Kind
from staging.recognition.outcomes import TYPED, Outcome, OutcomeLog
from staging.recognition.service import Recognition
from staging.services import Services
from staging.store import Database, accounts, devices
from staging.store.accounts import Login
from staging.store.nonces import Nonces
from staging.times import now_ms
from tests.staging.console.conftest import Stage
from tests.staging.console.page import Page

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
TEXT_LIMIT = 2000
OUTCOMES_PAGE = 20


CARD = "[data-part=heard]"
NEWEST = f"{CARD} .outcomes > li:first-child"
HTML = '<img src=x onerror="window.owned=1">'
DEADLINE = 60.0
UUID = "01a800000072af"
VOLUME_POINT = {"name": "volume", "type": "int", "resourceType": "", "label": "", "description": "",
                "uri": "/volume", "protocol": ["COAP"], "method": ["GET", "PUT"],
                "pattern": {"min": 0, "max": 16, "step": 1}}  # fmt: skip


def test_a_typed_sentence_is_understood_and_done_and_the_list_is_live(
    device: Page, stage: Stage
) -> None:
    stage.agent("set", "volume", "9")
    device.type(f"{CARD} input[name=sentence]", "音量调到3", enter=True)
    device.see(NEWEST, "音量调到3")
    device.see(f"{NEWEST} [data-role=intent]", "Set the volume to 3")
    device.see(NEWEST, "PUT volume 3 → 2.04")
    device.see(NEWEST, "Typed")
    device.see(f"{NEWEST} .chip", "Done")
    device.see(f"{CARD} [role=status]", "Done")
    assert stage.agent("get", "volume") == "3"
    # A sentence from elsewhere appears above without reloading.
    device.js("window.stayed = true")
    stage.cloud("say", stage.uuid, "大声一点")
    device.see(f"{NEWEST} [data-role=intent]", "Volume up by 2")
    assert [line.text for line in device.all(f"{NEWEST} ul li")] == [
        "GET volume → 2.05 3",
        "PUT volume 5 → 2.04",
    ]
    assert device.js("return window.stayed") is True
    assert device.errors() == []


def test_what_cannot_be_done_says_why_and_html_in_it_is_text(device: Page) -> None:
    device.type(f"{CARD} input[name=sentence]", HTML, enter=True)
    device.see(NEWEST, HTML)
    device.see(f"{NEWEST} [data-role=why]", "No command was heard in it. Say it another way")
    device.see(f"{NEWEST} .chip", "Not understood")
    device.see(f"{CARD} [role=status]", "No command was heard in it.")
    assert device.js("return window.owned") is None
    assert not device.all("main img")


def test_the_reason_is_in_the_reader_s_language_for_every_kind() -> None:
    words = (Path(heard.__file__).parent / "static" / "js" / "words" / "heard.js").read_text(
        "utf-8"
    )
    assert [kind for kind in Kind if f'"why.{kind}": ["' not in words] == []


def test_it_is_for_the_owner_and_with_the_csrf_token_only(inside: Page, stage: Stage) -> None:
    stage.account("listener")
    other = stage.cloud("device", "add")
    database = Database(stage.bench.cloud_data / "cloud.sqlite")
    owner = database.call(accounts.find_or_make, "listener", now_ms())
    database.call(devices.bind, other["uuid"], other["bindToken"], owner.id, now_ms())
    database.close()
    path = f"/console/api/devices/{other['uuid']}"
    status, text = inside.fetch("GET", f"{path}/outcomes", {})
    assert (status, json.loads(text)["error"]["code"]) == (403, "1212")
    kind = {"Content-Type": "application/json"}
    status, text = inside.fetch("POST", f"{path}/say", kind, {"text": "下一首"})
    assert (status, json.loads(text)["error"]["code"]) == (403, "csrf")
    status, text = inside.fetch("GET", "/console/api/session", {})
    kind["X-CSRF-Token"] = json.loads(text)["csrf"]
    status, text = inside.fetch("POST", f"{path}/say", kind, {"text": "下一首"})
    assert (status, json.loads(text)["error"]["code"]) == (403, "1212")


async def test_a_watcher_is_woken_by_the_outcomes_of_its_device(tmp_path: Path) -> None:
    database = Database(tmp_path / "cloud.sqlite")
    gateway = Gateway(database, api_url=lambda: "")
    recognition = Recognition(database, gateway.control, DataDir(tmp_path))
    hub = watchers.Hub()
    with (
        hub.watch("a", 1) as watcher,
        heard.listening(recognition, watcher, "a") as news,
    ):
        assert news.take()  # for changes that were missed before
        await asyncio.sleep(0)  # lets the listener begin
        recognition.outcomes.publish(Outcome("b", 1, TYPED, text="下一首"))
        recognition.outcomes.publish(Outcome("a", 1, TYPED, text="下一首"))
        async with asyncio.timeout(DEADLINE):
            await watcher.wait(DEADLINE)
        assert watcher.take() == {"a"}
        assert (news.take(), news.take()) == (True, False)
    database.close()


@pytest.fixture
async def inner(tmp_path: Path) -> AsyncIterator[tuple[httpx.AsyncClient, Starlette]]:
    """A console in the test's process, without other servers, and a client that is logged in."""
    database = Database(tmp_path / "cloud.sqlite")
    made = database.call(devices.add, UUID, now_ms())
    assert made.bind_token is not None
    owner = database.call(accounts.find_or_make, "tester", now_ms())
    database.call(devices.bind, UUID, made.bind_token, owner.id, now_ms())
    gateway = Gateway(database, api_url=lambda: "")
    nonces = Nonces(database, now_ms)
    app = create_console(Services(database, gateway, nonces, now_ms), DataDir(tmp_path))
    login = Login(owner.id, owner.uuid, "tester", None, Role.TESTER, owner.generation)
    cookie, session = app.state.console.sessions.begin(login)
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://console",
        cookies={COOKIE: cookie},
        headers={CSRF_HEADER: session.csrf},
    ) as client:
        yield client, app
    database.close()


def _give(app: Starlette, recognition: object) -> None:
    console = app.state.console
    services = replace(console.services, recognition=recognition)
    app.state.console = replace(console, services=services)


async def test_a_server_that_carries_out_no_sentences_says_so(
    inner: tuple[httpx.AsyncClient, Starlette],
) -> None:
    client, _ = inner
    listed = await client.get(f"/api/devices/{UUID}/outcomes")
    assert listed.json() == {"recognises": False, "outcomes": [], "next": None}
    said = await client.post(f"/api/devices/{UUID}/say", json={"text": "下一首"})
    assert (said.status_code, said.json()["error"]["code"]) == (503, "no_recognition")


async def test_outcomes_come_in_pages_and_a_device_that_is_away_is_an_outcome(
    inner: tuple[httpx.AsyncClient, Starlette], tmp_path: Path
) -> None:
    client, app = inner
    services = app.state.console.services
    recognition = Recognition(services.database, services.gateway.control, DataDir(tmp_path))
    _give(app, recognition)
    for number in range(1, OUTCOMES_PAGE + 2):
        recognition.outcomes.add(Outcome(UUID, number, TYPED, text=str(number)))
    first = (await client.get(f"/api/devices/{UUID}/outcomes")).json()
    assert [row["time"] for row in first["outcomes"]] == list(range(OUTCOMES_PAGE + 1, 1, -1))
    last = (await client.get(f"/api/devices/{UUID}/outcomes?before={first['next']}")).json()
    assert ([row["time"] for row in last["outcomes"]], last["next"]) == ([1], None)
    description = {"resources": [VOLUME_POINT], "report": []}
    device = services.database.call(devices.get, UUID)
    services.database.call(devices.set_description, device.id, description)
    said = (await client.post(f"/api/devices/{UUID}/say", json={"text": "音量调到3"})).json()
    assert (said["done"], said["steps"]) == (False, [])
    assert said["error"] == f"device {UUID} is offline"


@pytest.mark.parametrize(
    "body", [{}, {"text": ""}, {"text": 3}, {"text": "a" * 501}, {"text": "a\nb"}]
)
async def test_a_bad_sentence_is_refused_by_name(
    inner: tuple[httpx.AsyncClient, Starlette], tmp_path: Path, body: dict[str, object]
) -> None:
    client, app = inner
    services = app.state.console.services
    _give(app, Recognition(services.database, services.gateway.control, DataDir(tmp_path)))
    said = await client.post(f"/api/devices/{UUID}/say", json=body)
    assert (said.status_code, said.json()["error"]["code"]) == (400, "refused")
    assert said.json()["error"]["message"].startswith("text")


async def test_too_many_sentences_at_once_are_put_off(
    inner: tuple[httpx.AsyncClient, Starlette], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    client, app = inner
    services = app.state.console.services
    monkeypatch.setattr("staging.recognition.service.TYPED_LIMIT", 0)
    _give(app, Recognition(services.database, services.gateway.control, DataDir(tmp_path)))
    said = await client.post(f"/api/devices/{UUID}/say", json={"text": "下一首"})
    assert (said.status_code, said.json()["error"]["code"]) == (503, "busy")
    assert int(said.headers["retry-after"]) > 0


def test_without_recognition_a_stream_owes_nothing() -> None:
    with watchers.Hub().watch("a", 1) as watcher, heard.listening(None, watcher, "a") as news:
        assert not news.take()


def test_a_long_answer_of_a_device_is_cut(tmp_path: Path) -> None:
    step = {"method": "GET", "name": "volume", "content": "", "code": "2.05", "answer": "9" * 5000}
    log = OutcomeLog(tmp_path)
    log.add(Outcome("a", 1, TYPED, text="大声一点", steps=(step,)))
    (entry,) = log.recent("a")
    shown = shapes.outcome(entry)["steps"][0]
    assert shown == step | {"answer": "9" * TEXT_LIMIT}


@pytest.mark.parametrize("action", list(Action))
def test_every_intent_has_words(action: Action) -> None:
    words = Path(heard.__file__).parent / "static" / "js" / "words" / "heard.js"
    assert f'"intent.{action.value}": [' in words.read_text("utf-8")


def test_the_older_ones_are_there_to_be_asked_for(device: Page, stage: Stage) -> None:
    log = OutcomeLog(stage.bench.cloud_data)
    for number in range(OUTCOMES_PAGE):
        log.add(Outcome(stage.uuid, now_ms(), TYPED, text=f"sentence {number}", error="none"))
    stage.cloud("say", stage.uuid, "音量调到6")
    device.see(NEWEST, "音量调到6")
    shown = f"{CARD} .outcomes > li"
    assert len(device.all(shown)) == OUTCOMES_PAGE
    device.click(f"{CARD} > button")
    device.wait(lambda: len(device.all(shown)) > OUTCOMES_PAGE, "the older ones")
    ids = [int(line.get_attribute("data-outcome") or 0) for line in device.all(shown)]
    assert ids == sorted(set(ids), reverse=True)


def test_the_card_of_a_server_that_carries_out_no_sentences(device: Page, stage: Stage) -> None:
    nothing = json.dumps({"recognises": False, "outcomes": [], "next": None})
    script = f"""
      const real = window.fetch;
      window.fetch = (path, ...rest) => path.endsWith('/outcomes')
        ? Promise.resolve(new Response({json.dumps(nothing)})) : real(path, ...rest);"""
    added = device.cdp("Page.addScriptToEvaluateOnNewDocument", source=script)
    try:
        device.open(f"/console/devices/{stage.uuid}")
        device.see(CARD, "--recognise")
        assert not device.all(f"{CARD} form:not([hidden])")
    finally:
        device.cdp("Page.removeScriptToEvaluateOnNewDocument", **added)
