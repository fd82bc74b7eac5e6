"""The README's commands on a clean Debian: ``make test-setup`` (docs/setup-proof.md).

    python -m tests.deb.setup_proof [--suite bookworm] [--cache DIR] [--only NAME...] [--write FILE]

A minimal system with make gets this tree. The set-up is killed (kill -9 of all its processes) in each of its acts, and
`make run` must then finish the tour; again without a network; then `make setup` with one more kill, and tests of a
folder. Needs root, mmdebstrap and a Debian mirror.
"""

# ruff: noqa: T201  # a command line prints

from __future__ import annotations

import argparse
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from tests.deb.machine import ProofError, System, entered, lacking, make_root, unpack
from tests.deb.proof import Steps, expect

ROOT = Path(__file__).parents[2]
TREE = "/srv/story"
# A busy machine and a slow mirror; one act of the set-up.
ACT_SECONDS, WHOLE_SECONDS = 900, 1800
# What the set-up prints as an act begins, and the seconds until it is killed in it.
CUTS = (
    ("installing system packages", 4),
    ("installing system packages", 20),
    ("fetching", 3),
    ("installing them", 1),
    ("installing them", 3),
)
STEPS = ("cuts", "tour", "offline", "fresh", "poor", "wrong", "tests")
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Checkout:
    """This tree in a clean system."""

    def __init__(self, system: System) -> None:
        """Copy what git knows of this tree."""
        self.system, self.root = system, system.root
        place = self.root / TREE.lstrip("/")
        place.mkdir(parents=True)
        archive = ["git", "-C", str(ROOT), "archive", "HEAD"]
        packed = subprocess.run(archive, check=True, capture_output=True, timeout=60)
        subprocess.run(["tar", "-C", str(place), "-x"], input=packed.stdout, check=True, timeout=60)
        # What vouches for the package index may be of this machine alone.
        (self.root / AUTHORITIES.lstrip("/")).write_bytes(Path(AUTHORITIES).read_bytes())
        system.run("apt-get", "update", "-qq")
        system.run("apt-get", "install", "-y", "-qq", "--no-install-recommends", "make")

    def command(self, words: str, enter: tuple[str, ...] = ()) -> list[str]:
        """Return the command that runs a shell's words in the tree."""
        variables = [f"PATH={PATH}", "HOME=/root", "LC_ALL=C.UTF-8", f"PIP_CERT={AUTHORITIES}"]
        inside = ["chroot", str(self.root), "env", "-i", *variables]
        return [*enter, *inside, "sh", "-c", f"cd {TREE} && {words}"]

    def run(self, words: str, *, code: int = 0, enter: tuple[str, ...] = ()) -> str:
        """Run words; return the output. Raises ProofError if it ends with another code."""
        done = subprocess.run(
            self.command(words, enter), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, check=False, timeout=WHOLE_SECONDS,
        )  # fmt: skip
        if done.returncode != code:
            raise ProofError(f"{words}: exit code {done.returncode}\n{done.stdout[-3000:]}")
        return done.stdout

    def cut(self, words: str, when: str, after: float) -> str:
        """Run words and kill all of it ``after`` seconds after it said ``when``; return what it said last."""
        with tempfile.TemporaryFile("w+") as output:
            process = subprocess.Popen(
                self.command(words), stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True,
            )  # fmt: skip
            try:
                deadline = time.monotonic() + ACT_SECONDS
                while when not in (said := _text(output.fileno())):
                    if process.poll() is not None or time.monotonic() > deadline:
                        raise ProofError(f"{words}: it never said {when!r}:\n{said[-2000:]}")
                    time.sleep(0.05)
                time.sleep(after)
            finally:
                self._kill()
                process.wait(30)
            return _text(output.fileno()).strip().splitlines()[-1]

    def _kill(self) -> None:
        """Kill all that runs in the system, which are this proof's processes alone."""
        for folder in Path("/proc").glob("[0-9]*"):
            try:
                inside = (folder / "root").readlink() == self.root
            except OSError:
                continue
            if inside:
                os.kill(int(folder.name), signal.SIGKILL)

    def megabytes(self) -> int:
        """Return how much of the disk the system takes, without apt's archive of packages."""
        skipped = [f"--exclude=./{name}" for name in ("proc", "sys", "dev", "var/cache/apt")]
        done = subprocess.run(
            ["du", "-sxm", *skipped, "."], cwd=self.root, check=False, capture_output=True, text=True, timeout=300,
        )  # fmt: skip
        return int(done.stdout.split()[0])


def _text(number: int) -> str:
    return os.pread(number, 1_000_000, 0).decode(errors="replace")


