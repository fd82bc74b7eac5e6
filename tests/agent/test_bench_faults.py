"""What the bench's helper does to a disk, a clock and a sound server: real ones, which are the test's own."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent import bench_faults
from agent.bench_faults import (
    CLOCK_FILE,
    RefusedError,
    check_own_disk,
    check_own_sound,
    fill,
    kill_listener,
    wrong_clock,
)
from agent.words import speaking
from tests.waiting import until

SOURCE = Path("tools/bench_clock.c").resolve()
ROOT = "22 1 254:0 / / rw,relatime - ext4 /dev/vda rw"
TMPFS = "40 22 0:51 / /b/state rw - tmpfs bench rw"
MOUNTS = {
    "a disk of its own": ([ROOT, TMPFS], "/b/state", "filled"),
    "a name with a blank": (
        [ROOT, TMPFS.replace("/b/state", "/b\\040b/state")],
        "/b b/state",
        "filled",
    ),
    "a folder of the computer's disk": ([ROOT, TMPFS], "/b/other", "refused"),
    "a folder below a disk of its own": ([ROOT, TMPFS], "/b/state/x", "refused"),
    "a part of a disk, as containers get": (
        [ROOT, "41 22 254:0 /var/x /b/state rw - ext4 /dev/vda rw"],
        "/b/state",
        "refused",
    ),
    "a disk that is mounted elsewhere too": (
        [ROOT, TMPFS, "42 22 0:51 / /mnt rw - tmpfs bench rw"],
        "/b/state",
        "refused",
    ),
    "hidden by a later mount": (
        [ROOT, TMPFS, "43 22 254:0 /x /b/state rw - ext4 /dev/vda rw"],
        "/b/state",
        "refused",
    ),
}
# In namespaces of its own: a disk of 1 MiB, filled but for 16 KiB, and free again; then one that can only be read.
FULL = """
import contextlib, errno, os, subprocess, sys
from pathlib import Path
from agent.bench_faults import full_disk, read_only_disk
state = Path(sys.argv[1])
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "bench", state], check=True)
def write(kib):
    try:
        (state / "x").write_bytes(bytes(kib * 1024))
        return 0
    except OSError as error:
        return error.errno
    finally:
        with contextlib.suppress(OSError):
            (state / "x").unlink(missing_ok=True)
with full_disk(state, 16):
    print(write(8), write(64) == errno.ENOSPC, [each for each in os.listdir(state)])
print(write(512))
agent = subprocess.Popen(["sh", "-c", 'exec >"$0"; echo; exec sleep 100', state / "open"])
while not (state / "open").exists() or not (state / "open").stat().st_size:
    pass
with read_only_disk(state, agent.pid):
    print(agent.wait(), write(8) == errno.EROFS)
print(write(8))
"""
TIMES = """
import sys, time
for _ in sys.stdin:
    print(time.time(), time.monotonic(), flush=True)
