"""Delivery from the outbox: order, repetition, rejection, and nothing while the link is down."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import pytest

import agent.link.delivery
from agent.link import CloudBusyError, LostError, ReportRejectedError, delivery
from agent.link.delivery import deliver, fit
from agent.link.outbox import Outbox, OutboxError, Report
from agent.link.outbox_rows import Row
from tests.agent.memory_link import MemoryLink
from tests.agent.parts import until
from wire.abilities import BATCH, NUMBER
from wire.numbered import parse_reports, refusals_payload

pytestmark = pytest.mark.usefixtures("no_blocking")


@pytest.fixture
async def outbox(tmp_path: Path) -> AsyncIterator[Outbox]:
    made = Outbox(tmp_path / "outbox.sqlite", 1024 * 1024)
    await made.open()
    yield made
    await made.close()


Delivering = Callable[[MemoryLink], None]


@pytest.fixture
async def delivering(outbox: Outbox, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Delivering]:
    monkeypatch.setattr(agent.link.delivery, "RETRY_MAX_SECONDS", 0.01)
    tasks: list[asyncio.Task[None]] = []
    yield lambda link: tasks.append(asyncio.create_task(deliver(outbox, link)))
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def levels(link: MemoryLink) -> list[object]:
    """Return what was sent, in order, whether or not it arrived."""
    return [report["volume"] for report in link.tried]


async def put_levels(outbox: Outbox, count: int) -> None:
    for level in range(count):
        await outbox.put("volume", level)


async def test_reports_are_delivered_in_order_and_leave_the_outbox(
    outbox: Outbox, delivering: Delivering
) -> None:
    await put_levels(outbox, 5)
    link = MemoryLink()
    delivering(link)
    await until(outbox.emptied.is_set)
    assert levels(link) == [0, 1, 2, 3, 4]
    await outbox.put("volume", 5)
    await until(outbox.emptied.is_set)
    assert levels(link)[-1] == 5


async def test_nothing_is_sent_until_the_link_is_registered(
    outbox: Outbox, delivering: Delivering
) -> None:
    await put_levels(outbox, 1)
    link = MemoryLink(is_up=False)
    delivering(link)
    for _ in range(10):
        await asyncio.sleep(0)
    assert levels(link) == []
    link.registered.set()
    await until(outbox.emptied.is_set)
    assert levels(link) == [0]


async def test_a_broken_link_repeats_the_report_and_keeps_the_order(
    outbox: Outbox, delivering: Delivering
) -> None:
    """The cloud may have stored it before its answer was lost: at-least-once delivery."""
    await put_levels(outbox, 3)
    link = MemoryLink(None, LostError("gone"), CloudBusyError("5.03 busy"), None)
    delivering(link)
    await until(outbox.emptied.is_set)
    assert levels(link) == [0, 1, 1, 1, 2]


async def test_what_waits_goes_with_the_next_link_however_long_the_wait_was(
    outbox: Outbox, delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A cloud that could not take reports for minutes is restarted: its devices' reports are there at once."""
    monkeypatch.setattr(agent.link.delivery, "Backoff", lambda _maximum: Hours())
    await put_levels(outbox, 2)
    link = MemoryLink(CloudBusyError("5.03 busy"), None)
    delivering(link)
    await until(lambda: levels(link) == [0])
    link.registered.clear()
    link.ended.set()
    for _ in range(10):
        await asyncio.sleep(0)
    assert levels(link) == [0]
    link.ended.clear()
    link.registered.set()
    await until(outbox.emptied.is_set)
    assert levels(link) == [0, 0, 1]


@pytest.mark.parametrize(("by_disk", "longest"), [(False, 60), (True, 10)])
async def test_after_a_link_that_ended_the_waits_begin_anew(
    outbox: Outbox, monkeypatch: pytest.MonkeyPatch, *, by_disk: bool, longest: float
) -> None:
    """What went wrong before it is over: the next link's first fault does not cost a minute."""
    waits: list[float] = []

    async def wait(_link: object, seconds: float) -> bool:
        waits.append(seconds)
        return len(waits) == 20

    monkeypatch.setattr(delivery, "_ends_within", wait)
    await put_levels(outbox, 1)
    faults, take = [OutboxError("full")] * 40 if by_disk else [], outbox.take

    async def taken(most: int, *, in_order: bool) -> Sequence[Report]:
        if faults:
            raise faults.pop()
        return await take(most, in_order=in_order)

    monkeypatch.setattr(outbox, "take", taken)
    link = MemoryLink(*([] if by_disk else [LostError("gone") for _ in range(40)]), None)
    task = asyncio.create_task(deliver(outbox, link))
    await until(outbox.emptied.is_set)
    task.cancel()
    assert longest / 2 <= waits[19] <= longest
    assert waits[20] <= 1
    assert longest / 2 <= waits[39] <= longest


