"""Feeds every reader of strangers' bytes with input that reaches new code: `make fuzz HOURS=N`.

Atheris (libFuzzer) runs each reader of `tools.fuzz` in a process of its own for an equal share of the time, and begins
with its good inputs and with tests/corpus. An error that is not the reader's own, an input that takes longer than
HANG_SECONDS, and more than MEMORY_MB are failures: the input is printed as Python and kept in the work folder. What reached
new code is cut down to CORPUS_FILES inputs a reader, and written to tests/corpus, which the tests read too.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import hashlib
import importlib.util
import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from tools.ending import run_main

if TYPE_CHECKING:
    from tools.fuzz_target import Target

CORPUS = Path(__file__).resolve().parent.parent / "tests" / "corpus"
CORPUS_FILES = 24
INPUT_BYTES = 4096
HANG_SECONDS = 10
MEMORY_MB = 1024
# Seconds beyond its share, after which a process is killed: starting takes some on a busy machine.
GRACE = 300.0
# Packages whose branches count.
ROOMS = (
    "wire", "transport", "audio", "base", "machine", "ota", "agent", "resources", "staging", "tuf", "h11", "urllib3",
)  # fmt: skip


def slug(name: str) -> str:
    """Return a target's name as a folder's."""
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")


def corpus_of(name: str, folder: Path = CORPUS) -> list[bytes]:
    """Return the kept inputs of a target: a file has one in each line, as Base64."""
    path = folder / f"{slug(name)}.txt"
    return (
        [base64.b64decode(line) for line in path.read_text("ascii").splitlines()]
        if path.exists()
        else []
    )


def keep(name: str, found: Iterable[bytes], folder: Path = CORPUS) -> None:
    """Write a target's inputs in place of those kept before: at most CORPUS_FILES, short and long ones."""
    inputs = sorted(set(found), key=lambda data: (len(data), data))
    kept = inputs[:: -(-len(inputs) // CORPUS_FILES) or 1]
    folder.mkdir(exist_ok=True)
    text = "".join(base64.b64encode(data).decode() + "\n" for data in kept)
    (folder / f"{slug(name)}.txt").write_text(text, "ascii")


def _program(place: Path, name: str) -> Path:
    """Write the program of a target's process: libFuzzer starts it again by its path to merge."""
    path = place / "run"
    words = shlex.join([sys.executable, "-m", "tools.fuzz_guided", "--one", name])
    path.write_text(f'#!/bin/sh\nexec {words} "$0" "$@"\n', "utf-8")
    path.chmod(0o700)
    return path


def _limits(seconds: int) -> list[str]:
    return [
        f"-max_total_time={seconds}", f"-timeout={HANG_SECONDS}", f"-rss_limit_mb={MEMORY_MB}",
        f"-max_len={INPUT_BYTES}", "-print_final_stats=1", "-verbosity=0",
    ]  # fmt: skip


def _run(target: Target, seconds: int, work: Path) -> tuple[int, str]:
    """Feed one reader for ``seconds``; return how many inputs it took, and what failed, "" if nothing did."""
    place = work / slug(target.name)
    found, merged = place / "found", place / "merged"
    for folder in (found, merged):
        folder.mkdir(parents=True)
    for data in (*target.good, *corpus_of(target.name)):
        (found / hashlib.sha256(data).hexdigest()[:16]).write_bytes(data)
    program = [str(_program(place, target.name)), *_limits(seconds), f"-artifact_prefix={place}/"]
    code, told = _call([*program, str(found)], seconds + GRACE)
    count = re.search(r"number_of_executed_units:\s*(\d+)", told)
    taken = int(count[1]) if count else 0
    if code:
        return taken, told[-4000:]
    merges, _ = _call([*program, "-merge=1", str(merged), str(found)], GRACE)
    if merges == 0:  # else the machine is too busy for it, and what was kept stays
        keep(target.name, (path.read_bytes() for path in merged.iterdir()))
    return taken, ""


def _call(words: Sequence[str], seconds: float) -> tuple[int, str]:
    """Return a program's exit code and what it printed; it is killed after ``seconds``."""
    try:
        done = subprocess.run(
            words, capture_output=True, text=True, errors="replace", timeout=seconds, check=False
        )
    except subprocess.TimeoutExpired:
        return -1, f"not ended after {seconds:g} s"
    return done.returncode, done.stdout + done.stderr


def _feed(words: Sequence[str]) -> None:
    """Be the process of one target; libFuzzer ends it."""
    import atheris  # noqa: PLC0415  # a program of its own: it is in no virtual environment of ours

    with atheris.instrument_imports(include=list(ROOMS)):
        from tools.fuzz import TARGETS  # noqa: PLC0415  # instrumented while they are imported

        target = next(each for each in TARGETS if each.name == words[0])
        for data in target.good:  # what it imports when it is used
            with contextlib.suppress(*target.errors):
                target.read(data)

    def take(data: bytes) -> None:
        try:
            target.read(data)
        except target.errors:
            return
        except BaseException:
            print(f"{target.name}: {data!r}", flush=True)
            raise

    atheris.Setup(list(words[1:]), take)
    atheris.Fuzz()


def main() -> int:
    """Run and return the exit code."""
    if sys.argv[1:2] == ["--one"]:
        _feed(sys.argv[2:])
        return 0
    from tools.amounts import amount  # noqa: PLC0415  # as the next one
    from tools.fuzz import TARGETS  # noqa: PLC0415  # the other process instruments them first

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--hours", type=amount(), default=1.0, metavar="N")
    parser.add_argument("--only", default="", metavar="TEXT", help="readers whose name has this")
    options = parser.parse_args()
    targets = [target for target in TARGETS if options.only in target.name]
    if not targets:
        names = ", ".join(target.name for target in TARGETS)
        parser.error(f"--only: got {options.only!r}, expected a part of one of {names}")
    if importlib.util.find_spec("atheris") is None:
        parser.error("atheris is not there, expected as of `make fuzz HOURS=N`, which installs it")
    seconds = max(1, int(options.hours * 3600 / len(targets)))
    failed, total = 0, 0
    with tempfile.TemporaryDirectory(prefix="fuzz-") as work:
        for target in targets:
            count, fault = _run(target, seconds, Path(work))
            failed, total = failed + bool(fault), total + count
            print(
                f"{target.name}: {count:,} inputs in {seconds} s: {fault or 'nothing uncaught'}",
                flush=True,
            )
    print(f"{total:,} inputs for {len(targets)} readers: {failed} with a failure")
    return 1 if failed else 0


if __name__ == "__main__":
    run_main(main)
