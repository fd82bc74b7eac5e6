"""Ninety days on which the cloud is gone, on a virtual clock: what is kept, tried, logged and known stays in its bounds.

The family's evenings of such days are `tests/resources/times/test_family.py`, the lines of the log
`tests/agent/link/test_outage.py`, and what the page says is `tests/agent/local/page/test_view.py`.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509

from agent.link import (
    ConnectError,
    LinkError,
    RegistrationRefusedError,
    ResolveError,
    UntrustedError,
)
from agent.link.outbox_store import Store
from agent.link.pace import Pace
from agent.local.lan import load_identity
from agent.settings import LinkSettings
from base.clock import EARLIEST, TrustedTime
from wire.reports import KEY_DEVICE_INFO

DAYS, DAY = 90, 86400.0
START = EARLIEST + 30 * DAY
# Small, because a real family's ninety days take minutes of real syncs.
LIMIT = 6 * 1024
EACH = 3


class House:
    """Time, and the reports of one family's day."""

    def __init__(self) -> None:
        self.now = START

    def days(self) -> Iterator[tuple[str, object]]:
        """Yield key and value of each report."""
        for day in range(DAYS):
            self.now = START + day * DAY
            for n in range(EACH):
                self.now += 3600.0
                yield "play", f"第 {day} 天的故事 {n}"
                yield "volume", 3 + n % 6
            yield "sleep_timer", str(5 + day)


def test_the_outbox_keeps_the_newest_and_what_is_not_to_be_lost_and_tells_what_it_drops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house, path = House(), tmp_path / "outbox.sqlite"
    store = Store(path, LIMIT, lambda: house.now, lambda: house.now)
    store.open()
    store.put(KEY_DEVICE_INFO, {"uuid": "0083000000000a"}, None)
    count = sum(store.put(key, value, None) for key, value in house.days())
    status = store.status()
    assert count == DAYS * (2 * EACH + 1)
    assert status["dropped"] == store.dropped > count / 2
    assert path.stat().st_size < 20 * LIMIT
    # SQLite's log beside it, until its next checkpoint.
    assert sum(file.stat().st_size for file in tmp_path.iterdir()) < 5 * 1024 * 1024
    assert sum("outbox full" in line.message for line in caplog.records) <= 12  # doubling, not each
    kept = []
    while reports := store.take(50, in_order=True):
        kept += reports
        store.finish(reports, at_once=False)
    newest = {report.key: report.data[report.key] for report in kept}
    assert newest["play"] == f"第 {DAYS - 1} 天的故事 {EACH - 1}"
    assert newest["volume"] == 3 + EACH - 1
    assert newest["sleep_timer"] == str(4 + DAYS)
    assert KEY_DEVICE_INFO in newest
    told = [report.data for report in kept if report.key not in {"play", "volume", "sleep_timer"}]
    assert "dropped" in str(told)  # the cloud hears of it, should it come back


@pytest.mark.parametrize(
    "error",
    [ConnectError("refused"), ResolveError("no name"), UntrustedError("self-signed"), RegistrationRefusedError("4.03")],
    ids=lambda error: type(error).__name__,
)  # fmt: skip
def test_it_is_tried_for_ever_and_not_often(error: LinkError) -> None:
    """The most tries of an hour follow from the settings' longest waits, shortened by up to a half."""
    settings = LinkSettings()
    pace = Pace(settings, rng=random.Random(1))
    longest = settings.refused_retry_seconds if error.slow else settings.retry_max_seconds
    passed, hours = 0.0, Counter[int]()
    while passed < DAYS * DAY:
        passed += (wait := pace.wait_after(error, None))
        assert wait <= longest
        hours[int(passed // 3600)] += 1
    later = [count for hour, count in hours.items() if hour > 0]
    assert max(later) <= 2 * 3600 / longest + 1
    assert min(later[:-1]) >= 1


@pytest.mark.parametrize("knows", [True, False])
def test_the_time_is_known_without_a_cloud_and_costs_no_flash(
    tmp_path: Path, *, knows: bool
) -> None:
    """With a clock that the network sets, and with one that begins in 1970 after each power cut."""
    path = tmp_path / "time.json"
    world = {"true": START, "ticks": 0.0}

    def boot(name: str) -> TrustedTime:
        world["ticks"] = 0.0
        return TrustedTime(
            path, START, wall=lambda: world["true"] if knows else world["ticks"],
            ticks=lambda: world["ticks"], boot=name,
        )  # fmt: skip

    written, before = 0, b""
    for week in range(DAYS // 7):
        clock = boot(f"boot {week}")
        for _ in range(7 * 24):
            world["true"] += 3600.0
            world["ticks"] += 3600.0
            told = clock.now()
            assert told == world["true"] if knows else START <= told <= world["true"]
            now = path.read_bytes() if path.exists() else b""
            written, before = written + (now != before), now
    assert written <= DAYS * 4


def test_the_pages_certificate_outlives_the_machine(tmp_path: Path) -> None:
    made = x509.load_pem_x509_certificate(load_identity(tmp_path).certificate.read_bytes())
    assert made.not_valid_after_utc > datetime.now(UTC) + timedelta(days=10 * 365)
