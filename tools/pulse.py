"""A PulseAudio daemon with one null sink, for tests and benchmarks: it can be killed and started again.

`MicServer` adds a virtual microphone, into which tests and benchmarks speak.
"""

from __future__ import annotations

import os
import signal
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


MIC_SOURCE = "mic.monitor"


class MicServer(PulseServer):
    """A server whose source `MIC_SOURCE` gives what is played into its sink ``mic``, and faint noise."""

    _noise: subprocess.Popen[bytes] | None = None

    @property
    def variables(self) -> dict[str, str]:
        """What a process needs in its environment to use this server."""
        names = ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_SERVER")
        return {name: self.environment[name] for name in names}

    def start(self) -> None:
        """Start the server; the virtual microphone is open, for a monitor begins with a delay."""
        super().start()
        self.pactl("load-module", "module-null-sink", "sink_name=mic")
        self.pactl("set-default-source", MIC_SOURCE)
        self._noise = subprocess.Popen(
            ["pacat", "--latency-msec=20", "--device=mic", "--volume=6554", "/dev/urandom"],
            env=self.environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self) -> None:
        """Kill the server at once, and wait for the one that plays the noise."""
        super().kill()
        if self._noise is not None:
            self._noise.kill()
            self._noise.wait(10)
            self._noise = None

    def freeze(self, *, frozen: bool) -> None:
        """Stop the server's process, or let it go on."""
        if self._daemon is not None:
            self._daemon.send_signal(signal.SIGSTOP if frozen else signal.SIGCONT)
