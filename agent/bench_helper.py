"""``story-agent bench-helper``: makes faults on this machine for the cloud's fault bench (docs/fault-bench.md).

It listens on loopback alone, wants its token, and finds the agent by who listens on the socket of the state folder. It
refuses the installed service: there is nobody beside a machine at a family's home. A lasting fault ends with its
connection and after its seconds, whatever becomes of the cloud. `agent.bench_faults` has what is not the agent's
process.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import random
import secrets
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from agent.bench_faults import (
    CREDENTIALS,
    RefusedError,
    check_own_sound,
    full_disk,
    kill_listener,
    read_only_disk,
    refused,
    wrong_clock,
)
from agent.exits import EX_FAILED, EX_OK

if TYPE_CHECKING:
    from wire.bench_helper import Told, Wanted

TOKEN_BYTES = 16
# Seconds for a request's line.
LINE_SECONDS = 5.0
SECONDS_MAX = 3600
INSTALLED = Path("/var/lib/story-agent")
UNIT = "story-agent.service"
# Seconds between two looks at whether the sound server came back: whoever watches over it starts it anew.
SOUND_SECONDS = 0.5
LASTING = ("freeze", "disk_full", "disk_read_only", "clock_wrong", "sound_dead")
# What a card loses of a machine: never what is the identity, which a bench could not make again.
_KEPT = {"root.json", "agent.sock", "profile.json"}
FILE_MAX = 64 * 1024 * 1024


def run_helper(options: argparse.Namespace) -> int:
    """Serve until Ctrl-C; return 1 where it refuses to run."""
    try:
        check_state(options.state)
        token = read_token(options.token_file)
        helper = Helper(options.state, token, own_sound=options.own_sound)
        asyncio.run(helper.serve(options.port))
    except RefusedError as error:
        print(f"story-agent: {error}", file=sys.stderr)
        return EX_FAILED
    except OSError as error:
        print(f"story-agent: {error.filename or 'bench-helper'}: {error.strerror}", file=sys.stderr)
        return EX_FAILED
    return EX_OK


def check_state(state: Path) -> None:
    """Refuse the state folder of the installed service; raises RefusedError."""
    place = Path(os.path.realpath(state))
    if INSTALLED in {place, *place.parents}:
        raise refused(
            f"{state} 是安装的服务的状态文件夹；台架上用 --state 给出另一个",
            f"{state} is the installed service's state: on a bench give another one by --state",
        )


def read_token(file: Path) -> str:
    """Return the token in a file, which is made for its owner alone if it is not there; raises OSError."""
    with contextlib.suppress(FileExistsError):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as made:
            made.write(secrets.token_hex(TOKEN_BYTES) + "\n")
    return file.read_text("ascii", "replace").strip()


def agent_of(state: Path) -> int:
    """Return the process that listens on the agent's socket of a state folder; raises RefusedError."""
    from agent.state import socket_to_ask  # noqa: PLC0415  # see `agent.cli`

    with socket.socket(socket.AF_UNIX) as asking:
        try:
            asking.connect(str(socket_to_ask(state)))
        except OSError as error:
            raise refused(
                f"{state} 上没有代理在运行：{error.strerror}",
                f"no agent runs on {state}: {error.strerror}",
            ) from error
        told = asking.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, CREDENTIALS.size)
    process = int(CREDENTIALS.unpack(told)[0])
    with contextlib.suppress(OSError):
        if UNIT in Path(f"/proc/{process}/cgroup").read_text():
            raise refused(
                f"{state} 的代理是安装的服务", f"the agent of {state} is the installed service"
            )
    return process


