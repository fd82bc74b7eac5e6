"""The commands of README and bench guide, run as they stand there: ``make test-readme`` (docs/bench.md).

    python -m tests.readme.proof [--only bench flashing] [--cache DIR] [--write FILE]

The bench guide runs on this computer, in both languages, with a home of its own. Flashing takes root, mmdebstrap,
systemd-container and a Debian mirror: the bench is this computer, the machine a clean Debian 12 that boots with its
own systemd. What is replaced there is in SUBSTITUTES and in `_prepare`. Exit code 0 only if every block did.
"""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tests.deb.machine import System, booted, make_root, unpack
from tests.readme.recipe import BENCH, DOCUMENTS, MACHINE, ROOT, blocks

# In the commands for flashing: this computer's address, and nothing is served beyond loopback. A container has no
# sound card, so its doctor and the player find none: both may say so (``|| true`` in the text).
SUBSTITUTES = (
    ("BENCH=192.168.1.10", "BENCH=127.0.0.1"),
    ("--listen 0.0.0.0", "--listen 127.0.0.1"),
    ("http.server 8000", "http.server 8000 --bind 127.0.0.1"),
    ("https_port = 8443", 'https_port = 8443\nhttps_address = "127.0.0.1"'),
)
# Of the two documents. By this variable, since a clean system has no locale of either.
LANGUAGES = ("en", "zh")
PORTS = (8000, 8080, 8443, 9001)
# Seconds; `make deb` builds wheels at its first time, install.sh fetches mpv.
BLOCK_SECONDS = 1800.0
# In place of scp: the machine's home is a folder of this computer.
SCP = '#!/bin/sh\nfor last; do :; done\n[ "$last" = pi@story-machine.local: ] || exit 1\nwhile [ $# -gt 1 ]; do cp "$1" {home}/ || exit 1; shift; done\nchown -R 1000:1000 {home}\n'
SUITE = "bookworm"


class ReadmeError(Exception):
    """A block did not do what it says; the message has its end."""


class Shell:
    """A shell that runs one block after the other, as a person's terminal."""

    def __init__(self, words: Sequence[str], environment: Mapping[str, str]) -> None:
        """Start ``words``, a bash that reads commands from its standard input."""
        self._bash = subprocess.Popen(
            words, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", cwd=ROOT, env=dict(environment), start_new_session=True,
        )  # fmt: skip
        self._lines: queue.Queue[str] = queue.Queue()
        self._ended = False
        threading.Thread(target=self._read, daemon=True).start()

    def run(self, name: str, text: str, file: Path, shown: str) -> str:
        """Run a block, which is put into ``file`` (``shown`` to the shell); return what it printed.

        Raises:
            ReadmeError: a command failed, or it took too long.
        """
        file.write_text(text, "utf-8")
        assert self._bash.stdin is not None
        self._bash.stdin.write(f". {shown} </dev/null\necho @@done\n")
        self._bash.stdin.flush()
        printed: list[str] = []
        end = time.monotonic() + BLOCK_SECONDS
        while True:
            try:
                line = self._lines.get(timeout=max(0.1, end - time.monotonic()))
            except queue.Empty:
                raise ReadmeError(f"{name}: no end in {BLOCK_SECONDS:g} s: {''.join(printed)[-2000:]}") from None  # fmt: skip
            if line == "@@done\n":
                return "".join(printed)
            if not line:
                raise ReadmeError(f"{name}: a command failed: {''.join(printed)[-2000:]}")
            printed.append(line)

    def close(self) -> None:
        """End the shell and all that it has started."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGTERM)
            self._bash.wait(30)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._bash.pid, signal.SIGKILL)

    def _read(self) -> None:
        assert self._bash.stdout is not None
        for line in self._bash.stdout:
            self._lines.put(line)
        self._lines.put("")


class Rows:
    """What was run, for the documents."""

    def __init__(self) -> None:
        """Begin without any."""
        self.rows: list[str] = []

    def add(self, subject: str, host: str, text: str, seconds: float, last: str) -> None:
        """Note a block that did what it says, and print it."""
        first = next(line for line in text.splitlines() if not re.match(r"\w+=\S*$|export ", line))
        first, last = (text.replace("|", "\\|") for text in (first, last))
        self.rows.append(f"| {subject} | {host} | `{first[:70]}` … | {last[:90]} | {seconds:.1f} |")
        print(self.rows[-1], flush=True)

    def table(self) -> str:
        """Return them as Markdown."""
        return "\n".join(["| document | on | block | its last line | s |", "|---|---|---|---|---|", *self.rows, ""])  # fmt: skip


def environment(home: Path, language: str, *before: Path) -> dict[str, str]:
    """Return the variables of a shell of somebody new."""
    path = ":".join(
        [*map(str, before), "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"]
    )
    return {
        "HOME": str(home),
        "PATH": path,
        "LC_ALL": "C.UTF-8",
        "STORY_AGENT_LANG": language,
        "TERM": "dumb",
        "USER": "tester",
    }


def check_ports() -> None:
    """Raise ReadmeError if a port of the documents is taken."""
    import socket

    for port in PORTS:
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) == 0:
                raise ReadmeError(f"port {port} is in use: end what has it, and try again")


def run_blocks(
    document: Path, shells: Mapping[str, Shell], folders: Mapping[str, Path], rows: Rows
) -> None:
    """Run a document's blocks, each in its host's shell."""
    for number, block in enumerate(blocks(document), 1):
        text = block.text
        if document in DOCUMENTS["flashing"]:
            for old, new in SUBSTITUTES:
                text = text.replace(old, new)
        file, begun = folders[block.host] / f"block-{number}.sh", time.monotonic()
        shown = file if block.host == BENCH else Path("/home/pi") / file.name
        name = f"{document.name}, block {number} ({block.host})"
        printed = shells[block.host].run(name, text, file, str(shown))
        last = next(iter(reversed(printed.strip().splitlines())), "").strip()
        rows.add(document.name, block.host, block.text, time.monotonic() - begun, last)


def prove_bench(rows: Rows) -> None:
    """Run the tester's first hour in both languages."""
    for document, language in zip(DOCUMENTS["bench"], LANGUAGES, strict=True):
        check_ports()
        if (ROOT / "bench").exists():
            raise ReadmeError("the folder bench is there: remove it")
        with tempfile.TemporaryDirectory() as folder:
            shell = Shell(["bash", "-e", "-o", "pipefail"], environment(Path(folder), language))
            try:
                run_blocks(document, {BENCH: shell}, {BENCH: Path(folder)}, rows)
            finally:
                shell.close()
                shutil.rmtree(ROOT / "bench", ignore_errors=True)


