"""Measures how many voice segments a second get from a WAV file into the cloud's history.

The path is that of ``story-agent say``: the file over the agent's Unix socket, Speex, segments, the
link (each segment waits for the cloud's answer), the cloud's commit to disk, and the query through
the open API that finds the last segment. The reference is the speed of speech: a segment is 0.300 s
of sound.
"""

from __future__ import annotations

import io
import json
import sys
import time
import wave
from pathlib import Path

from agent.local import SOCKET_NAME
from agent.local.client import LocalClient
from audio.pcm import SAMPLE_BYTES
from audio.wav import read_wav
from benchmarks.figures import Figure, command_line, figure
from benchmarks.stage import agent, on_stage
from staging.client import OpenApiClient
from tools.bench import Bench
from tools.processes import BenchError
from wire.voice import FRAME_SECONDS, MAX_FRAMES, parse_history_text

ROUNDS = 7
# The agent's limit for one utterance, in the default settings.
SECONDS = 60
DEADLINE = 30.0
KEY = "voice_control"
SPOKEN = Path(__file__).parents[1] / "tools" / "utterance.wav"
REAL_TIME = 1 / (FRAME_SECONDS * MAX_FRAMES)


def measure(bench: Bench) -> list[Figure]:
    """Send a minute of speech repeatedly; no agent may run on ``bench`` yet."""
    sound = long_utterance()
    with (
        agent(bench),
        OpenApiClient(bench.api, bench.app["apikey"], bench.app["secret"], bench.token) as api,
    ):
        rates = [_say(bench, api, sound) for _ in range(ROUNDS)]
    real_time = [REAL_TIME] * ROUNDS
    return [figure("voice segments until in the history", "/s", rates, "real time", real_time)]


def long_utterance() -> bytes:
    """Return a WAV file with the tour's recording, repeated up to the agent's limit."""
    sound = read_wav(SPOKEN.read_bytes())
    size = SECONDS * sound.rate * SAMPLE_BYTES
    repeated = sound.samples * (size // len(sound.samples) + 1)
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(SAMPLE_BYTES)
        file.setframerate(sound.rate)
        file.writeframes(repeated[:size])
    return out.getvalue()


def _say(bench: Bench, api: OpenApiClient, sound: bytes) -> float:
    """Send one utterance and return the segments per second."""
    uuid = bench.device["uuid"]
    started = time.perf_counter()
    answer = LocalClient(bench.state / SOCKET_NAME).request("POST", "/voice", sound)
    if answer.status != 200:
        raise BenchError(f"say: {answer.status} {answer.text}")
    sent = json.loads(answer.body)
    _wait_for_end(api, uuid, sent["id"])
    took = time.perf_counter() - started
    _check_all_there(api, uuid, sent["id"], sent["segments"])
    return float(sent["segments"]) / took


def _wait_for_end(api: OpenApiClient, uuid: str, utterance: int) -> None:
    deadline = time.monotonic() + DEADLINE
    while time.monotonic() < deadline:
        entries = api.history(uuid, key=KEY, limit=1).entries
        newest = parse_history_text(entries[0]["value"]) if entries else None
        if newest is not None and newest.id == utterance and newest.eof:
            return
    raise BenchError(f"utterance {utterance} is not in the history within {DEADLINE:g} s")


def _check_all_there(api: OpenApiClient, uuid: str, utterance: int, count: int) -> None:
    """Raise BenchError unless every segment of the utterance is in the history, in order."""
    entries = (parse_history_text(entry["value"]) for entry in api.whole_history(uuid, key=KEY))
    found = [segment.segment for segment in entries if segment.id == utterance]
    if found[::-1] != list(range(count)):
        raise BenchError(f"utterance {utterance}: {count} segments sent, {len(found)} in order")


if __name__ == "__main__":
    sys.exit(command_line(__doc__, on_stage(measure)))
