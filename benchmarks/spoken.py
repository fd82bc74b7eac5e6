"""Measures a spoken order to its first sound: real agent, cloud, virtual microphone and monitor (docs/listening.md).

A story plays; a child says the name of another. With the extra ``[asr]`` the cloud recognises it; without, the
sentence is typed at once, so that the rows have everything but the recognition. The reference is an app's order of
the same story, until its first sound. The times of the machine's side are its own.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import Aim, Figure, command_line, figure
from staging.client import OpenApiClient
from staging.recognition.model import missing_packages
from tools import spoken
from tools.bench import Bench
from tools.pulse import MicServer
from tools.tour import BEFORE_HERTZ, BEFORE_TITLE, SPOKEN_HERTZ, SPOKEN_TITLE, write_tone

ROUNDS = 5
SENTENCE = f"播放{SPOKEN_TITLE}"
BESIDE = "an app's order to first sound"
# Seconds, of the issue: with the bench's model, for 19 of 20.
ORDER_AIM = 1.8


def measure() -> list[Figure]:
    """Say the sentence repeatedly, and order the same story from an app in between."""
    lacking = spoken.missing()
    if lacking:
        print(f"benchmarks.spoken: left out, missing: {', '.join(lacking)}", file=sys.stderr)
        return []
    with _machine() as (bench, server, client):
        _turn(bench, server, client)  # loads the model and the player
        turns = [_turn(bench, server, client) for _ in range(ROUNDS)]
    beside = [turn.pop(BESIDE) for turn in turns]
    how = "recognised" if bench.recognises else "typed"
    names = {
        "sent": "end of speech noticed to eof acknowledged",
        "order": f"eof acknowledged to order carried out, {how}",
        "sound": f"eof acknowledged to the story's first sound, {how}",
        "whole": f"end of speech noticed to the story's first sound, {how}",
    }
    aims = {"order": Aim("ours", "<", ORDER_AIM)}
    return [
        figure(name, "s", [turn[key] for turn in turns], BESIDE, beside, aims.get(key))
        for key, name in names.items()
    ]


@contextmanager
def _machine() -> Iterator[tuple[Bench, MicServer, OpenApiClient]]:
    with (
        tempfile.TemporaryDirectory(prefix="story-spoken-") as folder,
        tempfile.TemporaryDirectory(prefix="story-mic-") as short,
        spoken.sound_server(Path(short)) as server,
    ):
        bench = Bench(Path(folder))
        try:
            bench.start_cloud(0, 0, recognise=not missing_packages())
            bench.flash_device()
            _store_titles(bench)
            bench.agent_again(server.variables, spoken.settings())
            with bench.client() as client:
                client.bind(bench.device["uuid"], bench.device["bindToken"])
                yield bench, server, client
        finally:
            bench.stop()


def _store_titles(bench: Bench) -> None:
    for title, hertz in ((SPOKEN_TITLE, SPOKEN_HERTZ), (BEFORE_TITLE, BEFORE_HERTZ)):
        write_tone(bench.state / "media" / f"{title}.wav", seconds=120, hertz=hertz)
    titles = bench.folder / "titles.txt"
    titles.write_text(f"{SPOKEN_TITLE}\n{BEFORE_TITLE}\n", "utf-8")
    bench.story_cloud("catalogue", "set", bench.device["uuid"], titles)


def _turn(bench: Bench, server: MicServer, client: OpenApiClient) -> dict[str, float]:
    uuid = bench.device["uuid"]
    monitor = spoken.Monitor(server, SPOKEN_HERTZ, BEFORE_HERTZ)
    try:
        client.send(uuid, "PUT", "play", BEFORE_TITLE)
        monitor.wait_for(BEFORE_HERTZ)
        said = spoken.say(bench, server, SENTENCE, typed=not bench.recognises)
        heard = monitor.wait_for(SPOKEN_HERTZ)
        client.send(uuid, "PUT", "play", BEFORE_TITLE)
        monitor.wait_for(BEFORE_HERTZ)
        monitor.wait_for_silence(SPOKEN_HERTZ)
        began = time.monotonic()
        client.send(uuid, "PUT", "play", SPOKEN_TITLE)
        beside = monitor.wait_for(SPOKEN_HERTZ) - began
    finally:
        monitor.close()
    ended, sent = said.at("ended"), said.at("sent")
    # An order that the machine no longer waits for is as late as its sound, at the least.
    order = said.at("answered") if said.session["answered"] else heard
    return {
        "sent": sent - ended, "order": order - sent, "sound": heard - sent, "whole": heard - ended,
        BESIDE: beside,
    }  # fmt: skip


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
