"""The command socket of the server: outcomes, refusals, limits, and a server that is gone."""

from __future__ import annotations

import asyncio
import json
import stat
from collections.abc import Mapping
from pathlib import Path

import pytest

from staging.commands import command_socket
from staging.commands.asking import SOCKET_NAME, ask
from staging.commands.command_socket import open_command_socket
from staging.errors import DeviceOfflineError, NoServerError, StagingError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
REQUEST_LIMIT = 16_384
CONNECTION_LIMIT = 16

UUID = "01a800000072af"


async def echo(wanted: Mapping[str, object]) -> Mapping[str, object]:
    return {"done": wanted}


async def refuse(_: Mapping[str, object]) -> Mapping[str, object]:
    raise DeviceOfflineError(f"device {UUID}: offline")


async def test_a_command_gets_its_outcome_or_the_servers_error(tmp_path: Path) -> None:
    async with open_command_socket(tmp_path, {"echo": echo, "refuse": refuse}):
        mode = stat.S_IMODE((tmp_path / SOCKET_NAME).stat().st_mode)
        outcome = await asyncio.to_thread(ask, tmp_path, "echo", {"text": "音量"})
        with pytest.raises(StagingError, match=f"^refuse: device {UUID}: offline$"):
            await asyncio.to_thread(ask, tmp_path, "refuse", {})
        with pytest.raises(StagingError, match='request: got "dance", expected one of echo, refus'):
            await asyncio.to_thread(ask, tmp_path, "dance", {})
    assert outcome == {"done": {"text": "音量"}}
    assert mode == 0o600
    assert not (tmp_path / SOCKET_NAME).exists()


async def test_without_a_server_there_is_nobody_to_ask(tmp_path: Path) -> None:
    with pytest.raises(NoServerError, match="echo: no story-cloud serves"):
        ask(tmp_path, "echo", {})
    # A killed server leaves its socket file, which the next one replaces.
    async with open_command_socket(tmp_path, {}):
        (tmp_path / SOCKET_NAME).rename(tmp_path / "left")
    (tmp_path / "left").rename(tmp_path / SOCKET_NAME)
    with pytest.raises(NoServerError):
        ask(tmp_path, "echo", {})
    async with open_command_socket(tmp_path, {"echo": echo}):
        assert await asyncio.to_thread(ask, tmp_path, "echo", {}) == {"done": {}}


async def test_a_request_that_is_too_long_is_not_sent(tmp_path: Path) -> None:
    async with open_command_socket(tmp_path, {"echo": echo}):
        with pytest.raises(StagingError, match=f"longer than {REQUEST_LIMIT} bytes"):
            await asyncio.to_thread(ask, tmp_path, "echo", {"text": "x" * REQUEST_LIMIT})


async def test_the_path_of_the_folder_may_be_long(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30)
    folder.mkdir()
    async with open_command_socket(folder, {"echo": echo}):
        assert await asyncio.to_thread(ask, folder, "echo", {}) == {"done": {}}


async def test_work_past_its_deadline_is_cancelled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command_socket, "WORK_DEADLINE", 0.01)
    ended: list[str] = []

    async def wait(_: Mapping[str, object]) -> Mapping[str, object]:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("wait")
        return {}

    async with open_command_socket(tmp_path, {"wait": wait}):
        with pytest.raises(StagingError, match=r"wait: no answer within 0\.01 s"):
            await asyncio.to_thread(ask, tmp_path, "wait", {})
    assert ended == ["wait"]


async def test_connections_beyond_the_limit_are_told_so_unread(tmp_path: Path) -> None:
    async with open_command_socket(tmp_path, {"echo": echo}):
        held = [
            await asyncio.open_unix_connection(tmp_path / SOCKET_NAME)
            for _ in range(CONNECTION_LIMIT)
        ]
        with pytest.raises(NoServerError, match="too many commands; try again"):
            await asyncio.to_thread(ask, tmp_path, "echo", {})
        reader, writer = held[0]
        writer.write(json.dumps({"echo": {}}).encode() + b"\n")
        assert json.loads(await reader.readline()) == {"outcome": {"done": {}}}
        for _, writer in held:
            writer.close()
