"""How long the cloud takes to say which of 10,000 devices run a part of one version, on both databases.

The devices report 20 releases with 60 parts each, over three base installs with 40 parts. It times the
command's whole process, `story-cloud sbom devices NAME VERSION`, whose aim is 5 s.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path

from sqlalchemy.orm import Session

from benchmarks.figures import Figure, command_line, figure
from staging.commands.common import DATABASE_VARIABLE
from staging.store import Database, devices, products, sboms
from staging.store.models import Batch
from tools.postgresql import postgresql
from tools.processes import BenchError

DEVICES = 10_000
RELEASES, PARTS = 20, 60
BASES, BASE_PARTS = 3, 40
TURNS = 5


def measure() -> list[Figure]:
    """Fill and ask each database."""
    with tempfile.TemporaryDirectory(prefix="story-bench-") as name, postgresql() as server:
        folder = Path(name)
        return [
            _measure(folder / title, title, where)
            for title, where in (
                ("SQLite", f"sqlite:///{folder / 'cloud.sqlite'}"),
                ("PostgreSQL", server.url()),
            )
        ]


def _measure(data: Path, title: str, where: str) -> Figure:
    with closing(Database(where)) as store:
        store.call(fill)
    turns = [(_ask(data, where), _run(data, where, "list")[0]) for _ in range(TURNS)]
    return figure(
        f"which of {DEVICES:,} devices run a part ({title})", "s",
        [own for own, _ in turns], "list the lists", [other for _, other in turns],
    )  # fmt: skip


def _ask(data: Path, where: str) -> float:
    seconds, output = _run(data, where, "devices", "part-1", "1.1")
    answer = json.loads(output)
    if answer["total"] != DEVICES or not answer["devices"] or answer["unknown"]:
        raise BenchError(f"{len(answer['devices'])} of {answer['total']} devices")
    return seconds


def _run(data: Path, where: str, *words: str) -> tuple[float, bytes]:
    command = (sys.executable, "-m", "staging.commands.cli", "sbom", *words)
    environment = os.environ | {DATABASE_VARIABLE: where}
    started = time.perf_counter()
    done = subprocess.run(
        (*command, "--data", str(data), "--json"),
        env=environment, capture_output=True, timeout=60, check=True,
    )  # fmt: skip
    return time.perf_counter() - started, done.stdout


def fill(session: Session) -> None:
    """Add the lists of parts, and devices that report them in turn."""
    for number in range(RELEASES):
        parts = [(f"part-{n}", f"1.{number % 7}", n % 2 == 0) for n in range(PARTS)]
        _add(session, f"{number:064x}", parts)
    for number in range(BASES):
        _add(
            session,
            f"{number + 999:064x}",
            [(f"part-{n}", f"1.{number}", True) for n in range(BASE_PARTS)],
        )
    product = products.default_product(session, 0)
    owner: Batch = products.batch(session, product, "bench")
    for number, device in enumerate(devices.make(session, owner, DEVICES, 1, 0)):
        device.sbom = f"{number % RELEASES:064x}"
        device.base_sbom = f"{number % BASES + 999:064x}"


def _add(session: Session, digest: str, parts: list[tuple[str, str, bool]]) -> None:
    sboms.add(session, digest, name="story-agent", version="1", document="{}", parts=parts, now=0)


if __name__ == "__main__":
    sys.exit(command_line(__doc__, measure))
