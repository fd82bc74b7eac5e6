"""How long the local API waits for its client, on a moved clock; a test sets no deadline."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path

import pytest

from agent.local.sockets import unix_socket
from tests.agent.local.test_server import GET, Rig
from tests.moved_clock import Since, on_moved_clock

BODY = b"POST /body HTTP/1.1\r\nHost: agent\r\nContent-Length: 100\r\n\r\nabc"


@pytest.mark.parametrize(
    ("sent", "after", "seconds"),
    [
        (b"", b"", 10), (GET[:9], b"", 10), (GET, b"hello ", 9), (BODY.replace(b"/body", b"/refuse"), b"too large", 10),
    ],
    ids=["nothing", "a line", "nothing more", "the rest of what was refused"],
)  # fmt: skip
def test_a_client_that_stops_is_waited_for(
    tmp_path: Path, sent: bytes, after: bytes, seconds: float
) -> None:
    @on_moved_clock
    async def run() -> None:
        rig = Rig(tmp_path / "s")
        with unix_socket(rig.path) as bound:
            bound.setblocking(False)
            bound.listen()
            serving = asyncio.create_task(rig.server.serve([bound]))
            reader, writer = await rig.open()
            writer.write(sent)
            if after:
                await reader.readuntil(after)
            since = Since()
            with contextlib.suppress(ConnectionError):
                await reader.read()
            assert since.seconds == pytest.approx(seconds, abs=0.5)
            writer.close()
            rig.server.stop()
            await serving

    run()
