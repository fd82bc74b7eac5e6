"""The microphone on PipeWire through pipewire-pulse: its blocks come in bursts, and it dies as PulseAudio does.

The faults themselves are those of tests/machine/test_microphone.py (`machine.microphone`).
"""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from machine.microphone import FaultKind, Microphone, MicrophoneError
from tests.machine.mic_parts import DEADLINE, back_end, children
from tests.machine.pipewire import PipeWireServer, needs_pipewire

pytestmark = needs_pipewire
DEATHS = 3


class Server(PipeWireServer):
    """PipeWire with a virtual microphone."""

    _noise: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        super().start()
        self.pactl("load-module", "module-null-sink", "sink_name=mic")
        self._noise = subprocess.Popen(
            ["pacat", "--latency-msec=20", "--device=mic", "/dev/urandom"],
            env=self.environment, stderr=subprocess.DEVNULL,
        )  # fmt: skip

    def kill(self) -> None:
        super().kill()
        if self._noise is not None:
            self._noise.kill()
            self._noise.wait(10)
            self._noise = None


@pytest.fixture
def server(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    made = Server(tmp_path)
    for name in ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH", "PULSE_SERVER"):
        monkeypatch.setenv(name, made.environment[name])
    made.start()
    try:
        yield made
    finally:
        made.kill()


@pytest.mark.parametrize("kind", ["sounddevice", "parec"])
async def test_it_hears_and_survives_deaths(server: Server, kind: str) -> None:
    before = children()
    ears = Microphone(back_end(kind))
    loud: asyncio.Queue[bytes] = asyncio.Queue()
    faults: asyncio.Queue[MicrophoneError] = asyncio.Queue()

    def take(block: bytes) -> None:
        if any(block):
            loud.put_nowait(block)

    task = asyncio.create_task(ears.keep_open(take, faults.put_nowait))
    try:
        async with asyncio.timeout(DEADLINE * 2):
            for _ in range(DEATHS):
                for _ in range(50):
                    await loud.get()
                server.kill()
                assert (await faults.get()).kind in {FaultKind.ENDED, FaultKind.FROZEN}
                loud = asyncio.Queue()
                server.start()
            await loud.get()
    finally:
        task.cancel()
        await asyncio.wait([task])
        server.kill()
    assert children() <= before
