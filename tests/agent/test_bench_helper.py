"""The fault bench's helper beside an agent: here a small process that listens on an agent's socket."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.bench_faults import RefusedError
from agent.bench_helper import (
    INSTALLED,
    Helper,
    agent_of,
    check_state,
    choose,
    flip,
    read_token,
)
from agent.words import speaking
from tests.moved_clock import Since, on_moved_clock
from tests.waiting import until
from wire.bench_helper import Told, Wanted, encode_wanted, parse_told

TOKEN = "0123456789abcdef"  # no real one
AGENT = "import socket, sys; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(9); print(1, flush=True); sys.stdin.read()"


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with speaking(["--lang", "en"]):
        yield


@pytest.fixture
def state(tmp_path: Path) -> Path:
    (tmp_path / "s").mkdir()
    return tmp_path / "s"


@pytest.fixture
def agent(state: Path) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-S", "-c", AGENT, str(state / "agent.sock")],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout is not None
    process.stdout.readline()
    yield process
    process.kill()
    process.communicate()


async def asked(
    state: Path, wanted: Wanted
) -> tuple[Told, asyncio.StreamWriter, asyncio.StreamReader]:
    server = await asyncio.start_server(Helper(state, TOKEN).answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(encode_wanted(wanted))
    async with asyncio.timeout(60):
        told = parse_told(await reader.readline())
    return told, writer, reader


@on_moved_clock
async def test_who_does_not_end_its_line_in_five_seconds_is_hung_up_on(tmp_path: Path) -> None:
    server = await asyncio.start_server(Helper(tmp_path, TOKEN).answer, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(encode_wanted(Wanted("kill", {}, TOKEN))[:-1])
    since = Since()
    assert await reader.read() == b""
    assert since.seconds == pytest.approx(5.0, abs=0.5)
    writer.close()
    server.close()


def is_stopped(process: int) -> bool:
    return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] == "T"


async def test_a_freeze_ends_with_its_connection(
    state: Path, agent: subprocess.Popen[bytes]
) -> None:
    told, writer, _ = await asked(state, Wanted("freeze", {"seconds": 600}, TOKEN))
    assert told.done
    await until(lambda: is_stopped(agent.pid))
    writer.close()
    await until(lambda: not is_stopped(agent.pid))


async def test_a_freeze_ends_after_its_seconds(state: Path, agent: subprocess.Popen[bytes]) -> None:
    told, writer, reader = await asked(state, Wanted("freeze", {"seconds": 0}, TOKEN))
    assert told.done
    assert await reader.read() == b""
    await until(lambda: not is_stopped(agent.pid))
    writer.close()


async def test_damage_to_the_card_is_done_to_a_dead_agent(
    state: Path, agent: subprocess.Popen[bytes]
) -> None:
    (state / "volume.json").write_bytes(bytes(100))
    (state / "media").mkdir()
    (state / "media" / "story.wav").write_bytes(bytes(100))
    wanted = Wanted("card", {"file": "state", "flips": 5, "seed": 1}, TOKEN)
    told, _, _ = await asked(state, wanted)
    assert told.done, told.text
    assert "5 bits of volume.json" in told.text
    assert agent.wait(60) == -9
    assert sum(byte.bit_count() for byte in (state / "volume.json").read_bytes()) == 5


async def test_what_it_does_not_do_is_refused(state: Path, agent: subprocess.Popen[bytes]) -> None:
    for wanted, told in (
        (Wanted("kill", {}, TOKEN + "x"), "the token is not this helper's"),
        (
            Wanted("reboot", {}, TOKEN),
            "knows freeze, disk_full, disk_read_only, clock_wrong, sound_dead, kill, card",
        ),
        (Wanted("freeze", {}, TOKEN), "seconds"),
        (Wanted("disk_full", {"left_kb": 0, "seconds": 1}, TOKEN), "no file system of its own"),
        (Wanted("disk_read_only", {"seconds": 1}, TOKEN), "no file system of its own"),
        (
            Wanted("clock_wrong", {"minutes": 5, "seconds": 1}, TOKEN),
            "not started with the bench's clock",
        ),
        (Wanted("sound_dead", {"seconds": 1}, TOKEN), "not the bench's own"),
        (
            Wanted("card", {"file": "slot", "flips": 1, "seed": 1}, TOKEN),
            "no file of the kind slot",
        ),
    ):
        answer, _, _ = await asked(state, wanted)
        assert not answer.done
        assert told in answer.text
    assert agent.poll() is None


def test_without_an_agent_it_says_so(state: Path) -> None:
    with pytest.raises(RefusedError, match="no agent runs on"):
        agent_of(state)


def test_the_installed_service_is_refused() -> None:
    for folder in (INSTALLED, INSTALLED / "x", Path("/var/lib/../lib/story-agent")):
        with pytest.raises(RefusedError):
            check_state(folder)
    check_state(Path("/tmp/x"))  # not opened


def test_a_token_is_made_once_for_its_owner(tmp_path: Path) -> None:
    token = read_token(tmp_path / "token")
    assert len(token) == 32
    assert read_token(tmp_path / "token") == token
    assert (tmp_path / "token").stat().st_mode & 0o777 == 0o600


def test_identity_and_media_are_never_damaged(state: Path) -> None:
    for name in (
        "root.json",
        "media/a.wav",
        "outbox.sqlite",
        "slots/a/x.py",
        "volume.json",
        "empty",
    ):
        file = state / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(b"" if name == "empty" else b"x")
    found = {str(choose(state, "any", seed).relative_to(state)) for seed in range(50)}
    assert found == {"outbox.sqlite", "slots/a/x.py", "volume.json"}
    assert choose(state, "slot", 0).name == "x.py"
    assert flip(state / "volume.json", 1000, 0) == 1
