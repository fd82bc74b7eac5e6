"""The log-in and consent page: what it grants, and the attacks that it must resist.

Tests staging.api.authorize_page too.
"""

from __future__ import annotations

import asyncio
import re
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from staging.api import authorize
from staging.identity import passwords
from staging.identity.oauth import DOCUMENT_REDIRECT, check_redirect_uri
from staging.store import accounts, apps
from staging.store.models import Account
from staging.throttle import PAIR
from wire.errors import FieldError

# Only the stored data could differ between databases, and other tests cover that.
pytestmark = pytest.mark.one_database

PATH = "/v1/account/authorize"
DOCUMENTS = "http://iam.iot.baidu.com/v1/iam/oauth/receive_implicit_token"
NAME, PASSWORD = "家长", "correct horse"


@pytest.fixture
def parent(cloud: Any, monkeypatch: pytest.MonkeyPatch) -> Account:
    monkeypatch.setattr(passwords, "COST", 2**4)
    hashed = passwords.hash_password(PASSWORD)
    account: Account = cloud.database.call(accounts.add, NAME, hashed, cloud.clock())
    return account


def asked(cloud: Any, **other: str) -> dict[str, str]:
    return {
        "client_id": str(cloud.app.id),
        "response_type": "token",
        "state": "123",
        "scope": "",
        "redirect_uri": DOCUMENTS,
    } | other


async def show(cloud: Any, language: str = "zh", **other: str) -> Any:
    headers = {"accept-language": language}
    return await cloud.http.get(PATH, params=asked(cloud, **other), headers=headers)


async def send(cloud: Any, form: dict[str, str], **other: str) -> Any:
    return await cloud.http.post(PATH, params=asked(cloud, **other), data=form)


async def log_in(cloud: Any, name: str = NAME, password: str = PASSWORD, **other: str) -> Any:
    csrf = re.search(r'name="csrf" value="([^"]+)"', (await show(cloud, **other)).text)
    assert csrf
    form = {"csrf": csrf[1], "answer": "allow", "user": name, "password": password}
    return await send(cloud, form, **other)


def fragment(response: Any) -> dict[str, str]:
    assert response.status_code == 302
    parts = urlsplit(response.headers["location"])
    return {name: values[0] for name, values in parse_qs(parts.fragment).items()}


async def test_the_answer_is_the_documents(cloud: Any, parent: Account) -> None:
    response = await log_in(cloud)
    expected = (
        r"http://iam\.iot\.baidu\.com/v1/iam/oauth/receive_implicit_token/"
        r"#access_token=[0-9a-f]{32}&state=123&scope=allScope&expires_in=5184000"
    )
    assert response.status_code == 302
    assert re.fullmatch(expected, response.headers["location"])
    token = fragment(response)["access_token"]
    headers = cloud.headers(token=token)
    infos = await cloud.http.get("/v1/account/infos", headers=headers)
    assert infos.json()["data"]["uuid"] == parent.uuid


async def test_state_comes_back_unchanged(cloud: Any, parent: Account) -> None:
    del parent
    state = "a&b=c#d 播放/?%20'\"<x>"
    assert fragment(await log_in(cloud, state=state))["state"] == state


@pytest.mark.parametrize(
    ("language", "title"), [("zh-CN", "登录并授权"), ("en-GB", "Log in"), ("", "登录")]
)
async def test_the_page_speaks_both_languages(cloud: Any, language: str, title: str) -> None:
    response = await show(cloud, language)
    assert response.status_code == 200
    assert title in response.text
    assert "tester&#x27;s app" in response.text


