"""The commands of the fault bench, against a server's command socket in this process."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from staging.bench.bench import Bench
from staging.bench.works import FaultWorks
from staging.commands import cli
from staging.commands.command_socket import open_command_socket
from staging.data_dir import DataDir
from staging.opening import open_store
from tests.staging.commands.conftest import Command


class Serving:
    """The server's side of the commands in a thread of its own; ``bench`` None: no faults are made."""

    def __init__(self, data: Path, *, has_bench: bool) -> None:
        self._data = DataDir(data).create()
        self._has_bench = has_bench
        self._ready = threading.Event()
        self._loop: asyncio.AbstractEventLoop
        self._stop: asyncio.Event
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()))
        self._thread.start()
        assert self._ready.wait(60)

    async def _serve(self) -> None:
        database = open_store(self._data, self._data.database)
        bench = Bench(self._data.root) if self._has_bench else None
        works = FaultWorks(bench, database)
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        async with open_command_socket(self._data.root, {**works.changes, **works.reads}):
            self._ready.set()
            await self._stop.wait()
        if bench is not None:
            await bench.close()
        database.close()

    def stop(self) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(60)


@pytest.fixture
def serving(data: Path) -> Iterator[Serving]:
    made = Serving(data, has_bench=True)
    yield made
    made.stop()


@pytest.mark.usefixtures("serving")
def test_a_fault_is_set_listed_and_ended(
    command: Command, mistake: Command, capsys: pytest.CaptureFixture[str], data: Path
) -> None:
    uuid = command("device", "add")["uuid"]
    value: dict[str, Any] = command(
        "fault", "set", uuid, "slow", "bytes_per_second=100", "seconds=30"
    )
    assert value["faults"][0]["values"] == {"bytes_per_second": 100, "way": "both", "seconds": 30}
    assert cli.main(["fault", "list", uuid, "--data", str(data)]) == 0
    assert "slow bytes_per_second=100 way=both, " in capsys.readouterr().out
    assert cli.main(["fault", "list", "--data", str(data)]) == 0
    printed = capsys.readouterr().out
    assert "half_open        nothing passes" in printed
    assert f"{uuid} now: slow" in printed
    assert command("fault", "clear", uuid)["ended"] == ["slow"]
    assert command("fault", "clear", uuid)["ended"] == []
    assert "seconds: got 0, expected" in mistake("fault", "set", uuid, "cut", "seconds=0")
    assert "NAME=VALUE" in mistake("fault", "set", uuid, "cut", "30")
    assert "there is none" in mistake("fault", "set", "f" * 14, "cut")
    assert "needs story-agent bench-helper" in mistake("fault", "set", uuid, "freeze")


@pytest.mark.usefixtures("serving")
def test_a_helper_is_named(command: Command, mistake: Command, tmp_path: Path) -> None:
    uuid = command("device", "add")["uuid"]
    token = tmp_path / "token"
    token.write_text("0123456789abcdef\n")
    words = ("fault", "helper", uuid)
    assert command(*words, "127.0.0.1:9", "--token-file", str(token))["helper"] is True
    assert "ssh -L" in mistake(*words, "10.0.0.2:9", "--token-file", str(token))
    token.write_bytes(b"\xff")
    assert "expected UTF-8 text" in mistake(*words, "127.0.0.1:9", "--token-file", str(token))


def test_a_server_without_a_bench_says_how_to_get_one(
    data: Path, command: Command, mistake: Command, capsys: pytest.CaptureFixture[str]
) -> None:
    uuid = command("device", "add")["uuid"]
    serving = Serving(data, has_bench=False)
    try:
        assert "--bench-faults" in mistake("fault", "set", uuid, "cut")
        assert cli.main(["fault", "list", uuid, "--data", str(data)]) == 0
        assert "--bench-faults" in capsys.readouterr().out
    finally:
        serving.stop()


def test_without_a_server_it_says_so(mistake: Command) -> None:
    assert "no story-cloud serves" in mistake("fault", "list")


def test_an_unknown_fault_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["fault", "set", "0" * 14, "flood"])
    assert "half_open" in capsys.readouterr().err
