"""What the bench's agent has of its own, so that the fault bench may break it (docs/fault-bench.md).

That is a disk, a clock and a sound server, and ``story-agent bench-helper`` beside it.
What this computer does not allow is left out; the helper then refuses that fault, and says why and what would help.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path

from tools.processes import Service, supervise

CLOCK_SOURCE = Path(__file__).with_name("bench_clock.c")
CLOCK_BYTES = 16
# Two versions of the agent with room for what is played: it takes memory only as it is used.
DISK = "128M"
STEP_SECONDS = 60.0
ALSA = Path("/dev/snd")


class BenchMachine:
    """The disk, clock, sound server and helper of one agent.

    Attributes:
        variables: the agent's environment; known after `begin`.
    """

    def __init__(self, folder: Path, state: Path) -> None:
        """Keep files in ``folder``; ``state`` is the agent's state folder, below it."""
        self._folder = folder
        self._state = state
        self._sound_folder: Path | None = None
        self._services: list[Service] = []
        self._is_mounted = False
        self.variables: dict[str, str] = {}

    def begin(self, sound: Mapping[str, str] | None = None) -> None:
        """Give the agent what this computer allows; its state folder is there, and empty.

        ``sound``: the variables of a sound server that is the bench's, and runs already, {} if there is none; None: start one.
        """
        self._is_mounted = mount_disk(self._state)
        self.variables |= self._clock()
        if sound is not None:
            self.variables |= sound
        elif not has_sound() and shutil.which("pulseaudio"):
            self._start_sound()

    def _clock(self) -> dict[str, str]:
        library, file = self._folder / "bench-clock.so", self._folder / "clock"
        words: list[str | Path] = [
            "cc",
            "-shared",
            "-fPIC",
            "-O2",
            "-o",
            library,
            CLOCK_SOURCE,
            "-ldl",
        ]
        if shutil.which("cc") is None or not _succeeds(*words):
            return {}
        file.write_bytes(bytes(CLOCK_BYTES))
        return {"LD_PRELOAD": str(library), "STORY_BENCH_CLOCK": str(file)}

    def _start_sound(self) -> None:
        # The path of a socket has at most 107 bytes; that of the bench's folder may have more.
        self._sound_folder = Path(tempfile.mkdtemp(prefix="story-bench-"))
        place = self._sound_folder / "native"
        environment = dict.fromkeys(
            ("HOME", "XDG_RUNTIME_DIR", "PULSE_RUNTIME_PATH"), str(self._sound_folder)
        )
        words = [
            "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--disable-shm=yes",
            "-L", f"module-native-protocol-unix socket={place} auth-anonymous=1",
            "-L", "module-null-sink sink_name=bench",
        ]  # fmt: skip
        server = supervise("/usr/bin/pulseaudio", words, self._folder / "sound.log", environment)
        self._services.append(server)
        server.wait_for("sound server", lambda: place.exists() or None, STEP_SECONDS)
        self.variables["PULSE_SERVER"] = f"unix:{place}"

    def start_helper(self, token: Path) -> int:
        """Start the helper beside the agent, which runs; return its port on loopback."""
        own = ["--own-sound"] if "PULSE_SERVER" in self.variables else []
        helper = Service(
            "story-agent", ["bench-helper", "--state", self._state, "--token-file", token, *own],
            self._folder / "bench-helper.log",
        )  # fmt: skip
        self._services.append(helper)
        return int(helper.wait_for_line(r"ready (\d+)").group(1))

    def stop(self) -> None:
        """End the helper and the sound server, and give the disk back; the agent has ended."""
        for service in reversed(self._services):
            service.stop()
        self._services.clear()
        if self._sound_folder is not None:
            shutil.rmtree(self._sound_folder, ignore_errors=True)
        if self._is_mounted:
            unmount_disk(self._state)


def has_sound() -> bool:
    """Return whether this computer has a sound server or a card, on which a person may want to hear the agent."""
    if any(ALSA.glob("pcm*p")):
        return True
    return shutil.which("pactl") is not None and _succeeds("pactl", "info")


def mount_disk(state: Path) -> bool:
    """Give a folder a file system of its own, in memory, if this process may; return whether it did."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        return False
    mode = f"{state.stat().st_mode & 0o777:o}"
    return _succeeds("mount", "-t", "tmpfs", "-o", f"size={DISK},mode={mode}", "story-bench", state)


def unmount_disk(state: Path) -> None:
    """Take such a file system away, with what is in it; also one that a killed bench left."""
    if state.is_mount() and not _succeeds("umount", state):
        _succeeds("umount", "--lazy", state)


def _succeeds(*words: str | Path) -> bool:
    with contextlib.suppress(OSError, subprocess.TimeoutExpired):
        done = subprocess.run(words, capture_output=True, timeout=STEP_SECONDS, check=False)
        return done.returncode == 0
    return False
