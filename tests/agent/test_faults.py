"""Every fault on each of the four ways to a data point; what each must mean is a table of docs/link.md."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

import agent.link.mqtt_requests
import agent.local.server
import resources.dispatch
import transport.datagram
import transport.framed
from resources.dispatch import Dispatch
from tests.agent.fault_rig import CloudDriver, Driver, Gate, drivers, now_ms
from tests.agent.parts import Cloud, until
from tests.authority import Authority
from wire.datapoints import Value

PAGE = Path(__file__).parents[2] / "docs" / "link.md"
HEADING = "## Faults, and what each means"
NONE = "–"

Fault = Callable[[Driver, Gate, pytest.MonkeyPatch], Awaitable[str]]
FAULTS: dict[str, Fault] = {}


def fault(name: str) -> Callable[[Fault], Fault]:
    """Register what makes a fault, under its name in the table; it returns what the asker is told."""

    def register(made: Fault) -> Fault:
        FAULTS[name] = made
        return made

    return register


@fault("none")
async def no_fault(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    return await driver.put("春天")


@fault("the link stalls until after the deadline")
async def stalled(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    return await driver.stall("x") if isinstance(driver, CloudDriver) else NONE


@fault("it arrives after its deadline")
async def late(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    is_cloud = isinstance(driver, CloudDriver)
    return await driver.put("x", until_ms=now_ms() - 1000, id=b"late") if is_cloud else NONE


@fault("it waits in the machine until its deadline")
async def waiting(driver: Driver, gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    if not isinstance(driver, CloudDriver):
        return NONE
    gate.go.clear()
    told = await driver.put("x", until_ms=now_ms() + 100, id=b"wait")
    gate.go.set()
    return told


@fault("cut in the middle of the request")
async def cut(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    return await driver.cut_short("x" * 900)


@fault("the answer is lost")
async def lost(driver: Driver, gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    return await driver.lose_answer("lost", gate)


@fault("the same request twice")
async def twice(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    return await driver.twice("x")


@fault("16 at once")
async def many(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    told = await asyncio.gather(*(driver.put(str(number)) for number in range(16)))
    return " and ".join(set(told))


@fault("one more than are served at once")
async def busy(driver: Driver, gate: Gate, patch: pytest.MonkeyPatch) -> str:
    for module in (transport.framed, transport.datagram, agent.link.mqtt_requests):
        patch.setattr(module, "MAX_SERVING", 2)
    patch.setattr(agent.local.server, "REQUEST_LIMIT", 2)
    gate.go.clear()
    first = [asyncio.create_task(driver.put(str(number))) for number in range(2)]
    await until(lambda: gate.waiting == 2)
    told = await driver.put("one more")
    gate.go.set()
    assert await asyncio.gather(*first) == ["2.04", "2.04"]
    gate.values.clear()
    return told


@fault("a value of 9 KiB")
async def long(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    return await driver.put("x" * 9 * 1024)


@fault("a value of 70 KiB")
async def over_long(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    return await driver.put("x" * 70 * 1024)


@fault("what is no request")
async def junk(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    return await driver.junk() or "ignored"


@fault("the handler raises")
async def raises(driver: Driver, _gate: Gate, _patch: pytest.MonkeyPatch) -> str:
    return await driver.put("crash")


@fault("the handler never ends")
async def never_ends(driver: Driver, _gate: Gate, patch: pytest.MonkeyPatch) -> str:
    patch.setattr(resources.dispatch, "HANDLER_TIMEOUT", 0.05)
    return await driver.put("hang")


def read_table() -> dict[str, dict[str, str]]:
    """Return the page's cells by fault and way."""
    lines = PAGE.read_text().partition(HEADING)[2].partition("\n## ")[0].splitlines()
    rows = [
        [cell.strip() for cell in line.strip("|").split("|")] for line in lines if line[:1] == "|"
    ]
    head, _, *body = rows
    return {row[0]: dict(zip(head[1:], row[1:], strict=True)) for row in body}


async def changed(_name: str, _value: Value) -> None:
    """Take a change."""


def differs(cell: str, told: str, times: int) -> bool:
    """Return whether the page says otherwise: it has the code, a word of the text, and the count."""
    words, _, count = cell.rpartition(", ")
    right = told == NONE if cell == NONE else times == int(count.split()[0])
    shown = re.fullmatch(words.replace(".", r"\.").replace(" ", ".*") + ".*", told, re.DOTALL)
    return not right or (cell != NONE and shown is None)


async def test_every_fault_means_what_the_page_says_on_every_way(
    cloud: Cloud, authority: Authority, tmp_path: Path
) -> None:
    gate = Gate()
    table, wrong = read_table(), []
    assert list(table) == list(FAULTS)
    async with drivers(cloud, authority, tmp_path, Dispatch([gate], changed)) as ways:
        for name, make in FAULTS.items():
            assert list(table[name]) == list(ways)
            for way, driver in ways.items():
                gate.values.clear()
                with pytest.MonkeyPatch.context() as patch:
                    told = await make(driver, gate, patch)
                times = len(gate.values)
                if differs(table[name][way], told, times):
                    wrong.append(
                        f"{name}, {way}: {told}, {times} times; expected {table[name][way]}"
                    )
                assert await driver.put("after it") == "2.04", (name, way)
    assert not wrong, "\n".join(wrong)
