"""Observations of data points: who is woken, bounds, links; and by a real CoAP client."""

from __future__ import annotations

import asyncio
import contextlib
from typing import Any

import aiocoap

from agent.local.changes import Changes, Watcher, link_format
from agent.local.coap import local_coap
from tests.agent.local.rig import Bench
from tests.agent.parts import DEADLINE
from tests.ports import free_port
from wire.exchange import Request

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
OWNER_LIMIT = 12
WATCHERS_LIMIT = 32


def test_those_who_watch_a_data_point_are_woken_by_its_changes_only() -> None:
    changes = Changes()
    with changes.watch(("volume",), 1) as volume, changes.watch(("play",), 1) as play:
        changes.note("volume")
        changes.note("power")
        assert (volume.changed.is_set(), play.changed.is_set()) == (True, False)
    assert not changes._watchers


def test_who_watches_too_much_loses_the_oldest() -> None:
    """A phone's program that was killed a dozen times could watch nothing until a value changed."""
    changes = Changes()
    with contextlib.ExitStack() as stack:

        def watch(owner: int) -> Watcher:
            return stack.enter_context(changes.watch(("a",), owner))

        first, other = watch(1), watch(2)
        mine = [watch(1) for _ in range(OWNER_LIMIT)]
        assert (first.is_over, first.changed.is_set()) == (True, True)
        assert not any(each.is_over for each in [other, *mine])
        others = [watch(owner) for owner in range(3, WATCHERS_LIMIT)]
        assert [each.is_over for each in mine] == [True] * 10 + [False] * 2  # it had the most
        assert not any(each.is_over for each in [other, *others])
        assert len(changes._watchers) == WATCHERS_LIMIT
    assert not changes._watchers


def test_links_name_each_data_point() -> None:
    assert link_format(["volume"]) == (
        b'</volume>;rt="story-agent.data-point";ct=0;obs,'
        b'</resource>;rt="story-agent.description";ct=50'
    )


async def test_a_program_observes_a_data_point_and_finds_it_by_well_known_core() -> None:
    bench, changes, port = Bench(), Changes(), free_port()
    base = f"coap://127.0.0.1:{port}"

    async def get(client: aiocoap.Context, path: str, **options: Any) -> Any:
        return client.request(aiocoap.Message(code=aiocoap.GET, uri=base + path, **options))

    async with local_coap(
        bench.dispatch.handle_local, port,
        links=lambda query: link_format(bench.dispatch.points, query), watch=changes.watch,
    ), asyncio.timeout(DEADLINE):  # fmt: skip
        client = await aiocoap.Context.create_client_context()
        links = await (await get(client, "/.well-known/core")).response
        assert links.opt.content_format == 40
        assert b"</even>;rt=" in links.payload
        found = await (await get(client, "/.well-known/core?rt=story-agent.desc*")).response
        assert found.payload == b'</resource>;rt="story-agent.description";ct=50'
        refused = await (await get(client, "/.well-known/core?rt")).response
        assert str(refused.code).startswith("4.00")
        put = aiocoap.Message(code=aiocoap.PUT, uri=f"{base}/.well-known/core", payload=b"x")
        assert str((await client.request(put).response).code).startswith("4.05")
        observed = await get(client, "/even", observe=0)
        assert (await observed.response).payload == b"0"
        told = aiter(observed.observation)
        for value in (b"2", b"4"):
            await bench.dispatch.handle_local(Request("PUT", ("even",), (), value))
            changes.note("even")
            assert (await anext(told)).payload == value
        observed.observation.cancel()
        none = await get(client, "/nothing", observe=0)
        assert str((await none.response).code).startswith("4.04")
        await client.shutdown()
    assert not changes._watchers
