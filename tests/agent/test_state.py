"""An agent whose card takes nothing: it starts, answers, and says so; in each real process."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.cli import main
from agent.local import SOCKET_NAME
from agent.local.client import LocalClient
from agent.state import (
    AgentBusyError,
    socket_to_ask,
    socket_to_bind,
    state_lock,
    usable_state,
)
from tests.agent.parts import BIND_TOKEN, TOKEN, UUID, Cloud, until
from tests.authority import Authority
from wire.reports import KEY_TROUBLE

BIN = Path(sys.executable).parent
# Root without capabilities is kept out by a folder's mode, as any user is.
AS_ANYBODY = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make the folder that the system gives an agent for its time."""
    folder = tmp_path / "run"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("RUNTIME_DIRECTORY", str(folder))
    return folder


def test_a_folder_in_the_lock_s_place_holds_the_lock(tmp_path: Path) -> None:
    (tmp_path / "agent.lock").mkdir()
    with state_lock(tmp_path) as fault:
        assert fault == f"state folder {tmp_path}: agent.lock: Is a directory"
        with pytest.raises(AgentBusyError, match="another agent"), state_lock(tmp_path):
            pass
    with state_lock(tmp_path):
        pass


def test_a_state_that_is_no_folder_is_the_command_line_s_fault(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in ("file", "file/state"):
        with pytest.raises(NotADirectoryError):
            usable_state(tmp_path / place)


def test_a_state_that_is_links_in_a_circle_has_no_agent(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "loop").symlink_to("loop")
    assert main(["get", "volume", "--state", str(tmp_path / "loop"), "--lang", "zh"]) == 1
    said = capsys.readouterr().err
    assert "链接绕成了圈" in said
    assert "用 --state 指明它的文件夹" in said


def test_a_socket_of_somebody_else_is_not_asked(tmp_path: Path, memory: Path) -> None:
    state = tmp_path / "state"
    state.mkdir()
    assert socket_to_bind(state) == state / SOCKET_NAME
    assert not list(state.iterdir())
    with socket.socket(socket.AF_UNIX) as fake:
        fake.bind(f"{memory}/{memory_name(state)}.sock")
    assert socket_to_ask(state).parent == memory
    for others in (0o777, 0o770, 0o702):  # whose group it is, nobody here knows
        memory.chmod(others)
        assert socket_to_ask(state) == state / SOCKET_NAME


def test_a_socket_that_a_power_cut_left_is_not_asked_where_another_one_is(
    tmp_path: Path, memory: Path
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(state / SOCKET_NAME))
    assert socket_to_ask(state) == state / SOCKET_NAME
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(f"{memory}/{memory_name(state)}.sock")
        assert socket_to_ask(state).parent == memory
    (state / SOCKET_NAME).unlink()
    with socket.socket(socket.AF_UNIX) as agent:
        agent.bind(str(state / SOCKET_NAME))
        agent.listen()
        assert socket_to_ask(state) == state / SOCKET_NAME


def memory_name(state: Path) -> str:
    from agent.state import _name  # what both sides agree on

    return _name(state)


class Machine:
    """One agent's process on a state folder."""

    def __init__(self, folder: Path, memory: Path, profile: Path) -> None:
        self.state = folder / "state"
        self.log = folder / "agent.log"
        self._profile = profile
        self._memory = memory
        self.process: subprocess.Popen[bytes] | None = None
        self.prefix: list[str] = []

    def start(self) -> None:
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*self.prefix, BIN / "story-agent", "run", "--profile", self._profile,
                 "--state", self.state],
                stdout=log, stderr=log,
            )  # fmt: skip

    async def ask(self, method: str, name: str, body: bytes = b"") -> str:
        client = LocalClient(socket_to_ask(self.state))
        return (await asyncio.to_thread(client.request, method, f"/{name}", body)).text

    async def end(self) -> str:
        """Stop the agent; return what it logged that is no information."""
        assert self.process
        self.process.terminate()
        assert await asyncio.to_thread(self.process.wait, 30) == 0
        self.process = None
        lines = self.log.read_text().splitlines()
        return "\n".join(line for line in lines if " INFO " not in line)