@contextlib.contextmanager
def _prepare(cache: Path, folder: Path) -> Iterator[tuple[System, Path]]:
    """Boot a clean Debian that has what Raspberry Pi OS has: a user pi who may use sudo, and curl."""
    root = unpack(make_root(SUITE, "amd64", cache), folder / "machine")
    with booted(root) as system:
        system.run("apt-get", "update", "-qq")
        system.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "sudo", "curl")
        system.run("useradd", "--create-home", "--uid", "1000", "--shell", "/bin/bash", "pi")
        (root / "etc/sudoers.d/pi").write_text("pi ALL=(ALL) NOPASSWD: ALL\n")
        yield system, root / "home/pi"


def prove_flashing(rows: Rows, cache: Path) -> None:
    """Run the README's flashing: the bench here, the machine in a container."""
    check_ports()
    with tempfile.TemporaryDirectory(dir="/var/tmp") as name:  # a system of 1 GB
        folder = Path(name)
        with _prepare(cache, folder) as (system, home):
            scp = folder / "bin/scp"
            scp.parent.mkdir()
            scp.write_text(SCP.format(home=home))
            scp.chmod(0o755)
            (folder / "home").mkdir()
            words = ["runuser", "-l", "pi", "-c", "exec bash -e -o pipefail"]
            shells = {
                BENCH: Shell(["bash", "-e", "-o", "pipefail"], environment(folder / "home", LANGUAGES[0], scp.parent)),
                MACHINE: Shell([*system.enter, *words], environment(folder / "home", LANGUAGES[0])),
            }  # fmt: skip
            try:
                run_blocks(DOCUMENTS["flashing"][0], shells, {BENCH: folder, MACHINE: home}, rows)
            finally:
                for shell in shells.values():
                    shell.close()


def main() -> int:
    """Run what is asked; return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--only", nargs="+", choices=[*DOCUMENTS], default=[*DOCUMENTS])
    parser.add_argument("--cache", type=Path, default=ROOT / "build/roots")
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    rows = Rows()
    try:
        if "bench" in options.only:
            prove_bench(rows)
        if "flashing" in options.only:
            options.cache.mkdir(parents=True, exist_ok=True)
            prove_flashing(rows, options.cache)
    except (ReadmeError, OSError, subprocess.SubprocessError) as error:
        print(f"test-readme: {error}", file=sys.stderr)
        return 1
    finally:
        if options.write is not None:
            options.write.write_text(rows.table(), "utf-8")
    print("test-readme: every block did what it says")
    return 0


if __name__ == "__main__":
    sys.exit(main())
