"""The profile of a device as a download (staging.console.profile)."""

from __future__ import annotations

import json

import httpx

from tests.staging.console.conftest import Ask, Stage, entered
from tests.staging.console.page import USER


def test_the_profile_is_a_file_that_nothing_keeps(stage: Stage, ask: Ask) -> None:
    uuid = stage.cloud("device", "add")["uuid"]
    answer = ask(f"/devices/{uuid}/profile")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="profile-{uuid}.json"'
    assert answer.headers["cache-control"] == "no-store"
    by_command = stage.cloud("device", "profile", uuid)
    assert json.loads(answer.text) == by_command


def test_the_profile_is_not_for_everybody(stage: Stage, ask: Ask) -> None:
    device = stage.cloud("device", "add")
    path = f"/devices/{device['uuid']}/profile"
    api = f"{stage.bench.api}/console/api"
    assert httpx.post(api + path, json={}).status_code == 401
    with entered(stage, USER) as (client, _):
        assert client.get(path).status_code == 404
        assert client.post(path, json={}).json()["error"]["code"] == "csrf"
    assert ask(f"/devices/{device['uuid']}/bind", {"token": device["bindToken"]}).is_success
    assert ask(path).status_code == 200
    other = f"other-{stage.number()}"
    stage.account(other)
    with entered(stage, other) as (client, headers):
        refused = client.post(path, json={}, headers=headers)
    assert refused.status_code == 403
    assert refused.json()["error"]["code"] == "not_yours"
