"""Proves that erased voice is erased, and that a machine's next family gets nothing of the first one.

    python -m tools.voice_proof [--link coap|mqtt] [--store sqlite|postgresql] [--write FILE]

Real parts: an agent and a cloud, each a process, the codec, TLS, the open API, the commands. A marked sound (a tone, and
the bytes that it becomes on the way) is sent by ``story-agent say`` and said into a microphone (`tools.voice_heard`), and then
looked for in every file of the cloud and of the machine: as segments, as Base64, as frames, and as samples in which the tone
sounds; with PostgreSQL in all of its files too. Exit code 0 only if every row holds.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import functools
import json
import math
import os
import sqlite3
import sys
import tempfile
import time
from array import array
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from audio.pcm import Pcm
from audio.wav import render_wav
from staging.client import OpenApiClient, OpenApiError
from staging.commands.common import DATABASE_VARIABLE
from staging.store.key_file import FILE_NAME
from tools import voice_heard
from tools.bench import Bench
from tools.postgresql import postgresql
from tools.processes import BenchError, command
from wire.family import Why
from wire.voice import parse_history_text, unpack_frames

RATE = 8000
KEPT_HERTZ, ERASED_HERTZ, OFFLINE_HERTZ = 600, 950, 1350
HEARD_HERTZ = {Why.COMMAND: 1050, Why.BUTTON: 1150, Why.WORD: 1250}
SECONDS = 2.0
# What the receipt promises.
ERASE_SECONDS = 60.0
# Share of a window's power that a tone has where it sounds; speech, tables and random bytes are far below.
SOUNDS = 0.5
WINDOW = 800
SENTENCE, NAME = "音量调到三", "小熊的卧室"
NEXT_USER = "next-family"


class Proof:
    """One run, with its rows."""

    def __init__(self, bench: Bench, client: OpenApiClient, server: Path | None = None) -> None:
        """Use a bench whose device is bound by ``client``; ``server``: the folder of its PostgreSQL."""
        self.bench, self.client, self.server = bench, client, server
        self.uuid = bench.device["uuid"]
        self.rows: list[tuple[str, bool, str]] = []

    def row(self, what: str, *, holds: bool, detail: str = "") -> None:
        """Note a row and print it."""
        self.rows.append((what, holds, detail))
        print(
            f"{'held' if holds else 'BROKEN'}: {what}{f' ({detail})' if detail else ''}", flush=True
        )

    # What is sent, and where it is.

    def say(self, hertz: int) -> list[bytes]:
        """Send a tone as an utterance; return the marks by which it is found."""
        return self.marks_of(lambda: self._send(hertz))

    def _send(self, hertz: int) -> None:
        path = self.bench.folder / f"{hertz}.wav"
        path.write_bytes(render_wav(tone(hertz)))
        command("story-agent", "say", path, "--state", self.bench.state)
        path.unlink()

    def marks_of(self, say: Callable[[], object]) -> list[bytes]:
        """Return the marks of what is said meanwhile: its segments, in parts, its frames, and the key that they are sealed with."""
        before, keys = {entry["timeStamp"] for entry in self._voice()}, self._keys()
        say()
        new = [entry for entry in self._voice() if entry["timeStamp"] not in before]
        segments = [parse_history_text(entry["value"]).voice_data for entry in new]
        marks = [*self._keys() - keys]
        for data in filter(None, segments):
            text = base64.b64encode(data)
            marks += [text[at : at + 100] for at in range(0, len(text) - 100, 100)]
            marks += [data, *(frame for frame in unpack_frames(data) if len(set(frame)) > 8)]
        return marks

    def _voice(self) -> list[dict[str, Any]]:
        return list(self.client.whole_history(self.uuid, key="voice_control"))

    def traces(self, marks: Sequence[bytes], hertz: int, words: Sequence[bytes] = ()) -> list[str]:
        """Return the files of cloud and machine that have a mark, or in which the tone sounds.

        ``words``: what PostgreSQL's own files may have, and no other.
        """
        folder = self.bench.folder
        found = []
        for path in sorted(folder.rglob("*")):
            data = content(path)
            if any(mark in data for mark in (*marks, *words)) or sounds(data, hertz):
                found.append(str(path.relative_to(folder)))
        return found + self._in_the_server(marks)

    def _in_the_server(self, marks: Sequence[bytes]) -> list[str]:
        """Return the files of PostgreSQL, its log among them, that have a mark."""
        files = [] if self.server is None else sorted(self.server.rglob("*"))
        found = ((path, content(path)) for path in files)
        return [path.name for path, data in found if any(mark in data for mark in marks)]

    def _keys(self) -> set[bytes]:
        path = self.bench.cloud_data / FILE_NAME
        if not path.exists():
            return set()
        with contextlib.closing(sqlite3.connect(path, timeout=5)) as file:
            return {key for (key,) in file.execute("SELECT key FROM keys")}

    def is_stored(self, marks: Sequence[bytes]) -> bool:
        """Return whether the API has a sound, which files have sealed."""
        told = [parse_history_text(entry["value"]).voice_data for entry in self._voice()]
        return any(data in marks for data in told if data)

    def ledger(self) -> list[dict[str, Any]]:
        """Return the machine's ledger, newest first."""
        text = command("story-agent", "voice", "--json", "--state", self.bench.state)
        return list(json.loads(text)["entries"])

    def shown_code(self) -> dict[str, str]:
        """Return what the machine's code says."""
        words = ("--json", "--profile", self.bench.profile_path, "--state", self.bench.state)
        return dict(json.loads(command("story-agent", "pair", *words)))

    def wait(self, look: Callable[[], object], seconds: float = ERASE_SECONDS) -> float | None:
        """Look until it holds; return the seconds, None if it did not in time."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            if look():
                return time.monotonic() - began
            time.sleep(0.1)
        return None

    # The steps.

    def run(self, *, restarts: bool) -> None:
        """Take all steps; ``restarts``: the cloud is where it was when it starts again, unlike a bench's broker."""
        self.erase_by_the_api()
        if lacking := voice_heard.lacking():
            print(f"left out: the microphone; this machine has no {', '.join(lacking)}", flush=True)
        else:
            with voice_heard.room(self.bench) as room:
                self.erase_what_was_heard(room)
        if restarts:
            self.erase_without_the_cloud()
        self.give_away()

    def erase_by_the_api(self) -> None:
        """Keep one utterance, erase another by the open API, and look for both."""
        kept, gone = self.say(KEPT_HERTZ), self.say(ERASED_HERTZ)
        self.bench.story_cloud("say", self.uuid, SENTENCE)
        there = self.traces(gone, ERASED_HERTZ)
        self.row(
            "the marked voice is stored, and of it no file has more than its key",
            holds=self.is_stored(gone) and there == [f"{self.bench.cloud_data.name}/{FILE_NAME}"],
            detail=", ".join(there),
        )
        entry = self.client.voice_ledger(self.uuid, limit=1).entries[0]
        self.row("the ledger says why, how long and until when",
                 holds=self.wait(self._is_told, 10) is not None and bool(entry["deleteTime"]),
                 detail=f"{entry['seconds']} s, {entry['bytes']} bytes, until {entry['deleteTime']}")  # fmt: skip
        receipt = self.client.erase_voice(self.uuid, entry["id"])
        took = self.wait(lambda: self.client.receipt(receipt["receipt"])["status"] == "DONE")
        self.row(
            "erased by the open API, with a receipt", holds=took is not None, detail=f"{took:.1f} s"
        )
        left = self.traces(gone, ERASED_HERTZ)
        self.row(
            "no file of cloud or machine has a trace of it, or of its key",
            holds=not left,
            detail=", ".join(left),
        )
        self.row("what was not erased is still there", holds=self.is_stored(kept))

    def _is_told(self) -> bool:
        return bool(self.client.voice_ledger(self.uuid, limit=1).entries[0]["why"] == "file")

    def erase_what_was_heard(self, room: voice_heard.Room) -> None:
        """Say a mark into the microphone, however it is opened; erase it by the page or the open API, and look for it."""
        for why, reason in voice_heard.ways().items():
            if reason:
                print(f"left out: a microphone opened by {why}: {reason}", flush=True)
                continue
            if why is Why.WORD:
                room.enrol()
            hertz = HEARD_HERTZ[why]
            marks = self.marks_of(functools.partial(room.say, why, tone(hertz, voice_heard.RATE)))
            there = bool(marks) and self.is_stored(marks)
            self.row(f"said into the microphone, opened by {why}: it is stored, and both ledgers say why",
                     holds=there and self.wait(functools.partial(self._says, why), 10) is not None,
                     detail=f"machine: {self.ledger()[0]['why']}")  # fmt: skip
            by_page = why is not Why.BUTTON
            self._erase_newest(room, by_page=by_page)
            took = self.wait(functools.partial(self._is_nowhere, marks, hertz, by_page=by_page))
            way = "the device page, and its ledger says so" if by_page else "the open API"
            self.row(f"erased by {way}: no file of cloud or machine has a trace of it", holds=took is not None,
                     detail="" if took is None else f"after {took:.1f} s")  # fmt: skip

    def _says(self, why: Why) -> bool:
        told = self.client.voice_ledger(self.uuid, limit=1).entries[0]["why"]
        return bool(told == self.ledger()[0]["why"] == why)

    def _erase_newest(self, room: voice_heard.Room, *, by_page: bool) -> None:
        if by_page:
            room.erase_by_page(int(self.ledger()[0]["number"]))
        else:
            entry = self.client.voice_ledger(self.uuid, limit=1).entries[0]
            self.client.erase_voice(self.uuid, entry["id"])

    def _is_nowhere(self, marks: Sequence[bytes], hertz: int, *, by_page: bool) -> bool:
        told = self.client.voice_ledger(self.uuid, limit=1).entries[0]
        is_told = bool(told["eraseTime"]) and (not by_page or self.ledger()[0]["erased"] == "done")
        return is_told and not self.traces(marks, hertz)

    def erase_without_the_cloud(self) -> None:
        """Order it on the machine while the cloud is dead; it is done when it is back."""
        marks = self.say(OFFLINE_HERTZ)
        number = str(self.ledger()[0]["number"])
        cloud = self.bench.cloud
        assert cloud is not None  # noqa: S101  # for mypy
        cloud.kill()
        command("story-agent", "voice", "erase", number, "--state", self.bench.state)
        self.row("ordered without the cloud, it waits and says so",
                 holds=self.ledger()[0]["erased"] == "waiting")  # fmt: skip
        agent = self.bench.agent
        assert agent is not None  # noqa: S101  # for mypy
        agent.kill()
        api, device = (
            int(address.rpartition(":")[2])
            for address in (self.bench.api, self.bench.device_address)
        )
        self.bench.start_cloud(api, device)
        self.bench.start_agent()
        took = self.wait(lambda: self.ledger()[0]["erased"] == "done")
        self.row("kill -9 of both between, and it is done", holds=took is not None,
                 detail="" if took is None else f"{took:.1f} s after the agent was registered")  # fmt: skip
        left = self.traces(marks, OFFLINE_HERTZ)
        self.row(
            "no file of cloud or machine has a trace of it", holds=not left, detail=", ".join(left)
        )

    def give_away(self) -> None:
        """Unbind, and look what the next family gets."""
        marks = self.say(ERASED_HERTZ)
        self.client.rename(self.uuid, NAME)
        old = self.shown_code()["token"]
        self.client.unbind(self.uuid)
        took = self.wait(lambda: self.shown_code()["token"] != old)
        new = self.shown_code()["token"]
        self.row("the machine shows a new code after unbinding", holds=took is not None,
                 detail="" if took is None else f"{took:.1f} s")  # fmt: skip
        agent = self.bench.agent
        assert agent is not None  # noqa: S101  # for mypy
        agent.kill()
        self.row("a power cut does not lose it", holds=self.shown_code()["token"] == new)
        self.bench.start_agent()
        self.row("the old code does not bind any more", holds=self._refused(self.client, old))
        following = self._next_family()
        following.bind(self.uuid, new)
        seen = (
            following.info(self.uuid)["name"],
            *following.whole_history(self.uuid, key="voice_control"),
        )
        ledger = following.voice_ledger(self.uuid).entries
        self.row(
            "the next family sees no name, no voice, no ledger", holds=seen == ("",) and not ledger
        )
        words = [NAME.encode(), SENTENCE.encode()]
        took = self.wait(lambda: not self.traces(marks, ERASED_HERTZ, words))
        self.row("nothing of the first family is in any file", holds=took is not None,
                 detail="" if took is None else f"{took:.1f} s")  # fmt: skip
        self.row("nor in the machine's ledger", holds=self.ledger() == [])

    def _refused(self, client: OpenApiClient, token: str) -> bool:
        try:
            client.bind(self.uuid, token)
        except OpenApiError as error:
            return error.code == "1228"
        return False

    def _next_family(self) -> OpenApiClient:
        app = self.bench.app
        words = ("token", "--app", str(app["appId"]), "--user", NEXT_USER)
        token = str(self.bench.story_cloud(*words)["access_token"])
        return OpenApiClient(self.bench.api, app["apikey"], app["secret"], token)


