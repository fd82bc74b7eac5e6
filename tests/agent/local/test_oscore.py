"""The home network by CoAP: a real aiocoap client with keys, one without, and a start anew."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

import aiocoap
import pytest

from tests.agent.local.lan_parts import client_of, serving_oscore, store
from tests.agent.parts import DEADLINE
from tests.extras import module_needs
from transport.flood import FloodGate
from wire.codes import Code
from wire.exchange import Answer, Request

module_needs("cbor2")
module_needs("lakers")
from aiocoap.oscore import NotAProtectedMessage  # noqa: E402  # after the extras are found

from agent.local import oscore as oscore_module  # noqa: E402

EXAMPLE = Path(__file__).parents[3] / "examples" / "lan.py"

pytestmark = pytest.mark.usefixtures("no_blocking")


async def test_a_client_reads_sets_and_discovers_and_a_stranger_does_nothing(
    tmp_path: Path,
) -> None:
    async with serving_oscore(tmp_path) as served:
        keys = await served.clients.add("phone")
        assert served.clients.status() == {"phone": {"state": "not heard"}}
        async with client_of(served.base, tmp_path / "keys", keys) as phone:
            assert await phone.ask("GET", "even") == Answer(Code.CONTENT, b"0")
            assert await phone.ask("PUT", "even", b"4") == Answer(Code.CHANGED)
            links = await phone.ask("GET", ".well-known/core?rt=story-agent.desc*")
            assert links.payload == b'</resource>;rt="story-agent.description";ct=50'
            assert (await phone.ask("GET", "resource")).payload.startswith(b'{"resources":')
        async with client_of(served.base, tmp_path, None) as stranger:
            for method, path in (("GET", "even"), ("PUT", "even"), ("GET", ".well-known/core")):
                assert (await stranger.ask(method, path, b"2")).code == Code.UNAUTHORIZED
        assert served.bench.dispatch.points["even"].value == 4  # type: ignore[attr-defined]
        assert served.clients.status()["phone"]["state"] == "heard"  # type: ignore[index]


async def test_changes_are_told_and_a_removed_client_hears_nothing_more(tmp_path: Path) -> None:
    async with serving_oscore(tmp_path) as served, asyncio.timeout(DEADLINE):
        keys = await served.clients.add("phone")
        async with client_of(served.base, tmp_path / "keys", keys) as phone:
            observed = phone.request("GET", "even", observe=0)
            assert (await observed.response).payload == b"0"
            told = aiter(observed.observation)
            for value in (b"2", b"4"):
                await served.bench.dispatch.handle_local(Request("PUT", ("even",), (), value))
                served.changes.note("even")
                assert (await anext(told)).payload == value
            await served.clients.remove("phone")
            served.changes.note("even")
            while served.changes._watchers:
                await asyncio.sleep(0)
            with pytest.raises(NotAProtectedMessage) as caught:
                await phone.ask("GET", "even")
            assert caught.value.plain_message.code == aiocoap.UNAUTHORIZED


async def test_keys_work_after_a_start_anew_and_a_renewed_key_does_not(tmp_path: Path) -> None:
    async with serving_oscore(tmp_path) as served:
        old = await served.clients.add("phone")
        async with client_of(served.base, tmp_path / "keys", old) as phone:
            assert (await phone.ask("GET", "even")).payload == b"0"
    async with serving_oscore(tmp_path) as served:
        assert served.clients.status() == {"phone": {"state": "not heard"}}
        async with client_of(served.base, tmp_path / "keys", old) as phone:
            assert (await phone.ask("GET", "even")).payload == b"0"
        new = await served.clients.renew("phone")
        async with client_of(served.base, tmp_path / "new", new) as phone:
            assert (await phone.ask("GET", "even")).payload == b"0"
        assert served.clients.find(old.client_id) is None


async def test_several_clients_have_a_context_each(tmp_path: Path) -> None:
    async with serving_oscore(tmp_path) as served:
        names = ("mum", "dad", "script")
        keys = {name: await served.clients.add(name) for name in names}
        assert len({each.client_id for each in keys.values()}) == 3

        async def use(name: str) -> list[bytes]:
            async with client_of(served.base, tmp_path / name, keys[name]) as client:
                return [(await client.ask("GET", "gauge")).payload for _ in range(5)]

        assert await asyncio.gather(*map(use, names)) == [[b"42"] * 5] * 3


async def test_a_flood_is_told_once_a_minute(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    gate, waits = FloodGate(0.0), iter([500, 500, 0, 0])

    async def minute(_seconds: float) -> None:
        count = next(waits, None)
        if count is None:
            raise asyncio.CancelledError
        for _ in range(count):
            gate.admit("flooder", 0.0)

    monkeypatch.setattr("agent.local.oscore.asyncio.sleep", minute)
    with pytest.raises(asyncio.CancelledError):
        await oscore_module._tell_floods(gate)
    assert [record.message[:25] for record in caplog.records] == [
        "home network: 440 packets",
        "home network: 500 packets",
    ]


async def test_the_example_works_and_says_why_it_does_not(tmp_path: Path) -> None:
    async with serving_oscore(tmp_path) as served, asyncio.timeout(DEADLINE):
        keys = await served.clients.add("laptop")
        store(tmp_path / "keys", keys, served.base)
        done, nowhere = await asyncio.gather(
            run_example(tmp_path / "keys", "PUT", "even", "6"),
            run_example(tmp_path / "none", "GET", "even"),
        )
        assert done == (0, "done")
        assert served.bench.dispatch.points["even"].value == 6  # type: ignore[attr-defined]
        assert "secret.json: No such file or directory: put there" in nowhere[1]
        await served.clients.remove("laptop")
        code, text = await run_example(tmp_path / "keys", "GET", "even")
    assert (code, text) == (
        1,
        "the machine refused: Security context not found (story-agent lan renew NAME makes new keys)",
    )


async def run_example(*words: str | Path) -> tuple[int | None, str]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, EXAMPLE, *words, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )  # fmt: skip
    out, _ = await process.communicate()
    return process.returncode, out.decode().strip().splitlines()[-1]
