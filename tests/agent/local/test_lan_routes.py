"""Keys are given to whoever may use the agent's socket, and to nobody else."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.local.clients import Clients
from agent.local.lan_routes import OFF, lan_routes
from agent.local.web import Site
from agent.settings import LocalSettings
from tests.extras import module_needs
from wire.lan_keys import parse_keys

module_needs("cbor2")


class Asker:
    """Asks the routes as the agent's socket does, or as a port with ``client``."""

    def __init__(self, state: Path, client: Any = None, port: int = 5683) -> None:
        local = LocalSettings(oscore_port=port, oscore_address="192.0.2.7")
        self._app = Site(lan_routes(Clients(state) if port else None, local))
        self._client = client

    async def __call__(self, method: str, path: str) -> tuple[int, str]:
        async def app(scope: Any, receive: Any, send: Any) -> None:
            await self._app(scope | {"client": self._client}, receive, send)

        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(transport=transport, base_url="http://agent") as client:
            answer = await client.request(method, path)
        return answer.status_code, answer.text.strip()


async def test_a_client_gets_its_keys_once(tmp_path: Path) -> None:
    ask = Asker(tmp_path)
    status, text = await ask("PUT", "/lan/phone")
    told = json.loads(text)
    assert (status, told["name"], told["uri"]) == (200, "phone", "coap://192.0.2.7:5683")
    keys = parse_keys(text.encode())
    status, text = await ask("GET", "/lan")
    assert (status, json.loads(text)) == (200, {"phone": {"state": "not heard"}})
    status, text = await ask("POST", "/lan/phone")
    assert status == 200
    assert parse_keys(text.encode()).secret != keys.secret
    assert await ask("DELETE", "/lan/phone") == (200, '{"removed":"phone"}')
    assert await ask("GET", "/lan") == (200, "{}")


@pytest.mark.parametrize(
    ("method", "path", "status", "text"),
    [
        ("PUT", "/lan/phone", 409, "lan: phone has keys already: renew them, or remove it first"),
        ("PUT", "/lan/My%20Phone", 400, "lan: name: got My Phone"),
        ("POST", "/lan/tablet", 404, "lan: tablet: no client of that name has keys"),
        ("DELETE", "/lan/tablet", 404, "lan: tablet: no client of that name has keys"),
        ("DELETE", "/lan/..%2Fphone", 404, "Not Found"),
    ],
)
async def test_what_cannot_be_done_is_said(
    tmp_path: Path, method: str, path: str, status: int, text: str
) -> None:
    ask = Asker(tmp_path)
    await ask("PUT", "/lan/phone")
    answer = await ask(method, path)
    assert answer[0] == status
    assert answer[1].replace('"', "").startswith(text)


async def test_a_card_that_takes_nothing_is_said(tmp_path: Path) -> None:
    (tmp_path / "lan").write_text("in the way")
    status, text = await Asker(tmp_path)("PUT", "/lan/phone")
    assert status == 503
    assert "the keys are not stored: " in text


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
async def test_a_port_gives_no_keys_and_off_is_off(tmp_path: Path, method: str) -> None:
    path = "/lan" if method == "GET" else "/lan/phone"
    status, text = await Asker(tmp_path, ("127.0.0.1", 4711))(method, path)
    assert (status, text) == (403, "lan: only over the agent's socket (story-agent lan)")
    assert await Asker(tmp_path, port=0)(method, path) == (409, OFF)
    assert not (tmp_path / "lan").exists()