def content(path: Path) -> bytes:
    """Return what a file has; nothing of what is none, or has just gone."""
    with contextlib.suppress(FileNotFoundError):
        if path.is_file() and not path.is_symlink():
            return path.read_bytes()
    return b""


def tone(hertz: int, rate: int = RATE) -> Pcm:
    """Return a tone of `SECONDS`."""
    count = round(rate * SECONDS)
    wave = (round(9000 * math.sin(2 * math.pi * hertz * n / rate)) for n in range(count))
    return Pcm(rate, array("h", wave).tobytes())


def sounds(data: bytes, hertz: int) -> bool:
    """Return whether a tone sounds anywhere in bytes, taken as samples of either rate."""
    values = array("h", data[: len(data) // 2 * 2])
    return any(
        share(values[at : at + WINDOW], hertz, rate) > SOUNDS
        for rate in (RATE, 2 * RATE)
        for at in range(0, len(values) - WINDOW, WINDOW)
    )


def share(block: Sequence[int], hertz: int, rate: int) -> float:
    """Return the share of a block's power that one frequency has (Goertzel)."""
    turn = 2 * math.cos(2 * math.pi * hertz / rate)
    before = last = whole = 0.0
    for value in block:
        before, last = last, value + turn * last - before
        whole += value * value
    power = last * last + before * before - turn * last * before
    return 2 * power / (len(block) * whole) if whole else 0.0


@contextlib.contextmanager
def _store(kind: str) -> Iterator[Path | None]:
    """Let the cloud use a PostgreSQL of its own, or its file; yields the server's folder."""
    if kind == "sqlite":
        yield None
        return
    with postgresql(durable=True) as server:
        os.environ[DATABASE_VARIABLE] = server.url()
        try:
            yield server.folder
        finally:
            del os.environ[DATABASE_VARIABLE]


@contextlib.contextmanager
def _bench(*, mqtt: bool) -> Iterator[tuple[Bench, OpenApiClient]]:
    with tempfile.TemporaryDirectory(prefix="story-voice-") as folder:
        bench = Bench(Path(folder))
        try:
            bench.start_cloud(0, 0, mqtt=mqtt)
            bench.flash_device()
            bench.start_agent()
            with bench.client() as client:
                client.bind(bench.device["uuid"], bench.device["bindToken"])
                yield bench, client
        finally:
            bench.stop()


def main() -> int:
    """Run the proof; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--write", type=Path, metavar="FILE", help="the rows as a table")
    parser.add_argument("--link", choices=["coap", "mqtt"], default="coap")
    parser.add_argument("--store", choices=["sqlite", "postgresql"], default="sqlite")
    options = parser.parse_args()
    is_mqtt = options.link == "mqtt"
    rows: list[tuple[str, bool, str]] = []
    try:
        with _store(options.store) as server, _bench(mqtt=is_mqtt) as (bench, client):
            proof = Proof(bench, client, server)
            rows = proof.rows
            proof.run(restarts=not is_mqtt)
    except (BenchError, OpenApiError) as error:
        print(f"make voice-proof: {error}", file=sys.stderr)
        return 1
    if options.write:
        lines = [
            f"| {what} | {'held' if holds else 'broken'} | {detail} |"
            for what, holds, detail in rows
        ]
        options.write.write_text("\n".join(["| what | | |", "|---|---|---|", *lines, ""]))
    return 0 if all(holds for _, holds, _ in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
