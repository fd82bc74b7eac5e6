"""What was heard, on the device's page: typed there or elsewhere, live, escaped, for the owner only."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from staging.console import heard, live, shapes
from staging.files import DataDir
from staging.gateway import Gateway
from staging.recognition.intents import Action
from staging.recognition.outcomes import TYPED, Outcome, OutcomeLog
from staging.recognition.service import Recognition
from staging.store import Database, accounts, devices
from staging.times import now_ms
from tests.console.conftest import Stage
from tests.console.page import Page

CARD = "[data-part=heard]"
NEWEST = f"{CARD} .outcomes > li:first-child"
HTML = '<img src=x onerror="window.owned=1">'
DEADLINE = 10


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
    # Said elsewhere, it appears above without reloading.
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
    device.see(NEWEST, "there is no command in it")
    device.see(f"{NEWEST} .chip", "Not done")
    device.see(f"{CARD} [role=status]", "there is no command in it")
    assert device.js("return window.owned") is None
    assert not device.all("main img")


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
    hub = live.Hub()
    with (
        hub.watch("a") as watcher,
        heard.listening(recognition, watcher, "a") as news,
    ):
        assert news.take()  # for what was missed before
        await asyncio.sleep(0)  # lets the listener begin
        recognition.outcomes.tell(Outcome("b", 1, TYPED, text="下一首"))
        recognition.outcomes.tell(Outcome("a", 1, TYPED, text="下一首"))
        async with asyncio.timeout(DEADLINE):
            await watcher.wait(DEADLINE)
        assert watcher.take() == {"a"}
        assert (news.take(), news.take()) == (True, False)
    database.close()


def test_without_recognition_a_stream_owes_nothing() -> None:
    with live.Hub().watch("a") as watcher, heard.listening(None, watcher, "a") as news:
        assert not news.take()


def test_a_long_answer_of_a_device_is_cut(tmp_path: Path) -> None:
    step = {"method": "GET", "name": "volume", "content": "", "code": "2.05", "answer": "9" * 5000}
    log = OutcomeLog(tmp_path)
    log.add(Outcome("a", 1, TYPED, text="大声一点", steps=(step,)))
    (entry,) = log.recent("a")
    shown = shapes.outcome(entry)["steps"][0]
    assert shown == step | {"answer": "9" * shapes.TEXT_LIMIT}


@pytest.mark.parametrize("action", list(Action))
def test_every_intent_has_words(action: Action) -> None:
    words = Path(heard.__file__).parent / "static" / "js" / "words.js"
    assert f'"intent.{action.value}": [' in words.read_text("utf-8")
