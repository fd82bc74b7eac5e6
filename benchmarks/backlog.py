"""How long the present state takes to arrive after days without a link, and what a report costs the card.

    python -m benchmarks.backlog [--rows N] [--old]

Fills an outbox with N reports of three data points, then lets a real staging cloud on loopback take
them: the time until the newest value of each is in its history, and until all is. Then counts the bytes
that the kernel writes to the disk for a report that is put and delivered (/proc/self/io), by a cloud of
old and by one that reads numbers.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sqlite3
import tempfile
import time
from pathlib import Path

from agent.link.delivery import deliver
from agent.link.framed import FramedConnector
from agent.link.outbox import Outbox
from agent.link.reconnect import ReconnectingLink
from agent.settings import LinkSettings
from base.clock import TrustedTime
from tools.bench import Bench
from tools.report_proof.sender import refuse
from wire.abilities import Abilities
from wire.profile import Profile, parse_profile

KEYS = ("power", "volume", "play")
# Reports whose writes are counted, once each way.
COUNTED = 300
LIMIT_SECONDS = 1800.0


def fill(path: Path, rows: int) -> None:
    """Put ``rows`` reports into the outbox's file in one transaction: one by one takes an hour."""
    with sqlite3.connect(path) as database:
        database.executemany(
            "INSERT INTO report (key, body, size, epoch, number, time) VALUES (?, ?, ?, ?, ?, ?)",
            (_row(number, rows) for number in range(1, rows + 1)),
        )
    database.close()


def _row(number: int, rows: int) -> tuple[object, ...]:
    key = KEYS[number % len(KEYS)]
    body = json.dumps({key: number})
    now = int(time.time() * 1000)
    return key, body, len(body), "0123456789abcdef", number, now - (rows - number) * 1000


def present(database: Path, rows: int) -> bool:
    """Return whether the cloud has the newest value of each data point."""
    with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as cloud:
        found = cloud.execute("SELECT value FROM reports ORDER BY ts DESC LIMIT 50").fetchall()
    return {int(value) for (value,) in found if str(value).isdigit()} >= set(
        range(rows - 2, rows + 1)
    )


def look_until_present(database: Path, rows: int) -> None:
    """Return once the cloud has the newest values."""
    while not present(database, rows):
        time.sleep(0.05)


async def wait_until_seen(outbox: Outbox, database: Path, rows: int) -> tuple[float, float]:
    """Return the seconds until the present state, and until all reports, were at the cloud."""
    began = time.monotonic()
    async with asyncio.timeout(LIMIT_SECONDS):
        await asyncio.to_thread(look_until_present, database, rows)
        seen = time.monotonic() - began
        await outbox.emptied.wait()
    return seen, time.monotonic() - began


class OfOld(ReconnectingLink):
    """A link to a cloud of 2017, which reads what the document has and no more."""

    @property
    def cloud_abilities(self) -> Abilities:
        """Nothing."""
        return frozenset()


async def measure(bench: Bench, profile: Profile, rows: int, *, old: bool) -> str:
    """Return the two times, in words."""
    path = bench.state / "outbox.sqlite"
    empty = Outbox(path, 2**31)
    await empty.open()
    await empty.close()
    await asyncio.to_thread(fill, path, rows)
    outbox = Outbox(path, 2**31)
    began = time.monotonic()
    await outbox.open()
    opened = time.monotonic() - began
    connector = FramedConnector(profile, LinkSettings(), refuse, TrustedTime())
    link = (OfOld if old else ReconnectingLink)(connector, LinkSettings(), profile.secrets)
    database = next(bench.cloud_data.glob("*.sqlite"))
    async with asyncio.TaskGroup() as group:
        work = [group.create_task(link.run()), group.create_task(deliver(outbox, link))]
        seen, whole = await wait_until_seen(outbox, database, rows)
        for task in work:
            task.cancel()
    await outbox.close()
    return (
        f"{rows} reports wait: opened in {opened:.1f} s, present state at the cloud after"
        f" {seen:.1f} s, all after {whole:.0f} s ({rows / whole:.0f}/s)"
    )


def written() -> int:
    """Return the bytes that this process has had written to disks."""
    for line in Path("/proc/self/io").read_text().splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    return 0


async def wear(folder: Path, *, at_once: bool) -> float:
    """Return the bytes that are written for a report that is put and, a moment later, delivered."""
    outbox = Outbox(folder / f"wear-{at_once}.sqlite", 2**31)
    await outbox.open()
    before = written()
    for number in range(COUNTED):
        await outbox.put("volume", number)
        await outbox.finish(await outbox.take(), at_once=at_once)
    each = (written() - before) / COUNTED
    await outbox.close()
    return each


async def main(rows: int, *, old: bool) -> None:
    """Measure and print."""
    with tempfile.TemporaryDirectory(prefix="story-backlog-") as folder:
        bench = Bench(Path(folder))
        bench.start_cloud(0, 0)
        try:
            bench.flash_device()
            profile = parse_profile(await asyncio.to_thread(bench.profile_path.read_bytes))
            print(await measure(bench, profile, rows, old=old))
            for at_once, cloud in ((True, "of old"), (False, "that reads numbers")):
                each = await wear(Path(folder), at_once=at_once)
                print(f"a report to a cloud {cloud}: {each / 1024:.1f} KiB written")
        finally:
            bench.stop()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m benchmarks.backlog", description=__doc__)
    parser.add_argument("--rows", type=int, default=287_000, help="default: 287000")
    parser.add_argument(
        "--old", action="store_true", help="the cloud reads no numbers and no batches"
    )
    options = parser.parse_args()
    asyncio.run(main(options.rows, old=options.old))