@pytest.fixture
async def machine(
    tmp_path: Path, memory: Path, cloud: Cloud, authority: Authority
) -> AsyncIterator[Machine]:
    profile = tmp_path / "profile.json"
    profile.write_text(json.dumps({
        "uuid": UUID, "token": TOKEN, "bindToken": BIND_TOKEN, "serverAddr": "127.0.0.1",
        "coapPort": cloud.port, "lwm2mPort": 0, "rsaCaCrt": authority.pem, "configures": "{}",
        "macId": "", "version": 1,
    }))  # fmt: skip
    (tmp_path / "disk" / "state").mkdir(parents=True)
    made = Machine(tmp_path / "disk", memory, profile)
    made.log = tmp_path / "agent.log"
    yield made
    if made.process is not None:
        made.process.kill()
        made.process.wait()


def told(cloud: Cloud) -> list[Any]:
    """Return what the cloud heard of the machine's trouble."""
    return [report[KEY_TROUBLE] for report in cloud.reports if KEY_TROUBLE in report]


async def check_it_works(machine: Machine, cloud: Cloud) -> tuple[dict[str, Any], str]:
    """Check that the machine answers and reports; return its status and its log."""
    machine.start()
    await until(lambda: any("volume" in report for report in cloud.reports))
    await until(lambda: told(cloud))
    assert await machine.ask("PUT", "volume", b"7") == ""
    assert await machine.ask("GET", "volume") == "7"
    await until(lambda: {"volume": 7} in cloud.reports)
    status = json.loads(await machine.ask("GET", "status"))
    assert status["uuid"] == UUID
    assert len(told(cloud)) == 1
    return status, await machine.end()


@pytest.fixture
def read_only(machine: Machine) -> Iterator[Callable[[], object]]:
    """Put the machine's files on a disk of their own; yields what makes that read-only."""
    disk = machine.state.parent
    command = ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(disk)]
    if subprocess.run(command, capture_output=True, check=False).returncode:
        pytest.skip("mounting a tmpfs takes root")
    machine.state.mkdir()
    yield lambda: subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    subprocess.run(["umount", "-l", disk], check=True)


async def test_on_a_read_only_card(
    machine: Machine, cloud: Cloud, read_only: Callable[[], object]
) -> None:
    read_only()
    status, log = await check_it_works(machine, cloud)
    assert status["trouble"] == f"state folder {machine.state}: agent.lock: Read-only file system"
    assert log.count("keeps no report over a restart") == 1
    assert "Traceback" not in log


async def test_on_a_card_without_a_state_folder(
    machine: Machine, read_only: Callable[[], object], memory: Path
) -> None:
    machine.state.rmdir()
    read_only()
    folder, fault = usable_state(machine.state)
    assert (folder.parent, fault) == (
        memory,
        f"state folder {machine.state}: Read-only file system",
    )
    with state_lock(folder) as nothing:
        assert nothing is None


async def test_in_a_folder_of_another_user(machine: Machine, cloud: Cloud) -> None:
    if os.geteuid():
        pytest.skip("giving a folder away takes root")
    machine.state.chmod(0o700)
    os.chown(machine.state, 65534, 65534)
    machine.prefix = AS_ANYBODY
    status, log = await check_it_works(machine, cloud)
    assert status["trouble"] == f"state folder {machine.state}: Permission denied"
    assert "Traceback" not in log


async def test_among_folders_and_nonsense_in_the_files_places(
    machine: Machine, cloud: Cloud
) -> None:
    for name in ("agent.lock", "outbox.sqlite/x", "ota/given_up.json", "agent.sock/x"):
        (machine.state / name).mkdir(parents=True)
    (machine.state / "ota" / "task.json").write_text("[" * 200_000)
    machine.start()
    await until(lambda: len(told(cloud)) == 2)
    texts = " ".join(each["text"] for each in told(cloud))
    assert "outbox damaged (it is no file)" in texts
    assert "agent.lock: Is a directory: the machine works" in texts
    status = json.loads(await machine.ask("GET", "status"))
    assert status["outbox"]["in_memory"] == 0
    log = await machine.end()
    assert "task.json: not usable JSON" in log
    assert "Traceback" not in log
