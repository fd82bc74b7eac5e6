"""A package's data point that does everything wrong, among ours that must not notice."""

from __future__ import annotations

from typing import Any, ClassVar

import pytest

from agent.guarded_point import GuardedPoint
from agent.watch import Watcher
from machine.errors import UnavailableError
from resources.datapoint import DataPoint
from resources.dispatch import Dispatch
from wire.codes import Code
from wire.datapoints import DataPointDescription, DataType, Method, Range, Value


class Wrong(DataPoint):
    """Gives ``value``; all else raises."""

    def __init__(self, value: Any, kind: DataType = DataType.INT) -> None:
        pattern = Range(-40, 85) if kind is DataType.INT else None
        both = (Method.GET, Method.PUT)
        self.description = DataPointDescription("room", kind, "", "", both, pattern)  # type: ignore[misc]
        self.value = value

    async def get(self) -> Any:
        if isinstance(self.value, Exception):
            raise self.value
        return self.value

    async def put(self, value: Value) -> None:
        self.value = value

    @property
    def back_end(self) -> str:
        raise RuntimeError("no back end")

    def check_local(self, name: str) -> str | None:
        raise RuntimeError(name)

    def note_local(self) -> None:
        raise RuntimeError

    async def close(self) -> None:
        raise RuntimeError("it cannot be closed")


class Knob(DataPoint):
    """One of ours, beside it."""

    description: ClassVar = DataPointDescription(
        "knob", DataType.INT, "", "", (Method.GET, Method.PUT)
    )
    value: Value = 3

    async def get(self) -> Value:
        return self.value

    async def put(self, value: Value) -> None:
        self.value = value

    async def close(self) -> None:
        self.value = 0


async def ignore(_name: str, _value: Value) -> None:
    return


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        (21.5, DataType.INT), (True, DataType.INT), (86, DataType.INT), (2**64, DataType.INT), ("21", DataType.INT),
        (None, DataType.INT), (1, DataType.BOOL), ("", DataType.STRING), ("a\nb", DataType.STRING),
        ("x" * 2000, DataType.STRING), (5, DataType.STRING), (b"x", DataType.STRING), ("\ud800", DataType.STRING),
    ],
)  # fmt: skip
async def test_a_value_that_is_not_as_described_is_unavailable_and_names_the_package(
    value: Any, kind: DataType
) -> None:
    point = GuardedPoint(Wrong(value, kind))
    with pytest.raises(UnavailableError, match="room: its package gave"):
        await point.get()


@pytest.mark.parametrize(
    ("value", "kind"), [(-40, DataType.INT), (False, DataType.BOOL), ("热", DataType.STRING)]
)
async def test_a_value_as_described_is_passed_on(value: Any, kind: DataType) -> None:
    assert await GuardedPoint(Wrong(value, kind)).get() == value


async def test_what_a_package_does_wrong_is_its_own(caplog: pytest.LogCaptureFixture) -> None:
    knob = Knob()
    wrong = GuardedPoint(Wrong(21.5))
    dispatch = Dispatch([wrong, knob], ignore)
    told: dict[str, Value] = {}

    async def report(name: str, value: Value) -> None:
        told[name] = value

    await Watcher(dispatch, report).poll()
    assert told == {"knob": 3}
    assert (await dispatch.request("PUT", "knob", "5", local=True)).code is Code.CHANGED
    assert (await dispatch.request("PUT", "room", "5", local=True)).code is Code.CHANGED
    assert (await dispatch.request("GET", "room")).text == "5"
    assert wrong.back_end == wrong.back_end == "a package's, which does not tell: no back end"
    await dispatch.close()
    assert knob.value == 0
    told_once = [record.getMessage() for record in caplog.records if "the package fails" in record.getMessage()]  # fmt: skip
    assert sorted(told_once) == [
        f"room.{method}: the package fails" for method in ("back_end", "check_local", "close", "note_local")
    ]  # fmt: skip


async def test_a_text_of_a_package_is_looked_at_like_a_number() -> None:
    told: list[Value] = []

    async def report(_name: str, value: Value) -> None:
        told.append(value)

    point = Wrong("cold", DataType.STRING)
    watcher = Watcher(Dispatch([GuardedPoint(point)], ignore), report)
    for value in ("cold", "cold", "warm"):
        point.value = value
        await watcher.poll()
    assert told == ["cold", "warm"]