async def test_the_page_cannot_be_framed_cached_or_scripted(cloud: Any) -> None:
    headers = (await show(cloud)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "frame-ancestors 'none'" in policy
    assert "form-action 'self' http://iam.iot.baidu.com;" in policy
    assert headers["cache-control"] == "no-store"
    assert headers["referrer-policy"] == "no-referrer"
    cookie = headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=strict" in cookie


async def test_scopes_are_shown_and_granted(cloud: Any, parent: Account) -> None:
    del parent
    assert "控制您的设备" in (await show(cloud, scope="control,data")).text
    response = await log_in(cloud, scope="control,data")
    assert response.headers["location"].endswith("&scope=control,data&expires_in=5184000")
    headers = cloud.headers(token=fragment(response)["access_token"])
    infos = await cloud.http.get("/v1/account/infos", headers=headers)
    assert (infos.status_code, infos.json()["code"]) == (403, "1218")
    # Permitted with every token.
    headers = cloud.headers(token=fragment(response)["access_token"])
    assert (await cloud.http.get("/v1/account/validate", headers=headers)).status_code == 200


@pytest.mark.parametrize("scope", ["nothing", "control,nothing", "allScope", "control,ota"])
async def test_scope_beyond_the_apps_own(cloud: Any, scope: str) -> None:
    app = cloud.database.call(
        apps.add_app, "small", apps.AppType.WEB, None, 0, scopes=["control", "data"]
    )
    response = await show(cloud, client_id=str(app.id), scope=scope)
    assert fragment(response) == {"error": "invalid_scope", "state": "123"}


@pytest.mark.parametrize("kind", ["code", "", "TOKEN"])
async def test_other_response_type(cloud: Any, kind: str) -> None:
    response = await show(cloud, response_type=kind)
    assert fragment(response) == {"error": "unsupported_response_type", "state": "123"}
    response = await send(cloud, {"answer": "allow"}, response_type=kind)
    assert fragment(response)["error"] == "unsupported_response_type"


@pytest.mark.parametrize("client", ["", "x", "99", "-1", "1 ", "٣", "9" * 20])
async def test_unknown_app_is_never_redirected(cloud: Any, client: str) -> None:
    for response in (
        await show(cloud, client_id=client),
        await send(cloud, {}, client_id=client),
    ):
        assert response.status_code == 400
        assert "location" not in response.headers
        assert response.json()["message"].startswith("client_id: got")


@pytest.mark.parametrize(
    "uri",
    [
        "",
        "https://evil.example/",
        "http://iam.iot.baidu.com.evil.example/v1/iam/oauth/receive_implicit_token",
        "http://iam.iot.baidu.com@evil.example/v1/iam/oauth/receive_implicit_token",
        "https://iam.iot.baidu.com/v1/iam/oauth/receive_implicit_token",
        f"{DOCUMENTS}/../x",
        f"{DOCUMENTS}?next=https://evil.example",
        f"{DOCUMENTS}//",
        f"{DOCUMENTS}#x",
        f"{DOCUMENTS}\r\nX: y",
        "javascript:alert(1)",
        "//evil.example",
    ],
)
async def test_no_open_redirect(cloud: Any, parent: Account, uri: str) -> None:
    del parent
    good = await log_in(cloud)
    assert good.status_code == 302
    csrf = cloud.http.cookies[authorize.COOKIE]
    form = {"csrf": csrf, "answer": "allow", "user": NAME, "password": PASSWORD}
    for response in (
        await show(cloud, redirect_uri=uri),
        await send(cloud, form, redirect_uri=uri),
        await send(cloud, {"csrf": csrf, "answer": "deny"}, redirect_uri=uri),
    ):
        assert response.status_code == 400
        assert "location" not in response.headers


async def test_registered_address_of_an_app(cloud: Any, parent: Account) -> None:
    del parent
    app = cloud.database.call(
        apps.add_app, "mine", apps.AppType.WEB, None, 0, redirect_uris=["https://x.example/cb?a=1"]
    )
    other = {"client_id": str(app.id), "redirect_uri": "https://x.example/cb?a=1"}
    response = await log_in(cloud, **other)
    assert response.headers["location"].startswith("https://x.example/cb?a=1#access_token=")
    assert (await show(cloud, client_id=str(app.id))).status_code == 400


@pytest.mark.parametrize(
    "uri",
    ["javascript:x", "data:text/html,x", "https://", "ftp://x", "https://x#f", "https://a@x", "x",
     "https://x y", "https://x:0/", "https://x:y", "https://" + "x" * 1100],
)  # fmt: skip
def test_address_that_no_app_may_register(uri: str) -> None:
    with pytest.raises(FieldError, match="redirect_uri"):
        check_redirect_uri(uri)


@pytest.mark.parametrize("uri", [DOCUMENT_REDIRECT, "com.example.app:/cb", "http://127.0.0.1:8000"])
def test_address_that_an_app_may_register(uri: str) -> None:
    assert check_redirect_uri(uri) == uri


async def test_refusing_tells_the_app(cloud: Any) -> None:
    await show(cloud)
    csrf = cloud.http.cookies[authorize.COOKIE]
    response = await send(cloud, {"csrf": csrf, "answer": "deny"})
    assert fragment(response) == {"error": "access_denied", "state": "123"}


@pytest.mark.parametrize("csrf", ["", "x", "é", "A" * 43])
async def test_form_of_another_site(cloud: Any, parent: Account, csrf: str) -> None:
    del parent
    form = {"answer": "allow", "user": NAME, "password": PASSWORD, "csrf": csrf}
    assert (await send(cloud, form)).status_code == 403  # a browser that never loaded the page
    await show(cloud)
    response = await send(cloud, form)
    assert response.status_code == 403
    assert "页面已过期" in response.text


@pytest.mark.parametrize(
    ("name", "password"),
    [
        (NAME, "wrong password"),
        ("nobody", PASSWORD),
        ("tester", PASSWORD),
        (NAME, "x" * 300),
        ("", ""),
    ],
)
async def test_wrong_account_or_password(
    cloud: Any, parent: Account, name: str, password: str
) -> None:
    """All are answered the same, also for an account without a password."""
    del parent
    response = await log_in(cloud, name, password)
    assert response.status_code == 401
    assert "账号或密码不正确" in response.text
    assert password not in response.text or not password


async def test_disabled_account_cannot_log_in(cloud: Any, parent: Account) -> None:
    def disable(session: Any) -> None:
        session.get(Account, parent.id).status = "DISABLE"

    cloud.database.call(disable)
    assert (await log_in(cloud)).status_code == 401


async def test_guessing_is_slowed_and_stops_being_checked(cloud: Any, parent: Account) -> None:
    del parent
    for _ in range(PAIR.free):
        assert (await log_in(cloud, password="wrong password")).status_code == 401
    response = await log_in(cloud)
    assert response.status_code == 429
    assert int(response.headers["retry-after"]) == PAIR.first
    assert "失败次数过多" in response.text
    cloud.clock.now += int(PAIR.first * 1000)
    assert (await log_in(cloud)).status_code == 302


async def test_simultaneous_guesses_count_before_they_are_checked(
    cloud: Any, parent: Account
) -> None:
    del parent
    await show(cloud)
    csrf = cloud.http.cookies[authorize.COOKIE]
    form = {"csrf": csrf, "answer": "allow", "user": NAME, "password": "wrong password"}
    responses = await asyncio.gather(*(send(cloud, form) for _ in range(40)))
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {401, 429}
    assert statuses.count(401) <= PAIR.free


async def test_form_that_is_none(cloud: Any) -> None:
    headers = {"content-type": "application/x-www-form-urlencoded"}
    for body in (b"", b"\xff=\xff", b"&".join([b"a=b"] * 50), b"{}"):
        response = await cloud.http.post(PATH, params=asked(cloud), content=body, headers=headers)
        assert response.status_code == 403
