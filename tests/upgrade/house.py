"""A machine and a cloud of the version before, put back on disk and started by whichever version is asked.

Nothing of the project is imported but what keeps its name: programs are started as people and systemd
start them, and what they say is read from their command lines and from the disk.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

from staging.client import OpenApiClient
from tools.processes import BenchError, Service, command

ROOT = Path(__file__).parents[2]
BEFORE = Path(__file__).parent / "before"
# The base install of before, a release that was given up over it, and the one of before that runs.
BASE, GIVEN_UP, RELEASE = "1.0.0", "1.0.1", "1.0.2"
RELEASE_FILE = BEFORE / f"story-machine-{RELEASE}.tar.gz"
USER = "parent"
# How every version is started: docs/launcher.md.
ENTRY = ("-P", "-m", "agent.cli")
START_SECONDS, UPDATE_SECONDS = 60.0, 90.0
POLL_SECONDS = 0.1
CONFIG = """\
[link]
retry_max_seconds = 1
[ota]
confirm_timeout_seconds = {confirm}
[health]
sound = "{sound}"
checks_folder = "health.d"
"""

# The console script of the name, as pip makes it.
MANY = """
import json, sys
from importlib.metadata import entry_points
(script,) = {e for e in entry_points(group="console_scripts") if e.name == "story-cloud"}
main = script.load()
data = sys.argv[1]
for words in json.loads(sys.argv[2]):
    sys.argv = ["story-cloud", *words, "--data", data, "--json"]
    assert main() == 0, words
"""

T = TypeVar("T")


def unpack(archive: Path, folder: Path) -> Path:
    """Unpack a tar.gz below ``folder`` and return that."""
    with tarfile.open(archive) as tar:
        tar.extractall(folder, filter="tar")
    return folder


def install_base(
    lib: Path | None, folder: Path, version: str, requires: Iterable[str] = ()
) -> Path:
    """Make a base install as pip leaves one: the import packages, and the distribution's folder beside."""
    if lib is not None:
        shutil.copytree(lib, folder, ignore=shutil.ignore_patterns("__pycache__"))
    info = folder / f"story_agent-{version}.dist-info"
    info.mkdir()
    lines = ["Metadata-Version: 2.1", "Name: story-agent", f"Version: {version}"]
    lines += [f"Requires-Dist: {line}" for line in requires]
    (info / "METADATA").write_text("\n".join(lines) + "\n")
    return folder