def prove(checkout: Checkout, steps: Steps, only: Sequence[str]) -> None:
    """Carry out the steps that ``only`` names, of STEPS and in its order."""
    empty = checkout.megabytes()

    def cuts() -> str:
        said = [(when, after, checkout.cut("make run ONCE=1", when, after)) for when, after in CUTS]
        return "; ".join(f"{after} s after “{when}”: {last[:70]}" for when, after, last in said)

    def tour() -> str:
        output = checkout.run("make run ONCE=1")
        expect("the tour's end", "全部通过" in output, True)
        left = re.findall(r"left out.*", output)
        return f"every step did what it says; {'; '.join(left) or 'no step left out'}"

    def offline() -> str:
        quiet = ("unshare", "--net", "sh", "-c", 'ip link set lo up; exec "$@"', "sh")
        output = checkout.run("make run ONCE=1", enter=quiet)
        said = [it for it in output.splitlines() if it.startswith("setup ")]
        expect("what the set-up says", said, [])
        return "the tour again, with loopback alone"

    def fresh() -> str:
        checkout.run("rm -rf .venv build ~/.cache")
        begin = time.monotonic()
        output = checkout.run("make setup-run")
        size = checkout.megabytes() - empty
        seconds = time.monotonic() - begin
        return f"{size} MB on the disk; .venv anew in {seconds:.0f} s: {_told(output)}"

    def poor() -> str:
        checkout.run("chown -R 65534:65534 .")
        nobody = "setpriv --reuid 65534 --regid 65534 --clear-groups"
        output = checkout.run(f"{nobody} make setup", code=2)
        checkout.run("chown -R 0:0 .")
        (line,) = [it for it in output.splitlines() if "install them and try again" in it]
        return line[:160]

    def tests() -> str:
        before = checkout.megabytes()
        cut = checkout.cut("make setup", "installing system packages", 15)
        output = checkout.run("make setup")
        size = checkout.megabytes() - before
        checkout.run(
            ".venv/bin/pytest -q tests/wire && .venv/bin/ruff check -q . && .venv/bin/mypy wire"
        )
        told = f"killed ({cut[:60]}); then {size} MB more: {_told(output)}"
        return f"{told}; tests/wire, ruff, and mypy of wire/ pass"

    wrong = "make setup-run PYTHON=python3.9"
    all_of_it: dict[str, tuple[str, Callable[[], str]]] = {
        "cuts": ("make run, killed in each act", cuts),
        "tour": ("make run ONCE=1", tour),
        "offline": ("make run ONCE=1 without a network", offline),
        "fresh": ("the first step alone, without .venv", fresh),
        "poor": ("make setup without root and sudo", poor),
        "wrong": (wrong, lambda: checkout.run(wrong, code=2).splitlines()[0]),
        "tests": ("make setup", tests),
    }
    for name in STEPS:
        if name in only:
            steps.do(*all_of_it[name])


def _told(output: str) -> str:
    """Return what the set-up says of sizes and times."""
    lines = (it.partition(": ")[2] for it in output.splitlines() if it.startswith("setup "))
    kept = (it for it in lines if re.search(r"\d (s|MB)\b", it) and "…" not in it)
    return "; ".join(re.sub(r"system packages .*— ", "system packages, ", it) for it in kept)


def main() -> int:
    """Run the proof; return the exit code."""
    parser = argparse.ArgumentParser(description="Prove the set-up in a clean system.")
    parser.add_argument("--suite", default="bookworm")
    parser.add_argument("--cache", type=Path, default=ROOT / "build/roots", metavar="DIR")
    parser.add_argument("--only", nargs="+", choices=STEPS, default=STEPS)
    parser.add_argument("--write", type=Path, metavar="FILE")
    options = parser.parse_args()
    options.cache.mkdir(parents=True, exist_ok=True)
    if absent := lacking("mmdebstrap", "chroot", "unshare", "ip", "git"):
        print(f"make test-setup: missing: {', '.join(absent)}", file=sys.stderr)
        return 1
    steps, code = Steps(f"{options.suite}, amd64"), 0
    with tempfile.TemporaryDirectory(prefix="story-setup-", dir="/var/tmp") as folder:
        root = unpack(make_root(options.suite, "amd64", options.cache), Path(folder) / "root")
        with entered(root) as system:
            try:
                prove(Checkout(system), steps, options.only)
            except (ProofError, subprocess.SubprocessError) as error:
                steps.failed(error)
                code = 1
    if options.write:
        options.write.write_text(steps.table(), "utf-8")
    return code


if __name__ == "__main__":
    sys.exit(main())
