"""A D-Bus daemon of the tests' own, on a socket in their folder."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

CONFIG = """<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig><type>session</type><listen>unix:path={path}</listen><auth>EXTERNAL</auth>
<policy context="default"><allow send_destination="*"/><allow own="*"/><allow user="*"/>
<allow receive_sender="*"/></policy></busconfig>"""


@dataclass(frozen=True)
class PrivateBus:
    """A running daemon."""

    address: str
    daemon: subprocess.Popen[bytes]

    def die(self) -> None:
        """Kill the daemon."""
        self.daemon.kill()
        self.daemon.wait()


@contextmanager
def private_bus(folder: Path) -> Iterator[PrivateBus]:
    """Start a daemon; skips the test where Debian's dbus is missing."""
    if shutil.which("dbus-daemon") is None:
        pytest.skip("needs Debian's dbus")
    config, path = folder / "bus.conf", folder / "bus"
    config.write_text(CONFIG.format(path=path))
    command = ["dbus-daemon", f"--config-file={config}", "--nofork", "--print-address"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as daemon:
        assert daemon.stdout is not None
        daemon.stdout.readline()
        bus = PrivateBus(f"unix:path={path}", daemon)
        try:
            yield bus
        finally:
            bus.die()
