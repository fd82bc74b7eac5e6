"""The outbox on real files: order, durability, the size limit, damage, a full disk, kill -9."""

from __future__ import annotations

import asyncio
import contextlib
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from agent.link.outbox import Outbox, OutboxError, Report
from tests.agent.parts import DEADLINE

pytestmark = pytest.mark.usefixtures("no_blocking")
MEGABYTE = 1024 * 1024


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "outbox.sqlite"


@pytest.fixture
async def outbox(path: Path) -> AsyncIterator[Outbox]:
    made = Outbox(path, MEGABYTE)
    await made.open()
    yield made
    await made.close()


async def head(outbox: Outbox) -> Report | None:
    """Return the oldest report without removing it."""
    return next(iter(await outbox.take()), None)


async def reopened(path: Path, max_bytes: int = MEGABYTE) -> list[Report]:
    """Reopen the file, and take all reports out of it in order."""
    other = Outbox(path, max_bytes)
    await other.open()
    reports = []
    while (report := await head(other)) is not None:
        reports.append(report)
        await other.finish([report])
    await other.close()
    return reports


async def test_reports_come_out_in_order_also_after_a_restart(outbox: Outbox, path: Path) -> None:
    for level in range(20):
        assert await outbox.put("volume", level)
    assert await outbox.depth() == 20
    first = await head(outbox)
    assert first
    assert first == await head(outbox)
    await outbox.finish([first])
    await outbox.close()
    assert [r.data for r in await reopened(path)] == [{"volume": level} for level in range(1, 20)]


async def test_a_commit_is_on_disk_before_put_returns(outbox: Outbox) -> None:
    """Only a power cut could show this, not kill -9: FULL (2) syncs the log at each commit."""
    file = outbox._store._disk._file
    assert file
    assert await outbox._run(file._db.execute("PRAGMA synchronous").fetchone) == (2,)


async def test_a_once_report_is_queued_once_also_after_delivery_and_restart(
    outbox: Outbox, path: Path
) -> None:
    assert await outbox.put("ota_event", {"event": 0}, once="77/0")
    assert not await outbox.put("ota_event", {"event": 0}, once="77/0")
    assert await outbox.put("ota_event", {"event": 0}, once="78/0")
    await outbox.close()
    assert len(await reopened(path)) == 2
    again = Outbox(path, MEGABYTE)
    await again.open()
    assert not await again.put("ota_event", {"event": 0}, once="77/0")
    assert await again.depth() == 0
    await again.close()


async def test_of_what_each_start_reports_the_newest_replaces_those_that_say_the_same(
    outbox: Outbox,
) -> None:
    """A version that proved itself must have been told, also when it was left for the one before while offline."""
    for address, version in [("a", "1"), ("b", "1"), ("c", "2"), ("d", "2"), ("e", "1")]:
        await outbox.put("device_info", {"ip": address})
        await outbox.put("package_info", {"version": version})
        await outbox.put("volume", address)
    assert await outbox.depth() == 1 + 2 + 5
    left = [report.data for report in await outbox.take(100) if report.key != "volume"]
    assert left == [
        {"package_info": {"version": "2"}},
        {"device_info": {"ip": "e"}},
        {"package_info": {"version": "1"}},
    ]


async def test_above_the_cap_the_oldest_data_points_go_and_nothing_else(path: Path) -> None:
    cap = 100_000
    outbox = Outbox(path, cap)
    await outbox.open()
    await outbox.put("ota_event", {"event": 0, "description": "x" * 2000})
    for number in range(200):
        await outbox.put("play", f"{number} " + "x" * 1000)
    await outbox.put("ota_event", {"event": 10})
    reports = await reopened(path)
    assert [r.data["ota_event"]["event"] for r in reports if r.key == "ota_event"] == [0, 10]  # type: ignore[index]
    kept = [int(str(r.data["play"]).split()[0]) for r in reports if r.key == "play"]
    assert kept == list(range(200 - len(kept), 200))
    assert outbox.dropped == 200 - len(kept)
    assert 80 < len(kept) <= cap * 1.02 / 1000
    await outbox.close()


async def test_system_reports_are_never_dropped_however_many(path: Path) -> None:
    outbox = Outbox(path, 64 * 1024)
    await outbox.open()
    for event in range(100):
        await outbox.put("ota_event", {"event": event, "description": "x" * 1000})
    assert await outbox.depth() == 100
    await outbox.put("play", "x" * 1000)
    await outbox.put("play", "y" * 1000)
    assert outbox.dropped == 1  # the newest value of a data point stays
    assert await outbox.depth() == 102  # with the one that tells the cloud of it
    await outbox.close()


