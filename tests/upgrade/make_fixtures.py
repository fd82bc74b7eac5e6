"""Makes tests/upgrade/before/: a package, a cloud and a machine of the version before.

    python -m tests.upgrade.make_fixtures [--commit 5a7947e]

The commit's tree is taken out of Git; its own programs then do all that is kept: a family's machine is
bound, controlled, spoken to and updated, once in vain and once with success, and goes offline with
reports that wait. Keys, tokens and passwords are made anew each time and are good for nothing else.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import shutil
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
import tomllib
import wave
from pathlib import Path
from typing import Any

from tests.upgrade.house import (
    BASE,
    BEFORE,
    GIVEN_UP,
    RELEASE,
    RELEASE_FILE,
    ROOT,
    Cloud,
    Machine,
    answers,
    install_base,
    run_code,
)
from tools.processes import Service

COMMIT = "5a7947e"
PACKAGES = ("wire", "transport", "resources", "ota", "agent")
# What a machine and a server leave beside what counts.
TRANSIENT = ("*.sock", "*.lock", ".tuf.lock", "*-wal", "*-shm", "__pycache__")
# How the device reaches the cloud in the profile that is kept.
PORTS = ("--host", "127.0.0.1", "--device-port", "9001", "--api-port", "8600")
LISTS: dict[str, tuple[str, ...]] = {
    "devices": ("device", "list"),
    "apps": ("app", "list"),
    "accounts": ("account", "list"),
    "products": ("product", "list"),
    "batches": ("batch", "list"),
    "dataPoints": ("datapoint", "list"),
    "releases": ("release", "list"),
    "strategies": ("strategy", "list"),
    "heard": ("heard",),
    "catalogue": ("catalogue", "show", "--product", "story-machine"),
}


class CloudBefore(Cloud):
    """The cloud of the version before, on a data folder of its own."""

    def __init__(self, folder: Path, base: Path) -> None:
        """Start it."""
        self.base, self.data, self._log = base, folder / "cloud", folder / "cloud.log"
        self.start()

    def start(self) -> None:
        """Start the server."""
        self._log.unlink(missing_ok=True)
        self.service = Service(
            sys.executable,
            ["-P", "-m", "staging.cli", "serve", "--data", self.data,
             "--api-port", "0", "--device-port", "0"],
            self._log,
            {"PYTHONPATH": str(self.base)},
        )  # fmt: skip
        self.api, self.device = self.service.wait_for_line(r"ready api=(\S+) device=(\S+)").groups()

    def command(self, *words: str | Path) -> dict[str, Any]:
        """Run a command of before."""
        done = run_code(self.base, "-m", "staging.cli", *words, "--data", self.data, "--json")
        if done.returncode:
            raise SystemExit(f"story-cloud {words}: {done.stderr}")
        return dict(json.loads(done.stdout))


def main() -> None:
    """Make everything."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--commit", default=COMMIT)
    options = parser.parse_args()
    shutil.rmtree(BEFORE, ignore_errors=True)
    BEFORE.mkdir()
    with tempfile.TemporaryDirectory() as temp, contextlib.chdir(temp):
        # Not in the checkout: where the cloud starts its release tool, Python looks there first.
        _make(Path(temp), options.commit)
    for file in sorted(BEFORE.iterdir()):
        sys.stdout.write(f"{file.stat().st_size:8} {file.name}\n")


def _make(folder: Path, commit: str) -> None:
    tree = folder / "tree"
    archive = subprocess.run(
        ["git", "-C", ROOT, "archive", commit], capture_output=True, check=True
    ).stdout
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        tar.extractall(tree, filter="data")
    project = tomllib.loads((tree / "pyproject.toml").read_text("utf-8"))["project"]
    base = folder / "base"
    for name in (*PACKAGES, "staging"):  # copytree keeps the times, which release.json tells
        shutil.copytree(tree / name, base / name)
    install_base(None, base, BASE, project["dependencies"])
    _story_release(base, "build", "--version", RELEASE, "--output", RELEASE_FILE)
    cloud = CloudBefore(folder, base)
    machine = None
    try:
        machine = _live(folder, cloud, tree)
    finally:
        if machine is not None:
            machine.stop()
        cloud.service.stop()
    _pack(BEFORE / "cloud.tar.gz", cloud.data, leave=(f"*.{RELEASE_FILE.name.rpartition('-')[2]}",))
    _pack(BEFORE / "state.tar.gz", machine.state, leave=("lib", "health.d"))


def _story_release(base: Path, *words: str | Path) -> None:
    done = run_code(base, "-m", "ota.release_cli", *words)
    if done.returncode:
        raise SystemExit(f"story-release {words[0]}: {done.stderr}")


