"""Which web pages may call the API: those of the app whose key the request has."""

from __future__ import annotations

from typing import Any

import pytest

from staging.identity.oauth import check_web_origin
from staging.store import apps
from staging.store.apps import AppType
from wire.errors import FieldError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
ORIGINS_LIMIT = 20

pytestmark = pytest.mark.one_database
PAGE, OTHER = "https://app.example", "https://other.example"
ASKED = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "x-iot-app"}


@pytest.fixture
def pages(cloud: Any) -> Any:
    """A cloud with two apps, each with a page of its own."""
    cloud.database.call(apps.set_origins, cloud.app.id, [PAGE])
    other = cloud.database.call(apps.add_app, "other", AppType.WEB, None, cloud.clock())
    cloud.database.call(apps.set_origins, other.id, [OTHER])
    return cloud


async def test_a_browser_that_asks_is_told_what_its_page_may(pages: Any) -> None:
    answer = await pages.http.options("/v1/device/bind", headers=ASKED | {"Origin": PAGE})
    assert answer.status_code == 204
    assert answer.headers["access-control-allow-origin"] == PAGE
    assert "X-IOT-Signature" in answer.headers["access-control-allow-headers"]
    assert answer.headers["vary"] == "Origin"
    assert "access-control-allow-credentials" not in answer.headers


@pytest.mark.parametrize(
    "origin",
    [
        "https://evil.example",
        "null",
        "http://app.example",
        f"{PAGE}:8443",
        f"{PAGE}.evil.example",
        "\xff",
    ],
)
async def test_other_pages_are_not_told(pages: Any, origin: str) -> None:
    headers = ASKED | {"Origin": origin.encode("latin-1")}
    answer = await pages.http.options("/v1/device/bind", headers=headers)
    assert answer.status_code == 403
    assert "access-control-allow-origin" not in answer.headers


async def test_a_request_is_for_pages_of_its_own_app(pages: Any) -> None:
    mine = await pages.http.get("/v1/account/validate", headers=pages.headers() | {"Origin": PAGE})
    assert (mine.status_code, mine.headers["access-control-allow-origin"]) == (200, PAGE)
    assert "X-Story-Receipt" in mine.headers["access-control-expose-headers"]
    for origin, shown in ((OTHER, OTHER), ("https://evil.example", None)):
        answer = await pages.http.get(
            "/v1/account/validate", headers=pages.headers() | {"Origin": origin}
        )
        assert answer.status_code == 403
        assert answer.headers.get("access-control-allow-origin") == shown
        assert answer.json()["message"].startswith("Origin: this web page is none of the app's")


async def test_a_refused_page_changes_nothing(pages: Any) -> None:
    pages.bind()
    body = {"deviceUuid": pages.device.uuid}
    refused = await pages.http.post(
        "/v1/device/unbind", json=body, headers=pages.headers() | {"Origin": OTHER}
    )
    assert refused.status_code == 403
    assert (await pages.post("/device/unbind", **body)).json()["data"] is True


async def test_an_error_may_be_read_by_the_page_and_programs_are_not_asked(pages: Any) -> None:
    headers = pages.headers(token="0" * 32) | {"Origin": PAGE}
    answer = await pages.http.get("/v1/account/validate", headers=headers)
    assert (answer.status_code, answer.headers["access-control-allow-origin"]) == (404, PAGE)
    assert (await pages.get("/account/validate")).status_code == 200


async def test_the_consent_page_is_for_no_other_page(pages: Any) -> None:
    answer = await pages.http.get("/v1/account/authorize", headers={"Origin": PAGE})
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("https://app.example", "https://app.example"), ("https://App.Example/", "https://app.example"),
        ("https://app.example:8443", "https://app.example:8443"), ("http://localhost:5173", "http://localhost:5173"),
        ("http://[::1]:5173", "http://[::1]:5173"),
    ],
)  # fmt: skip
def test_an_origin_is_kept_as_a_browser_writes_it(given: str, kept: str) -> None:
    assert check_web_origin(given) == kept


@pytest.mark.parametrize(
    "text",
    [
        "", "*", "null", "app.example", "http://app.example", "https://", "https://a.example/path", "https://a@b.example",
        "https://a.example:443", "https://a.example:x", "https://[", "https://a b.example", "https://a.example?x",
        "https://a.example\n", "ftp://a.example", "https://a.example/..", "https://ä.example", "https://a.example#",
    ],
)  # fmt: skip
def test_what_is_no_origin_is_named(text: str) -> None:
    with pytest.raises(FieldError, match="web_origin"):
        check_web_origin(text)


def test_origins_are_added_removed_and_bounded(cloud: Any) -> None:
    call, app = cloud.database.call, cloud.app.id
    assert call(apps.set_origins, app, [PAGE, OTHER, PAGE]).web_origins == [PAGE, OTHER]
    assert call(apps.set_origins, app, [], [PAGE]).web_origins == [OTHER]
    with pytest.raises(FieldError, match=f"at most {ORIGINS_LIMIT}"):
        call(apps.set_origins, app, [f"https://{n}.example" for n in range(ORIGINS_LIMIT)])
    assert call(apps.origins) == {cloud.app.apikey: frozenset({OTHER})}