WRITER = """
import asyncio, sys
from pathlib import Path
from agent.link.outbox import Outbox

async def main():
    outbox = Outbox(Path(sys.argv[1]), 10**7)
    await outbox.open()
    number = int(sys.argv[2])
    while True:
        await outbox.put("volume", number)
        print(number, flush=True)
        number += 1

asyncio.run(main())
"""


def write_and_kill(path: Path, round_: int) -> list[int]:
    """Run a writer, kill it after some reports; return the numbers that it printed as stored."""
    with subprocess.Popen(
        [sys.executable, "-c", WRITER, path, str(round_ * 100_000)],
        stdout=subprocess.PIPE, text=True,
    ) as writer:  # fmt: skip
        assert writer.stdout
        first = [int(writer.stdout.readline()) for _ in range(5 + round_)]
        writer.send_signal(signal.SIGKILL)
        return first + [int(line) for line in writer.stdout.read().split()]


async def test_kill_9_loses_nothing_that_put_returned_from(path: Path) -> None:
    told: list[int] = []
    for round_ in range(6):
        told += await asyncio.to_thread(write_and_kill, path, round_)
    kept = [r.data["volume"] for r in await reopened(path, 10**7)]
    assert set(told) <= set(kept)
    assert kept == sorted(kept)  # type: ignore[type-var]
    # One more of each round may have been stored before it was printed.
    assert len(kept) <= len(told) + 6


async def test_no_wake_up_is_lost_between_filled_and_emptied(outbox: Outbox) -> None:
    taken: list[object] = []

    async def take() -> None:
        while len(taken) < 300:
            await outbox.filled.wait()
            report = await head(outbox)
            if report is not None:
                taken.append(report.data["volume"])
                await outbox.finish([report])

    async with asyncio.timeout(DEADLINE):
        taker = asyncio.create_task(take())
        for number in range(300):
            await outbox.put("volume", number)
            if number % 7 == 0:
                await outbox.emptied.wait()
        await taker
    assert taken == list(range(300))


async def test_a_put_that_nobody_waits_for_any_more_still_wakes_the_delivery(
    outbox: Outbox,
) -> None:
    """As when a data point's request runs out of time on a slow card."""
    assert await head(outbox) is None
    gate = threading.Event()
    outbox._thread.submit(gate.wait)
    put = asyncio.create_task(outbox.put("volume", 5))
    await asyncio.sleep(0)
    put.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await put
    gate.set()
    async with asyncio.timeout(DEADLINE):
        await outbox.filled.wait()
    report = await head(outbox)
    assert report
    assert report.data == {"volume": 5}
    assert not outbox.emptied.is_set()


async def test_a_full_disk_does_not_keep_the_agent_from_starting(path: Path) -> None:
    """The limit is on the size of each file: SQLite's -shm file would have 32 KiB."""
    outbox = Outbox(path, 65536)
    await outbox.open()
    await outbox.put("a", 1)
    await outbox.close()
    again = Outbox(path, 65536)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (24 * 1024, hard))
    try:
        assert await again.open() is None
        assert again.filled.is_set()
        first = await head(again)
        assert again.status()["in_memory"] == 0  # it is read where it is
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert first is not None
    assert first.data == {"a": 1}
    await again.put("b", 2)
    assert await again.depth() == 2
    await again.close()


async def test_what_waits_in_the_file_is_announced_at_the_start(outbox: Outbox, path: Path) -> None:
    await outbox.put("volume", 5)
    other = Outbox(path, MEGABYTE)
    await other.open()
    assert other.filled.is_set()
    await other.close()


async def test_a_report_after_the_end_is_an_outbox_error_and_a_second_close_is_nothing(
    outbox: Outbox,
) -> None:
    await outbox.close()
    await outbox.close()
    with pytest.raises(OutboxError, match="closed"):
        await outbox.put("volume", 1)


async def test_text_that_no_json_can_carry_is_marked_not_raised(outbox: Outbox) -> None:
    await outbox.put("play", "\udcb9\udcca")
    report = await head(outbox)
    assert report
    assert report.data == {"play": "??"}


async def test_older_values_that_a_cloud_cannot_take_are_dropped_counted_and_told_now_and_then(
    outbox: Outbox, caplog: pytest.LogCaptureFixture
) -> None:
    for level in range(101):
        await outbox.put("volume", level)
    for _each in range(100):
        (oldest,) = await outbox.take()
        await outbox.drop_late([oldest])
    assert outbox.status()["outdated"] == 100
    told = [line for line in caplog.messages if "older values dropped" in line]
    assert [line.split()[1] for line in told] == ["1", "10", "100"]
    (last,) = await outbox.take(9)
    assert last.data == {"volume": 100}
