"""A PulseAudio daemon with one null sink, for tests and benchmarks: it can be killed and started again."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

START_SECONDS = 60.0


class PulseServer:
    """The daemon.

    Attributes:
        folder: holds the socket and the daemon's files.
        address: the value of PULSE_SERVER for its clients.
        environment: the environment of its clients.
    """

    def __init__(self, folder: Path) -> None:
        """Use ``folder``, which exists, for the socket and the daemon's files; `start` starts it."""
        self.folder = folder
        self.address = f"unix:{folder / 'native'}"
        self.environment = {
            **os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder),
            "PULSE_RUNTIME_PATH": str(folder / "run"), "PULSE_SERVER": self.address,
        }  # fmt: skip
        self._daemon: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the daemon and wait until it answers; its sink is at 100 %."""
        self._daemon = subprocess.Popen(
            ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no",
             "--disable-shm=yes", "--log-level=error",
             "-L", f"module-native-protocol-unix socket={self.folder / 'native'} auth-anonymous=1",
             "-L", "module-null-sink sink_name=bench"],
            env={k: v for k, v in self.environment.items() if k != "PULSE_SERVER"},
            stderr=subprocess.DEVNULL,
        )  # fmt: skip
        subprocess.run(
            ["bash", "-c", "until pactl info >/dev/null 2>&1; do sleep 0.05; done"],
            env=self.environment, timeout=START_SECONDS, check=True,
        )  # fmt: skip

    def kill(self) -> None:
        """Kill the daemon at once."""
        if self._daemon is not None:
            self._daemon.kill()
            self._daemon.wait(10)
            self._daemon = None

    def pactl(self, *words: str) -> str:
        """Run pactl and return its output."""
        done = subprocess.run(
            ["pactl", *words], env={**self.environment, "LC_ALL": "C"},
            capture_output=True, text=True, timeout=START_SECONDS, check=True,
        )  # fmt: skip
        return done.stdout
