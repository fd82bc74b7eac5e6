"""Run in the emulated machine as root: what the player's unit is, sees and may, while it plays (tests/vm/player.py).

It prints ``player check: NAME: ok`` or ``: BAD`` and why for each line, then ``player check: done``.
"""

# ruff: noqa: T201  # the console is how it speaks

from __future__ import annotations

import os
import pwd
import re
import shutil
import signal
import subprocess
import sys
import time
import wave
from collections.abc import Callable
from pathlib import Path

STATE = Path("/var/lib/story-agent")
AGENT = "/opt/story-agent/bin/story-agent"
# An emulated processor shares the host's with others.
DEADLINE = 240.0


def say(name: str, fault: object = "") -> None:
    """Print one line of the check."""
    print(f"player check: {name}: {f'BAD: {fault}' if fault else 'ok'}", flush=True)


def agent(*words: str) -> tuple[int, str]:
    """Run a command of the agent."""
    done = subprocess.run([AGENT, *words], capture_output=True, text=True, check=False)
    return done.returncode, (done.stdout + done.stderr).strip()


def until(look: Callable[[], bool]) -> bool:
    """Wait until ``look`` holds; False after the deadline."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if look():
            return True
        time.sleep(1.0)
    return False


def make_story() -> None:
    """Write two minutes of silence where the agent looks for titles."""
    media = STATE / "media"
    media.mkdir(exist_ok=True)
    with wave.open(str(media / "story.wav"), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(2 * 8000 * 120))
    for path in (media, media / "story.wav"):
        shutil.chown(path, "story-agent", "story-agent")
        path.chmod(0o750 if path.is_dir() else 0o640)


def player() -> int:
    """Return the id of mpv's process, 0 if none runs."""
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if b"--input-ipc-client" in (entry / "cmdline").read_bytes():
                return int(entry.name)
        except OSError:
            continue
    return 0


def seen_by(pid: int, path: Path, user: str) -> bool:
    """Return whether ``user`` with the player's groups can read ``path`` in its own view of the files."""
    found = re.search(r"^Groups:\s*(.*)$", Path(f"/proc/{pid}/status").read_text(), re.MULTILINE)
    groups = found[1].split() if found else []  # the unit gives some that /etc/group does not
    command = [
        "nsenter", "--mount", "--target", str(pid), "setpriv", f"--reuid={user}", f"--regid={user}",
        f"--groups={','.join(groups)}", "test", "-r", str(path),
    ]  # fmt: skip
    return subprocess.run(command, check=False).returncode == 0


def check_process(pid: int) -> None:
    """Look at whom mpv runs as, and what it may."""
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines()
    )
    user = pwd.getpwuid(int(status["Uid"].split()[0])).pw_name
    say("runs as story-player", "" if user == "story-player" else user)
    say("no capabilities", int(status["CapBnd"], 16) or "")
    say("no new privileges", "" if status["NoNewPrivs"] == "1" else status["NoNewPrivs"])
    say("a system-call filter", "" if status["Seccomp"] == "2" else status["Seccomp"])
    environment = Path(f"/proc/{pid}/environ").read_bytes()
    say(
        "no word of the agent's in its environment", environment if b"STORY_" in environment else ""
    )


def check_files(pid: int) -> None:
    """Look at which of the agent's files it sees."""
    say("reads the media", "" if seen_by(pid, STATE / "media/story.wav", "story-player") else "no")
    for path in (
        STATE / "outbox.sqlite", STATE / "agent.sock", STATE / "root.json",
        Path("/etc/story-agent/profile.json"), Path("/etc/story-agent/agent.toml"),
    ):  # fmt: skip
        say(f"does not see {path}", "it does" if seen_by(pid, path, "story-player") else "")


def main() -> None:
    """Play, look, kill, look again."""
    make_story()
    if not until(lambda: agent("set", "play", "story")[0] == 0):
        say("plays", agent("set", "play", "story")[1])
        return
    say("plays")
    status = agent("status")[1]
    say("in the unit", "" if "mpv of story-player.socket" in status else status)
    pid = player()
    if not pid:
        say("a process", "none")
        return
    check_process(pid)
    check_files(pid)
    os.kill(pid, signal.SIGKILL)
    say("comes back when it dies", "" if until(lambda: player() not in {0, pid}) else "no")
    say("stops", agent("set", "play", "stop")[1])
    subprocess.run(["systemctl", "stop", "story-agent"], check=False)
    say("ends with the agent", "" if until(lambda: player() == 0) else player())


if __name__ == "__main__":
    try:
        main()
    except Exception as error:  # noqa: BLE001  # the host reads the console only
        say("the check", repr(error))
    print("player check: done", flush=True)
    sys.exit(0)
