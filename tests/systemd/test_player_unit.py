"""The player's unit: what systemd says of it, and that it and the code name the same things."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from agent.settings import Settings
from agent.state import RUN_FOLDER
from machine.mpv_host import UNIT_SOCKET

SYSTEMD = Path(__file__).parents[2] / "systemd"
SERVICE, SOCKET = SYSTEMD / "story-player@.service", SYSTEMD / "story-player.socket"
AGENTS = "/var/lib/story-agent"
# 10 times systemd's exposure level.
EXPOSURE = "17"


def values(unit: Path, name: str) -> list[str]:
    return re.findall(rf"^{name}=(.*)$", unit.read_text("utf-8"), re.MULTILINE)


def run(*words: str) -> str:
    done = subprocess.run(
        ["systemd-analyze", *words], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stderr


def test_systemd_understands_every_line(tmp_path: Path) -> None:
    for unit in (SERVICE, SOCKET):
        text = unit.read_text("utf-8").replace("/opt/story-agent/bin/python3", "/bin/true")
        (tmp_path / unit.name).write_text(text)
    (tmp_path / SERVICE.name).rename(tmp_path / "story-player@1.service")
    said = run(
        "verify", "--man=no", "--recursive-errors=yes", str(tmp_path / "story-player@1.service")
    )
    assert said == ""
    (tmp_path / "story-player@1.service").rename(tmp_path / SERVICE.name)
    assert run("verify", "--man=no", "--recursive-errors=yes", str(tmp_path / SOCKET.name)) == ""


def test_the_sandbox_is_as_tight_as_it_was() -> None:
    run("security", "--offline=yes", f"--threshold={EXPOSURE}", str(SERVICE))


def test_the_agent_connects_to_the_units_socket_which_its_group_alone_may() -> None:
    assert values(SOCKET, "ListenStream") == [str(UNIT_SOCKET)]
    assert values(SOCKET, "SocketGroup") == ["story-agent"]
    assert values(SOCKET, "SocketMode") == ["0660"]
    assert values(SERVICE, "User") == ["story-player"]
    users = (SYSTEMD / "story-agent.sysusers").read_text("utf-8")
    assert {"u story-player", "u story-agent"} <= set(re.findall(r"^u [\w-]+", users, re.MULTILINE))


def test_it_sees_what_it_plays_and_none_of_the_agents_other_files() -> None:
    assert values(SERVICE, "TemporaryFileSystem") == ["/var/lib:ro,mode=0755"]
    seen = {path.removeprefix("-") for path in values(SERVICE, "BindReadOnlyPaths")}
    assert seen == {f"{AGENTS}/{name}" for name in (Settings().play.media_folder, "player")}
    assert not values(SERVICE, "BindPaths")
    assert not values(SERVICE, "ReadWritePaths")
    hidden = {
        path.removeprefix("-") for path in " ".join(values(SERVICE, "InaccessiblePaths")).split()
    }
    # The player is of the agent's group, as is who may open the socket of an agent whose state folder cannot be written.
    assert {"/etc/story-agent", str(RUN_FOLDER), str(UNIT_SOCKET.parent), "/run/lock"} <= hidden


def test_on_a_card_it_does_not_see_the_partition_whose_folders_are_the_agents() -> None:
    """Where /var/lib is hidden, the socket lay in /data/story-agent, seen on the twin: the player's group may open it."""
    table = (SYSTEMD / "image/files/etc/fstab").read_text("utf-8")
    assert re.search(rf"^/data/\S+\s+{AGENTS}\s+none\s+bind", table, re.MULTILINE)
    dropin = SYSTEMD / "image/files/etc/systemd/system/story-player@.service.d/story-machine.conf"
    assert values(dropin, "InaccessiblePaths") == ["/data"]


def test_it_reaches_no_other_machine_and_no_device_but_sound_cards() -> None:
    assert values(SERVICE, "IPAddressDeny") == ["any"]
    assert values(SERVICE, "IPAddressAllow") == ["localhost"]
    assert values(SERVICE, "DevicePolicy") == ["closed"]
    assert values(SERVICE, "DeviceAllow") == ["char-alsa rw"]
