"""The cloud's package in a booted clean system: installed, started, asked, upgraded and purged."""

from __future__ import annotations

import os
from pathlib import Path

from tests import booted
from tests.deb.machine import ProofError, System

# Not the defaults: the container shares this machine's network.
API, DEVICES = 18443, 18883
OPTIONS = f'STORY_CLOUD_OPTIONS="--api-port {API} --device-port {DEVICES}"\n'
DATA = "/var/lib/story-cloud"
# What every device and machine is given anyway; nobody else enters the folder.
PUBLIC = (
    "!",
    "-name",
    "endpoints.json",
    "!",
    "-path",
    "*/ca/*.crt",
    "!",
    "-path",
    "*/tuf/metadata/*",
)
READY_SECONDS = 90
ASKED = (
    "from urllib.request import urlopen;"
    f"print(urlopen('http://127.0.0.1:{API}/openapi.json', timeout=10).status)"
)


def install(system: System, deb: Path) -> str:
    """Install it: nothing serves until somebody enables it."""
    (system.root / "var/tmp" / deb.name).write_bytes(deb.read_bytes())
    system.run("apt-get", "update", "-qq")
    system.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", f"/var/tmp/{deb.name}")
    system.run("systemctl", "is-enabled", "story-cloud", fail=True)
    system.run("systemd-analyze", "verify", "/usr/lib/systemd/system/story-cloud.service")
    for program in ("story-cloud", "story-fleet", "story-release"):
        system.run(program, "--help")
    kib = system.run("dpkg-query", "-W", "-f", "${Installed-Size}", "story-cloud")
    return f"{deb.stat().st_size / 1e6:.1f} MB, {int(kib) / 1024:.0f} MiB installed; not enabled"


def start(system: System) -> str:
    """Enable it, ask its API, add a device, and look at the modes of its folder."""
    (system.root / "etc/default/story-cloud").write_text(OPTIONS)
    system.run("systemctl", "enable", "--now", "story-cloud")
    seconds = _wait_for_api(system)
    words = ("runuser", "-u", "story-cloud", "--", "story-cloud", "--data", DATA)
    system.run(*words, "device", "add")
    found = system.run("stat", "-c", "%U:%G %a", DATA).strip()
    if found != "story-cloud:story-cloud 700":
        raise ProofError(f"{DATA}: got {found}, expected story-cloud:story-cloud 700")
    if open_to := system.run("find", DATA, "-mindepth", "1", "-perm", "/077", *PUBLIC):
        raise ProofError(f"others may read: {open_to}")
    level = booted.exposure(system.ask, "story-cloud.service")
    return f"its API answered after {seconds:.1f} s; a device added; {found}, no key or database in it is for others; exposed: {level}"


def upgrade(system: System, newer: Path) -> str:
    """Upgrade it: a changed file of options is kept without a question, and the new version serves."""
    (system.root / "var/tmp" / newer.name).write_bytes(newer.read_bytes())
    before = system.run("systemctl", "show", "-P", "MainPID", "story-cloud")
    system.run("dpkg", "-i", f"/var/tmp/{newer.name}")
    seconds = _wait_for_api(system)
    if system.run("systemctl", "show", "-P", "MainPID", "story-cloud") == before:
        raise ProofError("the old process still serves")
    if (system.root / "etc/default/story-cloud").read_text() != OPTIONS:
        raise ProofError("the options were replaced")
    return f"options kept; its API answered {seconds:.1f} s after the upgrade"


def purge(system: System) -> str:
    """Purge it: nothing stays."""
    system.run("apt-get", "purge", "-y", "-qq", "story-cloud")
    places = [DATA, "/etc/default/story-cloud", "/opt/story-cloud", "/usr/bin/story-cloud"]
    left = [name for name in places if os.path.lexists(system.root / name.removeprefix("/"))]
    if left:
        raise ProofError(f"left: {left}")
    system.run("systemctl", "is-active", "story-cloud", fail=True)
    return "nothing stays"


def _wait_for_api(system: System) -> float:
    asked = ("/usr/bin/python3", "-c", ASKED)
    return system.wait("the cloud's API", READY_SECONDS, *asked, holds="200")
