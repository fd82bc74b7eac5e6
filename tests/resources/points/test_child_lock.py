"""The child lock: the machine's own orders are refused, the app's pass."""

from __future__ import annotations

from pathlib import Path

import pytest

from machine.errors import UnavailableError
from resources.dispatch import Dispatch
from resources.points.child_lock import ChildLockPoint
from resources.points.volume import VolumePoint
from resources.record import Record
from tests.resources.parts import LoudBench
from wire.codes import Code
from wire.exchange import Request


async def ignore(*_: object) -> None:
    return


def order(name: str, value: bytes, method: str = "PUT") -> Request:
    return Request(method, (name,), payload=value)


async def test_orders_of_the_machine_itself_are_refused_and_all_else_passes(tmp_path: Path) -> None:
    lock = ChildLockPoint(Record(tmp_path / "child_lock.json"))
    dispatch = Dispatch([VolumePoint(LoudBench().loudness), lock], ignore)
    told: list[str] = []
    lock.on_refused = told.append
    assert (await dispatch.handle_local(order("volume", b"3"))).code is Code.CHANGED
    assert (await dispatch.handle(order("child_lock", b"true"))).code is Code.CHANGED
    refused = await dispatch.handle_local(order("volume", b"9"))
    assert refused.code is Code.FORBIDDEN
    assert refused.text == "volume: the child lock is on, expected an order from the family's app"
    assert told == [refused.text]
    assert (await dispatch.handle_local(order("volume", b"", "GET"))).text == "3"
    assert (await dispatch.handle(order("volume", b"9"))).code is Code.CHANGED
    assert (await dispatch.handle_local(order("child_lock", b"false"))).code is Code.CHANGED
    assert (await dispatch.handle_local(order("volume", b"4"))).code is Code.CHANGED


async def test_the_lock_survives_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "child_lock.json"
    await ChildLockPoint(Record(path)).put(True)
    again = ChildLockPoint(Record(path))
    assert again.is_on
    assert await again.get() is True
    path.write_bytes(b"damaged")
    assert not ChildLockPoint(Record(path)).is_on


async def test_a_lock_that_cannot_be_stored_is_not_on(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    lock = ChildLockPoint(Record(tmp_path / "file" / "lock.json"))
    with pytest.raises(UnavailableError, match=r"^child_lock: not stored: "):
        await lock.put(True)
    assert not lock.is_on