def _live(folder: Path, cloud: CloudBefore, tree: Path) -> Machine:
    """Let a family use a machine; return it when it is offline for good."""
    app = cloud.command("app", "add", "before", "--type", "web")
    cloud.command("app", "add", "phone", "--type", "ios", "--bundle-id", "com.example.story")
    cloud.command("account", "add", "tester")
    cloud.command("product", "add", "other-machine", "--devices", "1", "--template", "supply")
    devices = cloud.command("batch", "add", "spring", "--count", "4")["devices"]
    titles = folder / "titles.txt"
    titles.write_text("小兔子乖乖\n测试音 tone\n")
    cloud.command("catalogue", "set", "--product", "story-machine", titles)
    cloud.command("token", "--app", str(app["appId"]), "--user", "parent")
    device = devices[0]
    machine = _flash(folder, cloud, device["uuid"])
    with cloud.client(app) as client:
        machine.start()
        machine.wait_until_runs(BASE)
        for each in devices:
            client.bind(each["uuid"], each["bindToken"])
        client.rename(device["uuid"], "小明的故事机")
        _use(folder, client, cloud, machine, device["uuid"], tree)
        _update(folder, client, cloud, machine, device["uuid"])
    machine.stop()
    # The server's memory must be on the disk before it is asked what is there.
    cloud.service.stop()
    cloud.start()
    with cloud.client(app) as client:
        said: dict[str, Any] = {"api": answers(client, device)}
    cloud.service.stop()
    said |= {name: cloud.command(*words) for name, words in LISTS.items()}
    said["root"] = cloud.command("release", "root")["root"]
    said["profile"] = cloud.command("device", "profile", device["uuid"], *PORTS)
    said |= {"app": app, "device": device, "spare": devices[1:]}
    target = next(cloud.data.glob(f"tuf/targets/**/*.{RELEASE}.tar.gz"))
    said["releasePath"] = target.relative_to(cloud.data).as_posix()
    _go_on_offline(machine)
    said["waiting"] = machine.waiting()
    text = json.dumps(said, ensure_ascii=False, indent=1)
    (BEFORE / "expected.json").write_text(text + "\n", "utf-8")
    return machine


def _flash(folder: Path, cloud: CloudBefore, uuid: str) -> Machine:
    state = folder / "state"
    state.mkdir(mode=0o750)
    shutil.copyfile(cloud.data / "tuf" / "metadata" / "1.root.json", state / "root.json")
    return Machine(folder, cloud.base, state, cloud.profile(uuid))


def _use(
    folder: Path, client: Any, cloud: CloudBefore, machine: Machine, uuid: str, tree: Path
) -> None:
    """Control the machine, and let it say something short."""
    for value in ("3", "9", "5"):
        client.send(uuid, "PUT", "volume", value)
    cloud.command("say", uuid, "音量调到六")
    said = folder / "said.wav"
    spoken = tree / "tools" / "utterance.wav"
    with wave.open(str(spoken)) as whole, wave.open(str(said), "wb") as part:
        part.setparams(whole.getparams())
        part.writeframes(whole.readframes(whole.getframerate()))
    _expect(machine.ask("say", str(said)))


def _update(folder: Path, client: Any, cloud: CloudBefore, machine: Machine, uuid: str) -> None:
    """Update it to a version that does not live, then to one that does."""
    dead = folder / "dead"
    for name in PACKAGES:
        (dead / name).mkdir(parents=True)
        (dead / name / "__init__.py").touch()
    (dead / "agent" / "cli.py").write_text("raise SystemExit('this version is broken')\n")
    package = folder / "dead.tar.gz"
    words = ("build", "--version", GIVEN_UP, "--output", package, "--source", dead)
    _story_release(cloud.base, *words)
    failed = machine.update(client, uuid, cloud.offer(package, GIVEN_UP))
    machine.wait_until_runs(BASE)
    done = machine.update(client, uuid, cloud.offer(RELEASE_FILE, RELEASE))
    cloud.command("strategy", "withdraw", "1")
    machine.wait_until_runs(RELEASE)
    if (failed["status"], done["status"]) != ("FAILED", "SUCCESS"):
        raise SystemExit(f"the updates ended otherwise: {failed}, {done}")


def _go_on_offline(machine: Machine) -> None:
    """Let reports pile up while there is no cloud."""
    machine.start()
    machine.wait_for("socket", machine.status, 30)
    for value in ("8", "2", "7"):  # each is a report of its own
        _expect(machine.ask("set", "volume", value))
    machine.stop()


def _expect(done: subprocess.CompletedProcess[str]) -> None:
    if done.returncode:
        raise SystemExit(done.stderr)


def _pack(archive: Path, folder: Path, leave: tuple[str, ...]) -> None:
    """Pack a folder without what runs leave behind, and without what is packed elsewhere."""
    for database in folder.glob("*.sqlite"):
        with sqlite3.connect(database) as opened:
            opened.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            opened.execute("VACUUM")
        opened.close()

    def kept(member: tarfile.TarInfo) -> tarfile.TarInfo | None:
        name = Path(member.name)
        member.uid = member.gid = 0
        member.uname = member.gname = ""
        return None if any(name.match(pattern) for pattern in (*TRANSIENT, *leave)) else member

    with tarfile.open(archive, "w:gz") as tar:
        tar.add(folder, folder.name, filter=kept)


if __name__ == "__main__":
    main()
