"""The cloud of now on the data folder of the version before: nothing is lost, and all goes on."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from staging.client import OpenApiClient
from tests.upgrade.conftest import NOW
from tests.upgrade.house import RELEASE, Cloud, Machine, answers, expected
from tests.upgrade.make_fixtures import LISTS, PORTS
from tools.processes import command


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cloud]:
    """The tests of this module go on from each other's cloud: those that only look come first."""
    made = Cloud(tmp_path_factory.mktemp("cloud"))
    yield made
    made.service.stop()


@pytest.fixture(scope="module")
def client(cloud: Cloud) -> Iterator[OpenApiClient]:
    with cloud.client() as made:
        yield made


@pytest.fixture(scope="module")
def said_now(cloud: Cloud) -> dict[str, Any]:
    return cloud.commands(LISTS)


@pytest.mark.parametrize("subject", LISTS)
def test_the_commands_say_what_they_said(said_now: dict[str, Any], subject: str) -> None:
    assert _without_news(said_now[subject], expected()[subject]) == expected()[subject]


def _without_news(now: Any, before: Any) -> Any:
    """Return what is said now without the members that the version before did not know."""
    if isinstance(now, dict) and isinstance(before, dict):
        return {name: _without_news(now[name], before[name]) for name in before if name in now}
    if isinstance(now, list) and isinstance(before, list) and len(now) == len(before):
        return [_without_news(*pair) for pair in zip(now, before, strict=True)]
    return now


def test_a_device_gets_the_same_profile_and_machines_the_same_root(cloud: Cloud) -> None:
    before = expected()
    words = ("device", "profile", before["device"]["uuid"], *PORTS)
    assert cloud.command(*words) == before["profile"]
    root = cloud.command("release", "root")
    assert root["root"] == before["root"]
    assert root["path"] == str(cloud.data / "tuf/metadata/1.root.json")


@pytest.mark.parametrize("subject", expected()["api"])
def test_the_open_api_answers_what_it_answered(subject: str, answers_now: dict[str, Any]) -> None:
    before = expected()["api"]
    assert answers_now.keys() == before.keys()
    assert answers_now[subject] == before[subject]


@pytest.fixture(scope="module")
def answers_now(client: OpenApiClient) -> dict[str, Any]:
    return answers(client, expected()["device"])


def test_the_fixture_holds_something_of_everything() -> None:
    """Else the comparisons above would prove little."""
    before = expected()
    assert {entry["key"] for entry in before["api"]["history"]} >= {"volume", "voice_control"}
    assert "+eof=true" in before["api"]["voice"][0]["value"]
    assert before["api"]["update_status"]["status"] == "SUCCESS"
    assert {row["status"] for row in before["strategies"]["strategies"]} == {
        "PUBLISHED",
        "WITHDRAWN",
    }
    assert len(before["products"]["products"]) == 2
    assert before["heard"]["outcomes"]


def test_an_account_of_before_gets_a_new_password_and_an_app_a_new_token(
    cloud: Cloud, client: OpenApiClient
) -> None:
    assert client.validate()
    account = next(row for row in expected()["accounts"]["accounts"] if row["canLogIn"])
    answer = cloud.command("account", "password", account["userName"])
    assert answer["accountUuid"] == account["accountUuid"]


def test_a_registered_device_of_before_gets_in_and_a_wrong_token_does_not(
    tmp_path: Path, cloud: Cloud, client: OpenApiClient, base_of_before: Path
) -> None:
    device = expected()["spare"][0]
    state = tmp_path / "state"
    state.mkdir(mode=0o750)
    profile = cloud.profile(device["uuid"])
    assert device["token"] in json.dumps(profile)
    machine = Machine(tmp_path, base_of_before, state, profile)
    try:
        machine.start()
        machine.wait_for(
            "link", lambda: client.online([device["uuid"]])[device["uuid"]] or None, 30
        )
        assert client.send(device["uuid"], "GET", "power")["code"] == "2.05"
        machine.stop()
        forged = json.dumps(profile).replace(device["token"], "0" * len(device["token"]))
        (tmp_path / "profile.json").write_text(forged)
        machine.start()
        assert "wrong token" in machine.wait_for("refusal", lambda: _last_error(machine), 30)
    finally:
        machine.stop()


def _last_error(machine: Machine) -> str | None:
    status = machine.status()
    return status["link"]["last_error"] if status else None


def test_a_release_is_added_to_the_repository_of_before(
    cloud: Cloud, client: OpenApiClient, package_of_now: Path
) -> None:
    before = expected()
    metadata = cloud.data / "tuf" / "metadata"
    root = (metadata / "1.root.json").read_bytes()
    package = cloud.offer(package_of_now, NOW)
    releases = cloud.command("release", "list")["releases"]
    assert releases[:-1] == before["releases"]["releases"]
    assert (releases[-1]["packageId"], releases[-1]["version"]) == (package, NOW)
    offer = client.new_version(before["device"]["uuid"])
    assert offer is not None
    assert (offer["newOsVersion"], offer["originalOsVersion"]) == (NOW, RELEASE)
    # The same root and keys: a machine that was shipped before follows to the new one.
    assert (metadata / "1.root.json").read_bytes() == root
    assert not (metadata / "2.root.json").exists()
    assert "valid: True" in command("story-release", "verify", "--repo", cloud.data / "tuf")
    targets = sorted(metadata.glob("*.targets.json"), key=lambda path: int(path.name.split(".")[0]))
    signed = json.loads(targets[-1].read_bytes())["signed"]["targets"]
    assert set(signed) == {f"story-machine/{v}.tar.gz" for v in ("1.0.1", RELEASE, NOW)}
