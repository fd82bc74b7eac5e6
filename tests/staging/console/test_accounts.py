"""Accounts on the console: made, given roles, locked out; what is shown once; nobody locks themselves out.

Tests staging.console.audit too.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import pytest

from staging.console.call import COOKIE, VISITOR_COOKIE
from staging.identity.rights import Role
from staging.store import accounts, grants
from staging.store.grants import Which
from tests.staging.console.bare import Bare
from tests.staging.console.conftest import Stage
from tests.staging.console.page import Page

pytestmark = pytest.mark.one_database


async def log_in(bare: Bare, user: str, password: str) -> tuple[int, dict[str, Any]]:
    async with httpx.AsyncClient(base_url=f"{bare.url}/console/api") as client:
        csrf = (await client.get("/session")).json()["csrf"]
        body = {"user": user, "password": password}
        answer = await client.post("/session", json=body, headers={"X-CSRF-Token": csrf})
    return answer.status_code, answer.json()


async def test_who_logs_in_again_ends_the_session_that_was_open_there(bare: Bare) -> None:
    async with bare.client(bare.account("op", Role.OPERATOR)) as client:
        made = await client.post("/api/accounts", json={"name": "tom", "role": "tester"})
    body = {"user": "tom", "password": made.json()["password"]}
    async with httpx.AsyncClient(base_url=f"{bare.url}/console/api") as page:
        csrf = (await page.get("/session")).json()["csrf"]
        visitor = {VISITOR_COOKIE: page.cookies[VISITOR_COOKIE]}
        headers = {"X-CSRF-Token": csrf}
        assert (await page.post("/session", json=body, headers=headers)).status_code == 200
        before = {COOKIE: page.cookies[COOKIE]}
        # From a log-in page that was open beside it.
        page.cookies.update(visitor)
        assert (await page.post("/session", json=body, headers=headers)).status_code == 200
        assert (await page.get("/session")).json()["user"] == "tom"
    async with httpx.AsyncClient(base_url=f"{bare.url}/console/api", cookies=before) as left:
        assert (await left.get("/session")).json()["user"] is None


async def test_an_account_from_its_making_to_its_end(bare: Bare) -> None:
    operator = bare.account("op", Role.OPERATOR)
    async with bare.client(operator) as client:
        made = await client.post("/api/accounts", json={"name": "tom", "role": "tester"})
        assert made.headers["cache-control"] == "no-store"
        tom = made.json()
        status, session = await log_in(bare, "tom", tom["password"])
        assert (status, session["user"], session["role"]) == (200, "tom", "tester")
        assert tom["password"] not in (await client.get("/api/accounts")).text
        path = f"/api/accounts/{tom['id']}"
        renewed = (await client.post(f"{path}/password", json={})).json()["password"]
        assert (await log_in(bare, "tom", tom["password"]))[0] == 401
        assert (await log_in(bare, "tom", renewed))[0] == 200
        assert (await client.post(f"{path}/role", json={"role": "parent"})).status_code == 200
        status, refused = await log_in(bare, "tom", renewed)
        assert (status, refused["error"]["code"]) == (403, "no_console")
        assert "story-cloud account role" in refused["error"]["message"]
        assert (await client.post(f"{path}/disable", json={})).json()["status"] == "DISABLE"
        # Who does not know the password does not learn of it.
        assert (await log_in(bare, "tom", renewed))[1]["error"]["code"] == "login_failed"
        assert (await client.post(f"{path}/enable", json={})).json()["status"] == "ENABLE"
        assert (await log_in(bare, "tom", renewed))[0] == 403
        log = (await client.get("/api/audit", params={"actor": "op"})).json()["entries"]
        assert [(e["action"], e["target"]) for e in reversed(log)] == [
            ("account.add", "tom: tester"),
            ("account.password", "tom"),
            ("account.role", "tom: parent"),
            ("account.disable", "tom"),
            ("account.enable", "tom"),
        ]
        csv = await client.get("/api/audit.csv")
        assert csv.headers["content-type"].startswith("text/csv")
        assert csv.text.count("\r\n") > len(log)
        for wrong in ("before=-1", "before=9223372036854775808", "device=%00"):
            assert (await client.get(f"/api/audit.csv?{wrong}")).status_code == 400, wrong


REFUSED: tuple[tuple[str, dict[str, str], int, str], ...] = (
    ("accounts/{me}/disable", {}, 409, "own_account"),
    ("accounts/{me}/role", {"role": "tester"}, 409, "own_account"),
    ("accounts/999/role", {"role": "tester"}, 404, "not_found"),
    ("accounts/999/disable", {}, 404, "not_found"),
    ("accounts/{me}/role", {"role": "root"}, 400, "refused"),
    ("accounts", {"name": "op", "role": "tester"}, 400, "refused"),
    ("accounts", {"name": "new"}, 400, "refused"),
    ("accounts", {"name": "a\u202eb", "role": "tester"}, 400, "refused"),
)


async def test_what_no_account_can_be_is_refused(bare: Bare) -> None:
    operator = bare.account("op", Role.OPERATOR)
    async with bare.client(operator) as client:
        for path, body, status, code in REFUSED:
            answer = await client.post(f"/api/{path.format(me=operator.id)}", json=body)
            found = answer.status_code, answer.json()["error"]["code"]
            assert found == (status, code), (path, body)
        assert len((await client.get("/api/accounts")).json()["accounts"]) == 1


async def test_sessions_and_tokens_are_taken_back_apart(bare: Bare) -> None:
    operator, tom = bare.account("op", Role.OPERATOR), bare.account("tom", Role.TESTER)
    from staging.store import apps
    from staging.store.apps import AppType

    app = bare.database.call(apps.add_app, "a", AppType.WEB, None, 0)
    bare.database.call(apps.issue_token, app.id, "tom", 0)
    async with bare.client(operator) as client, bare.client(tom) as page:
        path = f"/api/accounts/{tom.id}"
        assert (await page.get("/api/devices")).status_code == 200
        taken = await client.post(f"{path}/tokens/revoke", json={})
        assert taken.json()["tokens"] == 1
        assert bare.database.call(grants.listing, Which()) == []
        assert (await page.get("/api/devices")).status_code == 200
        await client.post(f"{path}/sessions/revoke", json={})
        assert (await page.get("/api/devices")).status_code == 401
        # One's own sessions may be ended, this one too.
        own = f"/api/accounts/{operator.id}/sessions/revoke"
        assert (await client.post(own, json={})).status_code == 200
        assert (await client.get("/api/devices")).status_code == 401


async def test_of_many_requests_while_a_session_ends_none_begins_after_it(bare: Bare) -> None:
    tom = bare.account("tom", Role.TESTER)
    async with bare.client(tom) as client:
        bare.database.call(lambda s: accounts.end_sessions(accounts.one(s, tom.id)))
        answers = await asyncio.gather(*(client.get("/api/devices") for _ in range(5)))
    assert {answer.status_code for answer in answers} == {401}


def test_the_pages_of_accounts_and_audit(inside: Page, stage: Stage) -> None:
    page, name = inside, f"helper-{stage.number()}"
    page.open("/console/accounts")
    page.type("main form input[name=name]", name, enter=True)
    password = page.get("[data-part=password] [data-value=password]").get_attribute("value")
    assert password
    row = f"tr[data-account='{name}']"
    page.see(row, "Enabled")
    page.click(f"{row} [data-role=disable]")
    page.click("dialog [data-role=confirm]")
    page.see(row, "Disabled")
    # Who works without a mouse stays where the button was.
    page.wait(lambda: page.focused()["data"].get("role") == "enable", "focus")
    assert page.focused()["label"].startswith(f"{name}: ")
    page.open("/console/audit")
    page.see("tr[data-action='account.disable']", name)
    page.type("input[name=actor]", "nobody", enter=True)
    page.see("main", "No entries")
    assert page.errors() == []


def test_an_open_page_goes_back_to_the_log_in_when_its_session_is_ended(
    page: Page, stage: Stage
) -> None:
    name = f"ada-{stage.number()}"
    stage.account(name)
    # With a stream of its own, and with that of the session alone.
    for path in ("devices", "apps"):
        page.open(f"/console/{path}")
        page.log_in(name)
        page.get("main .card")
        page.get(".tabs")
        stage.cloud("session", "revoke", name)
        page.get("input[name=password]")
    page.errors()  # the refused stream


def test_a_tester_has_the_tabs_of_a_tester(page: Page, stage: Stage) -> None:
    name = f"tom-{stage.number()}"
    stage.account(name, "tester")
    page.log_in(name)
    page.get(".tabs")
    tabs = [element.text for element in page.all(".tabs a")]
    assert tabs == ["Devices", "Versions"]
    page.open("/console/products")
    page.see("main", "Your role may not do this")
    page.open("/console/versions")
    page.see("main h1", "Versions")
    assert not page.all("input[name=file]")
