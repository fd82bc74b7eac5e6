"""A machine with RAUC: a real `rauc service` on a private bus, with two slots that are files.

The boot loader is a script that keeps its choice in a folder; a restart of the machine is a restart
of the service from the slot that the script would start. Bundles are of the plain format here:
verity needs device-mapper, which containers rarely have; the VM proof (tests/vm) uses it.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import threading
import time
from pathlib import Path

import pytest

from ota.install.rauc import (
    RaucInstaller,
)
from ota.install.rauc_bus import (
    RaucDeadlines,
)
from ota.trust.target import Target
from tests.authority import write_signer

needs_rauc = pytest.mark.skipif(
    not all(map(shutil.which, ("rauc", "dbus-daemon", "mksquashfs"))),
    reason="needs Debian's rauc, dbus and squashfs-tools",
)

IMAGE = bytes(range(256)) * 12_000

BUS = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>system</type><listen>unix:path={bus}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow own="*"/><allow user="*"/>
<allow receive_sender="*"/></policy>
</busconfig>"""

SYSTEM = """[system]
compatible=story-machine-test
bootloader=custom
activate-installed=false
statusfile={root}/status
mountprefix={root}/mnt
bundle-formats=plain verity
[handlers]
bootloader-custom-backend={root}/backend
[keyring]
path={root}/cert.pem
[slot.rootfs.0]
device={root}/a.img
type=raw
bootname=A
[slot.rootfs.1]
device={root}/b.img
type=raw
bootname=B
"""

BACKEND = """#!/bin/sh
cd {root}/boot || exit 1
echo "$*" >> calls
[ ! -e hang ] || sleep 20
[ ! -e broken ] || exit 1
case $1 in
get-primary) cat primary ;;
set-primary) echo "$2" > primary ;;
get-state) cat "state.$2" ;;
set-state) echo "$3" > "state.$2" ;;
get-current) cat current ;;
esac
"""


class RaucRig:
    """A machine with RAUC: its bus, its service, its boot loader's folder, and the agent's STATE."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.state = root / "state"
        self.boots = 1
        self.address = f"unix:path={root}/bus"
        self.environment = os.environ | {"DBUS_SYSTEM_BUS_ADDRESS": self.address}
        self.service: subprocess.Popen[bytes] | None = None
        (root / "boot").mkdir()
        for name, text in {
            "primary": "A",
            "current": "A",
            "state.A": "good",
            "state.B": "good",
        }.items():
            (root / "boot" / name).write_text(text + "\n")
        for name in ("a.img", "b.img"):
            (root / name).write_bytes(bytes(len(IMAGE)))
        (root / "bus.conf").write_text(BUS.format(bus=root / "bus"))
        (root / "system.conf").write_text(SYSTEM.format(root=root))
        (root / "backend").write_text(BACKEND.format(root=root))
        (root / "backend").chmod(0o755)
        write_signer(root / "cert.pem", root / "cert.key")
        command = [
            "dbus-daemon",
            f"--config-file={root / 'bus.conf'}",
            "--nofork",
            "--print-address",
        ]
        self.daemon = subprocess.Popen(command, stdout=subprocess.PIPE)
        assert self.daemon.stdout is not None
        self.daemon.stdout.readline()

    def start_service(self) -> None:
        slot = self.boot("current")
        command = [
            "rauc",
            "-c",
            f"{self.root}/system.conf",
            f"--override-boot-slot={slot}",
            "service",
        ]
        log = (self.root / "rauc.log").open("ab")
        self.service = subprocess.Popen(command, env=self.environment, stdout=log, stderr=log)
        log.close()
        ask = "dbus-send --system --print-reply --dest=org.freedesktop.DBus / "
        ask += "org.freedesktop.DBus.GetNameOwner string:de.pengutronix.rauc"
        for _ in range(200):
            done = subprocess.run(
                ask.split(), env=self.environment, capture_output=True, check=False
            )
            if done.returncode == 0:
                return
            time.sleep(0.02)
        pytest.fail("rauc service did not come up: " + (self.root / "rauc.log").read_text())

    def stop_service(self) -> None:
        if self.service is not None:
            self.service.kill()
            self.service.wait()

    def reboot(self, slot: str | None = None) -> None:
        """Restart in the slot that the boot loader chooses; ``slot``: the slot it fell back to."""
        self.stop_service()
        self.boots += 1
        (self.root / "boot" / "current").write_text((slot or self.boot("primary")) + "\n")
        self.start_service()

    def boot(self, name: str) -> str:
        return (self.root / "boot" / name).read_text().strip()

    @property
    def calls(self) -> list[str]:
        return (self.root / "boot" / "calls").read_text().splitlines()

    def bundle(self, version: str = "1.1.0", image: bytes = IMAGE, **changes: str) -> Path:
        folder = self.root / "content"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        (folder / "rootfs.img").write_bytes(image)
        fields = {"compatible": "story-machine-test", "format": "plain", "cert": "cert"} | changes
        (folder / "manifest.raucm").write_text(
            f"[update]\ncompatible={fields['compatible']}\nversion={version}\n"
            f"[bundle]\nformat={fields['format']}\n[image.rootfs]\nfilename=rootfs.img\n"
        )
        path = self.root / f"{version}-{fields['cert']}-{fields['compatible']}.raucb"
        path.unlink(missing_ok=True)
        key = self.root / f"{fields['cert']}.key"
        cert = self.root / f"{fields['cert']}.pem"
        command = ["rauc", f"--cert={cert}", f"--key={key}", "bundle", str(folder), str(path)]
        subprocess.run(command, check=True, capture_output=True)
        return path

    def installer(self, running: str = "1.0.0", *, call: float = 10.0) -> RaucInstaller:
        return RaucInstaller(
            self.state,
            running,
            deadlines=RaucDeadlines(call=call, stall=20.0, install=40.0),
            address=self.address,
            boot_id=lambda: f"boot-{self.boots}",
        )

    def drop_mount(self, bundle: Path) -> None:
        """Remove the mount of a killed service, and the loop device below it."""
        subprocess.run(["umount", "-q", str(self.root / "mnt" / "bundle")], check=False)
        find = ["losetup", "--noheadings", "--output", "NAME", "--associated", str(bundle)]
        for name in subprocess.run(
            find, capture_output=True, text=True, check=False
        ).stdout.split():
            subprocess.run(["losetup", "--detach", name], check=False)

    def close(self) -> None:
        self.stop_service()
        self.daemon.kill()
        self.daemon.wait()
        assert self.daemon.stdout is not None
        self.daemon.stdout.close()


def target(path: Path, version: str = "1.1.0") -> Target:
    return Target(f"p/{version}.raucb", path.stat().st_size, "0" * 64, version, "p")


def install(rig: RaucRig, path: Path, version: str = "1.1.0") -> list[float]:
    seen: list[float] = []
    rig.installer().install(
        path,
        target(path, version),
        threading.Event(),
        lambda done, total: seen.append(done / total),
    )
    return seen


def prepared(state: Path) -> Path:
    (state / "ota").mkdir(parents=True)
    return state / "ota" / "task.json"
