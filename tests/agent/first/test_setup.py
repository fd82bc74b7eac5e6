"""Set-up mode: one process waits, says for what (`agent.first.setup_api`), and goes on by itself; a trial does not wait."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.first.profile_file import FaultToMend, ProfileFault, read_profile
from agent.first.setup import SetupMode, Signature, Waiting, signature, waits
from agent.local.client import AgentUnreachableError, LocalClient
from agent.settings import SettingsError
from agent.state import AgentBusyError, state_lock
from agent.systemd import ServiceManager
from agent.words import Words
from ota.launch import boot
from ota.launch.boot import BootRecord
from tests.agent.first.parts import profile_bytes

FAULT = ProfileFault("none", Words("没有", "none"), Words("放", "put one"))


@pytest.mark.parametrize(
    ("looks", "tries"),
    [
        ([(1,), (1,)], 0),
        ([(2,), (2,)], 1),
        ([(2,), (3,), (4,), (4,), (4,)], 1),  # still being written
        ([(2,), (2,), (3,), (3,)], 2),
        ([(2,), (1,), (1,)], 0),  # as it was judged
        ([None, None], 1),
    ],
)
def test_a_file_is_tried_once_it_stands_still_after_a_change(
    looks: Sequence[Signature], tries: int
) -> None:
    waiting = Waiting([(1,)])
    assert sum(waiting.look([look]) for look in looks) == tries


@given(st.lists(st.integers(0, 3)))
def test_whatever_happens_the_last_content_is_tried(changes: list[int]) -> None:
    waiting, tried = Waiting([(0,)]), 0
    for change in [*changes, *changes[-1:] * 2]:
        if waiting.look([(change,)]):
            tried = change
    assert tried == (changes[-1] if changes else 0)


def test_a_version_on_trial_does_not_wait_and_wrong_settings_only_under_systemd(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    wrong = SettingsError("voice.quality: got 11")
    assert waits(tmp_path, FAULT)
    assert not waits(tmp_path, wrong)
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/systemd/notify")
    assert waits(tmp_path, wrong)
    boot.store(tmp_path, BootRecord().activated("1.1.0", "1"))
    assert not waits(tmp_path, FAULT)
    boot.store(tmp_path, BootRecord().activated("1.1.0", "1").confirmed())
    assert waits(tmp_path, FAULT)
    (tmp_path / "slots" / "boot.json").write_bytes(b"\xff")
    assert waits(tmp_path, FAULT)


def ask(state: Path) -> tuple[dict[str, object], int]:
    client = LocalClient(state / "agent.sock", 5.0)
    import json

    return json.loads(client.request("GET", "/status").body), client.request(
        "GET", "/volume"
    ).status


async def wait_for_status(state: Path) -> tuple[dict[str, object], int]:
    async with asyncio.timeout(20):
        while True:
            try:
                return await asyncio.to_thread(ask, state)
            except AgentUnreachableError:
                await asyncio.sleep(0.01)


async def test_it_answers_what_it_waits_for_and_ends_when_the_profile_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("agent.local.server.SHUTDOWN_SECONDS", 0)
    path = tmp_path / "profile.json"
    mode = SetupMode(
        tmp_path, {"profile": path}, lambda: read_profile(path), "1.0.0", poll_seconds=0.01
    )
    running = asyncio.create_task(mode.run())
    status, code = await wait_for_status(tmp_path)
    assert code == 503
    assert status["link"] == {
        "state": "setup", "last_error": f"there is no profile {path}",
        "remedy": status["setup"]["remedy"]["en"],  # type: ignore[index]
    }  # fmt: skip
    assert status["setup"]["waits_for"] == "profile"  # type: ignore[index]
    with pytest.raises(AgentBusyError), state_lock(tmp_path):
        pass
    path.write_bytes(b"{}")
    async with asyncio.timeout(20):
        while "no profile that can be used" not in str(mode.status()):
            await asyncio.sleep(0.01)
        path.write_bytes(profile_bytes())
        assert await running
    assert not (tmp_path / "agent.sock").exists()


@pytest.mark.parametrize(
    ("fault", "waited_for"),
    [
        (FAULT, "profile"),
        (FaultToMend("x", Words("零", "x"), Words("零", "x")), "reset"),
        (SettingsError("x"), "settings"),
    ],
)
async def test_systemd_is_told_what_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fault: SettingsError, waited_for: str
) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    monkeypatch.setattr(ServiceManager, "notify", lambda _, text: told.put_nowait(text))

    def read() -> None:
        raise fault

    mode = SetupMode(tmp_path, dict.fromkeys(("profile", "settings", "reset"), tmp_path), read, "1")
    async with asyncio.timeout(20):
        running = asyncio.create_task(mode.run())
        assert (await told.get()).startswith(f"STATUS=waits for {waited_for}: ")
        running.cancel()
        with pytest.raises(asyncio.CancelledError):
            await running


async def test_sigterm_ends_it_without_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "profile.json"
    mode = SetupMode(tmp_path, {"profile": path}, lambda: read_profile(path), "1.0.0")
    running = asyncio.create_task(mode.run())
    async with asyncio.timeout(20):
        while not (tmp_path / "agent.sock").exists():
            await asyncio.sleep(0.01)
        os.kill(os.getpid(), 15)
        assert not await running


def test_a_mode_and_an_owner_are_a_change_too(tmp_path: Path) -> None:
    path = tmp_path / "file"
    assert signature(path) is None
    path.write_text("x")
    before = signature(path)
    path.chmod(0o400 if path.stat().st_mode & 0o200 else 0o600)
    assert signature(path) != before
