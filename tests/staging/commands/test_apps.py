"""Apps as commands: their secrets, scopes and addresses, and their products."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from staging.commands import cli
from tests.staging.commands.conftest import Command


def test_secrets_of_apps(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    android = ("--type", "android", "--package", "com.x", "--apk-signature", "AB")
    ios = ("--type", "ios", "--bundle-id", "com.y")
    found = []
    for words in (android, ios):
        assert cli.main(["--data", str(tmp_path), "--json", "app", "add", "a", *words]) == 0
        found.append(json.loads(capsys.readouterr().out)["secret"])
    assert found == ["com.xAB", "com.y"]


def test_app_is_bound_to_products(command: Command, mistake: Command) -> None:
    command("product", "add", "p")
    app = str(command("app", "add", "a", "--type", "web")["appId"])
    assert command("app", "bind", app, "--product", "p") == {"appId": 1, "product": "p"}
    command("app", "bind", app, "--product", "p")
    apps = {p["name"]: p["appIds"] for p in command("product", "list")["products"]}
    assert apps == {"p": [1], "story-machine": [1]}
    command("app", "unbind", app)
    assert "is not bound to product" in mistake("app", "unbind", app)
    assert "app 99: there is none" in mistake("app", "bind", "99")
    assert "product q: there is none" in mistake("app", "bind", app, "--product", "q")


def test_app_with_scopes_and_addresses(command: Command, mistake: Command) -> None:
    words = ("--scope", "control", "--scope", "data", "--redirect-uri", "https://x.example/cb")
    added = command("app", "add", "a", "--type", "web", *words)
    assert added["scopes"] == ["control", "data"]
    assert added["redirectUris"] == ["https://x.example/cb"]
    said = mistake("app", "add", "b", "--type", "web", "--redirect-uri", "javascript:x")
    assert said.startswith("story-cloud: redirect_uri: got")
    assert len(command("app", "list")["apps"]) == 1


def test_a_secret_is_renewed_and_of_a_phone_with_its_new_identity(
    command: Command, mistake: Command
) -> None:
    web = command("app", "add", "a", "--type", "web")
    renewed = command("app", "secret", "renew", str(web["appId"]))
    assert len(renewed["secret"]) == 32
    assert renewed["secret"] != web["secret"]
    ios = str(command("app", "add", "b", "--type", "ios", "--bundle-id", "com.b")["appId"])
    assert "app secret renew: --bundle-id missing" in mistake("app", "secret", "renew", ios)
    words = ("app", "secret", "renew", ios, "--bundle-id")
    assert "this is its secret already" in mistake(*words, "com.b")
    assert command(*words, "com.c")["secret"] == "com.c"
    assert "app 99: there is none" in mistake("app", "secret", "renew", "99")
