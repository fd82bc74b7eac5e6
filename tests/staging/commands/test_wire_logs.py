"""The command ``story-cloud wire``, against a server's command socket in this process."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from staging.commands import cli
from staging.commands.command_socket import open_command_socket
from staging.data_dir import DataDir
from staging.opening import open_store
from staging.wirelog import export
from staging.wirelog.frames import Piece
from staging.wirelog.log import COAP, DOWN, UP, WireLog
from staging.wirelog.works import WireWorks
from tests.staging.commands.conftest import Command
from wire.framing import encode_frame

PING, PONG = encode_frame(b"\x40\0\x12\x34"), encode_frame(b"\x70\0\x12\x34")


class Serving:
    """The server's side of the command in a thread of its own."""

    def __init__(self, data: Path) -> None:
        self.log = WireLog(lambda: 1_495_000_000_000)
        self._data = DataDir(data).create()
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(60)

    async def _serve(self) -> None:
        database = open_store(self._data, self._data.database)
        works = WireWorks(self.log, database)
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with open_command_socket(self._data.root, {**works.changes, **works.reads}):
            self._ready.set()
            await self._stop.wait()
        database.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)


@pytest.fixture
def serving(data: Path) -> Iterator[Serving]:
    made = Serving(data)
    yield made
    made.stop()


def exchange(log: WireLog, uuid: str) -> None:
    log.note(uuid, COAP, 1, "connected from 127.0.0.1:9")
    log.add(uuid, UP, COAP, 1, Piece(PING, len(PING)))
    log.add(uuid, DOWN, COAP, 1, Piece(PONG, len(PONG)))
    log.add(uuid, UP, COAP, 1, Piece(b"garbage", 7, "no magic"), proven=False)


def test_frames_are_kept_shown_and_written(
    serving: Serving, command: Command, mistake: Command, data: Path, tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    uuid = command("device", "add")["uuid"]
    file = tmp_path / "wire.jsonl"
    assert "nothing was kept" in mistake("wire", uuid, "--export", str(file))
    assert command("wire", uuid, "--on", "600")["left"] == 600
    exchange(serving.log, uuid)
    assert cli.main(["wire", uuid, "--data", str(data)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].endswith("#1 coap connected from 127.0.0.1:9")
    assert lines[1].endswith("#1 coap → 12 bytes CON ping id=4660")
    assert lines[2] == f"    {PING.hex()}"
    assert lines[3].endswith("← 12 bytes RST pong id=4660")
    assert lines[5].endswith("→ 7 bytes NOT PROVEN MALFORMED: no magic")
    assert command("wire", uuid, "--export", str(file))["entries"] == 4
    assert [each.data for each in export.read(file.read_text().splitlines())] == [
        PING,
        PONG,
        b"garbage",
    ]
    assert file.stat().st_mode & 0o777 == 0o600
    assert command("wire", uuid, "--off")["left"] == 0
    assert "there is none" in mistake("wire", "f" * 14)


def test_it_follows_until_it_is_interrupted(
    serving: Serving, command: Command, data: Path, capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    uuid = command("device", "add")["uuid"]
    left = iter(range(2))

    def pause(_seconds: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt
        exchange(serving.log, uuid)

    monkeypatch.setattr(time, "sleep", pause)
    assert cli.main(["wire", uuid, "--follow", "--json", "--data", str(data)]) == 130
    numbers = [json.loads(line)["number"] for line in capsys.readouterr().out.splitlines()]
    assert numbers == list(range(1, 9))  # each once


@pytest.mark.parametrize(
    "words", [("--on", "0"), ("--on", "x"), ("--on", "99999999"), ("--on", "--off")]
)
def test_wrong_words(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["wire", "0" * 14, *words])
    assert "usage" in capsys.readouterr().err