"""


@pytest.fixture(autouse=True)
def _english() -> Iterator[None]:
    with speaking(["--lang", "en"]):
        yield


@pytest.mark.parametrize(("lines", "place", "what"), MOUNTS.values(), ids=MOUNTS)
def test_only_a_disk_of_the_states_own_is_filled(lines: list[str], place: str, what: str) -> None:
    told = "\n".join(lines)
    if what == "filled":
        check_own_disk(Path(place), told)
        return
    with pytest.raises(RefusedError, match=r"no file system of its own.*mount -t tmpfs"):
        check_own_disk(Path(place), told)


def test_a_disk_is_full_then_read_only_and_then_itself_again(tmp_path: Path) -> None:
    (tmp_path / "s").mkdir()
    words: list[str | Path] = [
        "unshare",
        "--map-root-user",
        "--mount",
        sys.executable,
        "-c",
        FULL,
        tmp_path / "s",
    ]
    done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
    if "unshare" in done.stderr or "mount:" in done.stderr:
        pytest.skip(f"no mounts here: {done.stderr}")
    assert done.stdout.splitlines() == ["0 True []", "0", "-9 True", "0"], done.stderr


def test_a_mount_that_hangs_is_given_up_after_10_s(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[float] = []

    def hang(words: list[str], *, timeout: float, **_: object) -> None:
        given.append(timeout)
        raise subprocess.TimeoutExpired(words, timeout)

    monkeypatch.setattr(subprocess, "run", hang)
    with pytest.raises(RefusedError, match=r"mount: .*timed out after 10"):
        bench_faults._remount(Path("/b/state"), "ro")
    assert given == [10.0]


def test_a_disk_that_stays_busy_is_tried_for_3_s_and_is_writable_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now, asked = 100.0, []

    def wait(seconds: float) -> None:
        nonlocal now
        now += seconds

    def remount(_place: Path, how: str) -> None:
        asked.append((now, how))
        if how == "ro":
            raise RefusedError("busy")

    class Guard:
        """The child that makes the disk writable again once its pipe ends."""

        def communicate(self, timeout: float) -> None:
            asked.append((timeout, "guard"))

    monkeypatch.setattr(bench_faults, "_own_disk", lambda state: state)
    monkeypatch.setattr(bench_faults, "_remount", remount)
    monkeypatch.setattr(subprocess, "Popen", lambda *_, **__: Guard())
    monkeypatch.setattr(os, "kill", lambda *_: None)
    monkeypatch.setattr(time, "sleep", wait)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    with (
        pytest.raises(RefusedError, match="busy"),
        bench_faults.read_only_disk(tmp_path, os.getpid()),
    ):
        pass
    assert asked[0] == (100.0, "rw")
    assert asked[-2][0] == pytest.approx(103.0, abs=0.05)
    assert asked[-1] == (10.0, "guard")


def test_no_more_is_taken_than_there_is(tmp_path: Path) -> None:
    with (tmp_path / "x").open("wb") as file:
        assert fill(file.fileno(), 10_000) == 10_000


@pytest.fixture(scope="module")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    if shutil.which("cc") is None:
        pytest.skip("gcc and libc6-dev are not installed")
    made = tmp_path_factory.mktemp("clock") / "bench-clock.so"
    words: list[str | Path] = [
        "cc",
        "-shared",
        "-fPIC",
        "-O2",
        "-Wall",
        "-Werror",
        "-o",
        made,
        SOURCE,
    ]
    subprocess.run(words, check=True, timeout=120)
    return made


def clocked(shim: Path, file: Path, program: Path) -> subprocess.Popen[str]:
    """A process whose command line has ``program``, and that tells its times on each line that it gets."""
    program.write_text(TIMES)
    variables = os.environ | {"LD_PRELOAD": str(shim), "STORY_BENCH_CLOCK": str(file)}
    return subprocess.Popen(
        [sys.executable, "-S", program], env=variables, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip


def off_by(process: subprocess.Popen[str]) -> int:
    """By how many days the process's clock is wrong; its monotonic one is not."""
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write("\n")
    process.stdin.flush()
    told, ticks = map(float, process.stdout.readline().split())
    assert abs(ticks - time.monotonic()) < 3600
    return round((told - time.time()) / 86400)


def test_the_agent_alone_has_a_wrong_clock(shim: Path, tmp_path: Path) -> None:
    file = tmp_path / "clock"
    file.write_bytes(bytes(CLOCK_FILE.size))
    agent = clocked(shim, file, tmp_path / "story-agent")
    other = clocked(shim, file, tmp_path / "player")
    try:
        assert (off_by(agent), off_by(other)) == (0, 0)
        with wrong_clock(agent.pid, -1440 * 365, 600) as told:
            assert f"process {agent.pid} is wrong by -525600 minutes" in told
            assert (off_by(agent), off_by(other)) == (-365, 0)
        with wrong_clock(agent.pid, 1440, 600):
            assert off_by(agent) == 1
        with wrong_clock(agent.pid, -30_000_000, 600):
            assert off_by(agent) == -round(time.time() / 86400)  # 1970
        assert off_by(agent) == 0
        with wrong_clock(agent.pid, 1440, 0):  # as after the helper's kill -9: its time is over
            assert off_by(agent) == 0
    finally:
        for process in (agent, other):
            process.kill()
            process.communicate()


def test_an_agent_without_the_benchs_clock_is_refused() -> None:
    with (
        pytest.raises(RefusedError, match=r"tools/bench_clock\.c.*apt install gcc"),
        wrong_clock(os.getpid(), 1, 1),
    ):
        pass


async def test_a_sound_server_that_is_not_the_benchs_is_refused() -> None:
    for variables, own in (
        ("PULSE_SERVER=unix:/x", False),
        ("PULSE_SERVER=host", True),
        ("A=", True),
    ):
        words = ["env", "-i", variables, "sleep", "600"]
        with subprocess.Popen(words) as process:  # noqa: ASYNC220  # a moment
            try:
                await until(lambda: b"sleep" in command_line(process.pid))
                with pytest.raises(RefusedError, match=r"not the bench's own.*--own-sound"):
                    check_own_sound(process.pid, own=own)
                if variables.startswith("PULSE_SERVER=unix"):
                    assert check_own_sound(process.pid, own=True) == Path("/x")
            finally:
                process.kill()


def command_line(process: int) -> bytes:
    return Path(f"/proc/{process}/cmdline").read_bytes().partition(b"\0")[0]


def test_only_sound_servers_are_killed(tmp_path: Path) -> None:
    place = tmp_path / "native"
    assert kill_listener(place) is None
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(place))
        listening.listen()
        with pytest.raises(RefusedError, match="no sound server"):
            kill_listener(place)
