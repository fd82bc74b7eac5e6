"""Apps on the console: the secret of each type, and the refused ones (staging.console.apps)."""

from __future__ import annotations

from typing import Any

import pytest

from staging.store import apps
from tests.staging.console.conftest import Ask, Stage, entered, read
from tests.staging.console.page import USER


@pytest.mark.parametrize(
    ("kind", "parts", "secret"),
    [
        ("android", {"package": "com.example.app", "apkSignature": "0a1b"}, "com.example.app0a1b"),
        ("ios", {"bundleId": "com.example.app"}, "com.example.app"),
    ],
)
def test_an_apps_type_decides_what_it_signs_with(
    stage: Stage, ask: Ask, kind: str, parts: dict[str, str], secret: str
) -> None:
    made = ask("/apps", {"name": kind, "type": kind, "scopes": ["device"], **parts}).json()
    kept = read(stage, apps.find, made["appId"])
    assert (kept.type, kept.secret, kept.scopes) == (kind, secret, ["device"])
    same = ask(f"/apps/{made['appId']}/secret/renew", parts)
    assert "this is its secret already" in same.json()["error"]["message"]
    assert "missing" in ask(f"/apps/{made['appId']}/secret/renew").json()["error"]["message"]
    changed = {name: f"{value}x" for name, value in parts.items()}
    renewed = ask(f"/apps/{made['appId']}/secret/renew", changed)
    assert renewed.json() == {"secret": "".join(changed.values())}
    assert renewed.headers["cache-control"] == "no-store"


def test_secrets_are_in_no_list(stage: Stage, ask: Ask) -> None:
    made = ask("/apps", {"name": "quiet", "type": "web"}).json()
    with entered(stage, USER) as (client, _):
        for path in ("/apps", "/products", "/products/1"):
            assert made["secret"] not in client.get(path).text
        assert client.get(f"/apps/{made['appId']}/secret").status_code == 404
        assert ask(f"/apps/{made['appId']}/secret").status_code == 404
    renewed = ask(f"/apps/{made['appId']}/secret/renew").json()["secret"]
    assert renewed != made["secret"]
    assert read(stage, apps.find, made["appId"]).secret == renewed


@pytest.mark.parametrize(
    ("body", "status", "says"),
    [
        ({"type": "web"}, 400, "name: missing"),
        ({"name": "a", "type": "desktop"}, 400, 'type: got "desktop", expected one of web'),
        ({"name": "a", "type": "android", "package": "p"}, 400, "apkSignature: missing"),
        ({"name": "a", "type": "web", "scopes": ["all"]}, 400, 'scope: got "all", expected of'),
        ({"name": "a", "type": "web", "redirectUris": ["javascript:1"]}, 400, "javascript:1"),
        ({"name": "a\u202eb", "type": "web"}, 400, "name: got"),
    ],
)
def test_an_app_that_cannot_be_is_refused(
    ask: Ask, body: dict[str, Any], status: int, says: str
) -> None:
    answer = ask("/apps", body)
    assert answer.status_code == status
    assert says in answer.json()["error"]["message"]
