"""Measures listening on a real agent, a real cloud and a virtual microphone (docs/listening.md).

``python -m benchmarks.listening`` prints, for each back end, how long it takes from the wish to listen to the first
block, from the begin of speech to the first segment that the cloud has acknowledged, and from the end of
speech to the utterance's end at the cloud. ``--deaths 100`` kills the sound server so often beneath an open
microphone instead, and prints the growth of memory and of open files.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from agent.local import SOCKET_NAME
from agent.local.client import LocalClient
from audio.vad import RATE
from benchmarks.figures import Spread
from benchmarks.stage import agent, stage
from machine.capture_back_ends import find_back_end
from machine.capture_kinds import BackEndKind
from machine.microphone import Microphone, MicrophoneError
from tools.bench import Bench
from tools.pulse import MIC_SOURCE, MicServer
from tools.speech import sound_of

ROUNDS = 5
SENTENCE = "播放小兔子乖乖"
DEADLINE = 60.0
KINDS = (BackEndKind.SOUNDDEVICE, BackEndKind.PAREC, BackEndKind.ARECORD)
SPANS = (
    ("wish to first block", "listen", "opened"),
    ("begin noticed to first segment acknowledged", "began", "first_segment"),
    ("end noticed to eof acknowledged", "ended", "sent"),
)


@contextmanager
def microphone() -> Iterator[MicServer]:
    """Start a sound server with a virtual microphone; this process's children use it."""
    with tempfile.TemporaryDirectory(prefix="story-mic-") as folder:
        server = MicServer(Path(folder))
        os.environ.update(server.variables)
        server.start()
        try:
            yield server
        finally:
            server.kill()


def measure(kind: BackEndKind) -> dict[str, Spread]:
    """Listen to a sentence repeatedly with one back end."""
    with microphone() as server, stage() as bench:
        device = _device(kind)
        with (bench.folder / "agent.toml").open("a") as settings:
            settings.write(f'microphone = "{device}"\ncapture = "{kind}"\n')
        with agent(bench):
            heard = [listen(bench, server) for _ in range(ROUNDS)]
    times = [h["seconds"] for h in heard]
    return {
        name: Spread.of([1000 * (t[last] - t[first]) for t in times]) for name, first, last in SPANS
    }


def _device(kind: BackEndKind) -> str:
    """Return the virtual microphone's name: ALSA knows the server alone, whose default it is."""
    return "pulse" if kind is BackEndKind.ARECORD else MIC_SOURCE


def listen(bench: Bench, server: MicServer) -> dict[str, Any]:
    """Say a sentence to the machine; return how its session went."""
    client = LocalClient(bench.state / SOCKET_NAME)
    answers: list[dict[str, Any]] = []
    asking = threading.Thread(
        target=lambda: answers.append(json.loads(client.request("POST", "/listen").body))
    )
    asking.start()
    deadline = time.monotonic() + DEADLINE
    while bench.agent_status()["listening"]["state"] != "waiting" and time.monotonic() < deadline:
        time.sleep(0.05)
    subprocess.run(
        ["pacat", "--device=mic", f"--rate={RATE}", "--channels=1", "--format=s16le"],
        input=sound_of(SENTENCE, RATE).samples, env=server.environment, timeout=DEADLINE, check=True,
    )  # fmt: skip
    asking.join(DEADLINE)
    if not answers or answers[0]["end"] != "sent":
        raise RuntimeError(f"the sentence was not heard: {answers}")
    return answers[0]


async def survive(server: MicServer, kind: BackEndKind, deaths: int) -> tuple[float, int, Spread]:
    """Kill the server ``deaths`` times; return the growth in MB and in files, and the seconds to the next block."""
    blocks, faults = asyncio.Event(), asyncio.Event()
    back_end = find_back_end(_device(kind), kind)

    def tell(_error: MicrophoneError) -> None:
        faults.set()

    ears = Microphone(back_end)
    task = asyncio.create_task(ears.keep_open(lambda _block: blocks.set(), tell))
    before, recovered = (0.0, 0), []
    for number in range(deaths + 1):
        blocks.clear()
        started = time.monotonic()
        await asyncio.wait_for(blocks.wait(), DEADLINE)
        if number:
            recovered.append(time.monotonic() - started)
        if number == 1:
            before = _size()  # the first death loads what a death needs
        faults.clear()
        server.kill()
        await asyncio.wait_for(faults.wait(), DEADLINE)
        server.start()
    after = _size()
    task.cancel()
    await asyncio.wait([task])
    return after[0] - before[0], after[1] - before[1], Spread.of(recovered)


def _size() -> tuple[float, int]:
    """Return this process's resident memory in MB, and its open files."""
    resident = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return resident * os.sysconf("SC_PAGESIZE") / 1e6, len(list(Path("/proc/self/fd").iterdir()))


def main() -> int:
    """Print one of the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--deaths", type=int, default=0, help="kill the sound server so often")
    options = parser.parse_args()
    logging.getLogger("machine.microphone").setLevel(logging.ERROR)  # each death is a warning
    for kind in KINDS:
        if options.deaths:
            with microphone() as server:
                memory, files, spread = asyncio.run(survive(server, kind, options.deaths))
            print(
                f"| {kind} | {options.deaths} | {memory:+.1f} MB | {files:+d} | {spread} s |",
                flush=True,
            )
        else:
            for name, spread in measure(kind).items():
                print(f"| {kind} | {name} | {spread} ms |", flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
