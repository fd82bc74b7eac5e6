"""What the units and the polkit rule grant and remove, as systemd itself finds it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from tools.deb.recipes import BY_NAME

SYSTEMD = Path(__file__).parents[2] / "systemd"
AGENT = SYSTEMD / "story-agent.service"
SERVICES = sorted(SYSTEMD.rglob("*.service"))
IMAGES = sorted((SYSTEMD / "image").rglob("*.service"))
# 10 times systemd's exposure level.
EXPOSURE = "17"
# Linux' Documentation/admin-guide/devices.txt; of USB sound too, whose driver comes when it is plugged in.
DEVICES = {"char-116": "ALSA", "char-13": "input", "char-89": "I2C", "char-gpiochip": "GPIO"}

needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd is not installed"
)


def values(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


@pytest.mark.parametrize("what", ["power-off", "reboot"])
def test_the_machine_goes_down_also_while_somebody_is_logged_in(what: str) -> None:
    """logind then checks another polkit action (verify_shutdown_creds)."""
    rule = (SYSTEMD / "50-story-agent.rules").read_text()
    allowed = set(re.findall(r'"org\.freedesktop\.login1\.([a-z-]+)"', rule))
    assert {what, f"{what}-multiple-sessions"} <= allowed
    assert f"{what}-ignore-inhibit" not in allowed


@needs_systemd
@pytest.mark.parametrize("unit", SERVICES, ids=lambda unit: unit.stem)
def test_each_service_is_as_tight_as_the_contract_says(unit: Path) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", f"--threshold={EXPOSURE}", str(unit)],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-300:] + done.stderr


def test_the_agent_opens_sound_buttons_battery_and_the_root_slots_and_no_other_device() -> None:
    assert values(AGENT, "DevicePolicy") == ["closed"]
    allowed = values(AGENT, "DeviceAllow")
    assert allowed == [*(f"{name} rw" for name in DEVICES), "block-* r"]


def test_what_the_sandbox_must_leave_the_agent() -> None:
    """Each was found missing on a booted Debian: the unit says why."""
    names = set(re.findall(r"^(\w+)=", AGENT.read_text("utf-8"), re.MULTILINE))
    assert not names & {
        "MemoryDenyWriteExecute",
        "ProcSubset",
        "PrivateUsers",
        "PrivateIPC",
        "PrivateDevices",
    }
    assert set(values(AGENT, "RestrictAddressFamilies")[0].split()) == {
        "AF_INET", "AF_INET6", "AF_UNIX", "AF_NETLINK",
    }  # fmt: skip


def test_the_cards_units_may_write_what_their_programs_write_and_no_more() -> None:
    """Each was tried on the booted twin: the unit says why."""
    given = {unit.stem.removeprefix("story-machine-"): unit for unit in IMAGES}
    assert {name: values(unit, "ReadWritePaths") for name, unit in given.items()} == {
        "data": [], "grow": [], "start": ["/data -/run/machine-id"], "wifi": ["/boot/firmware /data/wifi"],
    }  # fmt: skip
    assert {name: values(unit, "CapabilityBoundingSet") for name, unit in given.items()} == {
        "data": [""], "grow": ["CAP_SYS_ADMIN"], "start": ["CAP_SYS_RESOURCE CAP_DAC_OVERRIDE"], "wifi": [""],
    }  # fmt: skip
    # Before the card's other mounts: what would wait for /tmp would wait for ever.
    assert not any(values(given[name], "PrivateTmp") for name in ("grow", "start"))


def test_the_file_system_grows_before_any_other_mount_of_it() -> None:
    """On an emulated Pi resize2fs took /var/lib/story-agent, which the unit may not write, and a card's stories kept 256 MiB."""
    table = (SYSTEMD / "image/files/etc/fstab").read_text("utf-8")
    binds = re.findall(r"^/data/\S+\s+/(\S+)\s+none\s+bind", table, re.MULTILINE)
    names = {path.replace("-", r"\x2d").replace("/", "-") + ".mount" for path in binds}
    (unit,) = [unit for unit in IMAGES if unit.stem == "story-machine-start"]
    assert len(names) == 3
    assert names <= set(" ".join(values(unit, "Before")).split())


@needs_systemd
@pytest.mark.parametrize("unit", IMAGES, ids=lambda unit: unit.stem)
def test_systemd_understands_every_line_of_the_cards_units(unit: Path, tmp_path: Path) -> None:
    text = re.sub(r"(?m)^ExecStart=.*$", "ExecStart=/bin/true", unit.read_text("utf-8"))
    (tmp_path / unit.name).write_text(text)
    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", "--recursive-errors=yes", tmp_path / unit.name],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("unit", sorted({*SERVICES} - {*IMAGES}), ids=lambda unit: unit.stem)
def test_documentation_is_a_file_that_the_package_installs(unit: Path) -> None:
    package = "story-cloud" if unit.name == "story-cloud.service" else "story-agent"
    installed = {f"file:/{target}" for _, target in BY_NAME[package].files}
    assert set(values(unit, "Documentation")) <= installed
    assert values(unit, "Documentation")
