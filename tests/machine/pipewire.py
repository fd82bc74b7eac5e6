"""PipeWire in a runtime folder of its own, with the interface of the PulseAudio of the other tests.

Its session manager needs a D-Bus session bus. pipewire-alsa is not needed, and would remove PulseAudio.
"""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.machine.parts import PulseServer
from tools.pulse import START_SECONDS

PROGRAMS = ("pipewire", "wireplumber", "pipewire-pulse", "dbus-daemon")
needs_pipewire = pytest.mark.skipif(
    not all(map(shutil.which, PROGRAMS)),
    reason="pipewire, pipewire-pulse and wireplumber are not installed",
)


class PipeWireServer(PulseServer):
    """pipewire, its session manager, and its server for PulseAudio's clients, with the sink ``bench``."""

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, which exists, for the sockets."""
        super().__init__(folder)
        self.address = f"unix:{folder / 'pulse' / 'native'}"
        self.environment |= {
            "PULSE_SERVER": self.address, "PULSE_RUNTIME_PATH": str(folder / "pulse"),
            "DBUS_SESSION_BUS_ADDRESS": f"unix:path={folder / 'bus'}",
        }  # fmt: skip
        self._daemons: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Start all of it, and wait until the sink is the default one, at 100 %."""
        for program in (
            ["dbus-daemon", "--session", "--nofork", self._bus_option()], ["pipewire"],
            ["wireplumber"], ["pipewire-pulse"],
        ):  # fmt: skip
            self._run(program)
            self._await({"pipewire": "pipewire-0", "dbus-daemon": "bus"}.get(program[0], "."))
        self._shell("until pactl info >/dev/null 2>&1; do sleep 0.05; done")
        self.pactl("load-module", "module-null-sink", "sink_name=bench")
        self._shell("until pactl get-default-sink | grep -qx bench; do sleep 0.05; done")
        self.pactl("set-sink-volume", "bench", "100%")

    def kill(self) -> None:
        """Kill all of it at once; what it left in the folder is removed."""
        for daemon in reversed(self._daemons):
            daemon.kill()
            daemon.wait(60)
        self._daemons.clear()
        for left in ("bus", "pipewire-0", "pulse/native"):
            (self.folder / left).unlink(missing_ok=True)

    def _bus_option(self) -> str:
        return f"--address=unix:path={self.folder / 'bus'}"

    def _run(self, program: list[str]) -> None:
        self._daemons.append(
            subprocess.Popen(
                program, env=self.environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
            )
        )

    def _await(self, name: str) -> None:
        self._shell(f"until [ -e '{self.folder / name}' ]; do sleep 0.02; done")

    def _shell(self, script: str) -> None:
        subprocess.run(
            ["bash", "-c", script], env=self.environment, timeout=START_SECONDS, check=True
        )
