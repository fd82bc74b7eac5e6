"""The document's required steps in a browser: product, data points, app, binding, profile.

The pages are staging.console.products and staging.console.product; the room that is shown is staging.store.room.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from staging.store import apps, product_setup
from tests.staging.console.conftest import Ask, Stage, read
from tests.staging.console.page import Page
from wire.profile import parse_profile

# How many devices of a batch there are, whether all are seen without scrolling in a box, and over the whole width.
WHOLE = """
  const card = document.querySelector('[data-part=batch]');
  const boxes = [...card.querySelectorAll('*'), card].filter((e) => e.scrollHeight > e.clientHeight + 1 && getComputedStyle(e).overflowY !== 'visible');
  return [card.querySelectorAll('tbody tr').length, boxes.filter((e) => !e.matches('.sr')).length === 0,
    card.offsetWidth === card.closest('.grid').offsetWidth];"""


def test_from_a_product_to_a_device_that_can_be_flashed(
    inside: Page, stage: Stage, tmp_path: Path
) -> None:
    page, name, app = inside, f"lamp-{stage.number()}", f"my app {stage.number()}"
    page.open("/console/products")
    page.see("[data-role=room]", "The data takes")
    page.type("input[name=name]", name)
    page.click("select[name=template] option[value='']")
    page.click("main .c4 form button[type=submit]")
    page.get(f"[data-product='{name}']")
    page.click(f"[data-product='{name}'] a[href*='products']")
    page.see("main h1", name)
    page.see("[data-part=points]", "No data points yet")

    page.click("[data-role=template] option[value=supply]")
    page.click("[data-role=template] button[type=submit]")
    page.see("[data-point=power]", "0 to 100, step 1")
    describe(page, "bright", "int", {"min": 1, "max": 9, "step": 2})
    page.see("[data-point=bright]", "1 to 9, step 2")
    page.click("[data-point=switch] [data-role=remove]")
    page.click("dialog [data-role=confirm]")
    page.wait(lambda: not page.all("[data-point=switch]"), "the data point to go")
    product = read(stage, product_setup.product, name)
    points = read(stage, product_setup.data_points, product.id)
    assert [point["name"] for point in points] == ["power", "bright"]

    page.click(".tabs a[href$=apps]")
    page.see("main h1", "Apps")
    page.type("input[name=name]", app)
    page.click("main .c4 form button[type=submit]")
    card = f"[data-app='{app}']"
    shown = {
        key: page.get(f"{card} [data-value={key}]").get_attribute("value")
        for key in ("appId", "apikey", "secret")
    }
    kept = read(stage, apps.find, int(shown["appId"] or 0))
    assert (kept.apikey, kept.secret) == (shown["apikey"], shown["secret"])

    page.open(f"/console/products/{product.id}")
    page.click(f"select[name=app] option[value='{kept.id}']")
    page.click("[data-role=bind-app] button[type=submit]")
    page.see(f"[data-part=apps] li{card}", app)
    assert read(stage, apps.is_bound, kept.id, product.id)
    page.click(f"[data-part=apps] li{card} button")
    page.click("dialog [data-role=confirm]")
    page.see("[data-part=apps]", "No app is bound")
    assert not read(stage, apps.is_bound, kept.id, product.id)

    take_profile(page, stage, name, tmp_path)


def take_profile(page: Page, stage: Stage, name: str, tmp_path: Path) -> None:
    """Make a batch of the product ``name``; save what is shown once, and see that it is not again."""
    page.click(".crumb")
    page.click(f"[data-product='{name}'] details summary")
    page.type(f"[data-product='{name}'] input[name=batch]", "first", enter=True)
    made = "[data-part=made]"
    page.see(made, "shown here once")
    assert len(page.all(f"{made} tbody tr")) == 20
    page.cdp("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(tmp_path))
    page.click(f"{made} [data-role=save-tokens]")
    tokens = page.wait(lambda: list(tmp_path.glob("bind-tokens-first.csv")), "the tokens")[0]
    page.click(f"{made} [data-role=profile]")
    page.see("#status", "Profile downloaded")
    page.click(f"{made} [data-role=profile]")
    page.see("#status", "A profile is handed out once")
    page.errors()  # the refusal, which the browser logs too
    file = page.wait(lambda: list(tmp_path.glob("profile-*.json")), "the file")[0]
    profile = parse_profile(file.read_bytes())
    assert file.name == f"profile-{profile.uuid}.json"
    assert json.loads(file.read_bytes()) == stage.cloud("device", "profile", profile.uuid)
    assert f"{profile.uuid},{profile.bind_token}" in tokens.read_text()
    page.open("/console/products")
    page.click(f"[data-product='{name}'] tr[data-batch=first] button")
    page.see("[data-part=batch]", "handed out")
    assert page.js(WHOLE) == [20, True, True]
    assert profile.bind_token not in page.text("main")
    assert not page.all(made)
    page.click("[data-part=batch] button")
    assert not page.all("[data-part=batch]")
    assert page.focused()["text"] == "Show devices"
    assert page.errors() == []


def describe(page: Page, name: str, kind: str, numbers: dict[str, int]) -> None:
    """Fill in the form of a new data point and send it."""
    form = "[data-role=new-point]"
    page.type(f"{form} input[name=name]", name)
    page.click(f"{form} option[value={kind}]")
    for key, value in numbers.items():
        page.type(f"{form} input[name={key}]", str(value))
    page.click(f"{form} button[type=submit]")


def test_a_mistake_is_said_at_the_form(inside: Page, number: int) -> None:
    inside.open(f"/console/products/{number}")
    form = "[data-role=new-point]"
    describe(inside, "two words", "bool", {})
    inside.see(f"{form} [role=alert]", 'name: got "two words", expected 1 to 64 letters')
    describe(inside, "level", "int", {"min": 5, "max": 2})
    inside.see(f"{form} [role=alert]", "Least, 5, is more than most, 2")
    assert inside.all("[data-point]") == []
    inside.open("/console/apps")
    inside.type("input[name=name]", "an app")
    inside.click("main .c4 form option[value=ios]")
    inside.type("input[name=bundleId]", "com example")
    inside.click("main .c4 form button[type=submit]")
    inside.see("form [role=alert]", 'bundleId: got "com example", expected printable ASCII')


POINT = {"name": "p", "label": "", "description": "", "type": "int", "method": ["GET"]}


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"name": "a/b"}, "name: got"),
        ({"type": "float"}, 'type: got "float", expected one of string, int, bool'),
        ({"method": []}, "method: got [], expected a list of GET, PUT"),
        ({"method": ["POST"]}, "method: got"),
        ({"pattern": {"max": 3}}, "pattern.min: missing"),
        ({"pattern": {"min": 0, "max": 3, "step": 0}}, "pattern.step: got 0"),
        ({"pattern": 7}, "pattern: got 7"),
    ],
)
def test_a_data_point_that_breaks_the_document_is_refused(
    ask: Ask, number: int, changed: dict[str, Any], says: str
) -> None:
    answer = ask(f"/products/{number}/points", {**POINT, **changed})
    assert answer.status_code == 400
    assert says in answer.json()["error"]["message"]


def test_what_is_not_there_is_said_to_be_not_there(ask: Ask, number: int) -> None:
    for path, body in (
        (f"/products/{10**18}/points/template", {"template": "voice"}),
        (f"/products/{10**17}/points", POINT),
        (f"/products/{number}/points/remove", {"name": "nothing"}),
        (f"/products/{number}/apps/{10**17}/bind", {}),
        (f"/products/{number}/apps/1/unbind", {}),
        ("/apps/999999/secret/renew", {}),
        (f"/strategies/{10**20}/publish", {}),
        (f"/strategies/{10**20}/withdraw", {}),
        (f"/versions/{10**20}/pass", {}),
        (f"/products/{10**20}/batches", {"name": "b", "count": 1}),
        ("/devices/0000000000000a/profile", {}),
    ):
        answer = ask(path, body)
        assert (answer.status_code, answer.json()["error"]["code"]) == (404, "not_found"), path


def test_an_id_that_no_database_can_hold_is_refused(ask: Ask, number: int) -> None:
    answer = ask(f"/products/{number}/batches", {"name": "big", "count": 10**20})
    assert answer.status_code == 400
    assert "count: got 100000000000000000000" in answer.json()["error"]["message"]
