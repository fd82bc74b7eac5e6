"""Concurrent threads of several stores on one database: what may happen only once happens once.

Each store has its own engines, like a server and the commands; a barrier lets all begin
together.
"""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select

from staging.errors import AlreadyBoundError, ErrorCode, RefusedError, StoreBusyError
from staging.store import (
    Database,
    apps,
    devices,
    effects,
    history,
    ota,
    products,
    releases,
    rollout_acts,
)
from staging.store import engine as engines
from staging.store.apps import AppType, Nonce
from staging.store.effects import Wanted
from staging.store.history import HistoryPoint
from staging.store.models import Account, Binding, OtaTask, Product, Report, UsedNonce
from staging.store.releases import StrategyType, Target

STORES = 4
UUID = "01a800000072af"
DEADLINE = 60.0


@pytest.fixture
def stores(where: Path | str) -> Iterator[list[Database]]:
    with ExitStack() as stack:
        yield [stack.enter_context(closing(Database(where))) for _ in range(STORES)]


def together(stores: list[Database], work: Callable[[Database, int], Any]) -> list[Any]:
    """Run ``work(store, number)`` twice per store concurrently; return results and exceptions."""
    barrier = threading.Barrier(2 * STORES)

    def run(number: int) -> Any:
        barrier.wait(DEADLINE)
        try:
            return work(stores[number % STORES], number)
        except Exception as error:  # noqa: BLE001  # whatever it is, the test judges it
            return error

    with ThreadPoolExecutor(2 * STORES) as pool:
        return list(pool.map(run, range(2 * STORES)))


def count(store: Database, table: type) -> int:
    def counted(session: Any) -> int:
        return int(session.scalar(select(func.count()).select_from(table)))

    return store.call(counted)


def test_a_devices_timestamps_grow_and_none_is_lost(stores: list[Database]) -> None:
    device = stores[0].call(devices.add, UUID, 0)
    rounds = 10

    def report(store: Database, number: int) -> None:
        for value in range(rounds):
            point = HistoryPoint(key=f"k{number}", kind="REPORT", value=value)
            store.call(effects.apply_all, device.id, None, [Wanted([point])], 1000)

    assert together(stores, report) == [None] * 2 * STORES
    page = stores[0].call(history.page, device.id, history.Query(limit=1000))
    times = [entry.ts for entry in page.entries]
    assert times == list(range(1000 + 2 * STORES * rounds - 1, 999, -1))
    for number in range(2 * STORES):
        values = [entry.value for entry in page.entries if entry.key == f"k{number}"]
        assert values == list(reversed(range(rounds)))


def test_a_device_is_bound_once(stores: list[Database]) -> None:
    device = stores[0].call(devices.add, UUID, 0)
    owners = [stores[0].call(apps.account, f"user {number}", 0).id for number in range(2 * STORES)]

    def bind(store: Database, number: int) -> int:
        store.call(devices.bind, UUID, device.bind_token or "", owners[number], 1)
        return owners[number]

    results = together(stores, bind)
    winners = [result for result in results if isinstance(result, int)]
    refused = [result for result in results if isinstance(result, AlreadyBoundError)]
    assert (len(winners), len(refused)) == (1, 2 * STORES - 1)

    def owner(session: Any) -> int:
        return int(session.scalar(select(Binding.account_id)))

    assert stores[1].call(owner) == winners[0]


def test_an_update_is_ordered_once(stores: list[Database]) -> None:
    store = stores[0]
    device = store.call(devices.add, UUID, 0)
    package = store.call(releases.add_package, "1.0", Target("1.tar", 1, "0" * 32, "0" * 64), "", 0)
    strategy = store.call(releases.add_strategy, "1.0", StrategyType.PASSIVE, [], [], 0)
    store.call(rollout_acts.start, strategy.id, 0)

    def order(store: Database, _number: int) -> int:
        return store.call(ota.create, device.id, package.id, None, 1).id

    results = together(stores, order)
    refused = [result.code for result in results if isinstance(result, RefusedError)]
    assert refused == [ErrorCode.OTA_RUNNING] * (2 * STORES - 1)
    assert count(store, OtaTask) == 1


def test_what_is_made_when_it_is_new_is_made_once(stores: list[Database]) -> None:
    def make(store: Database, _number: int) -> tuple[int, int]:
        account = store.call(apps.account, "tester", 0)
        return account.id, store.call(products.default_product, 0).id

    assert len(set(together(stores, make))) == 1
    assert count(stores[0], Account) == count(stores[0], Product) == 1


def test_a_nonce_is_kept_once(stores: list[Database]) -> None:
    app = stores[0].call(apps.add_app, "app", AppType.WEB, None, 0)

    def remember(store: Database, number: int) -> None:
        store.call(apps.remember_nonces, [Nonce(app.id, "n" * 16, number), Nonce(app.id, "m", 1)])

    assert together(stores, remember) == [None] * 2 * STORES
    assert count(stores[0], UsedNonce) == 2


def test_a_reader_sees_one_state_while_others_write(stores: list[Database]) -> None:
    device = stores[0].call(devices.add, UUID, 0)
    point = HistoryPoint(key="k", kind="REPORT", value=1)

    async def look() -> tuple[int, int]:
        def twice(session: Any) -> tuple[int, int]:
            statement = select(func.count()).select_from(Report)
            before = session.scalar(statement)
            stores[1].call(effects.apply_all, device.id, None, [Wanted([point])], 1)
            return before, session.scalar(statement)

        return await stores[0].read(twice)

    assert asyncio.run(look()) == (0, 0)
    assert count(stores[0], Report) == 1


def test_who_cannot_get_the_writers_turn_is_told_so(
    where: Path | str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engines, "BUSY_TIMEOUT_MS", 50)
    with closing(Database(where)) as first, closing(Database(where)) as second:

        def hold(session: Any) -> None:
            devices.views(session)  # a transaction begins with its first statement
            with pytest.raises(StoreBusyError, match="lock"):
                second.call(devices.add, None, 0)

        first.call(hold)
        assert second.call(devices.add, UUID, 0).uuid == UUID