class Helper:
    """The faults of one machine."""

    def __init__(self, state: Path, token: str, *, own_sound: bool = False) -> None:
        """Make them to the agent of ``state``, for who has ``token``; ``own_sound``: its sound server is the bench's."""
        self._state = state
        self._token = token
        self._own_sound = own_sound

    async def serve(self, port: int) -> None:
        """Serve until cancelled; prints where."""
        server = await asyncio.start_server(self.answer, "127.0.0.1", port, limit=4096)
        print(f"ready {server.sockets[0].getsockname()[1]}", flush=True)
        async with server:
            await server.serve_forever()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, which is one fault."""
        from wire.bench_helper import Told, encode_told  # noqa: PLC0415  # see `agent.cli`

        try:
            async with asyncio.timeout(LINE_SECONDS):
                line = await reader.readline()
            wanted = self._parse(line)
            if wanted.name in LASTING:
                await self._last(wanted, reader, writer)
            else:
                writer.write(encode_told(self._once(wanted)))
                await writer.drain()
        except (RefusedError, ValueError) as error:
            writer.write(encode_told(Told(done=False, text=str(error))))
        except (OSError, TimeoutError):
            pass  # the bench has gone
        finally:
            writer.close()

    def _parse(self, line: bytes) -> Wanted:
        from wire.bench_helper import parse_wanted  # noqa: PLC0415  # see `agent.cli`

        wanted = parse_wanted(line)
        if not wanted.is_from(self._token):
            raise refused("口令不是这个 bench-helper 的", "the token is not this helper's")
        return wanted

    async def _last(
        self, wanted: Wanted, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        from wire.bench_helper import Told, encode_told  # noqa: PLC0415  # see `agent.cli`

        seconds = min(wanted.number("seconds"), SECONDS_MAX)
        async with self._begun(wanted, seconds) as text:
            writer.write(encode_told(Told(done=True, text=text)))
            with contextlib.suppress(TimeoutError, OSError):
                async with asyncio.timeout(seconds):
                    await reader.read()

    @asynccontextmanager
    async def _begun(self, wanted: Wanted, seconds: int) -> AsyncIterator[str]:
        """Make a lasting fault, give what to tell, and end it."""
        process = agent_of(self._state)
        if wanted.name == "freeze":
            os.kill(process, signal.SIGSTOP)
            try:
                yield f"process {process} stands still"
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(process, signal.SIGCONT)
        elif wanted.name == "disk_full":
            with full_disk(self._state, wanted.number("left_kb")) as text:
                yield text
        elif wanted.name == "disk_read_only":
            with read_only_disk(self._state, process) as text:
                yield text
        elif wanted.name == "clock_wrong":
            with wrong_clock(process, wanted.number("minutes"), seconds) as text:
                yield text
        else:
            place = check_own_sound(process, own=self._own_sound)
            killed = kill_listener(place)
            killing = asyncio.create_task(_keep_dead(place))
            try:
                yield f"sound server {killed} was killed" if killed else "no sound server runs"
            finally:
                killing.cancel()

    def _once(self, wanted: Wanted) -> Told:
        from wire.bench_helper import Told  # noqa: PLC0415  # see `agent.cli`

        process = agent_of(self._state)
        if wanted.name == "kill":
            os.kill(process, signal.SIGKILL)
            return Told(done=True, text=f"process {process} was killed")
        if wanted.name != "card":
            known = ", ".join((*LASTING, "kill", "card"))
            raise refused(
                f"{wanted.name}：这个 bench-helper 只会 {known}",
                f"{wanted.name}: this helper knows {known}",
            )
        file = choose(self._state, str(wanted.values.get("file", "any")), wanted.number("seed"))
        os.kill(process, signal.SIGKILL)  # what it holds in memory would be written over the damage
        count = flip(file, wanted.number("flips"), wanted.number("seed"))
        shown = file.relative_to(self._state)
        return Told(
            done=True, text=f"{count} bits of {shown} were flipped, process {process} was killed"
        )


async def _keep_dead(place: Path) -> None:
    """Kill a sound server as often as it comes back, until cancelled."""
    while True:
        await asyncio.sleep(SOUND_SECONDS)
        kill_listener(place)


def choose(state: Path, which: str, seed: int) -> Path:
    """Return a file of a state folder that a card could damage; raises RefusedError if there is none."""
    files = [path for path in sorted(state.rglob("*")) if _is_damageable(state, path)]
    of: dict[str, list[Path]] = {"state": [], "outbox": [], "slot": [], "any": files}
    for path in files:
        first = path.relative_to(state).parts[0]
        of[
            "slot" if first == "slots" else "outbox" if first.startswith("outbox") else "state"
        ].append(path)
    found = of.get(which, [])
    if not found:
        raise refused(
            f"card：{state} 没有 {which} 这类文件", f"card: {state} has no file of the kind {which}"
        )
    return random.Random(seed).choice(found)  # noqa: S311  # no secret


def _is_damageable(state: Path, path: Path) -> bool:
    parts = path.relative_to(state).parts
    if path.is_symlink() or not path.is_file() or parts[0] == "media" or parts[-1] in _KEPT:
        return False
    return 0 < path.stat().st_size <= FILE_MAX


def flip(file: Path, count: int, seed: int) -> int:
    """Flip bits of a file where it is, as a worn card does; return how many."""
    chosen = random.Random(seed)  # noqa: S311  # no secret
    with file.open("r+b") as damaged:
        size = damaged.seek(0, os.SEEK_END)
        places = chosen.sample(range(size), min(count, size))
        for place in places:
            damaged.seek(place)
            byte = damaged.read(1)[0] ^ 1 << chosen.randrange(8)
            damaged.seek(place)
            damaged.write(bytes([byte]))
        damaged.flush()
        os.fsync(damaged.fileno())
    return len(places)