def environment_of(base: Path) -> dict[str, str]:
    """Return the environment in which the code of ``base`` runs, and none of this checkout."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("STORY_")}
    return kept | {"PYTHONPATH": str(base), "PYTHONDONTWRITEBYTECODE": "1"}


def run_code(base: Path, *words: str | Path) -> subprocess.CompletedProcess[str]:
    """Run Python with the code of ``base`` to its end."""
    return subprocess.run(
        [sys.executable, "-P", *words],
        env=environment_of(base), capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def build(version: str, folder: Path, *options: str | Path) -> Path:
    """Build a slot package, from the current tree unless ``options`` name another source."""
    package = folder / f"story-machine-{version}.tar.gz"
    command("story-release", "build", "--version", version, "--output", package, *options)
    return package


def without_sum(record: dict[str, Any]) -> dict[str, Any]:
    """Return a boot record without its checksum, which versions of before do not write."""
    return {name: value for name, value in record.items() if name != "sum"}


class Cloud:
    """The cloud of now on a data folder."""

    def __init__(self, folder: Path) -> None:
        """Put the data folder of before into ``folder`` and start the server on it."""
        self.data = restore_cloud(folder)
        self.service = Service(
            "story-cloud",
            ["serve", "--data", self.data, "--api-port", "0", "--device-port", "0"],
            folder / "cloud.log",
        )
        self.api, self.device = self.service.wait_for_line(r"ready api=(\S+) device=(\S+)").groups()

    def command(self, *words: str | Path) -> dict[str, Any]:
        """Run a command beside the server."""
        return dict(json.loads(command("story-cloud", *words, "--data", self.data, "--json")))

    def commands(self, many: Mapping[str, Sequence[str]]) -> dict[str, Any]:
        """Run many commands of the server, by name, in one process: each would load for a second."""
        done = subprocess.run(
            [sys.executable, "-P", "-c", MANY, self.data, json.dumps(list(many.values()))],
            capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip
        return dict(zip(many, map(json.loads, done.stdout.splitlines()), strict=True))

    def offer(self, package: Path, version: str) -> int:
        """Release a package, offer it to every device, and return its id."""
        added = self.command("release", "add", package, "--version", version)
        strategy = self.command("strategy", "add", "--version", version, "--type", "passive")
        self.command("strategy", "publish", str(strategy["strategyId"]))
        return int(added["packageId"])

    def profile(self, uuid: str) -> dict[str, Any]:
        """Return what is flashed onto a device."""
        return self.command("device", "profile", uuid)

    def client(self, app: dict[str, Any] | None = None) -> OpenApiClient:
        """Return the open API as the app of before sees it."""
        app = app or expected()["app"]
        words = ("token", "--app", str(app["appId"]), "--user", USER)
        token = str(self.command(*words)["access_token"])
        return OpenApiClient(self.api, app["apikey"], app["secret"], token)


def expected() -> dict[str, Any]:
    """Return what was said by the commands and the open API of before."""
    return dict(json.loads((BEFORE / "expected.json").read_text("utf-8")))


def restore_cloud(folder: Path) -> Path:
    """Return the data folder of before, below ``folder``."""
    data = unpack(BEFORE / "cloud.tar.gz", folder) / "cloud"
    # The repository's copy of the release is packed once only.
    shutil.copyfile(RELEASE_FILE, data / expected()["releasePath"])
    return data


def restore_state(folder: Path) -> Path:
    """Return the STATE folder of before, below ``folder``."""
    state = unpack(BEFORE / "state.tar.gz", folder) / "state"
    unpacked = unpack(RELEASE_FILE, folder / "release")
    (unpacked / "lib").rename(state / "slots" / "releases" / RELEASE / "lib")
    return state


def answers(client: OpenApiClient, device: dict[str, str]) -> dict[str, Any]:
    """Ask the open API for everything that it knows of a device."""
    uuid = device["uuid"]
    return {
        "account": client.account(),
        "devices": list(client.devices()),
        "info": client.info(uuid),
        "info_by_token": client.info_by_token(uuid, device["bindToken"]),
        "resource": client.resource(uuid),
        "history": list(client.whole_history(uuid)),
        "voice": list(client.whole_history(uuid, key="voice_control")),
        "volume": client.realtime(uuid, "volume"),
        "new_version": client.new_version(uuid),
        "update_status": client.update_status(uuid),
    }


class Machine:
    """A machine on which ``base`` is installed, and on which somebody starts it whenever it ends."""

    def __init__(
        self, folder: Path, base: Path, state: Path, profile: dict[str, Any], *, sound: str = "off"
    ) -> None:
        """Flash it; `start` switches it on."""
        self.folder, self.base, self.state = folder, base, state
        self.sound = sound
        self.log = folder / "agent.log"
        self.endings = 0
        self.agent: Service | None = None
        (folder / "profile.json").write_text(json.dumps(profile))
        self.configure(confirm=60)
        checks = state / "health.d"
        checks.mkdir(exist_ok=True)
        (checks / "10-refuse").write_text(f"#!/bin/sh\ntest ! -e '{folder}/refuse'\n")
        (checks / "10-refuse").chmod(0o755)

    def configure(self, *, confirm: int) -> None:
        """Set how long a new version may take to prove itself; read at each start of a version."""
        text = CONFIG.format(confirm=confirm, sound=self.sound)
        (self.folder / "agent.toml").write_text(text)

    def refuse(self, *, refused: bool) -> None:
        """Let the machine's own check hold for no new version, or for each again."""
        (self.folder / "refuse").touch()
        if not refused:
            (self.folder / "refuse").unlink()
        self.configure(confirm=5 if refused else 60)

    def start(self) -> None:
        """Start what has to run, as systemd does."""
        self.agent = Service(
            sys.executable,
            [*ENTRY, "run", "--profile", self.folder / "profile.json", "--state", self.state,
             "--config", self.folder / "agent.toml"],
            self.log,
            {"PYTHONPATH": str(self.base), "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip

    def stop(self) -> None:
        """End it in order."""
        if self.agent is not None:
            self.agent.stop()

    def wait_for(self, what: str, look: Callable[[], T | None], timeout: float) -> T:
        """Return what ``look`` finds; start the agent again whenever it ended."""
        deadline = time.monotonic() + timeout
        while (found := look()) is None:
            assert self.agent is not None
            if self.agent.process.poll() is not None:
                self.endings += 1
                self.start()
            if time.monotonic() > deadline:
                raise BenchError(f"no {what} within {timeout:g} s: {self.log.read_text()[-4000:]}")
            time.sleep(POLL_SECONDS)
        return found

    def ask(self, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the base's ``story-agent``, beside the running version."""
        return run_code(self.base, "-m", "agent.cli", *words, "--state", str(self.state))

    def status(self) -> dict[str, Any] | None:
        """Return what the running version says of itself, None while it does not answer."""
        done = self.ask("status", "--json")
        return None if done.returncode else dict(json.loads(done.stdout))

    def wait_until_runs(self, version: str) -> dict[str, Any]:
        """Return the status once ``version`` is online and has reported all that waited."""

        def look() -> dict[str, Any] | None:
            status = self.status()
            if status is None or status["version"] != version:
                return None
            settled = status["link"]["state"] == "online" and not status["outbox"]["waiting"]
            return status if settled else None

        return self.wait_for(f"version {version}", look, START_SECONDS)

    def read(self, name: str) -> Any:
        """Return a JSON file of STATE."""
        return json.loads((self.state / name).read_bytes())

    def boot(self) -> dict[str, Any]:
        """Return the members of boot.json that every version writes."""
        return without_sum(self.read("slots/boot.json"))

    def waiting(self) -> list[dict[str, Any]]:
        """Return the reports that wait in the outbox."""
        with sqlite3.connect(f"file:{self.state}/outbox.sqlite?mode=ro", uri=True) as outbox:
            rows = outbox.execute("SELECT body FROM report ORDER BY id").fetchall()
        return [dict(json.loads(body)) for (body,) in rows]

    def update(self, client: OpenApiClient, uuid: str, package: int) -> dict[str, Any]:
        """Order an update and return its task once it has ended."""
        client.update(uuid, package)
        ordered = client.update_status(uuid)["id"]

        def look() -> dict[str, Any] | None:
            task = client.update_status(uuid)
            assert task["id"] == ordered
            return task if task["status"] in {"SUCCESS", "FAILED"} else None

        return self.wait_for("end of the update", look, UPDATE_SECONDS)
