"""The profile of a device as a download: once, to whom made the device (staging.console.profile)."""

from __future__ import annotations

import json

import httpx

from tests.staging.console.conftest import Ask, Stage, entered
from tests.staging.console.page import USER


def made(stage: Stage, ask: Ask, number: int) -> str:
    """Make a device by the console; return its uuid."""
    name = f"batch-{stage.number()}"
    answer = ask(f"/products/{number}/batches", {"name": name, "count": 1})
    assert answer.headers["cache-control"] == "no-store"
    (device,) = answer.json()["devices"]
    assert len(device["bindToken"]) == 32
    return str(device["uuid"])


def test_the_profile_is_a_file_that_nothing_keeps_and_comes_once(
    stage: Stage, ask: Ask, number: int
) -> None:
    uuid = made(stage, ask, number)
    answer = ask(f"/devices/{uuid}/profile")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == f'attachment; filename="profile-{uuid}.json"'
    assert answer.headers["cache-control"] == "no-store"
    assert json.loads(answer.text) == stage.cloud("device", "profile", uuid)
    again = ask(f"/devices/{uuid}/profile")
    assert (again.status_code, again.json()["error"]["code"]) == (403, "profile_taken")
    assert "was handed out at" in again.json()["error"]["message"]


def test_the_profile_is_for_who_made_it_alone(stage: Stage, ask: Ask, number: int) -> None:
    uuid, other = made(stage, ask, number), f"other-{stage.number()}"
    path, api = f"/devices/{uuid}/profile", f"{stage.bench.api}/console/api"
    assert httpx.post(api + path, json={}).status_code == 401
    with entered(stage, USER) as (client, _):
        assert client.get(path).status_code == 404
        assert client.post(path, json={}).json()["error"]["code"] == "csrf"
    stage.account(other)
    with entered(stage, other) as (client, headers):
        refused = client.post(path, json={}, headers=headers)
    assert (refused.status_code, refused.json()["error"]["code"]) == (403, "profile_taken")
    by_command = stage.cloud("device", "add")["uuid"]
    assert ask(f"/devices/{by_command}/profile").status_code == 403
    assert ask(path).status_code == 200
