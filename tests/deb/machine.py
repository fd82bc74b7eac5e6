"""Clean Debian systems for the packages: booted with their own systemd in a container, or under an emulator.

A container shares this machine's network, so that the cloud's loopback address is its own. It is no
virtual machine: it has no sound card, and this machine's kernel.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

from tools.emulation import is_needed
from tools.image.native import hooks
from tools.processes import die_with_parent

INCLUDE = "systemd,systemd-sysv,dbus,python3,ca-certificates,init-system-helpers"
# Bootstrapping arm64 under an emulator; everything else is faster.
BUILD_SECONDS, BOOT_SECONDS, COMMAND_SECONDS = 1800, 120, 900
POLL_SECONDS = 0.5


class ProofError(Exception):
    """A step did not do what it should; the message says which and what was found."""


def make_root(suite: str, architecture: str, cache: Path) -> Path:
    """Return a tar of a clean system, made once by mmdebstrap."""
    tar = cache / f"{suite}-{architecture}.tar"
    if not tar.exists():
        command = ["mmdebstrap", "--quiet", "--variant=minbase", f"--arch={architecture}"]
        command += hooks() if is_needed(architecture) else []
        part = tar.with_suffix(".part.tar")
        subprocess.run(
            [*command, f"--include={INCLUDE}", suite, str(part)], check=True, timeout=BUILD_SECONDS
        )
        part.rename(tar)
    return tar


def lacking(*programs: str) -> list[str]:
    """Return what the proof needs and this machine has not, in words."""
    missing = [name for name in programs if shutil.which(name) is None]
    return missing + ([] if os.geteuid() == 0 else ["root's rights"])


def unpack(tar: Path, folder: Path) -> Path:
    """Unpack a clean system; return its folder."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    subprocess.run(["tar", "-C", str(folder), "-xf", str(tar)], check=True, timeout=BUILD_SECONDS)
    shutil.copy("/etc/resolv.conf", folder / "etc/resolv.conf")
    return folder


class System:
    """A system in a folder: commands run in it, in one way or the other."""

    def __init__(self, root: Path, enter: list[str]) -> None:
        """Use ``root``; ``enter`` are the words before a command."""
        self.root = root
        self._enter = enter

    @property
    def enter(self) -> list[str]:
        """The words before a command that runs in it."""
        return list(self._enter)

    def run(self, *words: str, text: str = "", fail: bool = False, **environment: str) -> str:
        """Run a command in it and return its output, errors included.

        Args:
            words: the program and its arguments.
            text: its stdin.
            fail: whether it must fail.
            environment: variables besides PATH.

        Raises:
            ProofError: it did not end as expected.
        """
        variables = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}
        given = [f"{name}={value}" for name, value in (variables | environment).items()]
        done = subprocess.run(
            [*self._enter, "/usr/bin/env", "-i", *given, *words],
            input=text, check=False, capture_output=True, text=True, timeout=COMMAND_SECONDS,
        )  # fmt: skip
        output = done.stdout + done.stderr
        if (done.returncode != 0) is not fail:
            raise ProofError(f"{' '.join(words)}: exit code {done.returncode}\n{output[-3000:]}")
        return output

    def ask(self, words: str) -> str:
        """Run a shell's words in it and return their output; raises ProofError."""
        return self.run("sh", "-c", words)

    def wait(self, what: str, seconds: float, *words: str, holds: str = "") -> float:
        """Wait until a command succeeds and its output has ``holds``; return the seconds that it took."""
        begin, last = time.monotonic(), ""
        while time.monotonic() - begin < seconds:
            with contextlib.suppress(ProofError):
                last = self.run(*words)
                if holds in last:
                    return time.monotonic() - begin
            time.sleep(POLL_SECONDS)
        raise ProofError(f"{what}: not within {seconds:g} s; the last answer: {last[-1500:]}")


@contextlib.contextmanager
def booted(root: Path) -> Iterator[System]:
    """Boot a system in a container, and power it off at the end; raises ProofError."""
    command = ["systemd-nspawn", "--quiet", "--register=no", "--keep-unit", "--console=pipe"]
    log = root.with_suffix(".log")
    with log.open("wb") as output:
        nspawn = subprocess.Popen(
            [*command, "--boot", "-D", str(root)],
            stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            preexec_fn=die_with_parent,  # noqa: PLW1509  # no system runs on whose proof was killed
        )  # fmt: skip
    try:
        leader = _leader(nspawn)
        system = System(root, ["nsenter", "--target", str(leader), "--all"])
        system.wait("boot", BOOT_SECONDS, "systemctl", "is-active", "multi-user.target")
        yield system
    finally:
        nspawn.send_signal(signal.SIGTERM)  # an orderly power-off
        try:
            nspawn.wait(60)
        except subprocess.TimeoutExpired:
            nspawn.kill()
            nspawn.wait(10)


def _leader(nspawn: subprocess.Popen[bytes]) -> int:
    """Return the process that is number 1 in the container."""
    children = Path(f"/proc/{nspawn.pid}/task/{nspawn.pid}/children")
    deadline = time.monotonic() + BOOT_SECONDS
    while time.monotonic() < deadline and nspawn.poll() is None:
        for word in children.read_text().split():
            status = Path(f"/proc/{word}/status").read_text()
            if any(
                line.startswith("NSpid:") and line.endswith("\t1") for line in status.splitlines()
            ):
                return int(word)
        time.sleep(POLL_SECONDS)
    raise ProofError("systemd-nspawn did not start; its log lies beside the root")


@contextlib.contextmanager
def entered(root: Path) -> Iterator[System]:
    """Use a system by chroot, without its systemd; another architecture's needs binfmt_misc."""
    for name, kind in (("proc", "proc"), ("sys", "sysfs"), ("dev", "devtmpfs")):
        subprocess.run(["mount", "-t", kind, name, str(root / name)], check=True)
    try:
        yield System(root, ["chroot", str(root)])
    finally:
        for name in ("dev", "sys", "proc"):
            subprocess.run(["umount", "--lazy", str(root / name)], check=False)