@pytest.mark.parametrize(("again", "longest"), [(10, 10), (0, 1), (None, 60), (4_000_000_000, 60)])
async def test_a_cloud_says_when_to_come_again(
    again: int | None, longest: float, outbox: Outbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full disk has room again, and the link has never broken: nobody waits a minute for what he has freed."""
    waits: list[float] = []

    async def wait(_link: object, seconds: float) -> bool:
        waits.append(seconds)
        return False

    monkeypatch.setattr(delivery, "_ends_within", wait)
    await put_levels(outbox, 1)
    link = MemoryLink(*(CloudBusyError("5.03 full", again) for _ in range(40)), None)
    task = asyncio.create_task(deliver(outbox, link))
    await until(outbox.emptied.is_set)
    task.cancel()
    late = waits[12:]
    assert len(late) == 28
    assert all(longest / 2 <= each <= longest for each in late)
    assert len({round(each, 3) for each in late}) > 20  # not all machines at once
    assert waits[0] < 1


async def test_what_a_full_disk_did_not_give_goes_with_the_next_link(
    outbox: Outbox, delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The machine's own disk: what it gives again is not held up by the wait from before."""
    monkeypatch.setattr(agent.link.delivery, "Backoff", lambda _maximum: Hours())
    await put_levels(outbox, 1)
    take, refused = outbox.take, asyncio.Event()

    async def refuse(_limit: int = 1, *, in_order: bool = True) -> list[Report]:
        assert not in_order
        refused.set()
        raise OutboxError("disk I/O error")

    monkeypatch.setattr(outbox, "take", refuse)
    link = MemoryLink()
    delivering(link)
    await until(refused.is_set)
    monkeypatch.setattr(outbox, "take", take)
    for _ in range(10):
        await asyncio.sleep(0)
    assert levels(link) == []
    link.ended.set()
    await until(outbox.emptied.is_set)
    assert levels(link) == [0]


class Hours:
    """A back-off whose wait no test sees the end of."""

    def next(self) -> float:
        return 7200.0

    def reset(self) -> None:
        """Forget nothing."""


async def test_a_rejected_report_is_dropped_said_so_and_blocks_nothing(
    outbox: Outbox, delivering: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    await put_levels(outbox, 3)
    link = MemoryLink(None, ReportRejectedError("4.00 bad"), None)
    delivering(link)
    await until(outbox.emptied.is_set)
    assert levels(link) == [0, 1, 2]
    assert "the cloud rejects a report of volume, dropped: 4.00 bad" in caplog.text


def in_batches(link: MemoryLink) -> MemoryLink:
    link.cloud_abilities = frozenset({NUMBER, BATCH})
    return link


async def test_a_cloud_of_old_gets_what_it_knows_and_nothing_more(
    outbox: Outbox, delivering: Delivering
) -> None:
    await put_levels(outbox, 2)
    link = MemoryLink()
    delivering(link)
    await until(outbox.emptied.is_set)
    assert link.payloads == [{"data": {"volume": 0}}, {"data": {"volume": 1}}]


async def test_a_repeat_has_the_number_that_it_had(outbox: Outbox, delivering: Delivering) -> None:
    await put_levels(outbox, 2)
    link = MemoryLink(LostError("gone"), None)
    link.cloud_abilities = frozenset({NUMBER})
    delivering(link)
    await until(outbox.emptied.is_set)
    first, again, second = link.payloads
    assert first == again
    assert (first["number"], second["number"]) == (1, 2)
    assert first["epoch"] == second["epoch"]


async def test_a_link_that_comes_back_gets_numbers_though_it_was_away_when_there_was_nothing(
    outbox: Outbox, delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it is away nobody knows that the cloud reads them, and what has none is stored twice if its answer is lost."""
    link = MemoryLink()
    link.cloud_abilities = frozenset({NUMBER, BATCH})
    delivering(link)
    await outbox.put("volume", 0)
    await until(outbox.emptied.is_set)
    go(link)
    take = outbox.take

    async def take_slowly(count: int, *, in_order: bool) -> Sequence[Report]:
        found = await take(count, in_order=in_order)
        come(link, NUMBER, BATCH)
        return found

    monkeypatch.setattr(outbox, "take", take_slowly)
    await outbox.put("volume", 1)
    for _ in range(10):
        await asyncio.sleep(0)
    come(link, NUMBER, BATCH)
    await until(outbox.emptied.is_set)
    assert ["epoch" in payload for payload in link.payloads] == [True, True]


@pytest.mark.parametrize("is_away", [False, True])
async def test_what_was_taken_for_a_cloud_of_old_is_not_dropped_for_the_next_one(
    outbox: Outbox, delivering: Delivering, monkeypatch: pytest.MonkeyPatch, *, is_away: bool
) -> None:
    """A cloud of old gets no value behind the newest; one that reads batches gets all, and one that is away may read them."""
    monkeypatch.setattr(delivery, "BATCH_MAX", 4)
    await put_levels(outbox, 9)
    link, take = MemoryLink(), outbox.take

    async def take_slowly(count: int, *, in_order: bool) -> Sequence[Report]:
        found = await take(count, in_order=in_order)
        if any(report.late for report in found) and not link.cloud_abilities:
            go(link)
            if is_away:
                asyncio.get_running_loop().call_soon(come, link, NUMBER, BATCH)
            else:
                come(link, NUMBER, BATCH)
        return found

    monkeypatch.setattr(outbox, "take", take_slowly)
    delivering(link)
    await until(outbox.emptied.is_set)
    assert outbox.status()["outdated"] == 0
    assert set(levels(link)) == set(range(9))


async def test_a_link_that_is_another_one_between_two_reports_ends_the_turn(
    outbox: Outbox, delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    await put_levels(outbox, 2)
    link, finish = MemoryLink(), outbox.finish

    async def finish_slowly(reports: list[Report], *, at_once: bool) -> None:
        await finish(reports, at_once=at_once)
        come(link, NUMBER)

    monkeypatch.setattr(outbox, "finish", finish_slowly)
    delivering(link)
    await until(outbox.emptied.is_set)
    assert ["epoch" in payload for payload in link.payloads] == [False, True]


def go(link: MemoryLink) -> None:
    """Be away, as a link whose connection has ended."""
    link.registered.clear()
    link.ended.set()
    link.cloud_abilities = frozenset()


def come(link: MemoryLink, *reads: str) -> None:
    """Be registered with a cloud that reads this."""
    link.cloud_abilities = frozenset(reads)
    link.ended.clear()
    link.registered.set()


async def test_after_a_kill_the_number_is_the_same(tmp_path: Path) -> None:
    path = tmp_path / "outbox.sqlite"
    outbox = Outbox(path, 10**6)
    await outbox.open()
    await put_levels(outbox, 2)
    before = await outbox.take(9)
    await outbox.finish(before[:1], at_once=False)  # delivered, and killed before it was deleted
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{path}.kill{suffix}")
    await outbox.close()
    again = Outbox(Path(f"{path}.kill"), 10**6)
    await again.open()
    assert [report.row for report in await again.take(9)] == [report.row for report in before]
    await again.put("volume", 9)
    assert (await again.take(9))[-1].row.epoch != before[0].row.epoch
    await again.close()


async def test_a_few_values_go_at_once_and_in_their_order(
    outbox: Outbox, delivering: Delivering
) -> None:
    """A newest that overtook the others would stand before them in the cloud's history."""
    await put_levels(outbox, 3)
    await outbox.put("play", "fox")
    await outbox.put("volume", 3)
    link = in_batches(MemoryLink())
    delivering(link)
    await until(outbox.emptied.is_set)
    (all_,) = link.payloads
    shown = [(r["data"], r.get("late", False)) for r in all_["reports"]]  # type: ignore[attr-defined]
    values = [{"volume": 0}, {"volume": 1}, {"volume": 2}, {"play": "fox"}, {"volume": 3}]
    assert shown == [(value, False) for value in values]


async def test_after_days_the_present_state_comes_first_and_the_rest_is_late(
    outbox: Outbox, delivering: Delivering, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BATCH_MAX", 4)
    await put_levels(outbox, 3)
    await outbox.put("ota_event", {"event": 10})
    await outbox.put("play", "fox")
    link = in_batches(MemoryLink())
    delivering(link)
    await until(outbox.emptied.is_set)
    first, rest = link.payloads
    shown = [(r["data"], r.get("late", False)) for r in first["reports"]]  # type: ignore[attr-defined]
    assert shown == [({"ota_event": {"event": 10}}, False), ({"volume": 2}, False), ({"play": "fox"}, False)]  # fmt: skip
    late = [(r["data"], r["late"]) for r in rest["reports"]]  # type: ignore[attr-defined]
    assert late == [({"volume": 0}, True), ({"volume": 1}, True)]


@pytest.mark.parametrize("reads", [frozenset(), frozenset({NUMBER})])
async def test_after_days_a_cloud_of_old_gets_the_present_state_and_no_value_behind_it(
    outbox: Outbox,
    delivering: Delivering,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    reads: frozenset[str],
) -> None:
    """It shows what came last, so an older value would be the machine's state for hours."""
    monkeypatch.setattr(delivery, "BATCH_MAX", 4)
    await put_levels(outbox, 9)
    await outbox.put("ota_event", {"event": 4})
    await outbox.put("play", "fox")
    await outbox.put("ota_event", {"event": 10})
    link = MemoryLink(LostError("gone"))
    link.cloud_abilities = reads
    delivering(link)
    await until(outbox.emptied.is_set)
    assert link.reports == [
        {"ota_event": {"event": 4}}, {"ota_event": {"event": 10}}, {"volume": 8}, {"play": "fox"},
    ]  # fmt: skip
    assert outbox.status()["outdated"] == 8
    assert "older values dropped so far" in caplog.text
    await outbox.put("volume", 9)
    await until(outbox.emptied.is_set)
    assert link.reports[-1] == {"volume": 9}


async def test_a_kill_on_the_way_brings_no_older_value_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delivery, "BATCH_MAX", 4)
    path, link = tmp_path / "outbox.sqlite", MemoryLink()
    outbox = Outbox(path, 10**6)
    await outbox.open()
    await put_levels(outbox, 9)
    await delivery._deliver_next(outbox, link, 4)  # the newest value
    for suffix in ("", "-wal"):
        shutil.copy(f"{path}{suffix}", f"{path}.kill{suffix}")
    await outbox.close()
    again = Outbox(Path(f"{path}.kill"), 10**6)
    await again.open()
    while await again.depth():
        await delivery._deliver_next(again, link, 4)
    assert link.reports == [{"volume": 8}]
    await again.close()


async def test_a_batch_that_is_rejected_is_sent_one_by_one(
    outbox: Outbox, delivering: Delivering, caplog: pytest.LogCaptureFixture
) -> None:
    for key in ("volume", "play", "power"):
        await outbox.put(key, 1)
    errors = [ReportRejectedError("4.00 batch"), None, ReportRejectedError("4.00 play"), None]
    link = in_batches(MemoryLink(*errors))
    delivering(link)
    await until(outbox.emptied.is_set)
    assert link.reports == [{"volume": 1}, {"power": 1}]
    assert "a report of play, dropped: 4.00 play" in caplog.text


class NarrowLink(MemoryLink):
    """A network that cuts each connection before so many reports are through."""

    most = 3

    async def send(self, payload: bytes) -> bytes:
        if len(parse_reports(payload).reports) > self.most:
            self.script.insert(0, LostError("cut"))
        return await super().send(payload)


async def test_a_network_that_cuts_large_batches_takes_smaller_ones(
    outbox: Outbox, delivering: Delivering
) -> None:
    await put_levels(outbox, 40)
    link = NarrowLink()
    link.cloud_abilities = frozenset({NUMBER, BATCH})
    delivering(link)
    await until(outbox.emptied.is_set)
    assert sorted(report["volume"] for report in link.reports) == list(range(40))  # type: ignore[type-var]
    sent, link.most = len(link.payloads), 40
    link.registered.clear()
    await put_levels(outbox, 40)
    link.registered.set()
    await until(outbox.emptied.is_set)
    assert len(link.payloads) - sent <= 8  # each twice as large as the one before


async def test_what_a_cloud_refuses_of_a_batch_is_said(
    outbox: Outbox,
    delivering: Delivering,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await outbox.put("volume", 1)
    await outbox.put("play", 2)
    link = in_batches(MemoryLink())
    answers = [refusals_payload({2: "play: no text"})]

    async def send(_payload: bytes) -> bytes:
        return answers.pop()

    monkeypatch.setattr(link, "send", send)
    delivering(link)
    await until(outbox.emptied.is_set)
    assert "the cloud rejects a report of play, dropped: play: no text" in caplog.text


def test_a_batch_is_of_one_epoch_and_fits_a_request() -> None:
    def row(number: int | None, epoch: str | None = "a" * 16, size: int = 10) -> Report:
        return Report(number or 0, Row("play", "x" * size, epoch, number))

    assert fit([]) == []
    assert len(fit([row(1), row(2), row(3, "b" * 16)])) == 2
    assert len(fit([row(None), row(1)])) == 1  # an older version's, which has no number
    assert len(fit([row(1), row(None)])) == 1
    assert len(fit([row(1, size=50_000), row(2)])) == 1
    assert len(fit([row(n, size=6_000) for n in range(1, 9)])) == 2
