"""A sound server with a virtual microphone, into which tests and benchmarks speak."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from machine.capture_back_ends import find_back_end
from machine.capture_kinds import BackEndKind
from machine.microphone import BackEnd
from tools import pulse

SOURCE = "mic.monitor"
DEADLINE = 60.0
VARIABLES = ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_SERVER")


class MicServer(pulse.PulseServer):
    """A server whose source `SOURCE` gives what is played into its sink ``mic``; else faint noise."""

    _noise: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start the server; the virtual microphone is open, for a monitor begins with a delay."""
        super().start()
        self.pactl("load-module", "module-null-sink", "sink_name=mic")
        self.pactl("set-default-source", SOURCE)
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
        assert self._daemon is not None
        os.kill(self._daemon.pid, signal.SIGSTOP if frozen else signal.SIGCONT)

    def back_end(self, kind: str) -> BackEnd:
        """Return what records from the virtual microphone."""
        device = "pulse" if kind == "arecord" else SOURCE
        return find_back_end(device, BackEndKind(kind))


@contextmanager
def mic_server(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MicServer]:
    """Start a server of this test's own; this process and its children use it."""
    server = MicServer(folder)
    for name in VARIABLES:
        monkeypatch.setenv(name, server.environment[name])
    server.start()
    try:
        yield server
    finally:
        server.kill()


def children() -> set[int]:
    """Return this process's children."""
    own = os.getpid()
    return {int(c) for c in Path(f"/proc/{own}/task/{own}/children").read_text("ascii").split()}


def descriptors() -> int:
    """Return how many files this process has open."""
    return len(list(Path("/proc/self/fd").iterdir()))
