"""Releases as commands: signed by the real tool, offered, verified, and their order."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from staging.client import OpenApiClient
from staging.data_dir import DataDir
from staging.store import Database
from staging.store.models import OtaTask
from tests.staging.commands.conftest import UUID, Cloud, Command, run


def package(path: Path, version: str) -> Path:
    """Let the release tool build a package of this source tree."""
    file = path / f"{version}.tar.gz"
    command = (sys.executable, "-m", "release.cli", "build")
    options = ("--version", version, "--output", str(file))
    subprocess.run((*command, *options), check=True, capture_output=True, timeout=50)
    return file


def test_release_and_strategy(cloud: Cloud, client: OpenApiClient, tmp_path: Path) -> None:
    file = package(tmp_path, "1.1.0")
    words = ("release", "add", str(file), "--version", "1.1.0", "--description", "first")
    added = cloud.command(*words)
    assert (added["size"], added["version"]) == (file.stat().st_size, "1.1.0")
    assert added["md5"] == hashlib.md5(file.read_bytes(), usedforsecurity=False).hexdigest()
    assert client.new_version(UUID) is None
    planned = cloud.command("strategy", "add", "--version", "1.1.0", "--from", "0.0.0.0")
    assert planned["status"] == "DRAFT"
    cloud.command("strategy", "publish", str(planned["strategyId"]))
    offer = client.new_version(UUID)
    assert offer is not None
    assert (offer["packageId"], offer["type"]) == (added["packageId"], "PASSIVE")
    assert client.update(UUID, offer["packageId"])
    assert client.update_status(UUID)["status"] == "CREATED"

    served = httpx.get(cloud.api + added["path"])
    assert served.content == file.read_bytes()
    part = httpx.get(
        cloud.api + added["path"],
        headers={"Range": "bytes=10-19", "If-Range": served.headers["etag"]},
    )
    assert (part.status_code, part.content) == (206, file.read_bytes()[10:20])
    assert httpx.get(f"{cloud.api}/tuf/metadata/timestamp.json").status_code == 200
    assert httpx.get(f"{cloud.api}/tuf/metadata/../../tuf-keys").status_code == 404

    root = cloud.command("release", "root")
    assert root["root"]["signed"]["_type"] == "root"
    assert run("release", "root", "--data", str(cloud.data)).stdout.strip() == root["path"]
    assert [r["version"] for r in cloud.command("release", "list")["releases"]] == ["1.1.0"]
    assert [s["status"] for s in cloud.command("strategy", "list")["strategies"]] == ["PUBLISHED"]

    again = run(*words, "--data", str(cloud.data), ok=False)
    assert again.stderr == "story-cloud: version 1.1.0: there is a package already\n"


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
