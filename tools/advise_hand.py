"""The hand of ``make advise``: speaks into the virtual microphone of the agent under test.

    python -P tools/advise_hand.py STATE speak

It asks the agent of the state folder to listen, as a talk button does, and plays a sentence when the microphone is open, or when
the agent refuses to open it. The sound server is that of the environment (`tools.pulse.MicServer`). Exit code 1 for other verbs.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
import wave
from contextlib import suppress
from pathlib import Path
from typing import Any

from agent.local import SOCKET_NAME
from agent.local.client import AgentUnreachableError, LocalClient

SENTENCE = Path(__file__).parent / "utterance.wav"
# Seconds for a microphone to open, and for a sentence to be played.
OPEN_SECONDS, PLAY_SECONDS = 8.0, 30.0
POLL_SECONDS = 0.05


def main() -> int:
    """Do what is asked; return the exit code."""
    if len(sys.argv) != 3 or sys.argv[2] != "speak":
        return 1
    client = LocalClient(Path(sys.argv[1]) / SOCKET_NAME)

    def ask() -> None:
        with suppress(AgentUnreachableError):
            client.request("POST", "/listen", b"start")

    print("asked", flush=True)  # the first segment's delay is counted from here
    asking = threading.Thread(target=ask, daemon=True)
    asking.start()
    end = time.monotonic() + OPEN_SECONDS
    while asking.is_alive() and _state(client) != "waiting" and time.monotonic() < end:
        time.sleep(POLL_SECONDS)
    return play(SENTENCE)


def _state(client: LocalClient) -> str:
    told: dict[str, Any] = json.loads(client.request("GET", "/status").body)
    return str((told.get("listening") or {}).get("state"))


def play(file: Path) -> int:
    """Play a sound into the sink whose monitor is the microphone; return pacat's exit code."""
    with wave.open(str(file)) as sound:
        rate, samples = sound.getframerate(), sound.readframes(sound.getnframes())
    done = subprocess.run(
        ["pacat", "--device=mic", f"--rate={rate}", "--channels=1", "--format=s16le"],
        input=samples, timeout=PLAY_SECONDS, check=False,
    )  # fmt: skip
    return done.returncode


if __name__ == "__main__":
    sys.exit(main())
