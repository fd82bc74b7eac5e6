"""The console's workflow as commands: product, batch, data points, app, account, version, strategy."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from staging.commands import cli
from staging.data_dir import DataDir
from staging.identity import passwords
from staging.releases import tool
from staging.store import Database
from staging.store.models import OtaTask
from staging.store.products import DATA_POINTS
from staging.store.releases import Target

Command = Callable[..., Any]
RESOURCES: Any = DATA_POINTS["resources"]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    return tmp_path / "cloud"


@pytest.fixture
def command(data: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str) -> Any:
        assert cli.main([*words, "--data", str(data), "--json"]) == 0, capsys.readouterr().err
        return json.loads(capsys.readouterr().out)

    return run


@pytest.fixture
def mistake(data: Path, capsys: pytest.CaptureFixture[str]) -> Command:
    def run(*words: str) -> str:
        assert cli.main([*words, "--data", str(data)]) == 1
        printed = capsys.readouterr()
        # Other tests in this process may have left log lines on stderr.
        said = [line for line in printed.err.splitlines() if line.startswith("story-cloud: ")]
        assert (printed.out, len(said)) == ("", 1)
        return said[0]

    return run


def test_product_has_test_devices_and_no_data_points(command: Command) -> None:
    added = command("product", "add", "灯")
    assert (added["name"], added["devices"]) == ("灯", 20)
    (product,) = command("product", "list")["products"]
    assert (product["devices"], product["dataPoints"], product["appIds"]) == (20, 0, [])
    assert command("datapoint", "list", "--product", "灯")["dataPoints"] == []
    rows = [d for d in command("device", "list")["devices"] if d["product"] == "灯"]
    assert len({row["uuid"] for row in rows}) == 20


def test_batch(command: Command, mistake: Command) -> None:
    added = command("batch", "add", "2026-11", "--count", "3")
    assert (added["name"], added["product"]) == ("2026-11", "story-machine")
    for device in added["devices"]:
        assert list(device) == ["uuid", "token", "bindToken"]
    batches = command("batch", "list")["batches"]
    assert [(b["name"], b["devices"]) for b in batches] == [("0000", 0), ("2026-11", 3)]
    assert "batch 2026-11: the product has one already" in mistake(
        "batch", "add", "2026-11", "--count", "1"
    )
    assert "count: got -1" in mistake("batch", "add", "x", "--count", "-1")
    assert "count: got 10001" in mistake("batch", "add", "x", "--count", "10001")
    assert 'name: got ""' in mistake("batch", "add", "", "--count", "1")
    # The refused commands stored nothing.
    assert len(command("batch", "list")["batches"]) == 2


def test_data_points(command: Command, mistake: Command) -> None:
    command("product", "add", "p", "--devices", "0")
    here = ("--product", "p")
    added = command("datapoint", "template", "story-machine", *here)["dataPoints"]
    assert added == RESOURCES
    assert command("datapoint", "template", "voice", *here)["dataPoints"] == []
    words = ("--type", "int", "--range", "0:100:5", "--label", "亮度", "--read-only", "--voice")
    (light,) = command("datapoint", "add", "light", *words, *here)["dataPoints"]
    assert light["pattern"] == {"min": 0, "max": 100, "step": 5}
    assert (light["method"], light["resourceType"], light["uri"]) == (["GET"], "voice", "/light")
    assert "has one already" in mistake("datapoint", "add", "light", "--type", "int", *here)
    left = command("datapoint", "remove", "volume", *here)["dataPoints"]
    assert [point["name"] for point in left] == ["play", "switch", "power", "light"]
    assert "data point volume: the product has none" in mistake(
        "datapoint", "remove", "volume", *here
    )


@pytest.mark.parametrize("text", ["1", "a:b", "1:2:3:4", "5:1", "0:10:0"])
def test_range_that_is_none(mistake: Command, text: str) -> None:
    said = mistake("datapoint", "add", "x", "--type", "int", "--range", text)
    assert text in said or "pattern" in said


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


def test_account(
    command: Command, mistake: Command, data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(passwords, "COST", 2**4)
    added = command("account", "add", "家长")
    assert len(added["password"]) == 16
    assert stat.S_IMODE(data.stat().st_mode) == 0o700
    stored = b"".join(file.read_bytes() for file in data.glob("cloud.sqlite*"))
    assert b"scrypt$" in stored
    assert added["password"].encode() not in stored
    assert "account 家长: there is one already" in mistake("account", "add", "家长")
    # A user that `token` made gets a password later.
    command("app", "add", "a", "--type", "web")
    command("token", "--app", "1", "--user", "guest")
    assert [a["canLogIn"] for a in command("account", "list")["accounts"]] == [True, False]
    command("account", "add", "guest")
    assert command("account", "password", "guest")["userName"] == "guest"
    assert "account x: there is none" in mistake("account", "password", "x")


def test_password_from_a_file(command: Command, mistake: Command, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("correct horse\n")
    assert "password" not in command("account", "add", "a", "--password-file", str(file))
    file.write_text("short\n")
    said = mistake("account", "add", "b", "--password-file", str(file))
    assert "password: got" in said
    assert "short" not in said.replace("8 to 256 characters", "")
    assert "No such file" in mistake("account", "add", "b", "--password-file", "/nowhere")


# Versions; test_cli and the tour run the release tool itself.


@pytest.fixture
def no_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    def add(_data: DataDir, _file: Path, product: str, version: str, _installer: str) -> Target:
        return Target(f"{product}/{version}.tar", 521, "0" * 32, "0" * 64)

    monkeypatch.setattr(tool, "ensure_repository", lambda _data: None)
    monkeypatch.setattr(tool, "add", add)


@pytest.mark.usefixtures("no_repository")
def test_verify_then_pass_then_strategy(command: Command, mistake: Command, data: Path) -> None:
    device = command("device", "add")["uuid"]
    at = ("--version", "1.1")
    assert command("release", "add", "f", *at, "--unverified")["status"] == "UNVERIFIED"
    assert "it is UNVERIFIED" in mistake("strategy", "add", *at)
    assert "reports SUCCESS" in mistake("release", "pass", *at)
    task = command("release", "verify", device, *at)
    assert (task["uuid"], task["status"]) == (device, "CREATED")
    assert "task 1 is CREATED" in mistake("release", "verify", device, *at)

    def succeed(session: Any) -> None:
        session.get(OtaTask, task["taskId"]).status = "SUCCESS"

    database = Database(DataDir(data).database)
    database.call(succeed)
    database.close()
    assert command("release", "pass", *at)["status"] == "RELEASED"
    strategy = command("strategy", "add", *at, "--type", "silent", "--batch", "0000")
    number = str(strategy["strategyId"])
    assert command("strategy", "publish", number)["status"] == "PUBLISHED"
    assert command("strategy", "withdraw", number)["status"] == "WITHDRAWN"
    assert "batch x: the product has none" in mistake("strategy", "add", *at, "--batch", "x")


@pytest.mark.usefixtures("no_repository")
def test_versions_only_rise_within_a_product(command: Command, mistake: Command) -> None:
    command("product", "add", "p", "--devices", "0")
    assert command("release", "add", "f", "--version", "1.10")["status"] == "RELEASED"
    said = mistake("release", "add", "f", "--version", "1.9")
    assert "version 1.9: expected one higher than the newest, 1.10" in said
    other = command("release", "add", "f", "--version", "1.9", "--product", "p")
    assert other["path"] == "/tuf/targets/p/1.9.tar"
    assert "version 1.10: there is no package" in mistake(
        "strategy", "add", "--version", "1.10", "--product", "p"
    )
