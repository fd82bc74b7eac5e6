"""Machines of the version before become the version of now and go back, in real processes."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from staging.client import OpenApiClient
from tests.upgrade.conftest import NOW
from tests.upgrade.house import (
    BASE,
    RELEASE,
    Cloud,
    Machine,
    build,
    expected,
    install_base,
    restore_state,
    unpack,
)

DEAD = "1.2.0"
# Of these only the newest waits; each start reports them anew.
AT_EACH_START = {"device_info", "package_info"}
# What a machine that runs may keep in STATE beside its releases' code (docs/launcher.md).
STATE_NAMES = {
    "agent.lock", "agent.sock", "outbox.sqlite", "outbox.sqlite-shm", "outbox.sqlite-wal", "root.json",
    "health.d/10-refuse",
    "ota/given_up.json", "ota/sound.json", "ota/task.json", "ota/time.json", "ota/trial.log",
    "ota/metadata/root.json", "ota/metadata/root_history/1.root.json", "ota/metadata/snapshot.json",
    "ota/metadata/targets.json", "ota/metadata/timestamp.json",
    "slots/boot.json", "slots/current",
    # What a version of before does not know, and leaves where it is.
    "playing.sqlite", "playing.sqlite-shm", "playing.sqlite-wal", "playing.beat",
    "loudness.sqlite", "loudness.sqlite-shm", "loudness.sqlite-wal", "loudness.json",
    "sleep_timer.json", "rules.json", "played.json", "child_lock.json", "microphone-off",
    "voice_ledger.json",
}  # fmt: skip


class Scene:
    """The cloud with everything that it offers, and how a machine is put before it."""

    def __init__(self, folder: Path, good: Path) -> None:
        """Start the cloud of now on the data of before, and offer a good version and a dead one."""
        self.cloud = Cloud(folder)
        self.client: OpenApiClient = self.cloud.client()
        self.good = self.cloud.offer(good, NOW)
        self.dead = self.cloud.offer(build_dead(good, folder), DEAD)

    def close(self) -> None:
        """End it."""
        self.client.close()
        self.cloud.service.stop()


def build_dead(good: Path, folder: Path) -> Path:
    """Build the current tree again as a release that ends before it can do anything."""
    tree = unpack(good, folder / "dead") / "lib"
    cli = tree / "agent" / "cli.py"
    text = cli.read_text("utf-8")
    first = "from __future__ import annotations\n"
    assert first in text
    cli.write_text(
        text.replace(first, f"{first}\nraise RuntimeError('dead on arrival')\n"), "utf-8"
    )
    return build(DEAD, folder, "--source", tree)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory, package_of_now: Path) -> Iterator[Scene]:
    made = Scene(tmp_path_factory.mktemp("cloud"), package_of_now)
    yield made
    made.close()


MakeMachine = Callable[..., Machine]


@pytest.fixture
def make_machine(tmp_path: Path, scene: Scene) -> Iterator[MakeMachine]:
    """Flash a machine; it is switched off in the end."""
    with contextlib.ExitStack() as stack:

        def make(base: Path, state: Path, device: dict[str, str], sound: str = "off") -> Machine:
            profile = scene.cloud.profile(device["uuid"])
            machine = Machine(tmp_path, base, state, profile, sound=sound)
            stack.callback(machine.stop)
            return machine

        yield make


def base_of_now(package: Path, folder: Path, version: str) -> Path:
    return install_base(unpack(package, folder / "now") / "lib", folder / "site-packages", version)


def delivered(client: OpenApiClient, uuid: str, last: int) -> list[dict[str, Any]]:
    """Return what a device reported lately, oldest first."""
    entries = list(client.whole_history(uuid))[::-1]
    return [{entry["key"]: entry["value"]} for entry in entries if entry["timeStamp"] > last]


def newest(client: OpenApiClient, uuid: str) -> int:
    return max((entry["timeStamp"] for entry in client.whole_history(uuid)), default=0)


def waiting_values(machine: Machine) -> list[dict[str, Any]]:
    return [report for report in machine.waiting() if not AT_EACH_START & set(report)]


def assert_in_order(part: list[dict[str, Any]], whole: list[dict[str, Any]]) -> None:
    """Whether all of ``part`` came, each once more than what came by itself, first and in order."""
    values = [entry for entry in whole if not AT_EACH_START & set(entry)]
    assert values[: len(part)] == part


def boot_record(active: str | None, previous: str | None, **more: Any) -> dict[str, Any]:
    record = {"active": active, "previous": previous, "trial": None, "last_rollback": None}
    return record | {"base": BASE} | more


def state_names(machine: Machine) -> set[str]:
    """Return the files of STATE, without those of the releases."""
    names = {
        path.relative_to(machine.state).as_posix()
        for path in machine.state.rglob("*")
        if path.is_symlink() or not path.is_dir()
    }
    return {name for name in names if not name.startswith("slots/releases/")}


def release_names(machine: Machine, version: str) -> set[str]:
    return {path.name for path in (machine.state / "slots/releases" / version).iterdir()}


def test_a_release_of_before_becomes_now_with_all_that_it_kept(
    tmp_path: Path, scene: Scene, make_machine: MakeMachine, base_of_before: Path
) -> None:
    device, client = expected()["device"], scene.client
    machine = make_machine(base_of_before, restore_state(tmp_path), device, sound="auto")
    waited, last = waiting_values(machine), newest(client, device["uuid"])
    given_up, time = machine.read("ota/given_up.json"), machine.read("ota/time.json")
    assert waited
    machine.start()
    before = machine.wait_until_runs(RELEASE)
    assert before["code"] == str(machine.state / "slots/releases" / RELEASE)

    task = machine.update(client, device["uuid"], scene.good)
    assert (task["status"], task["osVersion"]) == ("SUCCESS", NOW)
    status = machine.wait_until_runs(NOW)
    assert status["code"] == str(machine.state / "slots/releases" / NOW)
    assert (status["uuid"], status["update"]["state"]) == (device["uuid"], "SUCCESS")
    assert_in_order(waited, delivered(client, device["uuid"], last))
    assert machine.boot() == boot_record(NOW, RELEASE)
    assert (machine.state / "slots/current").readlink() == Path("releases") / NOW
    assert release_names(machine, NOW) == {"lib", "package.json", "release.json"}
    assert machine.read("ota/given_up.json") == given_up
    now = machine.read("ota/time.json")
    assert now["keys"] == time["keys"]
    for source, known in time["known"].items():
        assert now["known"][source]["seconds"] >= known["seconds"]
    assert client.send(device["uuid"], "PUT", "volume", "4")["code"] == "2.04"
    assert machine.ask("get", "volume").stdout == "4\n"
    names = state_names(machine)
    assert names <= STATE_NAMES, names - STATE_NAMES
    assert client.info(device["uuid"])["osVersion"] == NOW
    assert machine.endings == 0

    # The next one is given up by the launcher of before, and the release of now runs again.
    task = machine.update(client, device["uuid"], scene.dead)
    assert task["status"] == "FAILED"
    assert "3 times" in task["failure"]
    status = machine.wait_until_runs(NOW)
    assert status["code"] == str(machine.state / "slots/releases" / NOW)
    rollback = machine.boot()["last_rollback"]
    assert rollback["version"] == DEAD
    assert machine.boot() == boot_record(NOW, None, last_rollback=rollback)
    failed = machine.read("ota/given_up.json")["packages"]
    assert failed[:-1] == given_up["packages"]
    assert (failed[-1]["version"], failed[-1]["times"]) == (DEAD, 1)
    assert machine.endings == 3


def test_a_base_of_before_takes_back_what_never_confirms_and_takes_it_when_it_does(
    tmp_path: Path, scene: Scene, make_machine: MakeMachine, base_of_before: Path
) -> None:
    """The release of now gives itself up: what it leaves on the disk, the version before reads."""
    device, client = expected()["spare"][0], scene.client
    state = tmp_path / "state"
    state.mkdir(mode=0o750)
    shutil.copyfile(scene.cloud.data / "tuf/metadata/1.root.json", state / "root.json")
    machine = make_machine(base_of_before, state, device)
    machine.start()
    assert machine.wait_until_runs(BASE)["code"] == str(base_of_before)

    machine.refuse(refused=True)
    task = machine.update(client, device["uuid"], scene.good)
    assert task["status"] == "FAILED"
    assert "not proven within 5 s: checks: 10-refuse" in task["failure"]
    status = machine.wait_until_runs(BASE)
    assert status["code"] == str(base_of_before)
    assert status["update"]["state"] == "FAILED"
    rollback = machine.boot()["last_rollback"]
    assert rollback["version"] == NOW
    assert machine.boot() == boot_record(None, None, last_rollback=rollback)

    machine.refuse(refused=False)
    task = machine.update(client, device["uuid"], scene.good)
    assert task["status"] == "SUCCESS"
    status = machine.wait_until_runs(NOW)
    assert status["code"] == str(machine.state / "slots/releases" / NOW)
    assert machine.boot() == boot_record(NOW, None)
    assert machine.endings == 0


def test_a_base_of_now_runs_a_release_of_before_and_goes_back_to_it(
    tmp_path: Path, scene: Scene, make_machine: MakeMachine, package_of_now: Path
) -> None:
    device, client = expected()["spare"][1], scene.client
    # Of the version that the release was installed over: nothing says that it came later.
    base = base_of_now(package_of_now, tmp_path, BASE)
    machine = make_machine(base, restore_state(tmp_path), device)
    machine.start()
    old = str(machine.state / "slots/releases" / RELEASE)
    assert machine.wait_until_runs(RELEASE)["code"] == old

    task = machine.update(client, device["uuid"], scene.dead)
    assert task["status"] == "FAILED"
    assert "3 times" in task["failure"]
    status = machine.wait_until_runs(RELEASE)
    assert (status["code"], status["update"]["state"]) == (old, "FAILED")
    assert machine.endings == 3

    task = machine.update(client, device["uuid"], scene.good)
    assert task["status"] == "SUCCESS"
    assert machine.wait_until_runs(NOW)["code"] == str(machine.state / "slots/releases" / NOW)
    assert machine.boot() == boot_record(NOW, RELEASE)


def test_a_newer_base_of_now_displaces_a_release_of_before_and_sends_what_waited(
    tmp_path: Path, scene: Scene, make_machine: MakeMachine, package_of_now: Path
) -> None:
    device, client = expected()["spare"][2], scene.client
    base = base_of_now(package_of_now, tmp_path, NOW)
    machine = make_machine(base, restore_state(tmp_path), device)
    waited = waiting_values(machine)
    assert waited
    machine.start()
    status = machine.wait_until_runs(NOW)
    assert status["code"] == str(base)
    assert machine.log.read_text().startswith(
        f"story-agent: the base install {NOW} came after release {RELEASE} and is newer: it runs\n"
    )
    assert machine.boot() == boot_record(None, None, base=NOW)
    assert not (machine.state / "slots/current").is_symlink()
    assert_in_order(waited, delivered(client, device["uuid"], 0))
    assert status["update"]["state"] == "SUCCESS"
    assert [entry["version"] for entry in machine.read("ota/given_up.json")["packages"]] == [
        "1.0.1"
    ]
