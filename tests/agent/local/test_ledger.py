"""Which entries a request names, and that a port of 127.0.0.1 neither reads nor erases them."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from agent.family import FamilyRoom
from agent.local.ledger import PATH, ledger_routes, read_numbers
from agent.local.web import Site
from tests.agent.parts import make_profile
from wire.errors import WireError

# Numbers as docs/numbers.md has them: a test of a number does not take it from the source.
NUMBERS_MAX = 300


@pytest.mark.parametrize(
    ("text", "numbers"), [(None, None), ("3", [3]), ("3, 5,8", [3, 5, 8]), ("007", [7])]
)
def test_numbers_are_read(text: str | None, numbers: list[int] | None) -> None:
    assert read_numbers(text) == numbers


@pytest.mark.parametrize(
    "text", ["", "x", "-1", "1,,2", "٣", "1" * 19, ",".join("1" * (NUMBERS_MAX + 1))]
)
def test_what_is_no_number_is_refused(text: str) -> None:
    with pytest.raises(WireError, match="numbers of entries"):
        read_numbers(text)


@pytest.mark.parametrize("method", ["GET", "DELETE"])
async def test_only_the_socket_may_ask(tmp_path: Path, method: str) -> None:
    room = FamilyRoom(make_profile(1, ""), tmp_path, lambda: 0.0)
    app = Site(ledger_routes(room))
    transport = httpx.ASGITransport(app)  # has an address, as a port has
    async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
        response = await client.request(method, PATH)
    assert (response.status_code, "only over the agent's socket" in response.text) == (403, True)
