"""What the cloud may ask for beside the data points: an update order, and its cancellation."""

from __future__ import annotations

import pytest

from agent.routes import cloud_handler, serve_cancel
from resources.dispatch import Dispatch
from wire.codes import Code
from wire.datapoints import Value
from wire.exchange import Answer, Handler, Request
from wire.ota import ORDER_PATH, cancel_query


async def ignore(_name: str, _value: Value) -> None:
    return


class Updater:
    def __init__(self) -> None:
        self.asked: list[object] = []

    async def take_order(self, payload: bytes) -> Answer:
        self.asked.append(payload)
        return Answer(Code.CHANGED, b"taken")

    async def cancel(self, transaction: str) -> Answer:
        self.asked.append(transaction)
        return Answer(Code.CHANGED, b"cancelled")


def routed() -> tuple[Handler, Updater]:
    updater = Updater()
    return cloud_handler(Dispatch([], ignore), updater.take_order, updater.cancel), updater


async def test_an_order_and_its_cancellation_go_to_the_updater() -> None:
    handle, updater = routed()
    assert (await handle(Request("PUT", ORDER_PATH, payload=b"{}"))).text == "taken"
    assert (await handle(Request("DELETE", ORDER_PATH, cancel_query("7")))).text == "cancelled"
    assert updater.asked == [b"{}", "7"]


@pytest.mark.parametrize("method", ["GET", "POST", ""])
async def test_nothing_else_can_be_done_with_an_order(method: str) -> None:
    handle, updater = routed()
    answer = await handle(Request(method, ORDER_PATH))
    assert answer == Answer(Code.METHOD_NOT_ALLOWED, b"newfirmware: only PUT and DELETE")
    assert updater.asked == []


async def test_the_rest_goes_to_the_dispatch() -> None:
    handle, updater = routed()
    assert (await handle(Request("GET", ("volume",)))).code == Code.NOT_FOUND
    assert updater.asked == []


@pytest.mark.parametrize("query", [(), ("transaction=",), ("other=7",)])
async def test_a_cancellation_names_its_transaction(query: tuple[str, ...]) -> None:
    updater = Updater()
    answer = await serve_cancel(updater.cancel, query)
    assert answer.code == Code.BAD_REQUEST
    assert "transaction" in answer.text
    assert updater.asked == []
