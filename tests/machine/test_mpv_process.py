"""mpv's process and its IPC: real deaths, and a scripted peer for what mpv never says."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from machine import mpv_process
from machine.errors import UnavailableError
from machine.mpv_process import DIED, MpvError, MpvProcess
from machine.mpv_program import LIBMPV_CHILD
from tests.conftest import write_tone
from tests.machine.parts import DEADLINE, write_traps
from tests.waiting import until

LIBMPV = [sys.executable, "-I", "-S", LIBMPV_CHILD]
# Answers the first request as mpv does, then runs the test's code with its socket as `peer`.
PEER = """
import json, re, socket, sys
peer = socket.socket(fileno=int(re.search(r"fd://(\\d+)", " ".join(sys.argv))[1]))
lines = peer.makefile("rb")
def answer(**members):
    number = json.loads(lines.readline())["request_id"]
    peer.sendall(json.dumps({"request_id": number, "error": "success", **members}).encode() + b"\\n")
answer()
"""


async def start_peer(code: str) -> MpvProcess:
    """Start a program that is not mpv and behaves as ``code`` says."""
    return await MpvProcess.start([sys.executable, "-c", PEER + code])


@pytest.fixture
async def mpv() -> AsyncIterator[MpvProcess]:
    mpv = await MpvProcess.start(["mpv"])
    yield mpv
    await mpv.close()


async def died(mpv: MpvProcess) -> bool:
    async with asyncio.timeout(DEADLINE):
        event = await mpv.events.get()
    return bool(event["event"] == DIED)


async def test_properties_and_errors_are_mpvs_own(mpv: MpvProcess) -> None:
    assert str(await mpv.ask("mpv-version")).startswith("mpv ")
    assert await mpv.ask("time-pos") is None
    with pytest.raises(MpvError, match="property not found"):
        await mpv.request("set_property", "no-such-property", 1)


@pytest.mark.parametrize(
    "code",
    [
        "peer.sendall(b'x' * 200_000); lines.readline()",
        "peer.sendall(b'no JSON\\n'); lines.readline()",
        "peer.sendall(b'[1]\\n'); lines.readline()",
        "peer.sendall(b'[' * 60_000 + b'\\n'); lines.readline()",
        'peer.sendall(b\'{"event": "end-file"}\\n\' * 1000); lines.readline()',
        "sys.exit(3)",
    ],
    ids=["endless line", "no JSON", "no object", "too deep", "too many events", "exit"],
)
async def test_a_peer_that_breaks_the_protocol_is_ended(code: str) -> None:
    mpv = await start_peer(code)
    await until(lambda: not mpv.alive)  # whoever reads events meanwhile may keep up with any number
    with pytest.raises(UnavailableError, match="ended"):
        await mpv.request("get_property", "pause")
    await mpv.close()


async def test_an_answer_that_does_not_come_ends_the_process() -> None:
    mpv = await start_peer("lines.readline(); lines.readline()")
    with pytest.raises(UnavailableError, match=r"no answer in 0\.05 s"):
        await mpv.request("get_property", "pause", seconds=0.05)
    assert await died(mpv)
    await mpv.close()
    assert not Path(f"/proc/{mpv.pid}/exe").exists()  # noqa: ASYNC240


async def test_answers_to_nobody_change_nothing() -> None:
    mpv = await start_peer(
        'peer.sendall(b\'{"request_id": 99, "error": "success"}\\n{"request_id": [1]}\\n{}\\n\');'
        " answer(data=7); lines.readline()"
    )
    assert await mpv.request("get_property", "volume") == 7
    await mpv.close()


async def test_a_hanging_process_is_killed_at_the_close(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mpv_process, "QUIT_SECONDS", 0.05)
    mpv = await MpvProcess.start(["mpv"])
    assert mpv.pid is not None
    os.kill(mpv.pid, signal.SIGSTOP)
    async with asyncio.timeout(DEADLINE):
        await mpv.close()
    assert not Path(f"/proc/{mpv.pid}/exe").exists()  # noqa: ASYNC240


@pytest.mark.parametrize("program", [["mpv"], LIBMPV], ids=["mpv", "libmpv"])
async def test_mpv_itself_expands_nothing(program: list[str], tmp_path: Path) -> None:
    """Its end-file's reason would be "redirect", and it would go on with what the file names."""
    target = write_tone(tmp_path / "elsewhere" / "secret.wav", seconds=5)
    traps = tmp_path / "card"
    traps.mkdir()
    write_traps(traps, target)
    mpv = await MpvProcess.start(program)
    for trap in sorted(traps.iterdir()):
        await mpv.request("loadfile", str(trap))
        async with asyncio.timeout(DEADLINE):
            while (event := await mpv.events.get())["event"] != "end-file":
                assert event["event"] == "start-file"
        assert event["reason"] == "error"
        assert await mpv.ask("playlist-count") in {0, 1}
    await mpv.close()


@pytest.mark.parametrize("program", [["mpv"], LIBMPV], ids=["mpv", "libmpv"])
def test_the_player_dies_with_the_agent(program: list[str]) -> None:
    """The agent is killed, so that nothing of it can run: the socket's end is what mpv sees."""
    code = (
        "import asyncio, os, signal\n"
        "from machine.mpv_process import MpvProcess\n"
        "async def main():\n"
        f"    mpv = await MpvProcess.start({program!r})\n"
        "    print(mpv.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], stdout=subprocess.PIPE, text=True, timeout=60, check=False
    )
    deadline = time.monotonic() + DEADLINE
    while Path(f"/proc/{int(done.stdout)}/exe").exists():
        assert time.monotonic() < deadline
        time.sleep(0.01)


async def test_a_death_while_a_request_is_being_written_is_no_error_in_the_log(
    mpv: MpvProcess, monkeypatch: pytest.MonkeyPatch
) -> None:
    unseen: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: unseen.append(told))

    async def die() -> None:
        mpv.kill("for the test")
        raise ConnectionResetError

    monkeypatch.setattr(mpv._writer, "drain", die)
    with pytest.raises(UnavailableError, match="mpv gave no answer"):
        await mpv.request("get_property", "pid")
    gc.collect()
    assert unseen == []
