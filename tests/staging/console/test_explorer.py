"""The explorer of the open API: what it signs and sends, and what it is told (staging.console.explorer)."""

from __future__ import annotations

import hashlib

import pytest

from staging.code_cases import CODES, NAME
from staging.identity.rights import Role
from staging.store import apps
from staging.store.apps import AppType
from staging.times import now_ms
from tests.staging.console.bare import Bare
from tests.staging.console.page import Page

pytestmark = pytest.mark.one_database

TEXTS = ["", "abc", "a" * 55, "a" * 56, "a" * 64, "小兔子乖乖" * 30]


async def test_it_tells_no_secret_but_that_of_its_own_app(bare: Bare) -> None:
    app = bare.database.call(apps.add_app, "theirs", AppType.WEB, None, now_ms())
    account = bare.account("olga", Role.OPERATOR)
    async with bare.client(account) as client:
        told = await client.get("/api/explorer")
        assert [entry["code"] for entry in told.json()["codes"]] == list(CODES)
        assert app.secret not in told.text
        token = await client.post("/api/explorer/token", json={"app": app.id})
        assert token.json()["user"] == "olga"
        case = await client.post("/api/explorer/case", json={"code": "1212"})
        assert (case.json()["app"]["name"], case.json()["user"]) == (NAME, NAME)
        for answer in (token, case):
            assert answer.headers["cache-control"] == "no-store"
            assert app.secret not in answer.text
        for path, body, status in (
            ("token", {"app": 10**6}, 404),
            ("token", {"app": "x"}, 400),
            ("case", {"code": "9999"}, 400),
            ("case", {}, 400),
        ):
            refused = await client.post(f"/api/explorer/{path}", json=body)
            assert refused.status_code == status


def test_codes_are_provoked_by_a_click_and_secrets_are_hidden(inside: Page) -> None:
    inside.open("/console/explorer")
    for code in ("1212", "2004"):
        inside.click(f"[data-code='{code}']")
        inside.see("[data-shown=answer]", f'"code": "{code}"')
    secret, token = (
        inside.get(f"[data-part=keys] input[name={name}]").get_attribute("value") or ""
        for name in ("secret", "token")
    )
    assert len(secret) == len(token) == 32
    shown = inside.text("[data-part=request]")
    assert secret not in shown
    assert token not in shown
    inside.click("input[name=visible]")
    inside.see("[data-shown=signatureBase]", f"{secret}{token}")
    script = """
      const [texts, done] = arguments;
      import('/console/static/js/signing.js').then(({ sha1 }) => done(texts.map(sha1)))"""
    found = inside.browser.execute_async_script(script, TEXTS)
    assert found == [hashlib.sha1(text.encode()).hexdigest() for text in TEXTS]
    inside.errors()  # the refusals, which the browser notes
