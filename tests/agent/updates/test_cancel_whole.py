"""Cancelling from the machine and from the cloud: a real agent, a real cloud, their commands.

Tests staging.commands.updates too.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from staging.client import OpenApiClient
from tools.bench import Bench
from tools.processes import BIN, command

# The package is a few hundred kilobytes, so the download is still running whatever a test does.
SLOW_CONFIG = "[ota]\nmax_bytes_per_second = 2048\n"
DEADLINE = 60.0


class House(Bench):
    """A cloud that offers a release, and an agent that downloads slowly."""

    def prepare(self) -> None:
        self.start_cloud(0, 0)
        self.flash_device()
        (self.folder / "agent.toml").write_text(SLOW_CONFIG)
        package = self.folder / "1.1.0.tar.gz"
        command("story-release", "build", "--version", "1.1.0", "--output", package)
        self.story_cloud("release", "add", package, "--version", "1.1.0")
        made = self.story_cloud("strategy", "add", "--version", "1.1.0", "--forced")
        assert made["forced"] is True
        self.story_cloud("strategy", "publish", str(made["strategyId"]))
        self.start_agent()
        self.api_client: OpenApiClient = self.client()
        assert self.api_client.bind(self.uuid, self.device["bindToken"])

    @property
    def uuid(self) -> str:
        return self.device["uuid"]

    def order(self) -> str:
        """Order the release; returns the transaction."""
        assert self.api_client.update(self.uuid, 1)
        return str(self.api_client.update_status(self.uuid)["taskId"])

    def downloads(self, transaction: str) -> None:
        """Wait until the agent downloads, and the cloud has received its report."""
        self.wait("download", lambda: self.of(transaction).get("step") == "download")
        self.wait("RUNNING", lambda: self.in_cloud()[0] == "RUNNING")

    def of(self, transaction: str) -> dict[str, Any]:
        """Return the agent's status of an update, {} while the status is about another one."""
        update: dict[str, Any] = self.agent_status().get("update") or {}
        return update if update.get("transaction") == transaction else {}

    def in_cloud(self) -> tuple[str, str | None]:
        found = self.api_client.update_status(self.uuid)
        return found["status"], found.get("failure")

    def wait(self, what: str, look: Any) -> None:
        assert self.cloud is not None
        self.cloud.wait_for(what, lambda: look() or None, DEADLINE)

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [BIN / "story-agent", "update", *words, "--state", self.state],
            capture_output=True, text=True, timeout=DEADLINE, check=False,
        )  # fmt: skip


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    made = House(tmp_path_factory.mktemp("house"))
    try:
        made.prepare()
        yield made
    finally:
        made.stop()


@pytest.mark.timeout(240)  # four updates, each with its own deadlines
def test_an_update_is_cancelled_from_each_side(house: House) -> None:
    nothing = house.ask("cancel")
    assert (nothing.returncode, nothing.stdout) == (1, "")
    assert nothing.stderr == "story-agent: no update was ever ordered\n"

    # On the machine.
    first = house.order()
    house.downloads(first)
    shown = house.ask()
    assert shown.returncode == 0
    assert f"transaction: {first}\nversion: 1.1.0\nstate: RUNNING\nstep: download\n" in shown.stdout
    assert json.loads(house.ask("--json").stdout)["transaction"] == first
    assert json.loads((house.state / "ota" / "task.json").read_text())["order"]["forced"] is True
    done = house.ask("cancel")
    assert (done.stdout, done.stderr) == (f"update {first} is cancelled\n", "")
    house.wait("end", lambda: house.in_cloud() == ("FAILED", "cancelled: by an order"))
    again = house.ask("cancel")
    assert again.returncode == 1
    assert again.stderr == f'story-agent: no update is under way: "{first}" is FAILED\n'
    assert not (house.state / "ota" / "download").exists()

    # In the cloud, with the device online; it can be ordered again at once.
    second = house.order()
    house.downloads(second)
    answer = house.story_cloud("update", "cancel", house.uuid)
    assert answer["taskId"] == int(second)
    house.wait("end", lambda: house.in_cloud() == ("FAILED", "cancelled: by an order"))
    assert house.of(second)["state"] == "FAILED"

    # In the cloud, with the device offline: it receives the cancellation before the next order.
    third = house.order()
    house.downloads(third)
    assert house.agent is not None
    house.agent.stop()
    house.wait("offline", lambda: not house.api_client.online([house.uuid])[house.uuid])
    answer = house.story_cloud("update", "cancel", house.uuid)
    assert (answer["status"], answer["failure"]) == ("FAILED", "cancelled: the device is offline")
    fourth = house.order()
    house.start_agent()
    house.downloads(fourth)

    # Without a server the command ends the task itself.
    house.agent.stop()
    assert house.cloud is not None
    house.cloud.stop()
    answer = house.story_cloud("update", "cancel", house.uuid)
    assert (answer["taskId"], answer["status"]) == (int(fourth), "FAILED")
    line = subprocess.run(
        [BIN / "story-cloud", "update", "cancel", house.uuid, "--data", house.cloud_data],
        capture_output=True, text=True, timeout=DEADLINE, check=False,
    )  # fmt: skip
    expected = f"story-cloud: device {house.uuid}: no update is under way\n"
    assert (line.returncode, line.stdout, line.stderr) == (1, "", expected)
